"""The volumes of a Pod: each with a unique name and exactly one source.

Upstream: pkg/apis/core/validation/validation.go:ValidateVolumes, validateVolumeSource @v1.36
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from kubesim.api import names, quantity
from kubesim.api.objects import Object
from kubesim.api.validation.container import validate_pull_policy
from kubesim.api.validation.field import duplicate, forbidden, invalid, not_supported, required, too_long
from kubesim.api.validation.formats import check, dns_label, dns_subdomain
from kubesim.api.validation.metadata import validate_annotations, validate_labels
from kubesim.api.validation.storage import validate_claim_spec
from kubesim.api.validation.volume_paths import file_mode, key_to_path, no_backsteps
from kubesim.api.validation.volumes_projected import validate_downward_files, validate_projected
from kubesim.errors import Cause

# In the order in which upstream looks for them; the first one found is checked, the others are refused.
_SOURCES = (
    "emptyDir",
    "hostPath",
    "gitRepo",
    "gcePersistentDisk",
    "awsElasticBlockStore",
    "secret",
    "nfs",
    "iscsi",
    "glusterfs",
    "flocker",
    "persistentVolumeClaim",
    "rbd",
    "cinder",
    "cephfs",
    "quobyte",
    "downwardAPI",
    "fc",
    "flexVolume",
    "configMap",
    "azureFile",
    "vsphereVolume",
    "photonPersistentDisk",
    "portworxVolume",
    "azureDisk",
    "storageos",
    "projected",
    "scaleIO",
    "csi",
    "ephemeral",
    "image",
)
_ORDER = {source: place for place, source in enumerate(_SOURCES)}
# Upstream's own spellings in the refusal of a second source.
_REFUSED_AS = {"cephfs": "cephFS", "downwardAPI": "downwarAPI"}
_CHECKED_AS = {"gcePersistentDisk": "persistentDisk"}
# Sources that no module of ours mounts: only their required strings are checked.
_REQUIRED_STRINGS = {
    "gitRepo": ("repository",),
    "gcePersistentDisk": ("pdName",),
    "awsElasticBlockStore": ("volumeID",),
    "iscsi": ("targetPortal", "iqn"),
    "glusterfs": ("endpoints", "path"),
    "rbd": ("monitors", "image"),
    "cinder": ("volumeID",),
    "cephfs": ("monitors",),
    "quobyte": ("registry", "volume"),
    "flexVolume": ("driver",),
    "azureFile": ("secretName", "shareName"),
    "vsphereVolume": ("volumePath",),
    "photonPersistentDisk": ("pdID",),
    "portworxVolume": ("volumeID",),
    "azureDisk": ("diskName", "diskURI"),
    "storageos": ("volumeName",),
    "scaleIO": ("gateway", "system", "volumeName"),
}
_HOST_PATH_TYPES = (
    "",
    "BlockDevice",
    "CharDevice",
    "Directory",
    "DirectoryOrCreate",
    "File",
    "FileOrCreate",
    "Socket",
)


def validate_volumes(
    volumes: Sequence[Object], path: str, *, is_pod: bool, pod_name: str
) -> tuple[dict[str, Object], list[Cause]]:
    """The well-formed volumes by name, and what is wrong with the others.

    `pod_name` is empty in a template, where the names of claims of ephemeral volumes are not known yet.
    """
    sound: dict[str, Object] = {}
    causes: list[Cause] = []
    created = {f"{pod_name}-{volume.get('name', '')}" for volume in volumes if pod_name and "ephemeral" in volume}
    for index, volume in enumerate(volumes):
        at, name = f"{path}[{index}]", volume.get("name", "")
        found = list(_source(volume, at, is_pod=is_pod, pod_name=pod_name))
        if not name:
            found.append(required(f"{at}.name"))
        else:
            found += dns_label(f"{at}.name", name)
        if name in sound:
            found.append(duplicate(f"{at}.name", name))
        if found:
            causes += found
        else:
            sound[name] = volume
        claim = (volume.get("persistentVolumeClaim") or {}).get("claimName", "")
        if claim and claim in created:
            detail = "must not reference a PVC that gets created for an ephemeral volume"
            causes.append(invalid(f"{at}.persistentVolumeClaim.claimName", claim, detail))
    return sound, causes


def _source(volume: Object, path: str, *, is_pod: bool, pod_name: str) -> Iterator[Cause]:
    present = sorted((kind for kind in volume if kind in _ORDER), key=_ORDER.__getitem__)
    if not present:
        yield required(path, "must specify a volume type")
        return
    kind = present[0]
    source, at = volume[kind], f"{path}.{_CHECKED_AS.get(kind, kind)}"
    if kind == "emptyDir":
        if quantity.parse(source.get("sizeLimit", "0")).nano < 0:
            yield forbidden(f"{at}.sizeLimit", "SizeLimit field must be a valid resource quantity")
    elif kind == "ephemeral":
        yield from _ephemeral(source, at, f"{path}.name", volume.get("name", ""), pod_name)
    elif kind == "image":
        if is_pod and not source.get("reference"):
            yield required(f"{at}.reference")
        yield from validate_pull_policy(source.get("pullPolicy", ""), f"{at}.pullPolicy")
    elif kind == "projected":
        yield from validate_projected(source, at)
    elif kind in _REQUIRED_STRINGS:
        for name in _REQUIRED_STRINGS[kind]:
            if not source.get(name):
                yield required(f"{at}.{name}")
    else:
        yield from _CHECKS[kind](source, at)
    for other in present[1:]:
        yield forbidden(f"{path}.{_REFUSED_AS.get(other, other)}", "may not specify more than 1 volume type")


def _host_path(source: Object, path: str) -> Iterator[Cause]:
    if not source.get("path"):
        yield required(f"{path}.path")
        return
    yield from no_backsteps(f"{path}.path", source["path"])
    if source.get("type", "") not in _HOST_PATH_TYPES:
        yield not_supported(f"{path}.type", source["type"], _HOST_PATH_TYPES)


def _secret(source: Object, path: str) -> Iterator[Cause]:
    return _items(source, "secretName", path)


def _config_map(source: Object, path: str) -> Iterator[Cause]:
    return _items(source, "name", path)


def _items(source: Object, name_field: str, path: str) -> Iterator[Cause]:
    if not source.get(name_field):
        yield required(f"{path}.{name_field}")
    yield from file_mode(path, source, "defaultMode")
    for index, item in enumerate(source.get("items") or ()):
        yield from key_to_path(f"{path}.items[{index}]", item)


def _claim(source: Object, path: str) -> Iterator[Cause]:
    if not source.get("claimName"):
        yield required(f"{path}.claimName")


def _downward_api(source: Object, path: str) -> Iterator[Cause]:
    yield from file_mode(path, source, "defaultMode")
    for file in source.get("items") or ():
        yield from validate_downward_files(file, path)


def _nfs(source: Object, path: str) -> Iterator[Cause]:
    for name in ("server", "path"):
        if not source.get(name):
            yield required(f"{path}.{name}")
    if not source.get("path", "").startswith("/"):
        yield invalid(f"{path}.path", source.get("path", ""), "must be an absolute path")


def _csi(source: Object, path: str) -> Iterator[Cause]:
    driver = source.get("driver", "")
    if not driver:
        yield required(f"{path}.driver")
    else:
        if len(driver) > 63:
            yield too_long(f"{path}.driver", 63)
        yield from check(f"{path}.driver", driver, names.dns_1123_subdomain(driver.lower()))
    secret = source.get("nodePublishSecretRef")
    if secret is not None:
        if not secret.get("name"):
            yield required(f"{path}.nodePublishSecretRef.name")
        else:
            yield from dns_subdomain(f"{path}.name", secret["name"])


def _flocker(source: Object, path: str) -> Iterator[Cause]:
    if not source.get("datasetName") and not source.get("datasetUUID"):
        yield required(path, "one of datasetName and datasetUUID is required")


def _fibre_channel(source: Object, path: str) -> Iterator[Cause]:
    if not source.get("targetWWNs") and not source.get("wwids"):
        yield required(f"{path}.targetWWNs", "must specify either targetWWNs or wwids, but not both")


def _ephemeral(source: Object, path: str, name_path: str, name: str, pod_name: str) -> Iterator[Cause]:
    template = source.get("volumeClaimTemplate")
    if template is None:
        yield required(f"{path}.volumeClaimTemplate")
    else:
        yield from _claim_template(template, f"{path}.volumeClaimTemplate")
    if pod_name and name:
        claim = f"{pod_name}-{name}"
        for message in names.dns_1123_subdomain(claim):
            yield invalid(name_path, name, f'PVC name "{claim}": {message}')


def _claim_template(template: Object, path: str) -> Iterator[Cause]:
    metadata = template.get("metadata") or {}
    yield from _template_metadata(metadata, f"{path}.metadata")
    yield from validate_claim_spec(template.get("spec") or {}, f"{path}.spec")


def _template_metadata(metadata: Object, path: str) -> Iterator[Cause]:
    yield from validate_annotations(metadata.get("annotations") or {}, f"{path}.annotations")
    yield from validate_labels(metadata.get("labels") or {}, f"{path}.labels")
    for name in metadata:
        if name not in ("annotations", "labels"):
            yield forbidden(f"{path}.{name}", "cannot be set")


_CHECKS = {
    "hostPath": _host_path,
    "secret": _secret,
    "configMap": _config_map,
    "persistentVolumeClaim": _claim,
    "downwardAPI": _downward_api,
    "nfs": _nfs,
    "csi": _csi,
    "flocker": _flocker,
    "fc": _fibre_channel,
}

"""PersistentVolume: one source, which stays as it was created.

Inside the sources, only those that a cluster of today mounts are checked: hostPath, local, nfs and csi.
Upstream: pkg/apis/core/validation/validation.go:ValidatePersistentVolume, pkg/volume/validation/pv_validation.go @v1.36
"""

from __future__ import annotations

from collections.abc import Iterator
from posixpath import normpath

from kubesim.api import names
from kubesim.api.objects import Object, annotations_of
from kubesim.api.validation import field, formats, internal_form
from kubesim.api.validation.metadata import immutable
from kubesim.api.validation.node_selector import validate_node_selector
from kubesim.api.validation.rules import Rules
from kubesim.api.validation.storage import VOLUME_MODES, access_modes, basic_amount, positive_quantity
from kubesim.api.validation.volume_paths import no_backsteps
from kubesim.errors import Cause

_RECLAIM_POLICIES = ("Delete", "Recycle", "Retain")
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
# The order in which upstream looks for sources; the first one found is checked, the others are refused.
_SOURCES = (
    "hostPath",
    "gcePersistentDisk",
    "awsElasticBlockStore",
    "glusterfs",
    "flocker",
    "nfs",
    "rbd",
    "quobyte",
    "cephfs",
    "iscsi",
    "cinder",
    "fc",
    "flexVolume",
    "azureFile",
    "vsphereVolume",
    "photonPersistentDisk",
    "portworxVolume",
    "azureDisk",
    "scaleIO",
    "local",
    "storageos",
    "csi",
)
_REFUSED_AS = {"cephfs": "cephFS"}
_MOUNT_OPTIONS = "volume.beta.kubernetes.io/mount-options"
_TAKE_MOUNT_OPTIONS = frozenset(_SOURCES) - {"hostPath", "flocker", "fc", "flexVolume"}.union(
    {"portworxVolume", "scaleIO", "local", "storageos", "csi"}
)
_DRIVER_LENGTH_MAX = 63
_SECRETS = ("controllerPublishSecretRef", "controllerExpandSecretRef", "nodePublishSecretRef", "nodeExpandSecretRef")
_BETA_TO_GA = {
    "failure-domain.beta.kubernetes.io/zone": "topology.kubernetes.io/zone",
    "failure-domain.beta.kubernetes.io/region": "topology.kubernetes.io/region",
    "beta.kubernetes.io/os": "kubernetes.io/os",
    "beta.kubernetes.io/arch": "kubernetes.io/arch",
    "beta.kubernetes.io/instance-type": "node.kubernetes.io/instance-type",
}


def _volume(obj: Object) -> list[Cause]:
    spec = obj.get("spec") or {}
    modes = spec.get("accessModes") or []
    causes: list[Cause] = [] if modes else [field.required("spec.accessModes")]
    causes += access_modes(modes, "spec.accessModes")
    causes += _capacity(spec.get("capacity") or {})
    policy = spec.get("persistentVolumeReclaimPolicy")
    if policy and policy not in _RECLAIM_POLICIES:
        causes.append(field.not_supported("spec.persistentVolumeReclaimPolicy", policy, _RECLAIM_POLICIES))
    causes += _node_affinity(spec.get("nodeAffinity"))
    causes += _sources(spec)
    causes += _classes(spec)
    if _MOUNT_OPTIONS in annotations_of(obj) and not _TAKE_MOUNT_OPTIONS & spec.keys():
        path = f"metadata.annotations.{_MOUNT_OPTIONS}"
        causes.append(field.forbidden(path, "may not specify mount options for this volume type"))
    return causes


def _capacity(capacity: Object) -> Iterator[Cause]:
    if not capacity:
        yield field.required("spec.capacity")
    if "storage" not in capacity or len(capacity) > 1:
        printed = {name: capacity[name] for name in sorted(capacity)} or None
        yield field.not_supported("spec.capacity", printed, ("storage",))
    for name, amount in capacity.items():
        yield from basic_amount(f"spec.capacity[{name}]", amount)
        yield from positive_quantity(f"spec.capacity[{name}]", amount)


def _node_affinity(affinity: Object | None) -> Iterator[Cause]:
    if affinity is None:
        return
    required = affinity.get("required")
    if required is None:
        yield field.required("spec.nodeAffinity.required", "must specify required node constraints")
    else:
        yield from validate_node_selector(required, "spec.nodeAffinity.required")


def _sources(spec: Object) -> Iterator[Cause]:
    found = ""
    for name in _SOURCES:
        source = spec.get(name)
        if source is None:
            continue
        if found and name != "flexVolume":
            yield field.forbidden(f"spec.{_REFUSED_AS.get(name, name)}", "may not specify more than 1 volume type")
            continue
        found = name
        check = _CHECKS.get(name)
        if check is not None:
            yield from check(source, f"spec.{name}")
        if name == "local" and "nodeAffinity" not in spec:
            yield field.required("spec.nodeAffinity", "Local volume requires node affinity")
    if not found:
        yield field.required("spec", "must specify a volume type")
    host_path = spec.get("hostPath")
    is_root = host_path is not None and normpath(host_path.get("path") or ".") == "/"
    if is_root and spec.get("persistentVolumeReclaimPolicy") == "Recycle":
        why = "may not be 'recycle' for a hostPath mount of '/'"
        yield field.forbidden("spec.persistentVolumeReclaimPolicy", why)


def _host_path(source: Object, path: str) -> Iterator[Cause]:
    if not source.get("path"):
        yield field.required(f"{path}.path")
        return
    yield from no_backsteps(f"{path}.path", source["path"])
    kind = source.get("type")
    if kind is not None and kind not in _HOST_PATH_TYPES:
        yield field.not_supported(f"{path}.type", kind, _HOST_PATH_TYPES)


def _local(source: Object, path: str) -> Iterator[Cause]:
    if source.get("path"):
        yield from no_backsteps(f"{path}.path", source["path"])
    else:
        yield field.required(f"{path}.path")


def _nfs(source: Object, path: str) -> Iterator[Cause]:
    for name in ("server", "path"):
        if not source.get(name):
            yield field.required(f"{path}.{name}")
    exported = source.get("path", "")
    if not exported.startswith("/"):
        yield field.invalid(f"{path}.path", exported, "must be an absolute path")


def _csi(source: Object, path: str) -> Iterator[Cause]:
    driver = source.get("driver", "")
    if not driver:
        yield field.required(f"{path}.driver")
    else:
        if len(driver) > _DRIVER_LENGTH_MAX:
            yield field.too_long(f"{path}.driver", _DRIVER_LENGTH_MAX)
        yield from formats.check(f"{path}.driver", driver, names.dns_1123_subdomain(driver.lower()))
    if not source.get("volumeHandle"):
        yield field.required(f"{path}.volumeHandle")
    for name in _SECRETS:
        reference = source.get(name)
        if reference is not None:
            yield from _secret(reference, f"{path}.{name}")


def _secret(reference: Object, path: str) -> Iterator[Cause]:
    if reference.get("name"):
        yield from formats.dns_subdomain(f"{path}.name", reference["name"])
    else:
        yield field.required(f"{path}.name")
    if reference.get("namespace"):
        yield from formats.dns_label(f"{path}.namespace", reference["namespace"])
    else:
        yield field.required(f"{path}.namespace")


_CHECKS = {"hostPath": _host_path, "local": _local, "nfs": _nfs, "csi": _csi}


def _classes(spec: Object) -> Iterator[Cause]:
    if spec.get("storageClassName"):
        yield from formats.dns_subdomain("spec.storageClassName", spec["storageClassName"])
    mode = spec.get("volumeMode")
    if mode is not None and mode not in VOLUME_MODES:
        yield field.not_supported("spec.volumeMode", mode, VOLUME_MODES)
    attributes = spec.get("volumeAttributesClassName")
    if attributes is None:
        return
    if attributes:
        yield from formats.dns_subdomain("spec.volumeAttributesClassName", attributes)
    else:
        yield field.required("spec.volumeAttributesClassName", "an empty string is disallowed")
    if "csi" not in spec:
        yield field.required("spec.csi", "has to be specified when using volumeAttributesClassName")


def _volume_update(new: Object, old: Object) -> list[Cause]:
    """Upstream checks the volume twice and so repeats every cause of `_volume` but the one on mount options."""
    once = _volume(new)
    repeated = [cause for cause in once if not cause.field.endswith(_MOUNT_OPTIONS)]
    return [*once, *repeated, *_volume_change(new.get("spec") or {}, old.get("spec") or {})]


def _volume_change(spec: Object, old_spec: Object) -> Iterator[Cause]:
    """Upstream: pkg/apis/core/validation/validation.go:ValidatePersistentVolumeUpdate @v1.36"""
    source, old_source = internal_form.volume_source(spec), internal_form.volume_source(old_spec)
    csi, old_csi = source["CSI"], old_source["CSI"]
    if csi is not None and old_csi is not None and old_csi["ControllerExpandSecretRef"] is None:
        source["CSI"] = {**csi, "ControllerExpandSecretRef": None}
    if source != old_source:
        difference = internal_form.difference(old_source, source)
        why = f"spec.persistentvolumesource is immutable after creation\n{difference}"
        yield field.forbidden("spec.persistentvolumesource", why)
    yield from immutable("volumeMode", spec.get("volumeMode"), old_spec.get("volumeMode"))
    affinity = internal_form.volume_node_affinity(spec.get("nodeAffinity"))
    old_affinity = internal_form.volume_node_affinity(old_spec.get("nodeAffinity"))
    if old_affinity is not None and not _is_same_affinity(affinity, old_affinity):
        why = "field is immutable, except for updating from beta label to GA"
        yield field.invalid("nodeAffinity", affinity, why)
    if "volumeAttributesClassName" in old_spec and "volumeAttributesClassName" not in spec:
        yield field.forbidden("spec.volumeAttributesClassName", "update from non-nil value to nil is forbidden")


def _is_same_affinity(new: Object | None, old: Object) -> bool:
    """Whether the terms are equal when a beta label may have become its GA name."""
    if new is None or new["Required"] is None or old["Required"] is None:
        return new == old
    return _with_ga_labels(new, old) == old


def _with_ga_labels(new: Object, old: Object) -> Object:
    """`new` with keys set back to the beta label that `old` has in their place, if they are its GA name."""
    terms, old_terms = new["Required"]["NodeSelectorTerms"], old["Required"]["NodeSelectorTerms"]
    if len(terms) != len(old_terms):
        return new
    return {
        "Required": {
            "NodeSelectorTerms": [
                {name: _requirements(term[name], old_term[name]) for name in term}
                for term, old_term in zip(terms, old_terms, strict=True)
            ]
        }
    }


def _requirements(new: list[Object] | None, old: list[Object] | None) -> list[Object] | None:
    if new is None or old is None or len(new) != len(old):
        return new
    return [
        {**each, "Key": was["Key"]} if _BETA_TO_GA.get(was["Key"]) == each["Key"] else each
        for each, was in zip(new, old, strict=True)
    ]


RULES: dict[str, Rules] = {"persistentvolumes": Rules(_volume, _volume_update)}

"""A Pod's volumes: what each is backed by, and what is missing before it can be mounted.

An emptyDir dies with its Pod, a hostPath with the node, a claim's disk with its PersistentVolume. ConfigMaps, Secrets,
projected and downwardAPI volumes are files written at the mount.
Upstream: pkg/kubelet/volumemanager, pkg/volume/{configmap,secret,projected,downwardapi} @v1.36
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, MutableMapping, Sequence
from typing import Any, Final, NamedTuple, final

from kubesim.api.objects import Object
from kubesim.node.env import EnvError, decode_secret, field_value, resource_value
from kubesim.programs.program import Volume

TOKEN_PREFIX: Final = "kube-api-access-"
_ROOT_CA: Final = "kube-root-ca.crt"

FindObject = Callable[[str, str], Object | None]


class MountError(Exception):
    """The volume can't be mounted now; the message is what the FailedMount Event says after the volume's name."""


class NotAttachedError(Exception):
    """The volume is a disk in the network that is not attached to the node yet."""


class ClaimError(Exception):
    """The Pod's claims don't allow mounting now; the message is the whole text of the FailedMount Event."""


@final
class TokenVolumes:
    """The service account volumes: one for all Pods of a namespace and account, as nothing in them differs."""

    __slots__ = ("_volumes",)

    def __init__(self) -> None:
        self._volumes: dict[tuple[str, str], Volume] = {}

    def get(self, namespace: str, account: str, ca: str) -> Volume:
        """The shared volume with the files `token`, `ca.crt` and `namespace`."""
        volume = self._volumes.get((namespace, account))
        if volume is None:
            volume = self._volumes[namespace, account] = Volume("kube-api-access")
            volume.files = {"token": f"token of {namespace}/{account}", "namespace": namespace}
        volume.files["ca.crt"] = ca
        return volume


class VolumeSources(NamedTuple):
    """Where volumes come from. `disks` holds what PersistentVolumes contain, by their names; `host_paths` the node's
    own files; both are created on first use. `is_attached` says of a PersistentVolume whether the node has it."""

    config_map: FindObject
    secret: FindObject
    claim: FindObject
    disks: MutableMapping[str, Volume]
    host_paths: MutableMapping[str, Volume]
    tokens: TokenVolumes
    allocatable: Mapping[str, Any]
    host_ip: str
    is_attached: Callable[[str], bool]


def _items(
    data: Mapping[str, Any], items: Sequence[Object] | None, missing: str, *, is_optional: bool
) -> dict[str, Any]:
    if not items:
        return dict(data)
    files = {}
    for item in items:
        if item["key"] in data:
            files[item["path"]] = data[item["key"]]
        elif not is_optional:
            raise MountError(f"{missing}: {item['key']}")
    return files


def _config_map_files(source: Object, namespace: str, sources: VolumeSources) -> dict[str, Any]:
    found = sources.config_map(namespace, source.get("name", ""))
    is_optional = bool(source.get("optional"))
    if found is None:
        if is_optional or source.get("name") == _ROOT_CA:
            return {}
        raise MountError(f'configmap "{source.get("name", "")}" not found')
    data = {**(found.get("data") or {}), **(found.get("binaryData") or {})}
    return _items(data, source.get("items"), "configmap references non-existent config key", is_optional=is_optional)


def _secret_files(source: Object, namespace: str, sources: VolumeSources) -> dict[str, Any]:
    name = source.get("secretName") or source.get("name", "")
    found = sources.secret(namespace, name)
    is_optional = bool(source.get("optional"))
    if found is None:
        if is_optional:
            return {}
        raise MountError(f'secret "{name}" not found')
    data = {key: decode_secret(text) for key, text in (found.get("data") or {}).items()}
    return _items(data, source.get("items"), "references non-existent secret key", is_optional=is_optional)


def _downward_files(source: Object, pod: Object, sources: VolumeSources) -> dict[str, Any]:
    files = {}
    for item in source.get("items") or ():
        try:
            if "fieldRef" in item:
                files[item["path"]] = field_value(pod, item["fieldRef"]["fieldPath"], "", sources.host_ip)
            else:
                container = pod["spec"]["containers"][0]
                files[item["path"]] = resource_value(item["resourceFieldRef"], pod, container, sources.allocatable)
        except EnvError as error:
            raise MountError(str(error)) from error
    return files


def _projected_files(source: Object, pod: Object, sources: VolumeSources) -> dict[str, Any]:
    namespace = pod["metadata"]["namespace"]
    files: dict[str, Any] = {}
    for part in source.get("sources") or ():
        if "configMap" in part:
            files.update(_config_map_files(part["configMap"], namespace, sources))
        elif "secret" in part:
            files.update(_secret_files(part["secret"], namespace, sources))
        elif "downwardAPI" in part:
            files.update(_downward_files(part["downwardAPI"], pod, sources))
        elif "serviceAccountToken" in part:
            account = pod["spec"].get("serviceAccountName", "default")
            files[part["serviceAccountToken"]["path"]] = f"token of {namespace}/{account}"
    return files


def _claim_volume(volume: Object, pod: Object, sources: VolumeSources) -> Volume:
    metadata = pod["metadata"]
    if "ephemeral" in volume:
        name = f"{metadata['name']}-{volume['name']}"
    else:
        name = volume["persistentVolumeClaim"]["claimName"]
    namespace = metadata["namespace"]
    claim = sources.claim(namespace, name)
    problem = ""
    if claim is None:
        problem = f'failed to fetch PVC from API server: persistentvolumeclaims "{name}" not found'
    elif "deletionTimestamp" in claim["metadata"]:
        problem = "PVC is being deleted"
    elif (claim.get("status") or {}).get("phase") != "Bound" or not claim["spec"].get("volumeName"):
        problem = "PVC is not bound"
    if claim is None or problem:
        raise ClaimError(
            f"Unable to attach or mount volumes: unmounted volumes=[{volume['name']}], unattached volumes=[], "
            f"failed to process volumes=[{volume['name']}]: error processing PVC {namespace}/{name}: {problem}"
        )
    volume_name = claim["spec"]["volumeName"]
    if not sources.is_attached(volume_name):
        raise NotAttachedError
    return _stored(sources.disks, volume_name)


def _stored(volumes: MutableMapping[str, Volume], name: str) -> Volume:
    volume = volumes.get(name)
    if volume is None:
        volume = volumes[name] = Volume(name)
    return volume


def mount_volume(volume: Object, pod: Object, sources: VolumeSources) -> Volume:
    """What a volume of the spec is from now on.

    Raises:
        MountError: something that it is made of is missing; the kubelet tries again.
        NotAttachedError: its disk is not here yet; the kubelet looks again.
        ClaimError: its claim is missing or not bound; the kubelet syncs the Pod again later.
    """
    name = volume["name"]
    namespace = pod["metadata"]["namespace"]
    if "persistentVolumeClaim" in volume or "ephemeral" in volume:
        return _claim_volume(volume, pod, sources)
    if "hostPath" in volume:
        return _stored(sources.host_paths, volume["hostPath"]["path"])
    if name.startswith(TOKEN_PREFIX) and "projected" in volume:
        root = sources.config_map(namespace, _ROOT_CA)
        ca = ((root or {}).get("data") or {}).get("ca.crt", "")
        return sources.tokens.get(namespace, pod["spec"].get("serviceAccountName", "default"), ca)
    mounted = Volume(name)
    if "configMap" in volume:
        mounted.files = _config_map_files(volume["configMap"], namespace, sources)
    elif "secret" in volume:
        mounted.files = _secret_files(volume["secret"], namespace, sources)
    elif "projected" in volume:
        mounted.files = _projected_files(volume["projected"], pod, sources)
    elif "downwardAPI" in volume:
        mounted.files = _downward_files(volume["downwardAPI"], pod, sources)
    return mounted


def mounts_of(
    container: Object, volumes: Mapping[str, Volume], parts: MutableMapping[str, Volume]
) -> dict[str, Volume]:
    """A container's volumes by mount path. `parts` holds what sub-paths of volumes are, for all of its Pod."""
    mounts = {}
    for mount in container.get("volumeMounts") or ():
        volume = volumes.get(mount["name"])
        if volume is None:
            continue
        path = mount.get("subPath")
        if path:
            key = f"{volume.name}/{path}"
            part = parts.get(key)
            if part is None:
                part = parts[key] = Volume(key)
                if path in volume.files:
                    part.files = {path.rpartition("/")[2]: volume.files[path]}
            volume = part
        mounts[mount["mountPath"]] = volume
    return mounts

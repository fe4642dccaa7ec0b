"""Volume mounts and block devices of a container against the volumes that its Pod defines.

Upstream: pkg/apis/core/validation/validation.go:ValidateVolumeMounts, ValidateVolumeDevices @v1.36
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from kubesim.api.objects import Object
from kubesim.api.validation.field import forbidden, invalid, not_found, not_supported, required
from kubesim.api.validation.volume_paths import descending_path, has_backstep
from kubesim.errors import Cause

_PROPAGATIONS = ("Bidirectional", "HostToContainer", "None")
_RECURSIVE_READ_ONLY = ("Disabled", "Enabled", "IfPossible")


def validate_volume_mounts(container: Object, volumes: Mapping[str, Object], path: str) -> Iterator[Cause]:
    """Every mount names a volume of the Pod, and no two mount at one path. `path` is the container's."""
    mounts = container.get("volumeMounts")
    if not mounts:
        return
    devices = {device.get("name", ""): device.get("devicePath", "") for device in container.get("volumeDevices") or ()}
    mount_paths: set[str] = set()
    list_path = f"{path}.volumeMounts"
    for index, mount in enumerate(mounts):
        name, mount_path = mount.get("name", ""), mount.get("mountPath", "")
        at = f"{list_path}[{index}]"
        if not name:
            yield required(f"{at}.name")
        if name not in volumes:
            yield not_found(f"{at}.name", name)
        if not mount_path:
            yield required(f"{at}.mountPath")
        if mount_path in mount_paths:
            yield invalid(f"{at}.mountPath", mount_path, "must be unique")
        mount_paths.add(mount_path)
        if name in devices:
            yield invalid(f"{at}.name", name, "must not already exist in volumeDevices")
        if mount_path in devices.values():
            yield invalid(f"{at}.mountPath", mount_path, "must not already exist as a path in volumeDevices")
        yield from _sub_paths(mount, at, list_path)
        yield from _mount_modes(mount, container, list_path)


def _sub_paths(mount: Object, path: str, list_path: str) -> Iterator[Cause]:
    # Upstream reports what is wrong inside a sub path at the list, without the index.
    sub_path, expression = mount.get("subPath", ""), mount.get("subPathExpr", "")
    if sub_path:
        yield from descending_path(f"{list_path}.subPath", sub_path)
    if expression:
        if sub_path:
            yield invalid(f"{path}.subPathExpr", expression, "subPathExpr and subPath are mutually exclusive")
        yield from descending_path(f"{list_path}.subPathExpr", expression)


def _mount_modes(mount: Object, container: Object, list_path: str) -> Iterator[Cause]:
    propagation = mount.get("mountPropagation")
    if propagation is not None:
        at = f"{list_path}.mountPropagation"
        if propagation not in _PROPAGATIONS:
            yield not_supported(at, propagation, _PROPAGATIONS)
        if propagation == "Bidirectional" and not (container.get("securityContext") or {}).get("privileged"):
            yield forbidden(at, "Bidirectional mount propagation is available only to privileged containers")
    recursive = mount.get("recursiveReadOnly")
    if recursive is None or recursive == "Disabled":
        return
    at = f"{list_path}.recursiveReadOnly"
    if recursive not in _RECURSIVE_READ_ONLY:
        yield not_supported(at, recursive, _RECURSIVE_READ_ONLY)
        return
    if not mount.get("readOnly"):
        yield forbidden(at, "may only be specified when readOnly is true")
    if propagation not in (None, "None"):
        yield forbidden(at, "may only be specified when mountPropagation is None or not specified")


def validate_volume_devices(container: Object, volumes: Mapping[str, Object], path: str) -> Iterator[Cause]:
    """Every block device names a claim of the Pod, once. `path` is the container's."""
    devices = container.get("volumeDevices")
    if not devices:
        return
    mounts = {mount.get("name", ""): mount.get("mountPath", "") for mount in container.get("volumeMounts") or ()}
    device_names: set[str] = set()
    device_paths: set[str] = set()
    for index, device in enumerate(devices):
        name, device_path = device.get("name", ""), device.get("devicePath", "")
        at = f"{path}.volumeDevices[{index}]"
        yield from _device_name(name, volumes, device_names, f"{at}.name")
        if not device_path:
            yield required(f"{at}.devicePath")
        if device_path in device_paths:
            yield invalid(f"{at}.devicePath", device_path, "must be unique")
        if has_backstep(device_path):
            yield invalid(f"{at}.devicePath", device_path, "can not contain backsteps ('..')")
        else:
            device_paths.add(device_path)
        if name in mounts:
            yield invalid(f"{at}.name", name, "must not already exist in volumeMounts")
        if device_path in mounts.values():
            yield invalid(f"{at}.devicePath", device_path, "must not already exist as a path in volumeMounts")
        if name:
            device_names.add(name)


def _device_name(name: str, volumes: Mapping[str, Object], seen: set[str], path: str) -> Iterator[Cause]:
    if not name:
        yield required(path)
    if name in seen:
        yield invalid(path, name, "must be unique")
    volume = volumes.get(name)
    if volume is None:
        yield not_found(path, name)
    elif "persistentVolumeClaim" not in volume and "ephemeral" not in volume:
        detail = "can only use volume source type of PersistentVolumeClaim or Ephemeral for block mode"
        yield invalid(path, name, detail)

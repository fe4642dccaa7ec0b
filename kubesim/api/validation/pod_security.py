"""Security contexts of Pods and containers.

Upstream: pkg/apis/core/validation/validation.go:validatePodSpecSecurityContext, ValidateSecurityContext @v1.36
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from kubesim.api.objects import Object
from kubesim.api.validation.field import duplicate, forbidden, invalid, not_supported, required, too_long
from kubesim.api.validation.pod_internal_form import internal_form
from kubesim.api.validation.volume_paths import descending_path
from kubesim.errors import Cause

_MAX_ID = 2**31 - 1
_ID_RANGE = f"must be between 0 and {_MAX_ID}, inclusive"
_PROFILES = ("Localhost", "RuntimeDefault", "Unconfined")
_PROC_MOUNTS = ("Default", "Unmasked")
_SYSCTL = r"^([a-z0-9]([-_a-z0-9]*[a-z0-9])?[\./])*[a-z0-9]([-_a-z0-9]*[a-z0-9])?$"
_SYSCTL_MAX = 253
_MAX_APPARMOR_PATH = 4095


def validate_pod_security_context(context: Object, spec: Object, path: str) -> Iterator[Cause]:
    """`spec.securityContext`, together with the host namespaces that `spec` asks for."""
    yield from _ids(context, ("fsGroup", "runAsUser", "runAsGroup"), path)
    for index, group in enumerate(context.get("supplementalGroups") or ()):
        yield from _id(group, f"{path}.supplementalGroups[{index}]")
    if spec.get("shareProcessNamespace") and spec.get("hostPID"):
        detail = "ShareProcessNamespace and HostPID cannot both be enabled"
        yield invalid(f"{path}.shareProcessNamespace", True, detail)
    if context.get("sysctls"):
        yield from _sysctls(context["sysctls"], spec, f"{path}.sysctls")
    yield from _choice(context, "fsGroupChangePolicy", ("Always", "OnRootMismatch"), path)
    yield from _seccomp(context.get("seccompProfile"), f"{path}.seccompProfile")
    yield from _apparmor(context.get("appArmorProfile"), f"{path}.appArmorProfile")
    yield from _choice(context, "supplementalGroupsPolicy", ("Merge", "Strict"), path)
    yield from _choice(context, "seLinuxChangePolicy", ("Recursive",), path)


def validate_host_users(spec: Object, path: str) -> Iterator[Cause]:
    """A Pod in a user namespace of its own cannot share the host's other namespaces. `path` is the spec's."""
    if spec.get("hostUsers", True):
        return
    for name, reported in (("hostNetwork", "hostNetwork"), ("hostPID", "HostPID"), ("hostIPC", "HostIPC")):
        if spec.get(name):
            yield forbidden(f"{path}.{reported}", "when `hostUsers` is false")
    for field_name in ("initContainers", "containers", "ephemeralContainers"):
        for index, container in enumerate(spec.get(field_name) or ()):
            if container.get("volumeDevices"):
                yield forbidden(f"{path}.{field_name}[{index}].volumeDevices", "when `hostUsers` is false")


def validate_container_security_context(context: Object, path: str, *, host_users: bool) -> Iterator[Cause]:
    """`securityContext` of one container."""
    yield from _ids(context, ("runAsUser", "runAsGroup"), path)
    proc_mount = context.get("procMount")
    if proc_mount is not None:
        if proc_mount not in _PROC_MOUNTS:
            yield not_supported(f"{path}.procMount", proc_mount, _PROC_MOUNTS)
        if host_users and proc_mount == "Unmasked":
            yield invalid(f"{path}.procMount", proc_mount, "`hostUsers` must be false to use `Unmasked`")
    yield from _seccomp(context.get("seccompProfile"), f"{path}.seccompProfile")
    if context.get("allowPrivilegeEscalation") is False:
        if context.get("privileged"):
            detail = "cannot set `allowPrivilegeEscalation` to false and `privileged` to true"
            yield invalid(path, internal_form("SecurityContext", context), detail)
        for capability in (context.get("capabilities") or {}).get("add") or ():
            if capability == "CAP_SYS_ADMIN":
                detail = "cannot set `allowPrivilegeEscalation` to false and `capabilities.Add` CAP_SYS_ADMIN"
                yield invalid(path, internal_form("SecurityContext", context), detail)
    yield from _apparmor(context.get("appArmorProfile"), f"{path}.appArmorProfile")


def _ids(context: Object, names: tuple[str, ...], path: str) -> Iterator[Cause]:
    for name in names:
        if context.get(name) is not None:
            yield from _id(context[name], f"{path}.{name}")


def _id(value: int, path: str) -> Iterator[Cause]:
    if not 0 <= value <= _MAX_ID:
        yield invalid(path, value, _ID_RANGE)


def _choice(context: Object, name: str, choices: tuple[str, ...], path: str) -> Iterator[Cause]:
    value = context.get(name)
    if value is not None and value not in choices:
        yield not_supported(f"{path}.{name}", value, choices)


def _sysctls(sysctls: list[Object], spec: Object, path: str) -> Iterator[Cause]:
    seen: set[str] = set()
    for index, sysctl in enumerate(sysctls):
        name, at = sysctl.get("name", ""), f"{path}[{index}].name"
        if not name:
            yield required(at)
        elif len(name) > _SYSCTL_MAX or not re.fullmatch(_SYSCTL, name):
            yield invalid(at, name, f"must have at most {_SYSCTL_MAX} characters and match regex {_SYSCTL}")
        elif name in seen:
            yield duplicate(at, name)
        namespace = _sysctl_namespace(name)
        if spec.get("hostNetwork") and namespace == "net":
            yield invalid(at, name, "may not be specified when 'hostNetwork' is true")
        elif spec.get("hostIPC") and namespace == "ipc":
            yield invalid(at, name, "may not be specified when 'hostIPC' is true")
        seen.add(name)


def _sysctl_namespace(name: str) -> str:
    name = name.replace("/", ".")
    if name.startswith("net."):
        return "net"
    if name == "kernel.sem" or name.startswith(("kernel.shm", "kernel.msg", "fs.mqueue.")):
        return "ipc"
    return ""


def _seccomp(profile: Object | None, path: str) -> Iterator[Cause]:
    if profile is None:
        return
    kind, local = profile.get("type", ""), profile.get("localhostProfile")
    if not kind:
        yield required(f"{path}.type", "type is required when seccompProfile is set")
    elif kind not in _PROFILES:
        yield not_supported(f"{path}.type", kind, _PROFILES)
    if kind == "Localhost":
        if local is None:
            yield required(f"{path}.localhostProfile", "must be set when seccomp type is Localhost")
        else:
            yield from descending_path(f"{path}.localhostProfile", local)
    elif local is not None:
        printed = internal_form("SeccompProfile", profile)
        yield invalid(f"{path}.localhostProfile", printed, "can only be set when seccomp type is Localhost")


def _apparmor(profile: Object | None, path: str) -> Iterator[Cause]:
    if profile is None:
        return
    kind, local = profile.get("type", ""), profile.get("localhostProfile")
    if kind == "Localhost":
        if not local:
            yield required(f"{path}.localhostProfile", "must be set when AppArmor type is Localhost")
            return
        if local != local.strip():
            yield invalid(f"{path}.localhostProfile", local, "must not be padded with whitespace")
        if len(local) > _MAX_APPARMOR_PATH:
            yield too_long(f"{path}.localhostProfile", _MAX_APPARMOR_PATH)
    elif kind in ("RuntimeDefault", "Unconfined"):
        if local is not None:
            yield invalid(f"{path}.localhostProfile", local, "can only be set when AppArmor type is Localhost")
    elif not kind:
        yield required(f"{path}.type", "type is required when appArmorProfile is set")
    else:
        yield not_supported(f"{path}.type", kind, _PROFILES)

"""The containers of a Pod: regular, init (sidecars among them) and ephemeral.

Upstream: pkg/apis/core/validation/validation.go:validateContainers, validateInitContainers,
validateEphemeralContainers, validateContainerCommon @v1.36
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from kubesim.api import names
from kubesim.api.objects import Object
from kubesim.api.validation.container_env import validate_env, validate_env_from
from kubesim.api.validation.container_mounts import validate_volume_devices, validate_volume_mounts
from kubesim.api.validation.container_resources import validate_container_resources
from kubesim.api.validation.container_restart import validate_resize_policy, validate_restart_rules
from kubesim.api.validation.field import duplicate, forbidden, invalid, not_found, not_supported, required
from kubesim.api.validation.formats import check, dns_label
from kubesim.api.validation.pod_probes import validate_lifecycle, validate_probes
from kubesim.api.validation.pod_security import validate_container_security_context
from kubesim.errors import Cause

_PROTOCOLS = ("SCTP", "TCP", "UDP")
_PULL_POLICIES = ("Always", "IfNotPresent", "Never")
_MESSAGE_POLICIES = ("File", "FallbackToLogsOnError")
_PROBES_AND_HOOKS = ("lifecycle", "livenessProbe", "readinessProbe", "startupProbe")
# In the order of the fields of upstream's EphemeralContainerCommon.
_NOT_EPHEMERAL = (
    "ports",
    "resources",
    "resizePolicy",
    "restartPolicy",
    "restartPolicyRules",
    "livenessProbe",
    "readinessProbe",
    "startupProbe",
    "lifecycle",
)


class PodContext(NamedTuple):
    """What the checks of a container need to know of its Pod."""

    volumes: Mapping[str, Object]
    claim_names: frozenset[str]
    grace_period_s: int | None
    restart_policy: str
    host_users: bool


def validate_containers(containers: Sequence[Object], pod: PodContext, path: str) -> Iterator[Cause]:
    """The regular containers: at least one, names unique, no two on one host port."""
    if not containers:
        yield required(path)
        return
    seen: set[str] = set()
    for index, container in enumerate(containers):
        at = f"{path}[{index}]"
        yield from _common(container, pod, at)
        name = container.get("name", "")
        if name in seen:
            yield duplicate(f"{at}.name", name)
        seen.add(name)
        yield from _hooks_and_probes(container, pod, at)
        yield from validate_restart_rules(container, at)
    yield from _host_port_conflicts(containers, path)


def validate_init_containers(
    containers: Sequence[Object], regular: Sequence[Object], pod: PodContext, path: str
) -> Iterator[Cause]:
    """The init containers; only those with `restartPolicy: Always`, the sidecars, may have probes and hooks."""
    seen = {container.get("name", "") for container in regular}
    for index, container in enumerate(containers):
        at = f"{path}[{index}]"
        yield from _common(container, pod, at)
        yield from validate_restart_rules(container, at, init=True)
        name = container.get("name", "")
        if name in seen:
            yield duplicate(f"{at}.name", name)
        elif name:
            seen.add(name)
        # Init containers run one by one, so each is checked alone: its index in the path is always 0.
        yield from _host_port_conflicts((container,), path)
        sidecar = container.get("restartPolicy") == "Always"
        if sidecar:
            yield from _hooks_and_probes(container, pod, at)
            continue
        for field_name in _PROBES_AND_HOOKS:
            if container.get(field_name) is not None:
                yield forbidden(f"{at}.{field_name}", "may not be set for init containers without restartPolicy=Always")
        for number, policy in enumerate(container.get("resizePolicy") or ()):
            if policy.get("restartPolicy") == "RestartContainer":
                detail = "must not be set to 'RestartContainer' for non-sidecar initContainers"
                yield invalid(f"{at}.resizePolicy[{number}].restartPolicy", "RestartContainer", detail)


def validate_ephemeral_containers(
    containers: Sequence[Object], others: Sequence[Object], pod: PodContext, path: str
) -> Iterator[Cause]:
    """The ephemeral containers; `others` are the regular and init ones, whose names they must not repeat."""
    other_names = {container.get("name", "") for container in others}
    seen = set(other_names)
    for index, container in enumerate(containers):
        at = f"{path}[{index}]"
        yield from _common(container, pod, at)
        yield from validate_only_for_pod(container, at)
        name, target = container.get("name", ""), container.get("targetContainerName", "")
        if name in seen:
            yield duplicate(f"{at}.name", name)
        seen.add(name)
        if target and target not in other_names:
            yield not_found(f"{at}.targetContainerName", target)
        for field_name in _NOT_EPHEMERAL:
            if container.get(field_name):
                yield forbidden(f"{at}.{field_name}", "cannot be set for an Ephemeral Container")
        for number, mount in enumerate(container.get("volumeMounts") or ()):
            for field_name in ("subPath", "subPathExpr"):
                if mount.get(field_name):
                    mount_path = f"{at}.volumeMounts[{number}].{field_name}"
                    yield forbidden(mount_path, "cannot be set for an Ephemeral Container")


def validate_only_for_pod(container: Object, path: str) -> Iterator[Cause]:
    """What is refused in a Pod but, for the sake of old objects, not in a template."""
    image = container.get("image", "")
    if image != image.strip():
        yield invalid(f"{path}.image", image, "must not have leading or trailing whitespace")


def validate_pull_policy(policy: str, path: str) -> Iterator[Cause]:
    """An image pull policy."""
    if not policy:
        yield required(path)
    elif policy not in _PULL_POLICIES:
        yield not_supported(path, policy, _PULL_POLICIES)


def _common(container: Object, pod: PodContext, path: str) -> Iterator[Cause]:
    name = container.get("name", "")
    if not name:
        yield required(f"{path}.name")
    else:
        yield from dns_label(f"{path}.name", name)
    if not container.get("image"):
        yield required(f"{path}.image")
    policy = container.get("terminationMessagePolicy", "")
    if not policy:
        yield required(f"{path}.terminationMessagePolicy")
    elif policy not in _MESSAGE_POLICIES:
        yield not_supported(f"{path}.terminationMessagePolicy", policy, _MESSAGE_POLICIES)
    if container.get("ports"):
        yield from _ports(container["ports"], f"{path}.ports")
    if container.get("env"):
        yield from validate_env(container["env"], f"{path}.env")
    if container.get("envFrom"):
        yield from validate_env_from(container["envFrom"], f"{path}.envFrom")
    yield from validate_volume_mounts(container, pod.volumes, path)
    yield from validate_volume_devices(container, pod.volumes, path)
    yield from validate_pull_policy(container.get("imagePullPolicy", ""), f"{path}.imagePullPolicy")
    if container.get("resources"):
        yield from validate_container_resources(container["resources"], pod.claim_names, f"{path}.resources")
    if container.get("resizePolicy"):
        yield from validate_resize_policy(container["resizePolicy"], pod.restart_policy, f"{path}.resizePolicy")
    if container.get("securityContext") is not None:
        yield from validate_container_security_context(
            container["securityContext"], f"{path}.securityContext", host_users=pod.host_users
        )


def _hooks_and_probes(container: Object, pod: PodContext, path: str) -> Iterator[Cause]:
    lifecycle = container.get("lifecycle")
    if lifecycle is not None:
        yield from validate_lifecycle(lifecycle, pod.grace_period_s, f"{path}.lifecycle")
    yield from validate_probes(container, pod.grace_period_s, path)


def _ports(ports: Sequence[Object], path: str) -> Iterator[Cause]:
    seen: set[str] = set()
    for index, port in enumerate(ports):
        at = f"{path}[{index}]"
        name = port.get("name", "")
        if name:
            messages = names.port_name(name)
            if messages:
                yield from check(f"{at}.name", name, messages)
            elif name in seen:
                yield duplicate(f"{at}.name", name)
            else:
                seen.add(name)
        number = port.get("containerPort", 0)
        if number == 0:
            yield required(f"{at}.containerPort")
        else:
            yield from check(f"{at}.containerPort", number, names.port_number(number))
        host_port = port.get("hostPort", 0)
        if host_port != 0:
            yield from check(f"{at}.hostPort", host_port, names.port_number(host_port))
        protocol = port.get("protocol", "")
        if not protocol:
            yield required(f"{at}.protocol")
        elif protocol not in _PROTOCOLS:
            yield not_supported(f"{at}.protocol", protocol, _PROTOCOLS)


def _host_port_conflicts(containers: Sequence[Object], path: str) -> Iterator[Cause]:
    seen: set[str] = set()
    for index, container in enumerate(containers):
        for number, port in enumerate(container.get("ports") or ()):
            host_port = port.get("hostPort", 0)
            if host_port == 0:
                continue
            occupied = f"{port.get('protocol', '')}/{port.get('hostIP', '')}/{host_port}"
            if occupied in seen:
                yield duplicate(f"{path}[{index}].ports[{number}].hostPort", occupied)
            seen.add(occupied)

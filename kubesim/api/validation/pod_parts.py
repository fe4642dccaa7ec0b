"""What may be changed of a Pod through its subresources `ephemeralcontainers` and `resize`.

Upstream: pkg/apis/core/validation/validation.go:{ValidatePodEphemeralContainersUpdate,ValidatePodResize} @v1.36
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from kubesim.api.objects import Object, annotations_of
from kubesim.api.validation.equality import equivalent
from kubesim.api.validation.field import escape_html, forbidden, invalid
from kubesim.api.validation.internal_form import difference
from kubesim.api.validation.pod_internal_form import internal_form
from kubesim.api.validation.pod_spec import validate_spec_of_pod
from kubesim.errors import Cause

# Set by the kubelet that has made the Pod of a file.
_MIRROR = "kubernetes.io/config.mirror"
_RESIZED = ("cpu", "memory")
_PARTS = ("requests", "limits")
_CONTAINERS = ("containers", "initContainers")


def validate_ephemeral_containers_update(new: Object, old: Object) -> list[Cause]:
    """The rules that new ephemeral containers break; nothing else differs."""
    if _MIRROR in annotations_of(old):
        return [forbidden("", "static pods do not support ephemeral containers")]
    causes = list(validate_spec_of_pod(new["spec"], new["metadata"]["name"]))
    found = {each["name"]: each for each in new["spec"].get("ephemeralContainers") or ()}
    path = "spec.ephemeralContainers"
    for before in old["spec"].get("ephemeralContainers") or ():
        name = before["name"]
        after = found.get(name)
        if after is None:
            causes.append(forbidden(path, f'existing ephemeral containers "{name}" may not be removed\n'))
        elif not equivalent(after, before):
            forms = (internal_form("EphemeralContainer", each) for each in (before, after))
            shown = escape_html(difference(*forms))
            causes.append(forbidden(path, f'existing ephemeral containers "{name}" may not be changed\n{shown}'))
    return causes


def validate_resize(new: Object, old: Object, qos: tuple[str, str]) -> list[Cause]:
    """The rules that new resources break. `qos` is the class that the Pod has, and the one that it would have."""
    if _MIRROR in annotations_of(old):
        return [forbidden("", "static pods cannot be resized")]
    spec, before = new["spec"], old["spec"]
    if (before.get("os") or {}).get("name") == "windows":
        return [forbidden("", "windows pods cannot be resized")]
    causes = list(validate_spec_of_pod(spec, new["metadata"]["name"]))
    if qos[0] != qos[1]:
        causes.append(invalid("spec", qos[0], "Pod QOS Class may not change as a result of resizing"))
    if not _is_supported(old):
        causes.append(forbidden("spec", "Pod running on node without support for resize"))
    causes += _of_pod(spec.get("resources") or {}, before.get("resources") or {})
    order = [cause for field in _CONTAINERS for cause in _order(field, spec, before)]
    if order:
        return causes + order
    for field in reversed(_CONTAINERS):
        for index, (container, known) in enumerate(_pairs(field, spec, before)):
            path = f"spec.{field}[{index}].resources"
            causes += _removed(container.get("resources") or {}, known.get("resources") or {}, path, "resource")
    for container, known in _pairs("containers", spec, before):
        if not _is_same_but_resized(container, known):
            causes.append(forbidden("spec", "only cpu and memory resources are mutable"))
    for index, (container, known) in enumerate(_pairs("initContainers", spec, before)):
        causes += _of_init_container(container, known, f"spec.initContainers[{index}]")
    return causes


def _is_supported(pod: Object) -> bool:
    """Whether the node tells of the resources that containers have: one that doesn't cannot change them."""
    for status in (pod.get("status") or {}).get("containerStatuses") or ():
        if "running" in (status.get("state") or {}):
            return "resources" in status
    return True


def _pairs(field: str, spec: Object, before: Object) -> Iterator[tuple[Object, Object]]:
    return zip(spec.get(field) or (), before.get(field) or (), strict=True)


def _order(field: str, spec: Object, before: Object) -> Iterator[Cause]:
    new: Sequence[Object] = spec.get(field) or ()
    old: Sequence[Object] = before.get(field) or ()
    if len(new) != len(old):
        yield forbidden(f"spec.{field}", f"{field} may not be added or removed on resize")
        return
    for index, (container, known) in enumerate(zip(new, old, strict=True)):
        if container["name"] != known["name"]:
            yield forbidden(f"spec.{field}[{index}].name", f"{field} may not be renamed or reordered on resize")


def _removed(new: Object, old: Object, path: str, what: str) -> Iterator[Cause]:
    for part in _PARTS:
        if any(name not in (new.get(part) or {}) for name in old.get(part) or {}):
            yield forbidden(f"{path}.{part}", f"{what} {part} cannot be removed")


def _with_amounts_of(resources: Object, other: Object) -> Object:
    """Requests and limits with the CPU and memory of others."""
    result = {}
    for part in _PARTS:
        amounts = {name: amount for name, amount in (resources.get(part) or {}).items() if name not in _RESIZED}
        result[part] = amounts | {name: amount for name, amount in (other.get(part) or {}).items() if name in _RESIZED}
    return result


def _is_same_but_resized(container: Object, known: Object) -> bool:
    """Whether all but CPU and memory is as it was. A container with claims never is, upstream too."""
    resources = _with_amounts_of(container.get("resources") or {}, known.get("resources") or {})
    return equivalent({**container, "resources": resources}, known)


def _of_init_container(container: Object, known: Object, path: str) -> Iterator[Cause]:
    if not _is_same_but_resized(container, known):
        yield forbidden(path, "only cpu and memory resources for init or sidecar containers are mutable")
    if container.get("restartPolicy") != "Always" and not equivalent(container, known):
        for policy in container.get("resizePolicy") or ():
            if policy["restartPolicy"] == "RestartContainer":
                what = "non-sidecar init containers with a resize policy of RestartContainer cannot be resized"
                yield forbidden(path, what)


def _of_pod(new: Object, old: Object) -> Iterator[Cause]:
    """Upstream: validation.go:validatePodLevelResourcesResize @v1.36"""
    if old and not new:
        yield forbidden("spec.resources", "pod-level resources cannot be removed")
        return
    yield from _removed(new, old, "spec.resources", "pod-level resource")
    if not equivalent({**new, **_with_amounts_of(new, old)}, {**dict.fromkeys(_PARTS), **old}):
        yield forbidden("spec", "only cpu and memory resources are mutable at pod-level")

"""In-place resize: which of the resources that a Pod asks for it has, and how its containers get them.

A Pod keeps what it was given until all that it asks for is free on the node; then what has changed is given to each
container, in place or by a restart as its resizePolicy says.
Upstream: pkg/kubelet/allocation/allocation_manager.go:handlePodResourcesResize,
pkg/kubelet/kuberuntime/kuberuntime_manager.go:computePodResizeAction @v1.36
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Literal, final

import msgspec

from kubesim.api import quantity
from kubesim.api.timestamps import to_time
from kubesim.node.facts import RESIZABLE, pod_resources

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from kubesim.api.objects import Object
    from kubesim.node.facts import ContainerFacts, PodFacts
    from kubesim.node.runtime import ContainerRecord

PENDING: Final = "PodResizePending"
IN_PROGRESS: Final = "PodResizeInProgress"
RESIZE_CONDITIONS: Final = (PENDING, IN_PROGRESS)
Change = Literal["", "update", "restart"]

_FIELDS: Final = ("initContainers", "containers")


@final
class Resizing:
    """A Pod's resize that is not through. `spec` is the one in force; `pending` and `in_progress` are conditions."""

    __slots__ = ("in_progress", "pending", "spec")

    def __init__(self, spec: Object) -> None:
        self.spec = spec
        self.pending: Object | None = None
        self.in_progress: Object | None = None

    @property
    def conditions(self) -> list[Object]:
        """Those that there are."""
        return [each for each in (self.pending, self.in_progress) if each is not None]


def resize_condition(
    kind: str, old: Object | None, generation: int, now_ns: int, reason: str = "", message: str = ""
) -> Object:
    """A condition that is true since its reason is this one. Upstream: status_manager.go:updatedPodResizeCondition"""
    now = to_time(now_ns)
    is_same = old is not None and old.get("reason", "") == reason
    condition: Object = {
        "type": kind,
        "status": "True",
        "lastProbeTime": now,
        "lastTransitionTime": old["lastTransitionTime"] if old is not None and is_same else now,
    }
    if generation:
        condition["observedGeneration"] = generation
    if reason:
        condition["reason"] = reason
    if message:
        condition["message"] = message
    return condition


def has_other_resources(spec: Object, other: Object) -> bool:
    """Whether two specs of one Pod ask for different resources."""
    return spec.get("resources") != other.get("resources") or any(
        left.get("resources") != right.get("resources")
        for field in _FIELDS
        for left, right in zip(spec.get(field) or (), other.get(field) or (), strict=True)
    )


def with_resources_of(spec: Object, other: Object) -> Object:
    """The spec with the resources of another of the same Pod."""
    result = {name: value for name, value in spec.items() if name != "resources"}
    if "resources" in other:
        result["resources"] = other["resources"]
    for field in _FIELDS:
        if field in spec:
            pairs = zip(spec[field], other[field], strict=True)
            result[field] = [{**own, "resources": its.get("resources") or {}} for own, its in pairs]
    return result


def compute_change(facts: ContainerFacts, record: ContainerRecord) -> Change:
    """What a running container needs to have the resources that its Pod was given."""
    wanted, current = facts.resources, record.resources
    if current is None or wanted is current or wanted == current:
        return ""
    changed = [name for name in RESIZABLE if _amounts(wanted, name) != _amounts(current, name)]
    if not changed:
        return ""
    policies = {each["resourceName"]: each["restartPolicy"] for each in facts.spec.get("resizePolicy") or ()}
    return "restart" if any(policies.get(name) == "RestartContainer" for name in changed) else "update"


def _amounts(resources: Object, name: str) -> tuple[int, int]:
    amount_of = quantity.milli if name == "cpu" else quantity.value
    requested, limit = (amount_of((resources.get(part) or {}).get(name, "0")) for part in ("requests", "limits"))
    return requested, limit


def is_behind(facts: PodFacts, containers: Mapping[str, ContainerRecord]) -> bool:
    """Whether a container that runs has not got yet what its Pod was given."""
    for each in facts.by_name.values():
        record = containers.get(each.name)
        if record is not None and record.state == "running" and compute_change(each, record):
            return True
    return False


def resources_shown(given: Object, record: ContainerRecord | None) -> Object:
    """What a container's status says that it has: CPU and memory as they are, all else as it was given.

    Upstream: pkg/kubelet/kubelet_pods.go:convertToAPIContainerStatuses @v1.36
    """
    actual = record.resources if record is not None and record.state == "running" else None
    if actual is None or actual is given or actual == given:
        return given
    shown = dict(given)
    for part in ("limits", "requests"):
        if given.get(part):
            shown[part] = {**given[part], **_resized(actual.get(part) or {})}
    return shown


def _resized(amounts: Object) -> Object:
    return {name: amount for name, amount in amounts.items() if name in RESIZABLE}


def pod_resources_shown(
    facts: PodFacts, spec: Object, containers: Mapping[str, ContainerRecord], old: Object
) -> Object:
    """What the status of a Pod that runs says that it has, read off its cgroup; `old` is what it said before.

    A cgroup knows no memory request, and a limit only where every container has one: these stay as they were.
    Upstream: pkg/kubelet/kubelet_pods.go:convertToAPIPodLevelResourcesStatus @v1.36
    """
    requests, limits = pod_resources(_with_actual(spec, containers))
    requests, limits = dict(requests), dict(limits)
    kept = old.get("requests") or {}
    if "memory" in kept:
        requests["memory"] = kept["memory"]
    everyone = (*facts.init, *facts.main)
    for name, amount in (old.get("limits") or {}).items():
        if name in RESIZABLE and not all(name in (each.resources.get("limits") or {}) for each in everyone):
            limits[name] = amount
    return {part: amounts for part, amounts in (("limits", limits), ("requests", requests)) if amounts}


def _with_actual(spec: Object, containers: Mapping[str, ContainerRecord]) -> Object:
    """The spec with what containers have that run."""
    result = {**spec}
    for field in _FIELDS:
        if field in spec:
            result[field] = [
                {**each, "resources": resources_shown(each.get("resources") or {}, containers.get(each["name"]))}
                for each in spec[field]
            ]
    return result


def memory_limit(resources: Object | None) -> int:
    """In bytes, 0 without one."""
    limit = ((resources or {}).get("limits") or {}).get("memory")
    return 0 if limit is None else quantity.value(limit)


def memory_refusal(spec: Object, wanted: Mapping[str, tuple[int, int]], used: Mapping[str, int]) -> str:
    """Why memory limits cannot be lowered to what `wanted` says, (limit now, limit then) by container; or nothing.

    `used` is what each container uses. That a container's words have the Pod's usage is upstream's.
    Upstream: pkg/kubelet/kuberuntime/kuberuntime_manager.go:validateMemoryResizeAction @v1.36
    """
    total = sum(used.values())
    problems = []
    limits = [memory_limit(each.get("resources")) for each in spec["containers"]]
    pod_limit = memory_limit(spec.get("resources")) or (sum(limits) if all(limits) else 0)
    lowered = {name: after for name, (before, after) in wanted.items() if after and (not before or after < before)}
    is_pod_lowered = sum(after - before for before, after in wanted.values()) < 0
    if (is_pod_lowered or not all(before for before, _ in wanted.values())) and pod_limit and total >= pod_limit:
        problems.append(f"attempting to set pod memory limit ({pod_limit}) below current usage ({total})")
    for name, limit in lowered.items():
        if used.get(name, 0) >= limit:
            text = f'attempting to set container "{name}" memory limit ({limit}) below current usage ({total})'
            problems.append(text)
    if not problems:
        return ""
    prose = problems[0] if len(problems) == 1 else f"[{', '.join(problems)}]"
    return f"cannot decrease memory limits: {prose}"


def resize_summary(prefix: str, spec: Object, generation: int, error: str = "") -> str:
    """What an Event about a resize says. Upstream: pkg/kubelet/events/resize.go:podResizeMessage @v1.36"""
    summary: dict[str, Any] = {}
    for field in _FIELDS:
        if spec.get(field):
            summary[field] = [{"name": each["name"], "resources": dict(_ordered(each))} for each in spec[field]]
    summary["generation"] = generation
    if error:
        summary["error"] = error
    return f"{prefix}: {msgspec.json.encode(summary).decode()}"


def _ordered(container: Object) -> Iterator[tuple[str, Any]]:
    resources = container.get("resources") or {}
    for part in ("limits", "requests"):
        if resources.get(part):
            yield part, dict(sorted(resources[part].items()))
    if resources.get("claims"):
        yield "claims", resources["claims"]

"""The conditions of a Pod that the kubelet owns.

Pods of one second have equal conditions, so the objects are made once and shared.
Upstream: pkg/kubelet/status/generate.go @v1.36
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from kubesim.api.memo import IdentitiesMemo
from kubesim.node.resizing import RESIZE_CONDITIONS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from kubesim.api.objects import Object
    from kubesim.node.facts import PodFacts

# In the order in which the kubelet writes them.
KUBELET_CONDITIONS: Final = ("PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady", "PodScheduled")

# These, and those that only a Pod that is being resized has.
OWN_CONDITIONS: Final = (*RESIZE_CONDITIONS, *KUBELET_CONDITIONS)

Outcome = tuple[str, str, str]  # a condition's status, reason and message
TRUE: Final[Outcome] = ("True", "", "")
FALSE: Final[Outcome] = ("False", "", "")

_NEVER: Final[Object] = {"status": ""}
_MEMO_MAX = 8192


def containers_ready_outcome(pod: PodFacts, statuses: Mapping[str, Object], phase: str) -> Outcome:
    """ContainersReady."""
    if phase == "Succeeded":
        return ("False", "PodCompleted", "")
    if phase == "Failed":
        return ("False", "PodFailed", "")
    unready = [facts.name for facts in pod.init if facts.role == "sidecar" and not statuses[facts.name]["ready"]]
    unready += [facts.name for facts in pod.main if not statuses[facts.name]["ready"]]
    if not unready:
        return TRUE
    return ("False", "ContainersNotReady", f"containers with unready status: [{' '.join(unready)}]")


def ready_outcome(gates: Sequence[Object], foreign: Sequence[Object], containers_ready: Outcome) -> Outcome:
    """Ready: the containers, and the gates of the spec by the conditions of others."""
    if containers_ready[0] != "True" or not gates:
        return containers_ready
    complaints = []
    for gate in gates:
        wanted = gate["conditionType"]
        status = next((condition["status"] for condition in foreign if condition["type"] == wanted), None)
        if status is None:
            complaints.append(f'corresponding condition of pod readiness gate "{wanted}" does not exist.')
        elif status != "True":
            complaints.append(f'the status of pod readiness gate "{wanted}" is not "True", but {status}')
    return ("False", "ReadinessGatesNotReady", ", ".join(complaints)) if complaints else TRUE


def initialized_outcome(pod: PodFacts, statuses: Mapping[str, Object], phase: str, was_initialized: bool) -> Outcome:
    """Initialized, which a Pod stays once it has been."""
    if phase == "Succeeded":
        return ("True", "PodCompleted", "")
    if not pod.init or was_initialized:
        return TRUE
    for facts in pod.main:
        state = statuses[facts.name]["state"]
        if "running" in state or "terminated" in state:
            return TRUE
    incomplete = [
        facts.name for facts in pod.init if not statuses[facts.name]["started" if facts.role == "sidecar" else "ready"]
    ]
    if not incomplete:
        return TRUE
    return ("False", "ContainersNotInitialized", f"containers with incomplete status: [{' '.join(incomplete)}]")


def _with_sandbox_ready(conditions: Sequence[Object], generation: int, now: str) -> list[Object]:
    kind = KUBELET_CONDITIONS[0]
    return [
        _condition(kind, generation, TRUE, now) if each["type"] == kind and each["status"] != "True" else each
        for each in conditions
    ]


_with_sandbox_ready_of: IdentitiesMemo[list[Object]] = IdentitiesMemo(_with_sandbox_ready)


def with_sandbox_ready(conditions: Sequence[Object], generation: int, now: str) -> list[Object]:
    """The conditions once the sandbox is up, before any container has been started.

    Upstream: pkg/kubelet/kubelet.go:OnPodSandboxReady @v1.36
    """
    return _with_sandbox_ready_of(conditions, generation, now)


_condition_lists: dict[Any, list[Object]] = {}
_conditions: dict[Any, Object] = {}


def _condition(kind: str, generation: int, outcome: Outcome, since: str) -> Object:
    key = (kind, generation, outcome, since)
    condition = _conditions.get(key)
    if condition is None:
        status, reason, message = outcome
        condition = {"type": kind, "status": status, "lastProbeTime": None, "lastTransitionTime": since}
        if generation:
            condition["observedGeneration"] = generation
        if reason:
            condition["reason"] = reason
        if message:
            condition["message"] = message
        if len(_conditions) >= _MEMO_MAX:
            _conditions.clear()
        _conditions[key] = condition
    return condition


def compute_conditions(old: Sequence[Object], outcomes: Sequence[Outcome], generation: int, now: str) -> list[Object]:
    """All conditions: those of others as they are, then the kubelet's own; `now` is the transition time of changes."""
    before: dict[str, Object] = {}
    foreign: list[Object] = []
    for condition in old:
        if condition["type"] in KUBELET_CONDITIONS:
            before[condition["type"]] = condition
        else:
            foreign.append(condition)
    since = []
    for kind, outcome in zip(KUBELET_CONDITIONS, outcomes, strict=True):
        condition = before.get(kind) or _NEVER
        since.append(condition["lastTransitionTime"] if condition["status"] == outcome[0] else now)
    key = (generation, *outcomes, *since)
    own = _condition_lists.get(key)
    if own is None:
        own = [
            _condition(kind, generation, outcome, at)
            for kind, outcome, at in zip(KUBELET_CONDITIONS, outcomes, since, strict=True)
        ]
        if len(_condition_lists) >= _MEMO_MAX:
            _condition_lists.clear()
        _condition_lists[key] = own
    return [*foreign, *own] if foreign else own


def is_container_ready(status: Object, name: str) -> bool:
    """Whether a Pod's status calls a container ready."""
    for field in ("containerStatuses", "initContainerStatuses"):
        for entry in status.get(field) or ():
            if entry["name"] == name:
                return bool(entry["ready"])
    return False

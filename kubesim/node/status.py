"""A Pod's status as the kubelet reports it: phase, conditions and container statuses.

Pure: the Pod, what the runtime shows, what the probes say and the status before, in; the whole status out. Sub-objects
that many Pods have in common (conditions of one second, states before the start) are shared between them.
Upstream: pkg/kubelet/kubelet_pods.go:generateAPIPodStatus, pkg/kubelet/status/generate.go @v1.36
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from kubesim.api.timestamps import to_time
from kubesim.node.facts import NO_LAST_STATE, ContainerFacts, PodFacts, pod_resources
from kubesim.node.plan import ProbeResults, is_to_start, should_restart

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from kubesim.api.objects import Object
    from kubesim.node.runtime import ContainerRecord, PodSandbox

# Conditions that the kubelet owns, in the order in which it writes them.
KUBELET_CONDITIONS: Final = ("PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady", "PodScheduled")
TERMINAL_PHASES: Final = frozenset({"Failed", "Succeeded"})

_USER: Final[Object] = {"linux": {"uid": 0, "gid": 0, "supplementalGroups": [0]}}
_MEMO_MAX = 8192
# Upstream: pkg/kubelet/container/runtime.go:MaxPodTerminationMessageLogLength @v1.36
_MESSAGES_MAX = 12 * 1024

Outcome = tuple[str, str, str]  # a condition's status, reason and message
_TRUE: Final[Outcome] = ("True", "", "")
_FALSE: Final[Outcome] = ("False", "", "")


class Reason(NamedTuple):
    """Why a container could not be started: the waiting state's reason and message."""

    reason: str
    message: str


class Observation(NamedTuple):
    """What a status is computed from, beside the Pod and its status before.

    `reasons` and `probes` are by container name; `host_ip` is the node's address; `is_terminal` says that no container
    will be started any more; `is_deleting` that the Pod has a deletionTimestamp.
    """

    sandbox: PodSandbox | None
    reasons: Mapping[str, Reason]
    probes: Mapping[str, ProbeResults]
    host_ip: str
    now_ns: int
    is_terminal: bool = False
    is_deleting: bool = False


def terminated_state(record: ContainerRecord, messages_max: int = _MESSAGES_MAX) -> Object:
    """The `terminated` state of a container that has ended."""
    state: Object = {"exitCode": record.exit_code, "reason": record.reason}
    if record.message:
        state["message"] = record.message[:messages_max]
    state["startedAt"] = to_time(record.started_at_ns)
    state["finishedAt"] = to_time(record.finished_at_ns)
    state["containerID"] = record.id
    return {"terminated": state}


def _lost_status(facts: ContainerFacts, old: Object, is_deleting: bool) -> tuple[Object, Object, int]:
    """State, last state and restart count of a container that the runtime no longer knows."""
    state = old["state"]
    restarts = old.get("restartCount", 0)
    last = old.get("lastState") or NO_LAST_STATE
    if "terminated" in state:
        return state, last, restarts
    if "running" in state and not last:
        last = {
            "terminated": {
                "exitCode": 137,
                "reason": "ContainerStatusUnknown",
                "message": "The container could not be located when the pod was deleted.  "
                "The container used to be Running",
                "startedAt": None,
                "finishedAt": None,
            }
        }
        if not is_deleting:
            restarts += 1
    return facts.waiting_state, last, restarts


def compute_container_status(
    facts: ContainerFacts, old: Sequence[Object], seen: Observation, pod_policy: str, messages_max: int = _MESSAGES_MAX
) -> Object:
    """The status of one container; `old` are the statuses of the Pod's containers before.

    Upstream: pkg/kubelet/kubelet_pods.go:convertToAPIContainerStatuses, prober_manager.go:UpdatePodStatus @v1.36
    """
    sandbox = seen.sandbox
    record = sandbox.containers.get(facts.name) if sandbox is not None else None
    last = NO_LAST_STATE
    restarts = 0
    started = ready = False
    if record is None:
        state = facts.waiting_state
        for before in old:
            if before["name"] == facts.name:
                state, last, restarts = _lost_status(facts, before, seen.is_deleting)
    else:
        restarts = record.attempt
        if record.previous is not None:
            last = terminated_state(record.previous, messages_max)
        if record.state == "running":
            state = {"running": {"startedAt": to_time(record.started_at_ns)}}
            probes = seen.probes.get(facts.name)
            started = probes is None or probes.startup in {None, "success"}
            ready = started and facts.role != "init" and (probes is None or probes.readiness in {None, "success"})
        elif record.state == "exited":
            state = terminated_state(record, messages_max)
            ready = facts.role == "init" and record.exit_code == 0
        else:
            state = {"waiting": {}}
    if seen.reasons and not seen.is_deleting:
        reason = seen.reasons.get(facts.name)
        if reason is not None and is_to_start(facts, record, pod_policy):
            if "terminated" in state:
                last = state
            state = {"waiting": {"reason": reason.reason, "message": reason.message}}
    status: Object = {
        "name": facts.name,
        "state": state,
        "lastState": last,
        "ready": ready,
        "restartCount": restarts,
        "image": facts.image,
        "imageID": "",
        "started": started,
    }
    if record is not None:
        status["image"] = record.image
        status["imageID"] = record.image_ref
        status["containerID"] = record.id
        resources = facts.spec.get("resources") or {}
        if resources.get("requests"):
            status["allocatedResources"] = resources["requests"]
        status["resources"] = resources
        status["user"] = _USER
    if facts.mounts is not None:
        status["volumeMounts"] = facts.mounts
    return status


class _Tally:
    """Counts of containers by what they are doing, for the phase."""

    __slots__ = ("running", "stopped", "stopped_for_good", "succeeded", "unknown", "waiting")

    def __init__(self) -> None:
        self.running = 0
        self.waiting = 0
        self.stopped = 0
        self.stopped_for_good = 0
        self.succeeded = 0
        self.unknown = 0


def _ended(state: Object, status: Object) -> Object | None:
    """The termination that counts for the phase, of a container that isn't running."""
    terminated = state.get("terminated")
    if terminated is None and "waiting" in state:
        terminated = (status.get("lastState") or {}).get("terminated")
    return terminated


def _init_progress(pod: PodFacts, statuses: Mapping[str, Object], tally: _Tally) -> tuple[int, int, bool]:
    """How many init containers and sidecars are still to be waited for, and whether one has failed for good."""
    pending = pending_sidecars = 0
    for facts in pod.init:
        status = statuses[facts.name]
        state = status["state"]
        if facts.role == "sidecar":
            if "running" in state:
                tally.running += 1
                if not status["started"]:
                    pending_sidecars += 1
            elif "waiting" in state and _ended(state, status) is None:
                pending_sidecars += 1
                tally.waiting += 1
            continue
        terminated = None if "running" in state else _ended(state, status)
        if terminated is None:
            pending += 1
        elif terminated["exitCode"] != 0 and not should_restart(facts, pod.restart_policy, terminated["exitCode"]):
            return pending, pending_sidecars, True
    return pending, pending_sidecars, False


def compute_phase(
    pod: PodFacts, statuses: Mapping[str, Object], *, is_terminal: bool = False, has_active_main: bool = False
) -> str:
    """The Pod's phase from its container statuses by name. Upstream: pkg/kubelet/kubelet_pods.go:getPhase @v1.36"""
    tally = _Tally()
    pending = pending_sidecars = 0
    if pod.init:
        pending, pending_sidecars, has_failed = _init_progress(pod, statuses, tally)
        if has_failed:
            return "Failed"
    for facts in pod.main:
        status = statuses[facts.name]
        state = status["state"]
        if "running" in state:
            tally.running += 1
        elif (terminated := _ended(state, status)) is not None:
            tally.stopped += 1
            exit_code = terminated["exitCode"]
            if not should_restart(facts, pod.restart_policy, exit_code):
                tally.stopped_for_good += 1
            if exit_code == 0 and "terminated" in state:
                tally.succeeded += 1
        elif "waiting" in state:
            tally.waiting += 1
        else:
            tally.unknown += 1
    if pending or (pending_sidecars and not has_active_main) or tally.waiting:
        return "Pending"
    if tally.running and not tally.unknown:
        return "Running"
    if tally.stopped and not tally.running and not tally.unknown:
        if not is_terminal and tally.stopped != tally.stopped_for_good:
            return "Running"
        return "Succeeded" if tally.stopped == tally.succeeded else "Failed"
    return "Pending"


def _containers_ready(pod: PodFacts, statuses: Mapping[str, Object], phase: str) -> Outcome:
    if phase == "Succeeded":
        return ("False", "PodCompleted", "")
    if phase == "Failed":
        return ("False", "PodFailed", "")
    unready = [facts.name for facts in pod.init if facts.role == "sidecar" and not statuses[facts.name]["ready"]]
    unready += [facts.name for facts in pod.main if not statuses[facts.name]["ready"]]
    if not unready:
        return _TRUE
    return ("False", "ContainersNotReady", f"containers with unready status: [{' '.join(unready)}]")


def _ready(gates: Sequence[Object], foreign: Sequence[Object], containers_ready: Outcome) -> Outcome:
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
    return ("False", "ReadinessGatesNotReady", ", ".join(complaints)) if complaints else _TRUE


def _initialized(pod: PodFacts, statuses: Mapping[str, Object], phase: str, was_initialized: bool) -> Outcome:
    if phase == "Succeeded":
        return ("True", "PodCompleted", "")
    if not pod.init or was_initialized:
        return _TRUE
    for facts in pod.main:
        state = statuses[facts.name]["state"]
        if "running" in state or "terminated" in state:
            return _TRUE
    incomplete = [
        facts.name
        for facts in pod.init
        if not statuses[facts.name]["started" if facts.role == "sidecar" else "ready"]
    ]
    if not incomplete:
        return _TRUE
    return ("False", "ContainersNotInitialized", f"containers with incomplete status: [{' '.join(incomplete)}]")


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


def compute_conditions(
    old: Sequence[Object], outcomes: Sequence[Outcome], generation: int, now: str
) -> list[Object]:
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


_NEVER: Final[Object] = {"status": ""}
_host_ips: dict[str, list[Object]] = {}


def _ip_list(host_ip: str) -> list[Object]:
    ips = _host_ips.get(host_ip)
    if ips is None:
        ips = _host_ips[host_ip] = [{"ip": host_ip}]
    return ips


def _was_true(conditions: Sequence[Object], kind: str) -> bool:
    return any(condition["type"] == kind and condition["status"] == "True" for condition in conditions)


def compute_status(pod: Object, facts: PodFacts, old: Object, seen: Observation) -> Object:
    """The whole status. `old` is the last one that the kubelet computed, or the API's for a Pod that is new to it."""
    spec = pod["spec"]
    generation = pod["metadata"].get("generation", 0)
    now = to_time(seen.now_ns)
    count = len(facts.by_name)
    messages_max = _MESSAGES_MAX // count
    before = old.get("containerStatuses") or ()
    mains = [
        compute_container_status(item, before, seen, facts.restart_policy, messages_max)
        for item in facts.main_by_name
    ]
    statuses = {status["name"]: status for status in mains}
    inits: list[Object] = []
    if facts.init:
        before = old.get("initContainerStatuses") or ()
        inits = [
            compute_container_status(item, before, seen, facts.restart_policy, messages_max)
            for item in facts.init
        ]
        statuses.update((status["name"], status) for status in inits)
    phase = _phase(facts, statuses, old, seen)
    conditions = old.get("conditions") or ()
    containers_ready = _containers_ready(facts, statuses, phase)
    gates = spec.get("readinessGates") or ()
    outcomes = (
        _TRUE if seen.sandbox is not None and seen.sandbox.is_ready else _FALSE,
        _initialized(facts, statuses, phase, bool(facts.init) and _was_true(conditions, "Initialized")),
        _ready(gates, conditions, containers_ready),
        containers_ready,
        _TRUE,
    )
    status: Object = {"phase": phase, "conditions": compute_conditions(conditions, outcomes, generation, now)}
    if generation:
        status["observedGeneration"] = generation
    if old.get("phase") == phase:
        for field in ("reason", "message"):
            if field in old:
                status[field] = old[field]
    _set_addresses(status, spec, old, seen)
    status["startTime"] = old.get("startTime") or now
    if inits:
        status["initContainerStatuses"] = inits
    status["containerStatuses"] = mains
    if "qosClass" in old:
        status["qosClass"] = old["qosClass"]
    _set_resources(status, spec)
    return status


def _phase(facts: PodFacts, statuses: Mapping[str, Object], old: Object, seen: Observation) -> str:
    old_phase: str = old.get("phase", "")
    if old_phase in TERMINAL_PHASES:
        return old_phase
    sandbox = seen.sandbox
    has_active_main = (
        sandbox is not None and sandbox.is_ready and any(item.name in sandbox.containers for item in facts.main)
    )
    return compute_phase(facts, statuses, is_terminal=seen.is_terminal, has_active_main=has_active_main)


def _set_addresses(status: Object, spec: Object, old: Object, seen: Observation) -> None:
    host_ips = _ip_list(seen.host_ip)
    status["hostIP"] = seen.host_ip
    status["hostIPs"] = host_ips
    if spec.get("hostNetwork"):
        status["podIP"] = old.get("podIP") or seen.host_ip
        status["podIPs"] = old.get("podIPs") or host_ips
    elif seen.sandbox is not None and seen.sandbox.containers:
        status["podIP"] = seen.sandbox.ip
        status["podIPs"] = [{"ip": seen.sandbox.ip}]
    elif "podIP" in old:
        status["podIP"] = old["podIP"]
        status["podIPs"] = old["podIPs"]


def _set_resources(status: Object, spec: Object) -> None:
    # Upstream: kubelet_pods.go:convertStatusToAPIStatus, InPlacePodLevelResourcesVerticalScaling is on by default.
    requests, limits = pod_resources(spec)
    resources: Object = {}
    if limits:
        resources["limits"] = limits
    if requests:
        resources["requests"] = requests
        status["allocatedResources"] = requests
    status["resources"] = resources


def compute_rejection(pod: Object, old: Object, reason: str, message: str, now_ns: int) -> Object:
    """The status of a Pod that the node doesn't admit. Upstream: pkg/kubelet/kubelet.go:rejectPod @v1.36"""
    status: Object = {"phase": "Failed", "reason": reason, "message": f"Pod was rejected: {message}"}
    generation = pod["metadata"].get("generation", 0)
    if generation:
        status["observedGeneration"] = generation
    status["conditions"] = [item for item in old.get("conditions") or () if item["type"] not in KUBELET_CONDITIONS]
    if "qosClass" in old:
        status["qosClass"] = old["qosClass"]
    status["startTime"] = old.get("startTime") or to_time(now_ns)
    return status


_NO_TRACE: Final[Object] = {
    "terminated": {
        "exitCode": 137,
        "reason": "ContainerStatusUnknown",
        "message": "The container could not be located when the pod was terminated",
        "startedAt": None,
        "finishedAt": None,
    }
}


def _with_ends(statuses: Sequence[Object]) -> list[Object]:
    return [status if "terminated" in status["state"] else {**status, "state": _NO_TRACE} for status in statuses]


def _has_moved(status: Object) -> bool:
    return "waiting" not in status["state"] or bool(status.get("lastState"))


def compute_end(status: Object, facts: PodFacts) -> Object:
    """The last status of a Pod whose containers have all ended: those that it should have run, too.

    Upstream: pkg/kubelet/status/status_manager.go:TerminatePod @v1.36
    """
    changes: Object = {}
    if status["phase"] not in TERMINAL_PHASES:
        changes["phase"] = "Failed"
    mains = status.get("containerStatuses") or []
    inits = status.get("initContainerStatuses") or []
    has_initialized = not inits or any(_has_moved(item) for item in mains)
    if not has_initialized:
        last = inits[-1]
        state = last["state"]
        if facts.init[-1].role == "sidecar":
            has_initialized = "running" in state and last["started"]
        else:
            ended = state.get("terminated") or (last.get("lastState") or {}).get("terminated")
            has_initialized = ended is not None and ended["exitCode"] == 0
    if has_initialized and not all("terminated" in item["state"] for item in mains):
        changes["containerStatuses"] = _with_ends(mains)
    seen = max((index + 1 for index, item in enumerate(inits) if _has_moved(item)), default=1)
    if not all("terminated" in item["state"] for item in inits[:seen]):
        changes["initContainerStatuses"] = [*_with_ends(inits[:seen]), *inits[seen:]]
    return {**status, **changes} if changes else status

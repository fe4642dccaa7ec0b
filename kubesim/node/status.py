"""A Pod's status as the kubelet reports it: phase, conditions and container statuses.

Pure: the Pod, what the runtime shows, what the probes say and the status before, in; the whole status out. Sub-objects
that many Pods have in common (conditions of one second, states before the start) are shared between them.
Upstream: pkg/kubelet/kubelet_pods.go:generateAPIPodStatus, pkg/kubelet/status/generate.go @v1.36
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from kubesim.api.conditions import is_condition_true
from kubesim.api.timestamps import to_time
from kubesim.node.facts import NO_LAST_STATE, ContainerFacts, PodFacts, pod_resources
from kubesim.node.phase import TERMINAL_PHASES, compute_phase
from kubesim.node.plan import ProbeResults, is_to_start
from kubesim.node.pod_conditions import (
    FALSE,
    KUBELET_CONDITIONS,
    TRUE,
    compute_conditions,
    containers_ready_outcome,
    initialized_outcome,
    ready_outcome,
)
from kubesim.node.resizing import RESIZE_CONDITIONS, pod_resources_shown, resources_shown

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from kubesim.api.objects import Object
    from kubesim.node.runtime import ContainerRecord, PodSandbox

_USER: Final[Object] = {"linux": {"uid": 0, "gid": 0, "supplementalGroups": [0]}}
# Upstream: pkg/kubelet/container/runtime.go:MaxPodTerminationMessageLogLength @v1.36
_MESSAGES_MAX = 12 * 1024


class Reason(NamedTuple):
    """Why a container could not be started: the waiting state's reason and message."""

    reason: str
    message: str


class Observation(NamedTuple):
    """What a status is computed from, beside the Pod and its status before.

    `reasons` and `probes` are by container name; `host_ip` is the node's address; `is_terminal` says that no container
    will be started any more; `is_deleting` that the Pod has a deletionTimestamp; `resize_conditions` are those of a
    resize that is not through.
    """

    sandbox: PodSandbox | None
    reasons: Mapping[str, Reason]
    probes: Mapping[str, ProbeResults]
    host_ip: str
    now_ns: int
    is_terminal: bool = False
    is_deleting: bool = False
    resize_conditions: Sequence[Object] = ()


def terminated_state(record: ContainerRecord, messages_max: int = _MESSAGES_MAX) -> Object:
    """The `terminated` state of a container that has ended."""
    state: Object = {"exitCode": record.exit_code, "reason": record.reason}
    if record.message:
        state["message"] = record.message[:messages_max]
    state["startedAt"] = to_time(record.started_at_ns + record.skew_ns)
    state["finishedAt"] = to_time(record.finished_at_ns + record.skew_ns)
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
            state = {"running": {"startedAt": to_time(record.started_at_ns + record.skew_ns)}}
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
    if facts.role == "ephemeral":
        # Nobody asks it whether it has started or is ready.
        del status["started"]
        status["ready"] = False
    if record is not None:
        status["image"] = record.image
        status["imageID"] = record.image_ref
        status["containerID"] = record.id
        resources = facts.spec.get("resources") or {}
        if resources.get("requests"):
            status["allocatedResources"] = resources["requests"]
        status["resources"] = resources_shown(resources, record)
        status["user"] = _USER
    if facts.mounts is not None:
        status["volumeMounts"] = facts.mounts
    return status


_host_ips: dict[str, list[Object]] = {}


def _ip_list(host_ip: str) -> list[Object]:
    ips = _host_ips.get(host_ip)
    if ips is None:
        ips = _host_ips[host_ip] = [{"ip": host_ip}]
    return ips


def compute_status(pod: Object, facts: PodFacts, old: Object, seen: Observation) -> Object:
    """The whole status. `old` is the last one that the kubelet computed, or the API's for a Pod that is new to it."""
    spec = pod["spec"]
    generation = pod["metadata"].get("generation", 0)
    now = to_time(seen.now_ns)
    count = len(facts.by_name)
    messages_max = _MESSAGES_MAX // count
    before = old.get("containerStatuses") or ()
    mains = [
        compute_container_status(item, before, seen, facts.restart_policy, messages_max) for item in facts.main_by_name
    ]
    statuses = {status["name"]: status for status in mains}
    inits: list[Object] = []
    if facts.init:
        before = old.get("initContainerStatuses") or ()
        inits = [
            compute_container_status(item, before, seen, facts.restart_policy, messages_max) for item in facts.init
        ]
        statuses.update((status["name"], status) for status in inits)
    ephemerals: list[Object] = []
    if facts.ephemeral:
        before = old.get("ephemeralContainerStatuses") or ()
        ephemerals = [
            compute_container_status(item, before, seen, "Never", messages_max)
            for item in sorted(facts.ephemeral, key=lambda facts: facts.name)
        ]
    phase = _phase(facts, statuses, old, seen)
    conditions = old.get("conditions") or ()
    if any(each["type"] in RESIZE_CONDITIONS for each in conditions):
        conditions = [each for each in conditions if each["type"] not in RESIZE_CONDITIONS]
    containers_ready = containers_ready_outcome(facts, statuses, phase)
    gates = spec.get("readinessGates") or ()
    outcomes = (
        TRUE if seen.sandbox is not None and seen.sandbox.is_ready else FALSE,
        initialized_outcome(facts, statuses, phase, bool(facts.init) and is_condition_true(conditions, "Initialized")),
        ready_outcome(gates, conditions, containers_ready),
        containers_ready,
        TRUE,
    )
    conditions = compute_conditions(conditions, outcomes, generation, now)
    if seen.resize_conditions and not seen.is_terminal:
        foreign = len(conditions) - len(outcomes)
        conditions = [*conditions[:foreign], *seen.resize_conditions, *conditions[foreign:]]
    status: Object = {"phase": phase, "conditions": conditions}
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
    if ephemerals:
        status["ephemeralContainerStatuses"] = ephemerals
    if "qosClass" in old:
        status["qosClass"] = old["qosClass"]
    _set_resources(status, spec)
    shown, before = status["resources"], old.get("resources")
    if before and shown != before and phase == "Running" == old.get("phase") and seen.sandbox is not None:
        status["resources"] = pod_resources_shown(facts, spec, seen.sandbox.containers, before)
    return status


def with_probe_result(
    pod: Object, facts: PodFacts, status: Object, probed: tuple[str, str, bool], now_ns: int
) -> Object:
    """The status with what a probe has found, ahead of the sync that follows.

    `probed` is the container's ID, its field `started` or `ready`, and the value that this has from now on;
    `status` itself is returned where that is no news. Only readiness has conditions of its own.
    Upstream: pkg/kubelet/status/status_manager.go:SetContainerReadiness, SetContainerStartup @v1.36
    """
    container_id, field, value = probed
    changed = dict(status)
    is_news = False
    statuses: dict[str, Object] = {}
    for kind in ("initContainerStatuses", "containerStatuses"):
        entries: list[Object] = status.get(kind) or []
        for index, entry in enumerate(entries):
            if entry.get("containerID") == container_id and entry.get(field) != value:
                is_news = True
                entries = changed[kind] = [*entries]
                entries[index] = {**entry, field: value}
        statuses.update((entry["name"], entry) for entry in entries)
    if not is_news:
        return status
    if field == "ready":
        conditions = status.get("conditions") or ()
        before = {
            each["type"]: (each["status"], each.get("reason", ""), each.get("message", "")) for each in conditions
        }
        containers_ready = containers_ready_outcome(facts, statuses, status["phase"])
        before["ContainersReady"] = containers_ready
        before["Ready"] = ready_outcome(pod["spec"].get("readinessGates") or (), conditions, containers_ready)
        outcomes = [before.get(kind, FALSE) for kind in KUBELET_CONDITIONS]
        generation = pod["metadata"].get("generation", 0)
        changed["conditions"] = compute_conditions(conditions, outcomes, generation, to_time(now_ns))
    return changed


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
    elif seen.sandbox is not None:
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

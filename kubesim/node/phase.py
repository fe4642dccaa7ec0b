"""A Pod's phase from what its containers are doing. Upstream: pkg/kubelet/kubelet_pods.go:getPhase @v1.36"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from kubesim.node.plan import should_restart

if TYPE_CHECKING:
    from collections.abc import Mapping

    from kubesim.api.objects import Object
    from kubesim.node.facts import PodFacts

TERMINAL_PHASES: Final = frozenset({"Failed", "Succeeded"})


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

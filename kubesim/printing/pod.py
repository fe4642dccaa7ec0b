"""A Pod's row: what its many states come to in one word.

Upstream: pkg/printers/internalversion/printers.go:printPod @v1.36
"""

from __future__ import annotations

from typing import Any

from kubesim.api.conditions import find_condition, is_condition_true
from kubesim.api.objects import Object
from kubesim.api.timestamps import from_time
from kubesim.printing.ages import age, human_duration


def pod_row(pod: Object, now_ns: int) -> tuple[str, ...]:
    """Name, Ready, Status, Restarts, Age, IP, Node, Nominated Node, Readiness Gates."""
    reading = _Reading(pod)
    restarts = str(reading.restarts)
    if reading.restarts and reading.last_restart_ns:
        restarts += f" ({human_duration(now_ns - reading.last_restart_ns)} ago)"
    status, spec = pod.get("status") or {}, pod["spec"]
    return (
        pod["metadata"]["name"],
        f"{reading.ready}/{reading.total}",
        reading.reason,
        restarts,
        age(pod["metadata"].get("creationTimestamp"), now_ns),
        status.get("podIP") or "<none>",
        spec.get("nodeName") or "<none>",
        status.get("nominatedNodeName") or "<none>",
        _readiness_gates(spec, status),
    )


def _readiness_gates(spec: Any, status: Any) -> str:
    gates = spec.get("readinessGates") or ()
    if not gates:
        return "<none>"
    passed = sum(is_condition_true(status.get("conditions"), gate["conditionType"]) for gate in gates)
    return f"{passed}/{len(gates)}"


class _Reading:
    """One pass over a Pod's statuses."""

    def __init__(self, pod: Object) -> None:
        spec, status = pod["spec"], pod.get("status") or {}
        self._sidecars = {
            each["name"] for each in spec.get("initContainers") or () if each.get("restartPolicy") == "Always"
        }
        self._init_total = len(spec.get("initContainers") or ())
        self.total = len(spec["containers"]) + len(self._sidecars)
        self.ready = 0
        self.restarts = 0
        self.last_restart_ns = 0
        self.reason: str = status.get("reason") or status.get("phase") or "Unknown"
        if (find_condition(status.get("conditions"), "PodScheduled") or {}).get("reason") == "SchedulingGated":
            self.reason = "SchedulingGated"
        is_initializing = self._read_init(status)
        if not is_initializing or is_condition_true(status.get("conditions"), "Initialized"):
            self._read_containers(status)
        if "deletionTimestamp" in pod["metadata"]:
            if status.get("reason") == "NodeLost":
                self.reason = "Unknown"
            elif status.get("phase") not in ("Succeeded", "Failed"):
                self.reason = "Terminating"

    def _read_init(self, status: Object) -> bool:
        """Reads init containers up to the first that is not done; returns whether there is one."""
        for index, each in enumerate(status.get("initContainerStatuses") or ()):
            self._count_restarts(each)
            state = each.get("state") or {}
            ended, waiting = state.get("terminated"), state.get("waiting") or {}
            if ended is not None and ended.get("exitCode") == 0:
                continue
            if each["name"] in self._sidecars and each.get("started"):
                self.ready += bool(each.get("ready"))
                continue
            if ended is not None:
                self.reason = f"Init:{_how(ended)}"
            elif waiting.get("reason") and waiting["reason"] != "PodInitializing":
                self.reason = f"Init:{waiting['reason']}"
            else:
                self.reason = f"Init:{index}/{self._init_total}"
            return True
        return False

    def _read_containers(self, status: Object) -> None:
        self.restarts = self.last_restart_ns = 0
        for each in status.get("initContainerStatuses") or ():
            if each["name"] in self._sidecars:
                self._count_restarts(each)
        has_running = False
        for each in reversed(status.get("containerStatuses") or ()):
            self._count_restarts(each)
            state = each.get("state") or {}
            if (state.get("waiting") or {}).get("reason"):
                self.reason = state["waiting"]["reason"]
            elif "terminated" in state:
                self.reason = _how(state["terminated"])
            elif each.get("ready") and "running" in state:
                has_running = True
                self.ready += 1
        if self.reason == "Completed" and has_running:
            self.reason = "Running" if is_condition_true(status.get("conditions"), "Ready") else "NotReady"

    def _count_restarts(self, container: Object) -> None:
        self.restarts += container.get("restartCount", 0)
        ended = (container.get("lastState") or {}).get("terminated") or {}
        if ended.get("finishedAt"):
            self.last_restart_ns = max(self.last_restart_ns, from_time(ended["finishedAt"]))


def _how(ended: Any) -> str:
    if ended.get("reason"):
        return str(ended["reason"])
    return f"Signal:{ended['signal']}" if ended.get("signal") else f"ExitCode:{ended.get('exitCode', 0)}"

"""Why something is not ready, in the words of those who should make it so: conditions, container states, counts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from kubesim.api.conditions import find_condition, is_condition_true
from kubesim.api.objects import Object


def why_unready(obj: Object | None, pods: Sequence[Object]) -> str:
    """What keeps an object from being ready; `pods` are a workload's own. Completes "deployment/web …"."""
    if obj is None:
        return "does not exist"
    if "deletionTimestamp" in obj["metadata"]:
        return "is being deleted"
    status: dict[str, Any] = obj.get("status") or {}
    if obj["kind"] == "Pod":
        return _why_pod(obj)
    if obj["kind"] == "PersistentVolumeClaim":
        return f"is {status.get('phase', 'Pending')}"
    if "replicas" in (obj.get("spec") or {}):
        return _why_workload(obj, pods)
    said = find_condition(status.get("conditions"), "Ready")
    return f"is not ready: {said['message']}" if said and said.get("message") else "is not ready"


def _why_workload(obj: Object, pods: Sequence[Object]) -> str:
    status, wanted = obj["status"], obj["spec"]["replicas"]
    if status.get("observedGeneration", 0) < obj["metadata"].get("generation", 0):
        return "has a change that its controller has not seen"
    ready = status.get("readyReplicas", 0)
    if ready == wanted and "updatedReplicas" in status:
        return f"has {status['updatedReplicas']} of {wanted} Pods of this version"
    text = f"has {ready} of {wanted} Pods ready"
    for pod in pods:
        if "deletionTimestamp" not in pod["metadata"] and not is_condition_true(
            pod["status"].get("conditions"), "Ready"
        ):
            return f"{text}; pod/{pod['metadata']['name']} {_why_pod(pod)}"
    refused = find_condition(status.get("conditions"), "ReplicaFailure")
    return f"{text}: {refused['message']}" if refused else text


def _why_pod(pod: Object) -> str:
    status = pod["status"]
    phase = status.get("phase", "Pending")
    scheduled = find_condition(status.get("conditions"), "PodScheduled")
    if scheduled and scheduled["status"] == "False" and scheduled.get("message"):
        return f"is {phase}: {scheduled['message']}"
    for reason in _container_reasons(status):
        return f"is {phase}: {reason}"
    if status.get("message"):
        return f"is {phase}: {status['message']}"
    ready = find_condition(status.get("conditions"), "Ready")
    return f"is {phase}: {ready['message']}" if ready and ready.get("message") else f"is {phase}, not ready"


def _container_reasons(status: Object) -> Iterator[str]:
    """What containers wait for or ended with, those first that the others wait for."""
    for each in (*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ())):
        waiting = each.get("state", {}).get("waiting")
        terminated = each.get("state", {}).get("terminated")
        if waiting and waiting.get("reason") not in (None, "PodInitializing"):
            message = waiting.get("message")
            yield f"{each['name']}: {waiting['reason']}{f': {message}' if message else ''}"
        elif terminated and terminated["exitCode"]:
            yield f"{each['name']} has ended with {terminated['exitCode']} ({terminated.get('reason', 'Error')})"

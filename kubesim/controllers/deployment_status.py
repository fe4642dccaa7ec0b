"""The status of a Deployment: counts, and the Available, Progressing and ReplicaFailure conditions.

Pure functions. Upstream: pkg/controller/deployment/{sync,progress}.go @v1.36
"""

from __future__ import annotations

from collections.abc import Sequence

from kubesim.api.conditions import find_condition, with_condition_last, without_condition
from kubesim.api.objects import Object
from kubesim.api.timestamps import from_time, to_time
from kubesim.controllers.deployment_scale import max_unavailable, replicas_of, status_sum, total_replicas
from kubesim.sim.loop import SECOND

FAILED_RS_CREATE = "ReplicaSetCreateError"
NEW_REPLICA_SET = "NewReplicaSetCreated"
FOUND_NEW_RS = "FoundNewReplicaSet"
NEW_RS_AVAILABLE = "NewReplicaSetAvailable"
REPLICA_SET_UPDATED = "ReplicaSetUpdated"
TIMED_OUT = "ProgressDeadlineExceeded"
PAUSED = "DeploymentPaused"
RESUMED = "DeploymentResumed"
# A deadline of this many seconds means none. Upstream: deployment_util.go:HasProgressDeadline
_NO_DEADLINE = 2**31 - 1


def progressing(status: str, reason: str, message: str, now_ns: int) -> Object:
    """A Progressing condition as of now."""
    return condition("Progressing", status, reason, message, now_ns)


def condition(kind: str, status: str, reason: str, message: str, now_ns: int) -> Object:
    """A Deployment's condition, updated and changed just now."""
    now = to_time(now_ns)
    return {
        "type": kind,
        "status": status,
        "lastUpdateTime": now,
        "lastTransitionTime": now,
        "reason": reason,
        "message": message,
    }


def has_deadline(deployment: Object) -> bool:
    """Whether progress is watched at all."""
    return deployment["spec"].get("progressDeadlineSeconds") not in (None, _NO_DEADLINE)


def conditions_of(deployment: Object) -> list[Object]:
    """The conditions in the status, an empty list without any."""
    return (deployment.get("status") or {}).get("conditions") or []


def compute_status(deployment: Object, replica_sets: Sequence[Object], new: Object | None, now_ns: int) -> Object:
    """The counts and the Available condition that the ReplicaSets make true. `replica_sets` has the new one in it."""
    status = deployment.get("status") or {}
    available = status_sum(replica_sets, "availableReplicas")
    counts = {
        "replicas": status_sum(replica_sets, "replicas"),
        "updatedReplicas": 0 if new is None else status_sum([new], "replicas"),
        "readyReplicas": status_sum(replica_sets, "readyReplicas"),
        "availableReplicas": available,
        "unavailableReplicas": max(0, total_replicas(replica_sets) - available),
    }
    result: Object = {"observedGeneration": deployment["metadata"]["generation"]}
    result.update((field, count) for field, count in counts.items() if count)
    result["terminatingReplicas"] = status_sum(replica_sets, "terminatingReplicas")
    if "collisionCount" in status:
        result["collisionCount"] = status["collisionCount"]
    if available >= replicas_of(deployment) - max_unavailable(deployment):
        is_available, reason, has = "True", "MinimumReplicasAvailable", "has"
    else:
        is_available, reason, has = "False", "MinimumReplicasUnavailable", "does not have"
    message = f"Deployment {has} minimum availability."
    result["conditions"] = with_condition_last(
        status.get("conditions"), condition("Available", is_available, reason, message, now_ns)
    )
    return result


def is_complete(deployment: Object, status: Object) -> bool:
    """Whether all wanted replicas are new and available."""
    desired = replicas_of(deployment)
    return bool(
        status.get("updatedReplicas", 0) == desired
        and status.get("replicas", 0) == desired
        and status.get("availableReplicas", 0) == desired
        and status.get("observedGeneration", 0) >= deployment["metadata"]["generation"]
    )


def _is_progressing(old: Object, new: Object) -> bool:
    def old_replicas(status: Object) -> int:
        return int(status.get("replicas", 0) - status.get("updatedReplicas", 0))

    return old_replicas(new) < old_replicas(old) or any(
        int(new.get(field, 0)) > int(old.get(field, 0))
        for field in ("updatedReplicas", "readyReplicas", "availableReplicas")
    )


def _has_timed_out(deployment: Object, conditions: Sequence[Object], now_ns: int) -> bool:
    current = find_condition(conditions, "Progressing")
    if current is None or current.get("reason") == NEW_RS_AVAILABLE:
        return False
    if current.get("reason") == TIMED_OUT:
        return True
    return _deadline_ns(deployment, current) < now_ns


def _deadline_ns(deployment: Object, progress: Object) -> int:
    deadline_s: int = deployment["spec"]["progressDeadlineSeconds"]
    return from_time(progress["lastUpdateTime"]) + deadline_s * SECOND


def compute_rollout_status(
    deployment: Object, replica_sets: Sequence[Object], new: Object | None, now_ns: int
) -> Object:
    """The whole status during a rollout, with its progress and the ReplicaSets' failures.

    Upstream: progress.go:syncRolloutStatus
    """
    status = compute_status(deployment, replica_sets, new, now_ns)
    conditions: list[Object] = status["conditions"]
    if has_deadline(deployment):
        conditions = _with_progress(deployment, status, new, now_ns)
    else:
        conditions = without_condition(conditions, "Progressing")
    failure = _replica_failure(replica_sets, new)
    if failure is None:
        conditions = without_condition(conditions, "ReplicaFailure")
    else:
        conditions = with_condition_last(conditions, failure)
    status["conditions"] = conditions
    return status


def _with_progress(deployment: Object, status: Object, new: Object | None, now_ns: int) -> list[Object]:
    conditions: list[Object] = status["conditions"]
    current = find_condition(conditions_of(deployment), "Progressing")
    settled = current is not None and current.get("reason") == NEW_RS_AVAILABLE
    if settled and status.get("replicas", 0) == status.get("updatedReplicas", 0):
        return conditions
    subject = f'Deployment "{deployment["metadata"]["name"]}"'
    if new is not None:
        subject = f'ReplicaSet "{new["metadata"]["name"]}"'
    if is_complete(deployment, status):
        message = f"{subject} has successfully progressed."
        return with_condition_last(conditions, progressing("True", NEW_RS_AVAILABLE, message, now_ns))
    if _is_progressing(deployment.get("status") or {}, status):
        fresh = progressing("True", REPLICA_SET_UPDATED, f"{subject} is progressing.", now_ns)
        if current is not None and current["status"] == "True":
            fresh["lastTransitionTime"] = current["lastTransitionTime"]
        return [*without_condition(conditions, "Progressing"), fresh]
    if _has_timed_out(deployment, conditions, now_ns):
        message = f"{subject} has timed out progressing."
        return with_condition_last(conditions, progressing("False", TIMED_OUT, message, now_ns))
    return conditions


def _replica_failure(replica_sets: Sequence[Object], new: Object | None) -> Object | None:
    """The failure of the new ReplicaSet, else of any, as the Deployment's own condition."""
    for each in ([] if new is None else [new]) + list(replica_sets):
        failure = find_condition((each.get("status") or {}).get("conditions"), "ReplicaFailure")
        if failure is not None:
            at = failure["lastTransitionTime"]
            return {
                "type": "ReplicaFailure",
                "status": failure["status"],
                "lastUpdateTime": at,
                "lastTransitionTime": at,
                "reason": failure["reason"],
                "message": failure["message"],
            }
    return None


def progress_check_ns(deployment: Object, status: Object, now_ns: int) -> int | None:
    """When to look again whether a rollout is stuck: a delay in ns, 0 for at once, None for never.

    Upstream: progress.go:requeueStuckDeployment
    """
    current = find_condition(conditions_of(deployment), "Progressing")
    if not has_deadline(deployment) or current is None:
        return None
    if is_complete(deployment, status) or current.get("reason") == TIMED_OUT:
        return None
    left_ns = _deadline_ns(deployment, current) - now_ns
    if left_ns >= SECOND:
        return left_ns + SECOND
    # A rollout that was complete never times out. Upstream syncs such a Deployment ten times a second, while it lacks a
    # replica, to find that out; nothing but an event can change what the next sync does, and an event brings one.
    return None if current.get("reason") == NEW_RS_AVAILABLE else 0

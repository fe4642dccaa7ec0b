"""Lists of status conditions: find one, put one in, take one out. Nothing is changed in place.

A condition handed in carries the present time as its `lastTransitionTime`; it keeps the time of the one it replaces
where the status stays the same. A list that would not change is returned as it is, so that `is` tells whether to write.

Upstream keeps two orders, and `kubectl describe` shows them: Pods, Nodes and metav1.Condition replace where the old
one stood, Deployments and ReplicaSets move the new one to the end.
"""

from __future__ import annotations

from collections.abc import Sequence

from kubesim.api.objects import Object

Conditions = Sequence[Object]


def find_condition(conditions: Conditions | None, kind: str) -> Object | None:
    """The condition of this type, or None."""
    for condition in conditions or ():
        if condition["type"] == kind:
            return condition
    return None


def is_condition_true(conditions: Conditions | None, kind: str) -> bool:
    """Whether there is a condition of this type with status `True`."""
    for condition in conditions or ():
        if condition["type"] == kind:
            return bool(condition["status"] == "True")
    return False


def _keep_transition_time(new: Object, old: Object) -> Object:
    if new["status"] != old["status"]:
        return new
    since = old.get("lastTransitionTime")
    if new.get("lastTransitionTime") == since:
        return new
    if since is None:
        return {name: value for name, value in new.items() if name != "lastTransitionTime"}
    return {**new, "lastTransitionTime": since}


def with_condition(conditions: list[Object] | None, condition: Object) -> list[Object]:
    """The list with `condition` where its type stood, or at the end; the same list if nothing would differ.

    Upstream: apimachinery/pkg/api/meta/conditions.go:SetStatusCondition,
    pkg/api/v1/pod/util.go:UpdatePodCondition @v1.36
    """
    conditions = conditions if conditions is not None else []
    kind = condition["type"]
    for at, old in enumerate(conditions):
        if old["type"] == kind:
            new = _keep_transition_time(condition, old)
            return conditions if new == old else [*conditions[:at], new, *conditions[at + 1 :]]
    return [*conditions, condition]


def with_condition_last(conditions: list[Object] | None, condition: Object) -> list[Object]:
    """The list with `condition` moved to its end; the same list if status and reason stay as they are.

    A new message alone is not written, which is how Deployments behave.

    Upstream: pkg/controller/deployment/util/deployment_util.go:SetDeploymentCondition @v1.36
    """
    old = find_condition(conditions, condition["type"])
    if old is None or conditions is None:
        return [*(conditions or ()), condition]
    if old["status"] == condition["status"] and old.get("reason") == condition.get("reason"):
        return conditions
    return [*without_condition(conditions, condition["type"]), _keep_transition_time(condition, old)]


def without_condition(conditions: list[Object] | None, kind: str) -> list[Object]:
    """The list without the condition of this type; the same list if it holds none."""
    if conditions is None:
        return []
    kept = [condition for condition in conditions if condition["type"] != kind]
    return conditions if len(kept) == len(conditions) else kept

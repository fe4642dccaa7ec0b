"""The eviction subresource: a delete that a PodDisruptionBudget may refuse.

Upstream: pkg/registry/core/pod/storage/eviction.go @v1.36
"""

from __future__ import annotations

from collections.abc import Iterator

from kubesim.api.conditions import find_condition, is_condition_true, with_condition
from kubesim.api.objects import Object, labels_of
from kubesim.api.selectors import compile_selector
from kubesim.api.timestamps import to_time
from kubesim.errors import ApiError, Cause, forbidden, too_many_requests
from kubesim.store.log import Store

BUDGETS = "poddisruptionbudgets.policy"
# Upstream: eviction.go:MaxDisruptedPodSize @v1.36
_DISRUPTED_MAX = 2000
_REFUSED = "Cannot evict pod as it would violate the pod's disruption budget."


def needs_no_budget(pod: Object) -> bool:
    """Pods whose disruption has already happened, or that never ran, may go whatever the budget says."""
    phase = (pod.get("status") or {}).get("phase")
    return phase in ("Succeeded", "Failed", "Pending") or "deletionTimestamp" in pod["metadata"]


def _budgets_of(store: Store, pod: Object) -> Iterator[Object]:
    namespace = pod["metadata"]["namespace"]
    for budget in store.table(BUDGETS).in_namespace(namespace).values():
        if compile_selector(budget["spec"].get("selector"))(labels_of(pod)):
            yield budget


def is_ready(pod: Object) -> bool:
    """Whether the Pod's Ready condition is True."""
    return is_condition_true((pod.get("status") or {}).get("conditions"), "Ready")


def spend_budget(store: Store, pod: Object, now_ns: int) -> Object | None:
    """The status that the Pod's budget gets when this eviction is granted; None where no budget counts it.

    Raises:
        ApiError: 429, the budget refuses; 500, more than one budget covers the Pod.
    """
    budgets = list(_budgets_of(store, pod))
    if len(budgets) > 1:
        raise ApiError(
            500,
            "",
            "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support.",
        )
    if not budgets:
        return None
    budget = budgets[0]
    status = budget.get("status") or {}
    if not is_ready(pod):
        if budget["spec"].get("unhealthyPodEvictionPolicy") == "AlwaysAllow":
            return None
        desired = status.get("desiredHealthy", 0)
        if status.get("currentHealthy", 0) >= desired > 0:
            return None
    _check(budget, status)
    allowed = status["disruptionsAllowed"] - 1
    disrupted = {**(status.get("disruptedPods") or {}), pod["metadata"]["name"]: to_time(now_ns)}
    status = {**status, "disruptionsAllowed": allowed, "disruptedPods": disrupted}
    if allowed == 0:
        condition = {
            "type": "DisruptionAllowed",
            "status": "False",
            "reason": "InsufficientPods",
            "message": "",
            "observedGeneration": status.get("observedGeneration", 0),
            "lastTransitionTime": to_time(now_ns),
        }
        status["conditions"] = with_condition(status.get("conditions"), condition)
    return {**budget, "status": status}


def _check(budget: Object, status: Object) -> None:
    name = budget["metadata"]["name"]
    if status.get("observedGeneration", 0) < budget["metadata"].get("generation", 0):
        why = f"The disruption budget {name} is still being processed by the server."
        raise too_many_requests(_REFUSED, 10, (Cause("DisruptionBudget", "", why),))
    if status["disruptionsAllowed"] < 0:
        raise forbidden("poddisruptionbudget", "policy", name, "pdb disruptions allowed is negative")
    if len(status.get("disruptedPods") or ()) > _DISRUPTED_MAX:
        why = "DisruptedPods map too big - too many evictions not confirmed by PDB controller"
        raise forbidden("poddisruptionbudget", "policy", name, why)
    if status["disruptionsAllowed"] == 0:
        raise too_many_requests(_REFUSED, 0, (Cause("DisruptionBudget", "", _refusal(name, status)),))


def _refusal(name: str, status: Object) -> str:
    condition = find_condition(status.get("conditions"), "DisruptionAllowed")
    refused = condition is not None and condition["status"] == "False" and condition.get("message")
    if refused and condition["reason"] == "SyncFailed":  # type: ignore[index]
        return (
            f"The disruption budget {name} does not allow evicting pods currently because it failed sync: "
            f"{condition['message']}"  # type: ignore[index]
        )
    current, desired = status.get("currentHealthy", 0), status.get("desiredHealthy", 0)
    if current <= desired:
        return f"The disruption budget {name} needs {desired} healthy pods and has {current} currently"
    if refused:
        return (
            f"The disruption budget {name} does not allow evicting pods currently "
            f"({condition['reason']}): {condition['message']}"  # type: ignore[index]
        )
    return f"The disruption budget {name} does not allow evicting pods currently"

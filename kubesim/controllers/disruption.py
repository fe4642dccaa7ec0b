"""Disruption: says in each PodDisruptionBudget's status how many of its Pods may be evicted now.

Woken by budgets and by every change of a Pod that one covers. How many Pods there should be comes from the scale of
their controllers. Evictions that the API server has granted are counted as lost until the Pod is seen going or two
minutes have passed. Beside that it takes back a Pod's DisruptionTarget condition when no deletion has followed.

Upstream: pkg/controller/disruption/disruption.go @v1.36
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from typing import Any, NamedTuple, final

from kubesim.api.conditions import find_condition, with_condition
from kubesim.api.int_or_string import IntOrStringError, resolve
from kubesim.api.kinds import (
    DEPLOYMENT,
    POD,
    POD_DISRUPTION_BUDGET,
    REPLICA_SET,
    REPLICATION_CONTROLLER,
    STATEFUL_SET,
    find_kind,
)
from kubesim.api.memo import IdentityMemo
from kubesim.api.objects import Key, Object, controller_of, key_of
from kubesim.api.requests import get, update
from kubesim.api.scheme import Kind
from kubesim.api.timestamps import from_time, to_time
from kubesim.client.recorder import Recorder
from kubesim.client.workqueue import WorkQueue
from kubesim.controllers.base import DONE, ControllerContext, Reconcile, Result, Step, Worker
from kubesim.controllers.budget_cover import Cover, Covers
from kubesim.errors import ApiError
from kubesim.sim.loop import MILLISECOND, MINUTE

# Upstream: disruption.go:DeletionTimeout, stalePodDisruptionTimeout
DELETION_TIMEOUT_NS = 2 * MINUTE
STALE_CONDITION_NS = 2 * MINUTE
# The queue that rechecks wait in hands them on by way of the main queue's back-off.
_RECHECK_DELAY_NS = 5 * MILLISECOND
_TERMINATED_BY_KUBELET = "TerminationByKubelet"
# Pods that do the same in the same second share their lists of conditions.
_target_among: IdentityMemo[Object | None] = IdentityMemo(lambda among: find_condition(among, "DisruptionTarget"))
Steps = Generator[Step, Any, Any]
End = Generator[Step, Any, Result]


class _SyncError(Exception):
    """The budget's numbers cannot be worked out; the message goes into its status."""


class Expected(NamedTuple):
    """How many Pods a budget expects in all and how many of them it wants healthy."""

    pods: int
    healthy: int


@final
class DisruptionController:
    """The control loop over PodDisruptionBudgets."""

    name = "disruption-controller"

    def __init__(self, context: ControllerContext) -> None:
        self._loop = context.loop
        # Upstream's events do not name this controller but the process.
        self._recorder = Recorder(context.loop, context.client, "controllermanager")
        self._queue = WorkQueue(context.loop)
        self._stale_queue = WorkQueue(context.loop)
        informers = context.informers
        self._budgets = informers.lister(POD_DISRUPTION_BUDGET)
        self._pods = informers.lister(POD)
        self._listers = {
            kind: informers.lister(kind) for kind in (DEPLOYMENT, REPLICA_SET, REPLICATION_CONTROLLER, STATEFUL_SET)
        }
        self._covers = Covers(self._pods)
        informers.informer(POD_DISRUPTION_BUDGET).add_handler(
            self._on_budget, lambda _, new: self._on_budget(new), self._on_budget_delete
        )
        informers.informer(POD).add_handler(self._on_pod, self._on_pod_update, self._on_pod_delete)
        self.workers = (Worker(self._queue, self.reconcile, 1), Worker(self._stale_queue, self.clear_condition, 1))

    # --- what wakes it ---

    def _on_budget(self, budget: Object) -> None:
        self._covers.put_budget(budget)
        self._queue.add(key_of(budget))

    def _on_budget_delete(self, budget: Object) -> None:
        self._covers.drop_budget(budget)
        self._queue.add(key_of(budget))

    def _on_pod(self, pod: Object) -> None:
        self._on_pod_update(pod, pod)

    def _on_pod_update(self, _old: Object, pod: Object) -> None:
        covers = self._covers.put_pod(pod)
        if covers:
            self._enqueue_one(pod, covers)
        conditions = pod["status"].get("conditions")
        wait_ns = self._stale_in_ns(pod) if conditions and _target_among(conditions) else None
        if wait_ns is not None:
            self._stale_queue.add_after(key_of(pod), wait_ns)

    def _on_pod_delete(self, pod: Object) -> None:
        covers = self._covers.drop_pod(pod)
        if covers:
            self._enqueue_one(pod, covers)

    def _enqueue_one(self, pod: Object, covers: list[Cover]) -> None:
        """Of several budgets only one hears of the Pod; that is why there should be one."""
        budget = covers[0].budget
        if len(covers) > 1:
            metadata = pod["metadata"]
            message = (
                f'Pod "{metadata["namespace"]}"/"{metadata["name"]}" matches multiple PodDisruptionBudgets.  '
                f'Chose "{budget["metadata"]["name"]}" arbitrarily.'
            )
            self._recorder.event(pod, "Warning", "MultiplePodDisruptionBudgets", message)
        self._queue.add(key_of(budget))

    # --- the budget's status ---

    def reconcile(self, key: Key) -> Reconcile:
        """Bring one budget's status up to date; where that fails, allow no disruption."""
        budget = self._budgets.get(*key)
        cover = self._covers.get(key)
        if budget is None or cover is None:
            return DONE
        try:
            return (yield from self._sync(budget, cover))
        except _SyncError as failure:
            message = str(failure)
        except ApiError as error:
            if error.reason == "Conflict":
                raise
            message = error.message
        yield update(POD_DISRUPTION_BUDGET, failed(budget, message, self._loop.now_ns), "status")
        return DONE

    def _sync(self, budget: Object, cover: Cover) -> End:
        if not cover.pods:
            self._recorder.event(budget, "Normal", "NoPods", "No matching pods found")
        try:
            expected = yield from self._expect(budget, cover)
        except (_SyncError, ApiError) as error:
            message = f"Failed to calculate the number of expected pods: {error}"
            self._recorder.event(budget, "Warning", "CalculateExpectedPodCountFailed", message)
            raise
        if cover.unmanaged and uses_scale(budget):
            message = (
                f"Pods selected by this PodDisruptionBudget (selector: {selector_dump(budget)}) were found to be "
                "unmanaged. As a result, the status of the PDB cannot be calculated correctly, which may result in "
                'undefined behavior. To account for these pods please set ".spec.minAvailable" field of the PDB to an '
                "integer value."
            )
            self._recorder.event(budget, "Warning", "UnmanagedPods", message)
        now_ns = self._loop.now_ns
        disrupted, recheck_ns = self._still_disrupted(budget, cover, now_ns)
        healthy = len(cover.healthy) - sum(
            name in cover.healthy and from_time(at) + DELETION_TIMEOUT_NS > now_ns for name, at in disrupted.items()
        )
        changed = with_status(budget, healthy, expected, disrupted, now_ns)
        if changed is not budget:
            yield update(POD_DISRUPTION_BUDGET, changed, "status")
        return DONE if recheck_ns is None else Result(recheck_ns - now_ns + _RECHECK_DELAY_NS)

    def _still_disrupted(self, budget: Object, cover: Cover, now_ns: int) -> tuple[dict[str, str], int | None]:
        """The granted evictions whose Pods are still to be seen going, and when the first of them is given up."""
        kept: dict[str, str] = {}
        recheck_ns: int | None = None
        for name, at in ((budget.get("status") or {}).get("disruptedPods") or {}).items():
            pod = cover.pods.get(name)
            if pod is None or "deletionTimestamp" in pod["metadata"]:
                continue
            until_ns = from_time(at) + DELETION_TIMEOUT_NS
            if until_ns < now_ns:
                # The namespace twice is upstream's slip.
                namespace = budget["metadata"]["namespace"]
                message = f"Pod was expected by PDB {namespace}/{namespace} to be deleted but it wasn't"
                self._recorder.event(pod, "Warning", "NotDeleted", message)
            else:
                recheck_ns = until_ns if recheck_ns is None else min(recheck_ns, until_ns)
                kept[name] = at
        return kept, recheck_ns

    # --- how many there should be. Upstream: getExpectedPodCount, getExpectedScale, finders ---

    def _expect(self, budget: Object, cover: Cover) -> Steps:
        spec = budget["spec"]
        max_unavailable, min_available = spec.get("maxUnavailable"), spec.get("minAvailable")
        if not uses_scale(budget):
            return Expected(len(cover.pods), min_available) if min_available is not None else Expected(0, 0)
        scales: dict[str, int] = {}
        for reference, names in list(cover.controllers.values()):
            found = yield from self._find_scale(reference, budget["metadata"]["namespace"])
            if found is None:
                raise _SyncError(f'found no controllers for pod "{next(iter(names), "")}"')
            uid, scale = found
            scales[uid] = scale
        count = sum(scales.values())
        try:
            if max_unavailable is not None:
                return Expected(count, max(0, count - resolve(max_unavailable, count, round_up=True)))
            return Expected(count, resolve(min_available, count, round_up=True))
        except IntOrStringError as error:
            raise _SyncError(str(error)) from error

    def _find_scale(self, reference: Object, namespace: str) -> Steps:
        """(UID, replicas) of what governs the number of the controller's Pods, or None.

        From the caches where they have it, else by the controller's scale subresource.
        """
        kind = find_kind(reference["apiVersion"], reference["kind"])
        if kind is None:
            raise _SyncError(f'no matches for kind "{reference["kind"]}" in version "{reference["apiVersion"]}"')
        owner = self._cached(kind, namespace, reference)
        if owner is not None:
            above = controller_of(owner) if kind is REPLICA_SET else None
            if above is None or above["kind"] != "Deployment":
                return reference["uid"], owner["spec"].get("replicas", 1)
            deployment = self._cached(DEPLOYMENT, namespace, above)
            if deployment is not None:
                return above["uid"], deployment["spec"].get("replicas", 1)
        if "scale" not in kind.subresources:
            raise _SyncError(f"{kind.resource} does not implement the scale subresource")
        try:
            scale = yield get(kind, namespace, reference["name"], "scale")
        except ApiError as error:
            if error.code == 404:
                return None
            raise
        if scale["metadata"].get("uid") != reference["uid"]:
            return None
        return reference["uid"], (scale.get("spec") or {}).get("replicas", 0)

    def _cached(self, kind: Kind, namespace: str, reference: Object) -> Object | None:
        lister = self._listers.get(kind)
        owner = None if lister is None else lister.get(namespace, reference["name"])
        return owner if owner is not None and owner["metadata"]["uid"] == reference["uid"] else None

    # --- conditions that no deletion followed ---

    def _stale_in_ns(self, pod: Object) -> int | None:
        """How long until the Pod's DisruptionTarget condition is stale; None where it is not to be touched."""
        status = pod["status"]
        condition = _target_among(status.get("conditions") or ())
        if (
            condition is None
            or condition["status"] != "True"
            or condition.get("reason") == _TERMINATED_BY_KUBELET
            or "deletionTimestamp" in pod["metadata"]
            or status.get("phase") in ("Succeeded", "Failed")
        ):
            return None
        return max(0, from_time(condition["lastTransitionTime"]) + STALE_CONDITION_NS - self._loop.now_ns)

    def clear_condition(self, key: Key) -> Reconcile:
        """Take back a stale DisruptionTarget condition. Upstream: syncStalePodDisruption"""
        pod = self._pods.get(*key)
        wait_ns = None if pod is None else self._stale_in_ns(pod)
        if pod is None or wait_ns is None:
            return DONE
        if wait_ns:
            return Result(wait_ns)
        condition = {
            "type": "DisruptionTarget",
            "observedGeneration": pod["metadata"].get("generation", 0),
            "status": "False",
            "lastProbeTime": None,
            "lastTransitionTime": to_time(self._loop.now_ns),
        }
        status = {**pod["status"], "conditions": with_condition(pod["status"].get("conditions"), condition)}
        yield update(POD, {**pod, "status": status}, "status")
        return DONE


def uses_scale(budget: Object) -> bool:
    """Whether the budget's numbers depend on how many Pods their controllers want: all but a whole minAvailable."""
    spec = budget["spec"]
    return spec.get("maxUnavailable") is not None or isinstance(spec.get("minAvailable"), str)


def _condition(status: Mapping[str, Any], reason: str, message: str, now_ns: int) -> Object:
    return {
        "type": "DisruptionAllowed",
        "status": "True" if reason == "SufficientPods" else "False",
        "observedGeneration": status.get("observedGeneration", 0),
        "lastTransitionTime": to_time(now_ns),
        "reason": reason,
        "message": message,
    }


def with_status(budget: Object, healthy: int, expected: Expected, disrupted: Mapping[str, str], now_ns: int) -> Object:
    """The budget with the status that these numbers make; itself if it has it. Upstream: updatePdbStatus"""
    old = budget.get("status") or {}
    allowed = max(0, healthy - expected.healthy) if expected.pods > 0 else 0
    status: Object = {"observedGeneration": budget["metadata"]["generation"]}
    if disrupted:
        status["disruptedPods"] = dict(disrupted)
    status["disruptionsAllowed"] = allowed
    status["currentHealthy"] = healthy
    status["desiredHealthy"] = expected.healthy
    status["expectedPods"] = expected.pods
    reason = "SufficientPods" if allowed else "InsufficientPods"
    condition = find_condition(old.get("conditions"), "DisruptionAllowed")
    is_told = condition is not None and condition["reason"] == reason
    if is_told and {**old, "conditions": None} == {**status, "conditions": None}:
        return budget
    told = _condition(status, reason, "", now_ns)
    return {**budget, "status": {**status, "conditions": with_condition(old.get("conditions"), told)}}


def failed(budget: Object, message: str, now_ns: int) -> Object:
    """The budget with nothing allowed, because its numbers are unknown. Upstream: failSafe"""
    status = {**(budget.get("status") or {}), "disruptionsAllowed": 0}
    told = _condition(status, "SyncFailed", message, now_ns)
    return {**budget, "status": {**status, "conditions": with_condition(status.get("conditions"), told)}}


def selector_dump(budget: Object) -> str:
    """The selector as Go prints it. Upstream: apimachinery/pkg/apis/meta/v1/generated.pb.go:LabelSelector.String"""
    selector = budget["spec"].get("selector")
    if selector is None:
        return "nil"
    labels = "".join(f"{key}: {value}," for key, value in sorted((selector.get("matchLabels") or {}).items()))
    expressions = "".join(
        f"LabelSelectorRequirement{{Key:{each['key']},Operator:{each['operator']},"
        f"Values:[{' '.join(each.get('values') or ())}],}},"
        for each in selector.get("matchExpressions") or ()
    )
    return (
        f"&LabelSelector{{MatchLabels:map[string]string{{{labels}}},"
        f"MatchExpressions:[]LabelSelectorRequirement{{{expressions}}},}}"
    )

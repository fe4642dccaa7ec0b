"""ReplicaSet: keep the wanted number of Pods of one template.

Woken by its ReplicaSets and by every change of a Pod that it controls or might adopt. It acts only when it has seen
all that it did before (`Expectations`, `WrittenRevisions`), creates in a slow start of doubling batches, and deletes
the Pods that are least missed. Status is computed purely and written after acting, whatever the acting brought.

Upstream: pkg/controller/replicaset/replica_set.go @v1.36
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import Any, NamedTuple, final

from kubesim.api.conditions import find_condition, with_condition_last, without_condition
from kubesim.api.kinds import POD, REPLICA_SET
from kubesim.api.objects import Key, Object, controller_of, key_of, labels_of, owner_reference
from kubesim.api.requests import Request, create, delete, get, update
from kubesim.api.selectors import compile_selector
from kubesim.api.timestamps import to_time
from kubesim.client.workqueue import WorkQueue
from kubesim.controllers.base import DONE, ControllerContext, Reconcile, Result, Worker
from kubesim.controllers.consistency import WrittenRevisions
from kubesim.controllers.expectations import Expectations
from kubesim.controllers.pods import (
    BY_CONTROLLER,
    available_in_ns,
    index_by_controller,
    is_active,
    is_ready,
    orphans_in,
    pods_of,
)
from kubesim.controllers.refs import claim
from kubesim.controllers.tally import PodTally
from kubesim.controllers.victims import plan_victims
from kubesim.errors import ApiError
from kubesim.sim.loop import SECOND

SUCCESSFUL_CREATE = "SuccessfulCreate"
FAILED_CREATE = "FailedCreate"
SUCCESSFUL_DELETE = "SuccessfulDelete"
FAILED_DELETE = "FailedDelete"
# Upstream: replica_set.go:BurstReplicas, controller_utils.go:SlowStartInitialBatchSize @v1.36
BURST_REPLICAS = 500
_FIRST_BATCH = 1


class Counts(NamedTuple):
    """What a ReplicaSet's status counts: its active Pods by what they are, and those on their way out."""

    replicas: int
    fully_labeled: int
    ready: int
    available: int
    terminating: int


@final
class ReplicaSetController:
    """The control loop over ReplicaSets."""

    name = "replicaset-controller"

    def __init__(self, context: ControllerContext) -> None:
        self._loop = context.loop
        self._recorder = context.recorder
        self._expectations = Expectations(context.loop)
        self._written = WrittenRevisions(context.informers)
        self._queue = WorkQueue(context.loop)
        self._replica_sets = context.informers.lister(REPLICA_SET)
        self._pods = context.informers.lister(POD)
        index_by_controller(self._replica_sets)
        index_by_controller(self._pods)
        self._tally = PodTally(context.informers.informer(POD))
        context.informers.informer(REPLICA_SET).add_handler(self._enqueue, self._on_update, self._on_delete)
        context.informers.informer(POD).add_handler(self._on_pod_add, self._on_pod_update, self._on_pod_delete)
        # Upstream's --concurrent-replicaset-syncs is 5.
        self.workers = (Worker(self._queue, self.reconcile, 5),)

    # --- what wakes it ---

    def _enqueue(self, replica_set: Object) -> None:
        self._queue.add(key_of(replica_set))

    def _on_update(self, old: Object, new: Object) -> None:
        if old["metadata"]["uid"] != new["metadata"]["uid"]:
            self._on_delete(old)
        self._queue.add(key_of(new))

    def _on_delete(self, replica_set: Object) -> None:
        key = key_of(replica_set)
        self._written.forget(key)
        self._expectations.forget(key)
        self._queue.add(key)

    def _owner_of(self, pod: Object) -> Object | None:
        return self._owner_by(controller_of(pod), pod)

    def _owner_by(self, reference: Object | None, pod: Object) -> Object | None:
        if reference is None or reference["kind"] != "ReplicaSet":
            return None
        owner = self._replica_sets.get(pod["metadata"]["namespace"], reference["name"])
        return owner if owner is not None and owner["metadata"]["uid"] == reference["uid"] else None

    def _enqueue_adopters(self, pod: Object) -> None:
        labels = labels_of(pod)
        if labels:
            for replica_set in self._replica_sets.in_namespace(pod["metadata"]["namespace"]):
                if compile_selector(replica_set["spec"]["selector"])(labels):
                    self._enqueue(replica_set)

    def _on_pod_add(self, pod: Object) -> None:
        if "deletionTimestamp" in pod["metadata"]:
            self._on_pod_delete(pod)
            return
        owner = self._owner_of(pod)
        if owner is not None:
            key = key_of(owner)
            self._expectations.creation_observed(key)
            self._queue.add(key)
        elif controller_of(pod) is None:
            self._enqueue_adopters(pod)

    def _on_pod_update(self, old: Object, new: Object) -> None:
        old_metadata, metadata = old["metadata"], new["metadata"]
        if "deletionTimestamp" in metadata:
            self._on_pod_delete(new)
            return
        owner_changed = old_metadata.get("ownerReferences") != metadata.get("ownerReferences")
        if owner_changed:
            before = self._owner_of(old)
            if before is not None:
                self._enqueue(before)
        reference = controller_of(new)
        owner = self._owner_by(reference, new)
        if owner is not None:
            key = key_of(owner)
            self._queue.add(key)
            min_ready_s = owner["spec"].get("minReadySeconds", 0)
            if min_ready_s and not is_ready(old) and is_ready(new):
                self._queue.add_after(key, min_ready_s * SECOND)
        elif reference is None and (owner_changed or labels_of(old) != labels_of(new)):
            self._enqueue_adopters(new)

    def _on_pod_delete(self, pod: Object) -> None:
        owner = self._owner_of(pod)
        if owner is not None:
            key = key_of(owner)
            self._expectations.deletion_observed(key, pod["metadata"]["uid"])
            self._queue.add(key)

    # --- what it does ---

    def reconcile(self, key: Key) -> Reconcile:
        """Bring the number of Pods and the status of one ReplicaSet up to date."""
        self._written.check(key)
        replica_set = self._replica_sets.get(*key)
        if replica_set is None:
            self._written.forget(key)
            self._expectations.forget(key)
            return DONE
        needs_sync = self._expectations.satisfied(key)
        selects = compile_selector(replica_set["spec"]["selector"])
        groups = self._tally.groups(replica_set["metadata"]["uid"])
        candidates = [pod for pod in orphans_in(self._pods, key.namespace) if is_active(pod)]
        if not all(selects(group.labels) for group in groups):
            candidates += [pod for pod in pods_of(self._pods, replica_set) if is_active(pod)]
        claimed = yield from claim(REPLICA_SET, replica_set, POD, selects, candidates)
        adopted = [pod for pod in claimed if controller_of(self._pods.objects.get(key_of(pod), pod)) is None]
        counts = self._count(replica_set, adopted)
        error: ApiError | None = None
        if needs_sync and "deletionTimestamp" not in replica_set["metadata"]:
            try:
                yield from self._manage_replicas(key, replica_set, counts.replicas, adopted)
            except ApiError as failure:
                error = failure
        status = compute_status(replica_set, counts, error, self._loop.now_ns)
        written = yield from _write_status(replica_set, status)
        if written is not replica_set:
            self._written.note(key, REPLICA_SET, written)
        if error is not None:
            raise error
        return self._next_check(written)

    def _count(self, replica_set: Object, adopted: Sequence[Object]) -> Counts:
        """The counts over the Pods that are the ReplicaSet's. Upstream: replica_set_utils.go:calculateStatus @v1.36"""
        spec = replica_set["spec"]
        selects = compile_selector(spec["selector"])
        wanted = ((spec["template"].get("metadata") or {}).get("labels") or {}).items()
        min_ready_s = spec.get("minReadySeconds", 0)
        replicas = fully_labeled = ready = terminating = 0
        for group in self._tally.groups(replica_set["metadata"]["uid"]):
            if not selects(group.labels):
                continue
            replicas += group.active
            ready += group.ready
            terminating += group.terminating
            if wanted <= group.labels.items():
                fully_labeled += group.active
        available = ready
        if min_ready_s:
            available = sum(wait == 0 for wait in self._waits_ns(replica_set))
        for pod in adopted:
            replicas += 1
            fully_labeled += wanted <= labels_of(pod).items()
            ready += is_ready(pod)
            available += available_in_ns(pod, min_ready_s, self._loop.now_ns) == 0
        return Counts(replicas, fully_labeled, ready, available, terminating)

    def _waits_ns(self, replica_set: Object) -> list[int]:
        """How long until each ready Pod is available, 0 for those that are."""
        min_ready_s, now_ns = replica_set["spec"].get("minReadySeconds", 0), self._loop.now_ns
        pods = (pod for pod in pods_of(self._pods, replica_set) if is_active(pod))
        waits = (available_in_ns(pod, min_ready_s, now_ns) for pod in pods)
        return [wait for wait in waits if wait is not None]

    def _next_check(self, replica_set: Object) -> Result:
        """When a Pod becomes available by nothing but the passing of time."""
        min_ready_s = replica_set["spec"].get("minReadySeconds", 0)
        status = replica_set["status"]
        if not min_ready_s or status.get("readyReplicas", 0) == status.get("availableReplicas", 0):
            return DONE
        waits = [wait for wait in self._waits_ns(replica_set) if wait]
        return Result(min(waits, default=min_ready_s * SECOND))

    def _manage_replicas(
        self, key: Key, replica_set: Object, replicas: int, adopted: Sequence[Object]
    ) -> Generator[Any, Any, None]:
        diff = replica_set["spec"].get("replicas", 1) - replicas
        if diff > 0:
            yield from self._create_pods(key, replica_set, min(diff, BURST_REPLICAS))
        elif diff < 0:
            selects = compile_selector(replica_set["spec"]["selector"])
            owned = pods_of(self._pods, replica_set)
            active = [pod for pod in owned if is_active(pod) and selects(labels_of(pod))]
            active += adopted
            yield from self._delete_pods(key, replica_set, active, min(-diff, BURST_REPLICAS))

    def _create_pods(self, key: Key, replica_set: Object, count: int) -> Generator[Any, Any, None]:
        self._expectations.expect_creations(key, count)
        request = create(POD, pod_from_template(replica_set))
        left, batch, failure = count, min(count, _FIRST_BATCH), None
        while batch and failure is None:
            replies = yield (request,) * batch
            for reply in replies:
                if isinstance(reply, ApiError):
                    if reply.is_namespace_terminating:
                        # Counted as a success, upstream too: what is still expected then keeps it from trying again.
                        continue
                    self._expectations.creation_observed(key)
                    failure = failure or reply
                    self._recorder.event(replica_set, "Warning", FAILED_CREATE, f"Error creating: {reply.message}")
                else:
                    self._written.note(key, POD, reply)
                    name = reply["metadata"]["name"]
                    self._recorder.event(replica_set, "Normal", SUCCESSFUL_CREATE, f"Created pod: {name}")
            left -= batch
            batch = min(2 * batch, left)
        if failure is not None:
            for _ in range(left):
                self._expectations.creation_observed(key)
            raise failure

    def _delete_pods(
        self, key: Key, replica_set: Object, active: list[Object], count: int
    ) -> Generator[Any, Any, None]:
        victims = plan_victims(active, self._related_pods(replica_set), count, self._loop.now_ns)
        self._expectations.expect_deletions(key, [pod["metadata"]["uid"] for pod in victims])
        replies = yield tuple(delete(POD, key.namespace, pod["metadata"]["name"]) for pod in victims)
        failure = None
        for pod, reply in zip(victims, replies, strict=True):
            name = pod["metadata"]["name"]
            if not isinstance(reply, ApiError):
                self._recorder.event(replica_set, "Normal", SUCCESSFUL_DELETE, f"Deleted pod: {name}")
                continue
            self._expectations.deletion_observed(key, pod["metadata"]["uid"])
            if reply.code != 404:
                self._recorder.event(replica_set, "Warning", FAILED_DELETE, f"Error deleting: {reply.message}")
                failure = failure or _unable_to_delete(reply)
        if failure is not None:
            raise failure

    def _related_pods(self, replica_set: Object) -> list[Object]:
        """The active Pods of all ReplicaSets with this one's controller: victims are ranked by how many share a node.

        None for a ReplicaSet without a controller, whose Pods are not ranked by that.
        """
        reference = controller_of(replica_set)
        if reference is None:
            return []
        related: list[Object] = []
        for sibling in self._replica_sets.by_index(BY_CONTROLLER, reference["uid"]):
            related += [pod for pod in pods_of(self._pods, sibling) if is_active(pod)]
        return related


def _unable_to_delete(error: ApiError) -> ApiError:
    return ApiError(error.code, error.reason, f"unable to delete pods: {error.message}", causes=error.causes)


def pod_from_template(owner: Object) -> Object:
    """A new Pod of the owner's template, controlled by the owner. The spec is the template's own, shared.

    Upstream: controller_utils.go:GetPodFromTemplate @v1.36
    """
    template = owner["spec"]["template"]
    metadata = owner["metadata"]
    given = template.get("metadata") or {}
    fields: Object = {
        "generateName": metadata["name"] + "-",
        "namespace": metadata["namespace"],
        "ownerReferences": [owner_reference(owner)],
    }
    for field in ("labels", "annotations", "finalizers"):
        if given.get(field):
            fields[field] = given[field]
    return {"apiVersion": "v1", "kind": "Pod", "metadata": fields, "spec": template["spec"]}


def compute_status(replica_set: Object, counts: Counts, error: ApiError | None, now_ns: int) -> Object:
    """The status that the counts make true, with the failure of the last attempt in it."""
    status: Object = {"replicas": counts.replicas}
    for field, count in (
        ("fullyLabeledReplicas", counts.fully_labeled),
        ("readyReplicas", counts.ready),
        ("availableReplicas", counts.available),
    ):
        if count:
            status[field] = count
    status["terminatingReplicas"] = counts.terminating
    status["observedGeneration"] = replica_set["metadata"]["generation"]
    conditions = _failure_condition(replica_set, counts.replicas, error, now_ns)
    if conditions:
        status["conditions"] = conditions
    return status


def _failure_condition(replica_set: Object, active: int, error: ApiError | None, now_ns: int) -> list[Object]:
    conditions: list[Object] = (replica_set.get("status") or {}).get("conditions") or []
    failing = find_condition(conditions, "ReplicaFailure")
    if error is None:
        return conditions if failing is None else without_condition(conditions, "ReplicaFailure")
    if failing is not None:
        return conditions
    reason = FAILED_CREATE if active < replica_set["spec"].get("replicas", 1) else FAILED_DELETE
    condition = {
        "type": "ReplicaFailure",
        "status": "True",
        "reason": reason,
        "message": error.message,
        "lastTransitionTime": to_time(now_ns),
    }
    return with_condition_last(conditions, condition)


def _write_status(replica_set: Object, status: Object) -> Generator[Request, Any, Object]:
    """Write the status unless it stands there; one retry on a fresh object.

    Upstream: replica_set_utils.go:updateReplicaSetStatus @v1.36
    """
    if status == replica_set.get("status"):
        return replica_set
    try:
        written: Object = yield update(REPLICA_SET, {**replica_set, "status": status}, "status")
    except ApiError:
        metadata = replica_set["metadata"]
        fresh = yield get(REPLICA_SET, metadata["namespace"], metadata["name"])
        written = yield update(REPLICA_SET, {**fresh, "status": status}, "status")
    return written

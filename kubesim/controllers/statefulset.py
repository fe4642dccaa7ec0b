"""StatefulSet: Pods with names of their own, one of each at most, created and replaced in order.

Woken by its StatefulSets and by every change of a Pod that it controls or might adopt. A sync finds the current and
the update revision, puts each Pod in its place, and goes through the places in order: create, wait, scale down, and
only then update. OrderedReady stops at the first place that is not done; Parallel does all places in a slow start.
A Pod that is being deleted keeps its place until it is gone, however long its node stays silent.

Upstream: pkg/controller/statefulset/{stateful_set,stateful_set_control}.go @v1.36
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import Any, final

from kubesim.api.kinds import CONTROLLER_REVISION, PERSISTENT_VOLUME_CLAIM, POD, STATEFUL_SET
from kubesim.api.objects import Key, Object, controller_of, is_deleting, key_of, labels_of
from kubesim.api.requests import delete, update
from kubesim.api.selectors import compile_selector
from kubesim.client.workqueue import WorkQueue
from kubesim.controllers.base import DONE, ControllerContext, Reconcile, Result, Step, Wait, Worker
from kubesim.controllers.consistency import WrittenRevisions
from kubesim.controllers.controller_history import (
    Requests,
    beyond_limit,
    by_revision,
    create_revision,
    new_revision,
    renumber_revision,
    template_in,
)
from kubesim.controllers.pods import available_in_ns, index_by_controller, is_ready, orphans_in, pods_of
from kubesim.controllers.refs import claim
from kubesim.controllers.stateful_pods import StatefulPods
from kubesim.controllers.statefulset_plan import (
    View,
    completed,
    compute_status,
    first_unavailable,
    identity_matches,
    is_created,
    is_healthy,
    is_stale,
    max_unavailable_of,
    parent_and_ordinal,
    phase_of,
    place,
    plan_rolling_update,
    revision_of,
    storage_matches,
    with_fewer_current,
)
from kubesim.controllers.together import in_slow_start
from kubesim.errors import ApiError
from kubesim.sim.loop import MILLISECOND, SECOND

Steps = Generator[Step, Any, Any]
# Upstream: stateful_set_control.go:MaxBatchSize
_BATCH_MAX = 500
# Upstream: client-go/util/retry/util.go:DefaultRetry, without its jitter
_STATUS_TRIES = 5
_STATUS_WAIT_NS = 10 * MILLISECOND
# Upstream fails the sync of a Set whose writes are not seen yet; its key comes back after a back-off that begins so.
_LOOK_AGAIN_NS = 5 * MILLISECOND


@final
class StatefulSetController:
    """The control loop over StatefulSets.

    `honours_max_unavailable` is the feature gate MaxUnavailableStatefulSet, which Kubernetes 1.36 has off by default.
    """

    name = "statefulset-controller"

    def __init__(self, context: ControllerContext, *, honours_max_unavailable: bool = False) -> None:
        self._loop = context.loop
        self._honours_max_unavailable = honours_max_unavailable
        self._queue = WorkQueue(context.loop)
        informers = context.informers
        self._sets = informers.lister(STATEFUL_SET)
        self._pods = informers.lister(POD)
        self._revisions = informers.lister(CONTROLLER_REVISION)
        index_by_controller(self._pods)
        index_by_controller(self._revisions)
        claims = informers.informer(PERSISTENT_VOLUME_CLAIM)
        self._own_writes = WrittenRevisions(informers)
        self._control = StatefulPods(context.recorder, self._own_writes, self._pods, claims.lister)
        informers.informer(STATEFUL_SET).add_handler(self._enqueue, lambda _, new: self._enqueue(new), self._enqueue)
        informers.informer(POD).add_handler(self._on_pod_add, self._on_pod_update, self._on_pod_delete)
        # Upstream's default of --concurrent-statefulset-syncs.
        self.workers = (Worker(self._queue, self.reconcile, 5),)

    # --- what wakes it ---

    def _enqueue(self, stateful_set: Object) -> None:
        self._queue.add(key_of(stateful_set))

    def _owner_of(self, pod: Object) -> Object | None:
        return self._owner_by(controller_of(pod), pod)

    def _owner_by(self, reference: Object | None, pod: Object) -> Object | None:
        if reference is None or reference["kind"] != "StatefulSet":
            return None
        owner = self._sets.get(pod["metadata"]["namespace"], reference["name"])
        return owner if owner is not None and owner["metadata"]["uid"] == reference["uid"] else None

    def _enqueue_adopters(self, pod: Object) -> None:
        labels = labels_of(pod)
        if labels:
            for stateful_set in self._sets.in_namespace(pod["metadata"]["namespace"]):
                if compile_selector(stateful_set["spec"]["selector"])(labels):
                    self._enqueue(stateful_set)

    def _on_pod_add(self, pod: Object) -> None:
        owner = self._owner_of(pod)
        if owner is not None:
            self._enqueue(owner)
        elif controller_of(pod) is None and not is_deleting(pod):
            self._enqueue_adopters(pod)

    def _on_pod_update(self, old: Object, new: Object) -> None:
        owner_changed = old["metadata"].get("ownerReferences") != new["metadata"].get("ownerReferences")
        if owner_changed:
            self._on_pod_delete(old)
        reference = controller_of(new)
        if reference is not None and reference["kind"] != "StatefulSet":
            return
        owner = self._owner_by(reference, new)
        if owner is not None:
            self._enqueue(owner)
            min_ready_s = owner["spec"].get("minReadySeconds", 0)
            if min_ready_s and not is_ready(old) and is_ready(new):
                self._queue.add_after(key_of(owner), min_ready_s * SECOND)
        elif reference is None and (owner_changed or labels_of(old) != labels_of(new)):
            self._enqueue_adopters(new)

    def _on_pod_delete(self, pod: Object) -> None:
        owner = self._owner_of(pod)
        if owner is not None:
            self._enqueue(owner)

    # --- what it does ---

    def reconcile(self, key: Key) -> Reconcile:
        """Bring the Pods, claims, revisions and status of one StatefulSet up to date."""
        if self._own_writes.lag(key):
            return Result(_LOOK_AGAIN_NS)
        stateful_set = self._sets.get(*key)
        if stateful_set is None:
            self._own_writes.forget(key)
            return DONE
        selects = compile_selector(stateful_set["spec"]["selector"])
        revisions = yield from claim(
            STATEFUL_SET,
            stateful_set,
            CONTROLLER_REVISION,
            selects,
            [*pods_of(self._revisions, stateful_set), *orphans_in(self._revisions, key.namespace)],
        )
        orphans = [pod for pod in orphans_in(self._pods, key.namespace) if parent_and_ordinal(pod)[0] == key.name]
        candidates = [*pods_of(self._pods, stateful_set), *orphans]
        pods = yield from claim(STATEFUL_SET, stateful_set, POD, selects, candidates)
        revisions.sort(key=by_revision)
        now_ns = self._loop.now_ns
        current, newest, collisions = yield from self._find_revisions(stateful_set, revisions)
        names = current["metadata"]["name"], newest["metadata"]["name"]
        templates = template_in(current["data"]), template_in(newest["data"])
        view = place(stateful_set, pods, names, templates)
        error, status = yield from self._update_pods(view, pods, collisions, now_ns)
        status = completed(stateful_set, status)
        try:
            yield from self._write_status(key, stateful_set, status)
        except ApiError as failure:
            error = error or failure
        live = {*names, *map(revision_of, pods)}
        for revision in beyond_limit(revisions, live, stateful_set["spec"].get("revisionHistoryLimit", 10)):
            yield delete(CONTROLLER_REVISION, key.namespace, revision["metadata"]["name"])
        if error is not None:
            raise error
        return _next_check(stateful_set, status, pods, now_ns)

    def _find_revisions(self, stateful_set: Object, revisions: list[Object]) -> Requests:
        """(current, update, collision count): the template's revision made, found, or moved to the front again."""
        status = stateful_set.get("status") or {}
        collisions = status.get("collisionCount", 0)
        number = revisions[-1]["revision"] + 1 if revisions else 1
        wanted = new_revision(stateful_set, number, collisions)
        equal = [revision for revision in revisions if revision["data"] == wanted["data"]]
        if equal and equal[-1] is revisions[-1]:
            newest = equal[-1]
        elif equal:
            newest = yield from renumber_revision(equal[-1], number)
        else:
            newest, collisions = yield from create_revision(stateful_set, wanted, collisions)
        named = status.get("currentRevision")
        current = next((each for each in revisions if each["metadata"]["name"] == named), newest)
        return current, newest, collisions

    def _update_pods(self, view: View, pods: Sequence[Object], collisions: int, now_ns: int) -> Steps:
        """Do what can be done now; returns (failure or None, status).

        Upstream: stateful_set_control.go:updateStatefulSet
        """
        status = compute_status(view, pods, collisions, now_ns)
        if is_deleting(view.stateful_set):
            return None, status
        try:
            blocked = yield from self._establish(view, now_ns)
        except ApiError as error:
            return error, status
        if blocked or view.stateful_set["spec"]["updateStrategy"].get("type") == "OnDelete":
            return None, status
        limit = max_unavailable_of(view.stateful_set) if self._honours_max_unavailable else None
        try:
            for pod in plan_rolling_update(view, limit, now_ns):
                yield from self._control.delete(view.stateful_set, pod)
                status = with_fewer_current(status, 1)
        except ApiError as error:
            return error, status
        return None, status

    # --- place by place ---

    def _establish(self, view: View, now_ns: int) -> Steps:
        """The wanted Pods there, the others gone; returns whether that stands in the way of an update."""
        ordered = view.stateful_set["spec"].get("podManagementPolicy") != "Parallel"
        unhealthy = first_unavailable(view, now_ns)
        phases = (
            [self._keep(view.stateful_set, pod, ordered, now_ns) for pod in view.replicas],
            [self._control.fix_claims_of_condemned(view.stateful_set, pod) for pod in view.condemned],
            [self._condemn(view.stateful_set, pod, unhealthy, ordered, now_ns) for pod in view.condemned],
        )
        for parts in phases:
            if not ordered:
                yield from in_slow_start(parts, _BATCH_MAX)
                continue
            for part in parts:
                stop = yield from part
                if stop:
                    return True
        return False

    def _keep(self, stateful_set: Object, pod: Object, ordered: bool, now_ns: int) -> Requests:
        """One wanted Pod: replace it when it is finished, create it when it is missing, else put right what it is.

        Returns whether an ordered set must stop here. Upstream: stateful_set_control.go:processReplica
        """
        if phase_of(pod) in ("Failed", "Succeeded"):
            if not is_deleting(pod):
                yield from self._control.delete(stateful_set, pod)
            return True
        if not is_created(pod):
            if not self._control.has_stale_claim(stateful_set, pod):
                yield from self._control.create(stateful_set, pod)
            return True
        if phase_of(pod) == "Pending":
            yield from self._control.create_missing_claims(stateful_set, pod)
        if ordered and (
            is_deleting(pod) or not is_healthy(pod, stateful_set["spec"].get("minReadySeconds", 0), now_ns)
        ):
            return True
        matches = identity_matches(pod) and storage_matches(stateful_set, pod)
        if not matches or not self._control.claims_match(stateful_set, pod):
            yield from self._control.update(stateful_set, pod)
        return False

    def _condemn(
        self, stateful_set: Object, pod: Object, unhealthy: Object | None, ordered: bool, now_ns: int
    ) -> Requests:
        """One Pod too many: delete it, unless one that is worse off should go first. Upstream: processCondemned"""
        if is_deleting(pod):
            return True
        min_ready_s = stateful_set["spec"].get("minReadySeconds", 0)
        if ordered and pod is not unhealthy and not is_healthy(pod, min_ready_s, now_ns):
            return True
        yield from self._control.delete(stateful_set, pod)
        return True

    # --- status ---

    def _write_status(self, key: Key, stateful_set: Object, status: Object) -> Requests:
        """Upstream: stateful_set_status_updater.go:UpdateStatefulSetStatus"""
        if not is_stale(stateful_set.get("status") or {}, status):
            return
        for tries_left in reversed(range(_STATUS_TRIES)):
            try:
                written = yield update(STATEFUL_SET, {**stateful_set, "status": status}, "status")
            except ApiError as error:
                if error.reason != "Conflict" or not tries_left:
                    raise
                stateful_set = self._sets.get(*key) or stateful_set
                yield Wait(_STATUS_WAIT_NS)
            else:
                self._own_writes.note(key, STATEFUL_SET, written)
                return


def _next_check(stateful_set: Object, status: Object, pods: Sequence[Object], now_ns: int) -> Result:
    """When a Pod becomes available by nothing but the passing of time."""
    min_ready_s = stateful_set["spec"].get("minReadySeconds", 0)
    if not min_ready_s or status.get("readyReplicas", 0) == status["availableReplicas"]:
        return DONE
    waits = [wait for pod in pods if (wait := available_in_ns(pod, min_ready_s, now_ns))]
    return Result(min(waits, default=min_ready_s * SECOND))

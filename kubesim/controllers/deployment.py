"""Deployment: one ReplicaSet per template, replicas moved from the old ones to the new as the strategy allows.

Woken by its Deployments, by their ReplicaSets, and by the last Pod of a Recreate rollout going away. What to do is
decided in `deployment_scale`, `deployment_revisions` and `deployment_status`; here the requests are made, in upstream's
order. As upstream does, a sync goes on with the Deployment that it read, even after it has written its status: a second
write in the same sync then meets a conflict and the key comes back.

Upstream: pkg/controller/deployment/{deployment_controller,sync,rolling,recreate,rollback}.go @v1.36
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import Any, NamedTuple, final

from kubesim.api.conditions import find_condition, with_condition_last
from kubesim.api.kinds import DEPLOYMENT, POD, REPLICA_SET
from kubesim.api.objects import Key, Object, annotations_of, controller_of, key_of, labels_of, with_metadata
from kubesim.api.requests import create, delete, update
from kubesim.api.selectors import compile_selector
from kubesim.client.workqueue import WorkQueue
from kubesim.controllers import deployment_status as status_of
from kubesim.controllers.base import DONE, ControllerContext, Reconcile, Result, Step, Worker
from kubesim.controllers.deployment_revisions import (
    REVISION,
    ROLLBACK_TO,
    annotated_as_new,
    as_int,
    build_new,
    find_new,
    find_old,
    last_revision,
    max_revision,
    revision_of,
    rollback_revision,
    rolled_back,
    same_template,
)
from kubesim.controllers.deployment_scale import (
    DESIRED_REPLICAS,
    MAX_REPLICAS,
    StaleCountError,
    active,
    by_age,
    is_rolling,
    is_saturated,
    max_surge,
    new_replica_count,
    plan_cleanup,
    plan_proportions,
    plan_scale_down,
    replicas_of,
    scale_down_budget,
    status_sum,
)
from kubesim.controllers.pods import BY_CONTROLLER, index_by_controller, orphans_in, pods_of
from kubesim.controllers.refs import claim
from kubesim.errors import ApiError

SCALING_REPLICA_SET = "ScalingReplicaSet"
Steps = Generator[Step, Any, Any]
End = Generator[Step, Any, Result]


class _Rollout(NamedTuple):
    """One sync's view: the Deployment with what this sync has put in its status, and its ReplicaSets."""

    deployment: Object
    new: Object | None
    old: list[Object]

    @property
    def all(self) -> list[Object]:
        return self.old if self.new is None else [*self.old, self.new]


@final
class DeploymentController:
    """The control loop over Deployments."""

    name = "deployment-controller"

    def __init__(self, context: ControllerContext) -> None:
        self._loop = context.loop
        self._recorder = context.recorder
        self._queue = WorkQueue(context.loop)
        self._deployments = context.informers.lister(DEPLOYMENT)
        self._replica_sets = context.informers.lister(REPLICA_SET)
        self._pods = context.informers.lister(POD)
        index_by_controller(self._pods)
        index_by_controller(self._replica_sets)
        deployments = context.informers.informer(DEPLOYMENT)
        deployments.add_handler(self._enqueue, lambda _, new: self._enqueue(new), self._enqueue)
        context.informers.informer(REPLICA_SET).add_handler(self._on_rs_add, self._on_rs_update, self._on_rs_delete)
        context.informers.informer(POD).add_handler(on_delete=self._on_pod_delete)
        # Upstream: --concurrent-deployment-syncs=5, deployment_controller.go:maxRetries
        self.workers = (Worker(self._queue, self.reconcile, 5, retries=15),)

    # --- what wakes it ---

    def _enqueue(self, deployment: Object) -> None:
        self._queue.add(key_of(deployment))

    def _owner_of(self, replica_set: Object) -> Object | None:
        reference = controller_of(replica_set)
        if reference is None or reference["kind"] != "Deployment":
            return None
        owner = self._deployments.get(replica_set["metadata"]["namespace"], reference["name"])
        return owner if owner is not None and owner["metadata"]["uid"] == reference["uid"] else None

    def _owned_by(self, deployment: Object) -> list[Object]:
        return self._replica_sets.by_index(BY_CONTROLLER, deployment["metadata"]["uid"])

    def _enqueue_adopters(self, replica_set: Object) -> None:
        labels = labels_of(replica_set)
        if labels:
            for deployment in self._deployments.in_namespace(replica_set["metadata"]["namespace"]):
                if compile_selector(deployment["spec"]["selector"])(labels):
                    self._enqueue(deployment)

    def _on_rs_add(self, replica_set: Object) -> None:
        owner = self._owner_of(replica_set)
        if owner is not None:
            self._enqueue(owner)
        elif controller_of(replica_set) is None and "deletionTimestamp" not in replica_set["metadata"]:
            self._enqueue_adopters(replica_set)

    def _on_rs_update(self, old: Object, new: Object) -> None:
        if old["metadata"].get("ownerReferences") != new["metadata"].get("ownerReferences"):
            before = self._owner_of(old)
            if before is not None:
                self._enqueue(before)
        elif controller_of(new) is None and labels_of(old) == labels_of(new):
            return
        self._on_rs_add(new)

    def _on_rs_delete(self, replica_set: Object) -> None:
        owner = self._owner_of(replica_set)
        if owner is not None:
            self._enqueue(owner)

    def _on_pod_delete(self, pod: Object) -> None:
        """Recreate waits for the last Pod of the old templates to be gone."""
        reference = controller_of(pod)
        if reference is None or reference["kind"] != "ReplicaSet":
            return
        replica_set = self._replica_sets.get(pod["metadata"]["namespace"], reference["name"])
        deployment = None if replica_set is None else self._owner_of(replica_set)
        if deployment is None or is_rolling(deployment):
            return
        if not any(pods_of(self._pods, each) for each in self._owned_by(deployment)):
            self._enqueue(deployment)

    # --- what it does ---

    def reconcile(self, key: Key) -> Reconcile:
        """Bring one Deployment's ReplicaSets and status up to date."""
        deployment = self._deployments.get(*key)
        if deployment is None:
            return DONE
        try:
            return (yield from self._sync(key, deployment))
        except ApiError as error:
            if error.is_namespace_terminating:
                # No create will succeed any more; upstream forgets the key without a back-off.
                return DONE
            raise

    def _sync(self, key: Key, deployment: Object) -> End:
        selects = compile_selector(deployment["spec"]["selector"])
        candidates = self._owned_by(deployment) + orphans_in(self._replica_sets, key.namespace)
        replica_sets = yield from claim(DEPLOYMENT, deployment, REPLICA_SET, selects, candidates)
        if "deletionTimestamp" in deployment["metadata"]:
            rollout = yield from self._sync_revision(deployment, replica_sets)
            return (yield from self._write_status(rollout))
        deployment = yield from self._check_paused(deployment)
        if deployment["spec"].get("paused"):
            return (yield from self._scale(deployment, replica_sets))
        wanted = rollback_revision(deployment)
        if wanted is not None:
            yield from self._roll_back(deployment, replica_sets, wanted)
            return DONE
        # Upstream: sync.go:isScalingEvent brings revisions up to date as a side effect, and the sync then does so
        # again with the ReplicaSets as they were: a revision written here makes it meet a conflict and come back.
        rollout = yield from self._sync_revision(deployment, replica_sets)
        deployment = rollout.deployment
        if _is_resized(deployment, rollout.all):
            return (yield from self._scale(deployment, replica_sets))
        if is_rolling(deployment):
            return (yield from self._roll(deployment, replica_sets))
        return (yield from self._recreate(deployment, replica_sets))

    def _check_paused(self, deployment: Object) -> Steps:
        """A Progressing condition that says that the clock of the deadline is stopped, or runs again."""
        current = find_condition(status_of.conditions_of(deployment), "Progressing")
        reason = (current or {}).get("reason")
        if not status_of.has_deadline(deployment) or reason == status_of.TIMED_OUT:
            return deployment
        paused = deployment["spec"].get("paused", False)
        if paused == (reason == status_of.PAUSED):
            return deployment
        reason, verb = (status_of.PAUSED, "paused") if paused else (status_of.RESUMED, "resumed")
        changed = status_of.progressing("Unknown", reason, f"Deployment is {verb}", self._loop.now_ns)
        deployment = _with_condition(deployment, changed)
        yield update(DEPLOYMENT, deployment, "status")
        return deployment

    # --- revisions: sync.go:getAllReplicaSetsAndSyncRevision ---

    def _sync_revision(self, deployment: Object, replica_sets: Sequence[Object], *, may_create: bool = False) -> Steps:
        """The new and old ReplicaSets, with revisions as they should be; creates the new one if it may."""
        new = find_new(deployment, replica_sets)
        old = find_old(replica_sets, new)
        revision = max_revision(old) + 1
        if new is None:
            if not may_create:
                return _Rollout(deployment, None, old)
            return (yield from self._create_new(deployment, old, revision))
        annotated = annotated_as_new(deployment, new, revision, exists=True)
        min_ready_s = deployment["spec"].get("minReadySeconds", 0)
        if annotated is not new or new["spec"].get("minReadySeconds", 0) != min_ready_s:
            spec = {**annotated["spec"], "minReadySeconds": min_ready_s}
            if not min_ready_s:
                del spec["minReadySeconds"]
            written = yield update(REPLICA_SET, {**annotated, "spec": spec})
            return _Rollout(deployment, written, old)
        changed = _with_revision(deployment, annotations_of(new).get(REVISION, ""))
        if status_of.has_deadline(deployment) and not _has_progressing(deployment):
            message = f'Found new replica set "{new["metadata"]["name"]}"'
            found = status_of.progressing("True", status_of.FOUND_NEW_RS, message, self._loop.now_ns)
            changed = _with_condition(changed, found)
        if changed is not deployment:
            yield update(DEPLOYMENT, changed, "status")
        return _Rollout(changed, new, old)

    def _create_new(self, deployment: Object, old: list[Object], revision: int) -> Steps:
        wanted = build_new(deployment, old, revision)
        name = wanted["metadata"]["name"]
        try:
            new = yield create(REPLICA_SET, wanted)
        except ApiError as error:
            if error.reason == "AlreadyExists":
                return (yield from self._meet_collision(deployment, old, name, revision, error))
            if not error.is_namespace_terminating:
                yield from self._report_failed_create(deployment, name, error)
            raise
        count = replicas_of(wanted)
        if count:
            message = f"Scaled up replica set {name} from 0 to {count}"
            self._recorder.event(deployment, "Normal", SCALING_REPLICA_SET, message)
        changed = _with_revision(deployment, str(revision))
        if status_of.has_deadline(deployment):
            message = f'Created new replica set "{name}"'
            made = status_of.progressing("True", status_of.NEW_REPLICA_SET, message, self._loop.now_ns)
            changed = _with_condition(changed, made)
        if changed is not deployment:
            yield update(DEPLOYMENT, changed, "status")
        return _Rollout(changed, new, old)

    def _meet_collision(
        self, deployment: Object, old: list[Object], name: str, revision: int, error: ApiError
    ) -> Steps:
        """The name is taken: by our own ReplicaSet, which the cache did not show, or by a stranger of the same hash."""
        metadata = deployment["metadata"]
        found = self._replica_sets.get(metadata["namespace"], name)
        if found is None:
            raise error
        is_ours = (controller_of(found) or {}).get("uid") == metadata["uid"]
        if is_ours and same_template(found["spec"]["template"], deployment["spec"]["template"]):
            changed = _with_revision(deployment, str(revision))
            if changed is not deployment:
                yield update(DEPLOYMENT, changed, "status")
            return _Rollout(changed, found, old)
        status = deployment.get("status") or {}
        status = {**status, "collisionCount": status.get("collisionCount", 0) + 1}
        yield (update(DEPLOYMENT, {**deployment, "status": status}, "status"),)
        raise error

    def _report_failed_create(self, deployment: Object, name: str, error: ApiError) -> Steps:
        message = f'Failed to create new replica set "{name}": {error.message}'
        if status_of.has_deadline(deployment):
            failed = status_of.progressing("False", status_of.FAILED_RS_CREATE, message, self._loop.now_ns)
            # In a tuple a failure stays a value: the failed create is the error that matters and brings the key back.
            yield (update(DEPLOYMENT, _with_condition(deployment, failed), "status"),)
        self._recorder.event(deployment, "Warning", status_of.FAILED_RS_CREATE, message)

    # --- strategies ---

    def _roll(self, deployment: Object, replica_sets: Sequence[Object]) -> End:
        """RollingUpdate: grow the new one as far as surge allows, else shrink the old as far as availability allows."""
        rollout = yield from self._sync_revision(deployment, replica_sets, may_create=True)
        new = rollout.new
        desired = replicas_of(deployment)
        if replicas_of(new) != desired:
            size = desired
            if replicas_of(new) < desired:
                size = new_replica_count(deployment, rollout.all, new)
            if size != replicas_of(new):
                yield from self._scale_replica_set(rollout.deployment, new, size)
                return (yield from self._write_rollout_status(rollout))
        if (yield from self._shrink_old(rollout.deployment, active(rollout.old), new)):
            return (yield from self._write_rollout_status(rollout))
        return (yield from self._finish(rollout))

    def _shrink_old(self, deployment: Object, old: list[Object], new: Object) -> Generator[Step, Any, bool]:
        """Unhealthy replicas go first, then as many as availability allows; whether anything was given up.

        Upstream: rolling.go:reconcileOldReplicaSets, which takes a failure for "nothing scaled": the next event of a
        ReplicaSet brings the key back.
        """
        budget = scale_down_budget(deployment, old, new)
        if budget <= 0:
            return False
        scaled = False
        try:
            for at, size in plan_cleanup(old, budget):
                scaled = True
                old[at] = yield from self._scale_replica_set(deployment, old[at], size)
            for at, size in plan_scale_down(deployment, old, new):
                scaled = True
                yield from self._scale_replica_set(deployment, old[at], size)
        except (ApiError, StaleCountError):
            return False
        return scaled

    def _recreate(self, deployment: Object, replica_sets: Sequence[Object]) -> End:
        """Recreate: all old Pods go first, then the new ones come."""
        rollout = yield from self._sync_revision(deployment, replica_sets)
        shrinking = active(rollout.old)
        if shrinking:
            for each in shrinking:
                yield from self._scale_replica_set(rollout.deployment, each, 0)
            return (yield from self._write_rollout_status(rollout))
        if self._old_pods_running(rollout):
            return (yield from self._write_rollout_status(rollout))
        if rollout.new is None:
            rollout = yield from self._sync_revision(rollout.deployment, replica_sets, may_create=True)
        if replicas_of(rollout.new) != replicas_of(deployment):
            yield from self._scale_replica_set(rollout.deployment, rollout.new, replicas_of(deployment))
        return (yield from self._finish(rollout))

    def _old_pods_running(self, rollout: _Rollout) -> bool:
        if status_sum(rollout.old, "replicas") > 0:
            return True
        return any(
            pod["status"].get("phase") not in ("Succeeded", "Failed")
            for each in rollout.old
            for pod in pods_of(self._pods, each)
        )

    def _finish(self, rollout: _Rollout) -> End:
        deployment = rollout.deployment
        if status_of.is_complete(deployment, deployment.get("status") or {}):
            yield from self._clean_up(rollout)
        return (yield from self._write_rollout_status(rollout))

    def _scale(self, deployment: Object, replica_sets: Sequence[Object]) -> End:
        """Bring the ReplicaSets to a changed size, or leave them as they are while paused. Upstream: sync.go:sync"""
        rollout = yield from self._sync_revision(deployment, replica_sets)
        only = _active_or_latest(rollout)
        if only is not None:
            if replicas_of(only) != replicas_of(deployment):
                yield from self._scale_replica_set(rollout.deployment, only, replicas_of(deployment))
        elif is_saturated(deployment, rollout.new):
            for each in active(rollout.old):
                yield from self._scale_replica_set(rollout.deployment, each, 0)
        elif is_rolling(deployment):
            for each, size in plan_proportions(deployment, active(rollout.all)):
                yield from self._scale_replica_set(rollout.deployment, each, size)
        if deployment["spec"].get("paused") and rollback_revision(deployment) is None:
            yield from self._clean_up(rollout)
        return (yield from self._write_status(rollout))

    def _scale_replica_set(self, deployment: Object, replica_set: Object, size: int) -> Steps:
        """Resize one ReplicaSet, if its size or what it notes of the Deployment's size is out of date; returns it."""
        before, desired = replicas_of(replica_set), replicas_of(deployment)
        noted = {DESIRED_REPLICAS: str(desired), MAX_REPLICAS: str(desired + max_surge(deployment))}
        annotations = {**annotations_of(replica_set), **noted}
        if before == size and annotations == annotations_of(replica_set):
            return replica_set
        changed = with_metadata(replica_set, annotations=annotations)
        written = yield update(REPLICA_SET, {**changed, "spec": {**changed["spec"], "replicas": size}})
        if before != size:
            direction = "up" if before < size else "down"
            name = replica_set["metadata"]["name"]
            message = f"Scaled {direction} replica set {name} from {before} to {size}"
            self._recorder.event(deployment, "Normal", SCALING_REPLICA_SET, message)
        return written

    def _clean_up(self, rollout: _Rollout) -> Steps:
        """Delete the oldest empty ReplicaSets beyond the history limit. Upstream: sync.go:cleanupDeployment"""
        limit = rollout.deployment["spec"].get("revisionHistoryLimit")
        if limit is None or limit == 2**31 - 1:
            return
        alive = [each for each in rollout.old if "deletionTimestamp" not in each["metadata"]]
        alive.sort(key=lambda each: (revision_of(each), *by_age(each)))
        for each in alive[: max(0, len(alive) - limit)]:
            status, metadata = each.get("status") or {}, each["metadata"]
            is_seen = metadata["generation"] <= status.get("observedGeneration", 0)
            if status.get("replicas") or replicas_of(each) or not is_seen:
                continue
            try:
                yield delete(REPLICA_SET, metadata["namespace"], metadata["name"])
            except ApiError as error:
                if error.code != 404:
                    raise

    def _roll_back(self, deployment: Object, replica_sets: Sequence[Object], wanted: int) -> Steps:
        """Take the template of the revision that the deprecated annotation names. Upstream: rollback.go"""
        rollout = yield from self._sync_revision(deployment, replica_sets, may_create=True)
        deployment = rollout.deployment
        wanted = wanted or last_revision(rollout.all)
        target = next((each for each in rollout.all if wanted and revision_of(each) == wanted), None)
        name = deployment["metadata"]["name"]
        event = ("Warning", "DeploymentRollbackRevisionNotFound", "Unable to find the revision to rollback to.")
        if not wanted:
            event = ("Warning", "DeploymentRollbackRevisionNotFound", "Unable to find last revision.")
        elif target is not None and same_template(target["spec"]["template"], deployment["spec"]["template"]):
            message = f'The rollback revision contains the same template as current deployment "{name}"'
            event = ("Warning", "DeploymentRollbackTemplateUnchanged", message)
        elif target is not None:
            event = ("Normal", "DeploymentRollback", f'Rolled back deployment "{name}" to revision {wanted}')
            deployment = rolled_back(deployment, target)
        annotations = {key: value for key, value in annotations_of(deployment).items() if key != ROLLBACK_TO}
        if event[0] == "Warning":
            self._recorder.event(deployment, *event)
        yield update(DEPLOYMENT, with_metadata(deployment, annotations=annotations))
        if event[0] == "Normal":
            self._recorder.event(deployment, *event)

    # --- status ---

    def _write_status(self, rollout: _Rollout) -> End:
        status = status_of.compute_status(rollout.deployment, rollout.all, rollout.new, self._loop.now_ns)
        if status != rollout.deployment.get("status"):
            yield update(DEPLOYMENT, {**rollout.deployment, "status": status}, "status")
        return DONE

    def _write_rollout_status(self, rollout: _Rollout) -> End:
        deployment, now_ns = rollout.deployment, self._loop.now_ns
        status = status_of.compute_rollout_status(deployment, rollout.all, rollout.new, now_ns)
        if status != deployment.get("status"):
            yield update(DEPLOYMENT, {**deployment, "status": status}, "status")
            return DONE
        wait_ns = status_of.progress_check_ns(deployment, status, now_ns)
        if wait_ns == 0:
            self._queue.add_rate_limited(key_of(deployment))
        return Result(wait_ns or 0)


def _is_resized(deployment: Object, replica_sets: Sequence[Object]) -> bool:
    """Whether the Deployment's size has changed since its ReplicaSets were last sized."""
    noted = (as_int(annotations_of(each).get(DESIRED_REPLICAS)) for each in active(replica_sets))
    return any(size is not None and size != replicas_of(deployment) for size in noted)


def _active_or_latest(rollout: _Rollout) -> Object | None:
    """The only active ReplicaSet, the newest when none is active, None when there are several."""
    candidates = active(rollout.all)
    if len(candidates) == 1:
        return candidates[0]
    if candidates or not rollout.all:
        return None
    return rollout.new or max(rollout.old, key=by_age)


def _with_condition(deployment: Object, condition: Object) -> Object:
    status = deployment.get("status") or {}
    conditions = with_condition_last(status.get("conditions"), condition)
    return {**deployment, "status": {**status, "conditions": conditions}}


def _has_progressing(deployment: Object) -> bool:
    return find_condition(status_of.conditions_of(deployment), "Progressing") is not None


def _with_revision(deployment: Object, revision: str) -> Object:
    annotations = annotations_of(deployment)
    if annotations.get(REVISION) == revision:
        return deployment
    return with_metadata(deployment, annotations={**annotations, REVISION: revision})

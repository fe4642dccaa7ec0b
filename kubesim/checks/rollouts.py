"""What a Deployment's rollout may do at any time: not too many Pods asked for, not too few available ones left.

Judged by what controllers ask for, not by what is there: a fault that kills Pods breaks no promise of the rollout, and
a Pod that became unavailable in the last moments may be counted as available still.
"""

from __future__ import annotations

from typing import final

from kubesim.api.kinds import DEPLOYMENT, POD, REPLICA_SET
from kubesim.api.objects import Object, annotations_of
from kubesim.apiserver.server import Write
from kubesim.checks.extremes import Recent
from kubesim.checks.invariant import GRACE_NS, Scene, is_removal, subject_of
from kubesim.checks.looking import FINISHED, amount, controller_uid
from kubesim.checks.pod_book import PodEntry

_DEPLOYMENT_CONTROLLER = "system:serviceaccount:kube-system:deployment-controller"
_REPLICASET_CONTROLLER = "system:serviceaccount:kube-system:replicaset-controller"
_DESIRED = "deployment.kubernetes.io/desired-replicas"


def bounds_of(deployment: Object) -> tuple[int, int]:
    """How many Pods a rollout may ask for at most, and how many available ones it must leave.

    Upstream: api/apps/v1/types.go:RollingUpdateDeployment @v1.36: surge rounds up, unavailability down, and where both
    come to nothing one Pod may be unavailable.
    """
    spec = deployment["spec"]
    wanted: int = spec["replicas"]
    strategy = spec.get("strategy") or {}
    if strategy.get("type") != "RollingUpdate":
        return wanted, 0
    rolling = strategy.get("rollingUpdate") or {}
    surge = amount(rolling.get("maxSurge", "25%"), wanted, round_up=True)
    unavailable = amount(rolling.get("maxUnavailable", "25%"), wanted, round_up=False)
    if not surge and not unavailable:
        unavailable = 1
    return wanted + surge, max(0, wanted - unavailable)


def is_recreate(deployment: Object) -> bool:
    """Whether old Pods must be gone before new ones come."""
    return bool((deployment["spec"].get("strategy") or {}).get("type") == "Recreate")


@final
class _Rollout:
    """A Deployment's bounds and its ReplicaSets: their sizes, and how many available Pods each had of late."""

    __slots__ = ("available", "fewest", "most", "recreates", "sizes", "wanted")

    def __init__(self, scene: Scene, deployment: Object) -> None:
        most, fewest = bounds_of(deployment)
        loop = scene.cluster.loop
        self.most = Recent(loop, GRACE_NS, most)
        self.fewest = Recent(loop, GRACE_NS, fewest)
        self.wanted = Recent(loop, GRACE_NS, deployment["spec"]["replicas"])
        self.recreates = is_recreate(deployment)
        self.sizes: dict[str, int] = {}
        self.available: dict[str, Recent] = {}

    def kept(self) -> int:
        """How many available Pods the present sizes leave."""
        return sum(min(size, self.available[uid].highest) for uid, size in self.sizes.items())


@final
class RolloutBounds:
    """A ReplicaSet may always shrink to as many Pods as are available in the status that its controller has read, for
    the update's resourceVersion holds it to that: only unhealthy ones go.

    Upstream: pkg/controller/deployment/rolling.go:cleanupUnhealthyReplicas, util/deployment_util.go:NewRSNewReplicas
    @v1.36
    """

    name = "rolloutBounds"
    promise = (
        "A rollout never asks for more Pods than replicas + maxSurge, and takes no available Pod away where fewer "
        "than replicas - maxUnavailable would be left; Recreate makes none while an old one is there."
    )

    def __init__(self) -> None:
        self._rollouts: dict[str, _Rollout] = {}

    def attach(self, scene: Scene) -> None:
        """Follow Deployments and the sizes of their ReplicaSets."""
        self._scene = scene
        self._pods = scene.pods
        scene.on_write(DEPLOYMENT, self._handle_deployment)
        scene.on_write(REPLICA_SET, self._handle_replica_set)

    def _handle_deployment(self, write: Write) -> None:
        deployment = write.obj
        uid = deployment["metadata"]["uid"]
        rollout = self._rollouts.get(uid)
        if rollout is None:
            self._rollouts[uid] = _Rollout(self._scene, deployment)
        elif is_removal(write):
            del self._rollouts[uid]
        elif write.previous is None or write.previous["spec"] is not deployment["spec"]:
            most, fewest = bounds_of(deployment)
            rollout.recreates = is_recreate(deployment)
            rollout.most.set(most)
            rollout.fewest.set(fewest)
            rollout.wanted.set(deployment["spec"]["replicas"])

    def _handle_replica_set(self, write: Write) -> None:
        replica_set = write.obj
        rollout = self._rollouts.get(controller_uid(replica_set))
        if rollout is None:
            return
        uid = replica_set["metadata"]["uid"]
        if is_removal(write):
            rollout.sizes.pop(uid, None)
            return
        size = replica_set["spec"]["replicas"]
        before = rollout.sizes.get(uid, 0)
        kept = rollout.kept() if size < before else 0
        rollout.sizes[uid] = size
        available = (replica_set.get("status") or {}).get("availableReplicas", 0)
        if uid in rollout.available:
            rollout.available[uid].set(available)
        else:
            rollout.available[uid] = Recent(self._scene.cluster.loop, GRACE_NS, available)
        if size == before or write.identity.user != _DEPLOYMENT_CONTROLLER:
            return
        if size > before:
            self._check_most(rollout, replica_set)
            if rollout.recreates:
                self._check_others_gone(rollout, replica_set)
        elif available > size and not self._is_scaling(rollout, write.previous):
            self._check_fewest(rollout, replica_set, kept)

    def _check_most(self, rollout: _Rollout, replica_set: Object) -> None:
        total, most = sum(rollout.sizes.values()), rollout.most.highest
        if total > most and not self._scene.is_disturbed():
            text = f"grows to {replica_set['spec']['replicas']}, which makes {total} Pods where {most} are allowed"
            self._scene.report(self.name, subject_of(replica_set), text)

    def _check_others_gone(self, rollout: _Rollout, replica_set: Object) -> None:
        for uid in rollout.sizes:
            if uid != replica_set["metadata"]["uid"] and not self._scene.is_disturbed():
                for entry in self._pods.of(uid):
                    if (entry.pod.get("status") or {}).get("phase") not in FINISHED:
                        text = f"grows while {entry.pod['metadata']['name']} of an older template is still there"
                        self._scene.report(self.name, subject_of(replica_set), text)
                        return

    def _is_scaling(self, rollout: _Rollout, previous: Object | None) -> bool:
        """Whether the Deployment's own size is being followed: no availability is promised then."""
        if rollout.wanted.lowest != rollout.wanted.highest or previous is None:
            return True
        return annotations_of(previous).get(_DESIRED) != str(rollout.wanted.value)

    def _check_fewest(self, rollout: _Rollout, replica_set: Object, kept_before: int) -> None:
        kept, fewest = rollout.kept(), rollout.fewest.lowest
        if kept < fewest and kept < kept_before and not self._scene.is_disturbed():
            text = f"shrinks to {replica_set['spec']['replicas']}, which leaves {kept} available Pods of {fewest}"
            self._scene.report(self.name, subject_of(replica_set), text)


@final
class NoExtraPods:
    """Upstream: pkg/controller/replicaset/replica_set.go:manageReplicas, pkg/controller/controller_utils.go:
    ControllerExpectations @v1.36: what a controller has asked for is counted before it asks for more."""

    name = "noExtraPods"
    promise = "A ReplicaSet's controller creates no Pod beyond its replicas, however late its view of the Pods is."

    def __init__(self) -> None:
        self._sizes: dict[str, Recent] = {}
        # The largest size that each ever had, for controllers that may go by any earlier one.
        self._largest: dict[str, int] = {}

    def attach(self, scene: Scene) -> None:
        """Follow ReplicaSets; judge every Pod that is made for one."""
        self._scene = scene
        self._pods = scene.pods
        scene.on_write(REPLICA_SET, self._handle_replica_set)
        scene.on_write(POD, self._handle_pod)

    def _handle_replica_set(self, write: Write) -> None:
        uid, size = write.obj["metadata"]["uid"], write.obj["spec"]["replicas"]
        self._largest[uid] = max(size, self._largest.get(uid, 0))
        known = self._sizes.get(uid)
        if known is None:
            self._sizes[uid] = Recent(self._scene.cluster.loop, GRACE_NS, size)
        else:
            known.set(size)

    def _handle_pod(self, write: Write) -> None:
        if write.previous is not None or write.identity.user != _REPLICASET_CONTROLLER:
            return
        owner = controller_uid(write.obj)
        size = self._sizes.get(owner)
        if size is None:
            return
        count = sum(entry.is_active for entry in self._pods.of(owner))
        if count > size.highest and not self._scene.has_lost_replies():
            most = self._largest[owner] if self._scene.is_disturbed() else size.highest
            if count <= most:
                return
            text = f"is Pod number {count} of a ReplicaSet that wants {most}"
            self._scene.report(self.name, subject_of(write.obj), text)


@final
class VictimsRanked:
    """Upstream: pkg/controller/controller_utils.go:ActivePodsWithRanks @v1.36"""

    name = "victimsRanked"
    promise = (
        "A ReplicaSet that shrinks takes Pods that are not ready before ready ones, and cheap ones before dear ones."
    )

    def attach(self, scene: Scene) -> None:
        """Look at each Pod that a ReplicaSet's controller deletes, and who is left a moment later."""
        self._scene = scene
        self._pods = scene.pods
        scene.on_write(POD, self._handle)

    def _handle(self, write: Write) -> None:
        if write.verb != "deleted" or write.identity.user != _REPLICASET_CONTROLLER:
            return
        entry = self._pods.by_uid.get(write.obj["metadata"]["uid"])
        owner = controller_uid(write.obj)
        if entry is None or not entry.is_ready:
            return
        cost = _deletion_cost(write.obj)
        better = [
            other
            for other in self._pods.of(owner)
            if other.is_active
            and (other.has_been_unready(GRACE_NS) or (other.is_ready and _deletion_cost(other.pod) < cost))
        ]
        if better and not self._scene.is_disturbed():
            self._scene.cluster.loop.post(GRACE_NS, self._look_again, (write.obj, better))

    def _look_again(self, judged: tuple[Object, list[PodEntry]]) -> None:
        victim, better = judged
        for other in better:
            if other.is_there and other.is_active:
                text = f"is taken while {other.pod['metadata']['name']} is left, which ranks before it"
                self._scene.report(self.name, subject_of(victim), text)
                return


def _deletion_cost(pod: Object) -> int:
    return int(annotations_of(pod).get("controller.kubernetes.io/pod-deletion-cost", "0"))

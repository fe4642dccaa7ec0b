"""The order in which a StatefulSet makes, replaces and takes away its Pods."""

from __future__ import annotations

from typing import final

from kubesim.api.kinds import POD, STATEFUL_SET
from kubesim.api.objects import Object, labels_of
from kubesim.apiserver.server import Write
from kubesim.checks.extremes import Recent
from kubesim.checks.invariant import GRACE_NS, Scene, is_removal, subject_of
from kubesim.checks.looking import FINISHED, controller_uid
from kubesim.checks.pod_book import PodEntry

_STATEFULSET_CONTROLLER = "system:serviceaccount:kube-system:statefulset-controller"
_REVISION = "controller-revision-hash"


@final
class _Set:
    """A StatefulSet as last written, and the sizes that it had of late."""

    __slots__ = ("changed_ns", "obj", "size")

    def __init__(self, scene: Scene, obj: Object) -> None:
        self.obj = obj
        # When its spec was last changed.
        self.changed_ns = scene.now_ns
        self.size = Recent(scene.cluster.loop, GRACE_NS, obj["spec"]["replicas"])

    @property
    def first(self) -> int:
        """Its lowest ordinal."""
        return int((self.obj["spec"].get("ordinals") or {}).get("start", 0))

    @property
    def is_ordered(self) -> bool:
        """Whether one Pod waits for another."""
        return bool(self.obj["spec"].get("podManagementPolicy") != "Parallel")


def ordinal_of(pod: Object) -> int:
    """The number at the end of a Pod's name."""
    return int(pod["metadata"]["name"].rpartition("-")[2])


@final
class StatefulOrder:
    """Upstream: pkg/controller/statefulset/stateful_set_control.go:updateStatefulSet @v1.36, the feature gate
    MaxUnavailableStatefulSet off: an update goes from the highest ordinal down, one Pod at a time."""

    name = "statefulOrder"
    promise = (
        "A StatefulSet makes a Pod only when all before it are ready, takes the last one first, and updates one only "
        "while all after it are ready; Parallel leaves the first two out."
    )

    def __init__(self) -> None:
        self._sets: dict[str, _Set] = {}

    def attach(self, scene: Scene) -> None:
        """Follow StatefulSets; judge what their controller does to Pods."""
        self._scene = scene
        self._pods = scene.pods
        scene.on_write(STATEFUL_SET, self._handle_set)
        scene.on_write(POD, self._handle_pod)

    def _handle_set(self, write: Write) -> None:
        uid = write.obj["metadata"]["uid"]
        known = self._sets.get(uid)
        if known is None:
            self._sets[uid] = _Set(self._scene, write.obj)
        elif is_removal(write):
            del self._sets[uid]
        else:
            if write.obj["spec"] is not known.obj["spec"]:
                known.changed_ns = self._scene.now_ns
            known.obj = write.obj
            known.size.set(write.obj["spec"]["replicas"])

    def _handle_pod(self, write: Write) -> None:
        if write.identity.user != _STATEFULSET_CONTROLLER:
            return
        known = self._sets.get(controller_uid(write.obj))
        if known is None or self._scene.is_disturbed():
            return
        if write.previous is None:
            self._check_created(known, write.obj)
        elif write.verb == "deleted" and ("deletionTimestamp" in write.obj["metadata"]) != is_removal(write):
            self._check_deleted(known, write.obj)

    def _check_created(self, known: _Set, pod: Object) -> None:
        ordinal, first = ordinal_of(pod), known.first
        if ordinal >= first + known.size.highest:
            text = f"is made although the StatefulSet ends before {first + known.size.highest}"
            self._scene.report(self.name, subject_of(pod), text)
        if not known.is_ordered:
            return
        ready = {
            ordinal_of(entry.pod)
            for entry in (*self._pods.of(known.obj["metadata"]["uid"]), *self._gone(known))
            if entry.was_ready_within(GRACE_NS)
        }
        for before in range(first, ordinal):
            if before not in ready:
                text = f"is made although Pod {before} of its StatefulSet is not ready"
                self._scene.report(self.name, subject_of(pod), text)
                return

    def _gone(self, known: _Set) -> list[PodEntry]:
        uid = known.obj["metadata"]["uid"]
        return [entry for entry in self._pods.gone(GRACE_NS) if entry.owner == uid]

    def _check_deleted(self, known: _Set, pod: Object) -> None:
        if (pod.get("status") or {}).get("phase") in FINISHED:
            return
        ordinal, end = ordinal_of(pod), known.first + known.size.lowest
        if ordinal >= end or ordinal < known.first:
            if known.is_ordered and ordinal >= end:
                self._check_last(known, pod, ordinal)
            return
        if self._is_newest(known, pod):
            text = "is deleted although it is wanted, has not finished and is of the newest revision"
            self._scene.report(self.name, subject_of(pod), text)
            return
        strategy = known.obj["spec"].get("updateStrategy") or {}
        partition = (strategy.get("rollingUpdate") or {}).get("partition", 0)
        if strategy.get("type") == "OnDelete" or ordinal < partition:
            self._scene.report(self.name, subject_of(pod), "is updated although its StatefulSet holds it back")
            return
        self._check_update(known, pod, ordinal)

    def _is_newest(self, known: _Set, pod: Object) -> bool:
        """Whether the Pod has the present template, and the controller has known that for a while."""
        status = known.obj.get("status") or {}
        is_settled = self._scene.now_ns - known.changed_ns > GRACE_NS
        is_observed = status.get("observedGeneration") == known.obj["metadata"]["generation"]
        is_same = labels_of(pod).get(_REVISION) == status.get("updateRevision")
        return is_settled and is_observed and is_same

    def _check_last(self, known: _Set, pod: Object, ordinal: int) -> None:
        for entry in self._pods.of(known.obj["metadata"]["uid"]):
            if ordinal_of(entry.pod) > ordinal:
                text = f"is taken away before Pod {ordinal_of(entry.pod)}, which is still there"
                self._scene.report(self.name, subject_of(pod), text)
                return

    def _check_update(self, known: _Set, pod: Object, ordinal: int) -> None:
        ready = {
            ordinal_of(entry.pod)
            for entry in self._pods.of(known.obj["metadata"]["uid"])
            if entry.was_ready_within(GRACE_NS)
            and entry.was_active_within(GRACE_NS)
            and entry.deleted_by != _STATEFULSET_CONTROLLER
        }
        for after in range(ordinal + 1, known.first + known.size.lowest):
            if after not in ready:
                text = f"is updated although Pod {after} of its StatefulSet is not ready"
                self._scene.report(self.name, subject_of(pod), text)
                return

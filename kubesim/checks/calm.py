"""How much is written: a controller that writes one object over and over is in a fight, with another or with itself."""

from __future__ import annotations

from typing import final

from kubesim.api.kinds import EVENT, EVENTS_K8S_IO_EVENT, LEASE, NODE, POD
from kubesim.api.objects import Key
from kubesim.apiserver.server import Write
from kubesim.checks.invariant import Scene, subject_of
from kubesim.checks.looking import controller_uid
from kubesim.cluster.faults import SOMEBODY_ELSE
from kubesim.cluster.recording import actor_of
from kubesim.sim.loop import MINUTE

# A rollout of many Pods writes its Deployment some times for each; a controller's own limit lets 1200 through.
_WRITES_MAX = 400
# Pods made for one owner in a minute, beside one for each that is wanted and as many again.
_CREATIONS_MAX = 60


@final
class NoHotLoop:
    """Who acts on what he sees late may go round in circles: a scheduler that does not hear of a node's taint sends it
    Pods for as long, and its kubelet refuses each. Upstream: the issue kubernetes#72593 and its kin, found by their
    load on the API server."""

    name = "noHotLoop"
    promise = "Nobody writes one object more than 400 times a minute, nor makes Pods for one owner over and over."

    def __init__(self) -> None:
        # By who and what: the start of the minute that is counted, and the count.
        self._writes: dict[tuple[str, str], tuple[int, int]] = {}
        self._creations: dict[str, tuple[int, int]] = {}

    def attach(self, scene: Scene) -> None:
        """Count all writes but Events and heartbeats."""
        self._scene = scene
        self._pods = scene.pods
        scene.on_any_write(self._handle)

    def _handle(self, write: Write) -> None:
        if write.previous is None:
            if write.kind is POD:
                self._count_creation(write)
            return
        if write.kind is POD and self._is_refused_unforeseen(write):
            self._forget_creation(write)
        if write.kind is LEASE or write.kind is EVENT or write.kind is EVENTS_K8S_IO_EVENT:
            return
        if write.identity is SOMEBODY_ELSE:
            return
        key = (write.identity.user, write.obj["metadata"]["uid"])
        now_ns = self._scene.now_ns
        since_ns, count = self._writes.get(key, (now_ns, 0))
        if now_ns - since_ns > MINUTE:
            since_ns, count = now_ns, 0
        self._writes[key] = (since_ns, count + 1)
        if count == _WRITES_MAX and not self._scene.is_disturbed():
            text = f"is written {count + 1} times within a minute by {actor_of(write.identity.user)}"
            self._scene.report(self.name, subject_of(write.obj), text)

    def _count_creation(self, write: Write) -> None:
        owner = controller_uid(write.obj)
        if not owner:
            return
        now_ns = self._scene.now_ns
        since_ns, count = self._creations.get(owner, (now_ns, 0))
        if now_ns - since_ns > MINUTE:
            since_ns, count = now_ns, 0
        self._creations[owner] = (since_ns, count + 1)
        if count >= _CREATIONS_MAX and not self._scene.is_disturbed():
            there = sum(entry.is_active for entry in self._pods.of(owner))
            if count + 1 > _CREATIONS_MAX + 2 * there:
                text = f"is Pod number {count + 1} made for its owner within a minute; {there} of them are wanted"
                self._scene.report(self.name, subject_of(write.obj), text)

    def _is_refused_unforeseen(self, write: Write) -> bool:
        """Whether a kubelet under pressure sends the Pod away while nobody else can know of the pressure.

        Until its Node tells, up to 10 s, the scheduler sends it Pods, and a ReplicaSet replaces each at once.
        Upstream: pkg/kubelet/eviction/eviction_manager.go:managerImpl.Admit @v1.36
        """
        status, before = write.obj.get("status") or {}, (write.previous or {}).get("status") or {}
        if status.get("reason") != "Evicted" or status["phase"] != "Failed" or before.get("phase") != "Pending":
            return False
        node = self._scene.cluster.store.table(NODE.resource).objects.get(Key("", write.obj["spec"]["nodeName"]))
        taints = node["spec"].get("taints") or () if node is not None else ()
        return not any(taint["key"].endswith("-pressure") for taint in taints)

    def _forget_creation(self, write: Write) -> None:
        owner = controller_uid(write.obj)
        since_ns, count = self._creations.get(owner, (0, 0))
        self._creations[owner] = (since_ns, max(count - 1, 0))

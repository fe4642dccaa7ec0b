"""At most one Pod of each StatefulSet identity: judged by the processes on all nodes, whatever the API says of them."""

from __future__ import annotations

from typing import final

from kubesim.api.kinds import NODE, POD
from kubesim.api.objects import Object, controller_of
from kubesim.apiserver.server import Write
from kubesim.checks.invariant import Scene, is_removal, subject_of
from kubesim.cluster.recording import actor_of
from kubesim.node.runtime import PodSandbox

_OUT_OF_SERVICE = "node.kubernetes.io/out-of-service"
_POD_GARBAGE_COLLECTOR = "system:serviceaccount:kube-system:pod-garbage-collector"


def is_forced(scene: Scene, write: Write) -> bool:
    """Whether a Pod was removed by somebody who vouches for its end without having been told by its kubelet."""
    if write.identity.user == "kubernetes-admin":
        return True
    if write.identity.user != _POD_GARBAGE_COLLECTOR:
        return False
    node = scene.cluster.store.get(NODE.resource, ("", write.obj["spec"].get("nodeName", "")))
    return node is None or any(taint["key"] == _OUT_OF_SERVICE for taint in node["spec"].get("taints") or ())


@final
class EndedBeforeGone:
    """Upstream: pkg/kubelet/status/status_manager.go:canBeDeleted @v1.36: the kubelet removes a Pod that is being
    deleted, once it has ended; others only mark it."""

    name = "endedBeforeGone"
    promise = "A Pod is removed from the API only when its processes have ended, unless by force."

    def __init__(self) -> None:
        self._running: dict[str, int] = {}

    def attach(self, scene: Scene) -> None:
        """Count processes; judge removals."""
        self._scene = scene
        scene.on_process(self._handle_process)
        scene.on_write(POD, self._handle_pod)

    def _handle_process(self, _node: str, sandbox: PodSandbox, _container: str, is_there: bool) -> None:
        self._running[sandbox.uid] = self._running.get(sandbox.uid, 0) + (1 if is_there else -1)

    def _handle_pod(self, write: Write) -> None:
        if is_removal(write) and self._running.get(write.obj["metadata"]["uid"]) and not is_forced(self._scene, write):
            text = f"is removed by {actor_of(write.identity.user)} while it runs on {write.obj['spec']['nodeName']}"
            self._scene.report(self.name, subject_of(write.obj), text)


@final
class OneIdentity:
    """The promise of `at most one Pod with a given identity`. It ends for a Pod that somebody has vouched to be dead
    without being asked by its kubelet: a user by deleting it with no grace, or by taking its node out of service or
    out of the cluster.

    Upstream: kubernetes.io, tasks/run-application/force-delete-stateful-set-pod @v1.36
    """

    name = "oneIdentity"
    promise = "Never do processes of two Pods of one StatefulSet identity run, on whatever nodes."

    def __init__(self) -> None:
        self._of_sets: dict[str, None] = {}
        self._forced: dict[str, None] = {}
        # By namespace and name: the Pods that run, by UID, with their node and how many processes they have.
        self._running: dict[tuple[str, str], dict[str, tuple[str, int]]] = {}

    def attach(self, scene: Scene) -> None:
        """Know the Pods of StatefulSets, follow all processes."""
        self._scene = scene
        for pod in scene.cluster.store.table(POD.resource).objects.values():
            self._know(pod)
        scene.on_write(POD, self._handle_pod)
        scene.on_process(self._handle_process)

    def _know(self, pod: Object) -> None:
        owner = controller_of(pod)
        if owner is not None and owner["kind"] == "StatefulSet":
            self._of_sets[pod["metadata"]["uid"]] = None

    def _handle_pod(self, write: Write) -> None:
        pod = write.obj
        if write.previous is None:
            self._know(pod)
        elif is_removal(write) and pod["metadata"]["uid"] in self._of_sets and is_forced(self._scene, write):
            self._forced[pod["metadata"]["uid"]] = None

    def _handle_process(self, node: str, sandbox: PodSandbox, _container: str, is_there: bool) -> None:
        uid = sandbox.uid
        if uid not in self._of_sets:
            return
        key = (sandbox.namespace, sandbox.name)
        running = self._running.setdefault(key, {})
        count = running.get(uid, (node, 0))[1] + (1 if is_there else -1)
        if count:
            running[uid] = (node, count)
        else:
            running.pop(uid, None)
        if is_there and len(running) > 1:
            others = [where for other, (where, _) in running.items() if other != uid and other not in self._forced]
            if others and uid not in self._forced:
                text = f"runs on {node} while another Pod of that name still runs on {others[0]}"
                self._scene.report(self.name, f"pod/{key[0]}/{key[1]}", text)

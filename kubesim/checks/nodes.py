"""What is done about nodes that fall silent: it is noticed, and Pods get the time that they were promised."""

from __future__ import annotations

from collections.abc import Sequence
from typing import final

from kubesim.api.kinds import LEASE, NODE, POD
from kubesim.api.objects import Object
from kubesim.api.tolerations import tolerates
from kubesim.apiserver.server import Write
from kubesim.checks.invariant import GRACE_NS, Scene, is_removal, subject_of
from kubesim.checks.looking import is_ready
from kubesim.sim.loop import SECOND

# --node-monitor-grace-period is 50 s, the look at all nodes comes every 5 s, and marking many Pods takes its time.
_SILENT_NS = 75 * SECOND
_LOOK_NS = 10 * SECOND
_KUBELET = "system:node:"
_TAINT_EVICTION = "system:serviceaccount:kube-system:taint-eviction-controller"


@final
class SilenceNoticed:
    """Upstream: pkg/controller/nodelifecycle/node_lifecycle_controller.go:monitorNodeHealth @v1.36"""

    name = "silenceNoticed"
    promise = "A node that has been silent for 75 s is not called ready; neither are its Pods, if it was ready before."

    def __init__(self) -> None:
        self._heard_ns: dict[str, int] = {}
        # By node: since when it is not called ready.
        self._unready_ns: dict[str, int] = {}
        # Nodes whose own kubelets have said that they are not, or whose silence was noticed by a controller that sees
        # them late, and may not see the end of it: their Pods may stay as they are.
        self._unmarked: dict[str, None] = {}

    def attach(self, scene: Scene) -> None:
        """Hear the kubelets; look every ten seconds for nodes that are not heard."""
        self._scene = scene
        self._pods = scene.pods
        for kind in (LEASE, NODE, POD):
            scene.on_write(kind, self._hear)
        scene.on_write(NODE, self._note_readiness)
        scene.cluster.loop.post(_LOOK_NS, self._look, None)

    def _hear(self, write: Write) -> None:
        user = write.identity.user
        if user.startswith(_KUBELET):
            self._heard_ns[user.removeprefix(_KUBELET)] = self._scene.now_ns

    def _note_readiness(self, write: Write) -> None:
        name = write.obj["metadata"]["name"]
        if is_ready(write.obj):
            self._unready_ns.pop(name, None)
            self._unmarked.pop(name, None)
        elif name not in self._unready_ns:
            self._unready_ns[name] = self._scene.now_ns
            if write.identity.user.startswith(_KUBELET) or self._scene.is_disturbed():
                self._unmarked[name] = None

    def _look(self, _: None) -> None:
        self._scene.cluster.loop.post(_LOOK_NS, self._look, None)
        now_ns = self._scene.now_ns
        for name, heard_ns in self._heard_ns.items():
            if now_ns - heard_ns > _SILENT_NS and not self._scene.is_disturbed():
                self._check(name, (now_ns - heard_ns) // SECOND)

    def _check(self, name: str, silent_s: int) -> None:
        node = self._scene.cluster.store.get(NODE.resource, ("", name))
        if node is None:
            return
        if is_ready(node):
            self._scene.report(self.name, subject_of(node), f"is called Ready after {silent_s} s of silence")
        # Pods are marked once, when the controller finds that a node which was ready is not: what its kubelet writes of
        # them after that stays, and so does all that it had written if it said itself that the node is not ready.
        if name in self._unmarked:
            return
        marked_ns = self._unready_ns.get(name, self._scene.now_ns)
        for entry in self._pods.all():
            if entry.pod["spec"].get("nodeName") == name and entry.is_ready and entry.ready_since_ns <= marked_ns:
                text = f"is called Ready on {name}, which has been silent for {silent_s} s"
                self._scene.report(self.name, subject_of(entry.pod), text)


@final
class TolerationsHonoured:
    """Upstream: pkg/controller/tainteviction/taint_eviction.go:processPodOnNode @v1.36"""

    name = "tolerationsHonoured"
    promise = "No Pod is evicted for a taint of its node before the time for which it tolerates that is over."

    def __init__(self) -> None:
        # By node: its NoExecute taints, each with when it came and behind those that were there then, for an eviction
        # that is planned for one goes on for the next; and when the last one went.
        self._taints: dict[str, dict[str, list[tuple[Object, int]]]] = {}
        self._gone_ns: dict[str, int] = {}

    def attach(self, scene: Scene) -> None:
        """Follow taints; judge what is deleted for them."""
        self._scene = scene
        scene.on_write(NODE, self._handle_node)
        scene.on_write(POD, self._handle_pod)

    def _handle_node(self, write: Write) -> None:
        name = write.obj["metadata"]["name"]
        taints = () if is_removal(write) else write.obj["spec"].get("taints") or ()
        known = self._taints.get(name, {})
        now = {each["key"]: each for each in taints if each["effect"] == "NoExecute"}
        if now.keys() != known.keys():
            if known.keys() - now.keys():
                self._gone_ns[name] = self._scene.now_ns
            earlier = [each for chain in known.values() for each in chain]
            came = self._scene.now_ns
            self._taints[name] = {key: known.get(key) or [*earlier, (taint, came)] for key, taint in now.items()}

    def _handle_pod(self, write: Write) -> None:
        if write.verb != "deleted" or write.identity.user != _TAINT_EVICTION:
            return
        pod, name = write.obj, write.obj["spec"].get("nodeName", "")
        if self._scene.now_ns - self._gone_ns.get(name, -GRACE_NS) < GRACE_NS:
            return
        taints = self._taints.get(name, {})
        is_over = any(self._is_over(pod, chain) for chain in taints.values())
        if not is_over and not self._scene.is_disturbed():
            text = f"is evicted from {name}, whose taints ({', '.join(taints) or 'none'}) it still tolerates"
            self._scene.report(self.name, subject_of(pod), text)

    def _is_over(self, pod: Object, chain: list[tuple[Object, int]]) -> bool:
        tolerations = pod["spec"].get("tolerations") or ()
        if not any(tolerates(each, chain[-1][0]) for each in tolerations):
            return True
        ends_ns = [self._end_ns(tolerations, *each) for each in chain]
        return ends_ns[-1] is not None and self._scene.now_ns >= min(end for end in ends_ns if end is not None)

    @staticmethod
    def _end_ns(tolerations: Sequence[Object], taint: Object, since_ns: int) -> int | None:
        """When the shortest toleration of a taint is over, a second early; None where it is for ever."""
        matching = [each for each in tolerations if tolerates(each, taint)]
        seconds = [each["tolerationSeconds"] for each in matching if "tolerationSeconds" in each]
        return since_ns + (min(seconds) - 1) * SECOND if seconds else None

"""What kubelets do over and over: starting containers, with growing waits, and not for Pods that are to go."""

from __future__ import annotations

from typing import final

from kubesim.checks.invariant import GRACE_NS, Scene
from kubesim.node.runtime import PodSandbox
from kubesim.sim.loop import MINUTE, SECOND

# At once, then after 10, 20 and 40 s; a reboot or a hurried liveness probe may add one.
_STARTS_MAX = 6


@final
class RestartsBackOff:
    """Upstream: pkg/kubelet/kuberuntime/kuberuntime_manager.go:doBackOff, pkg/kubelet/pod_workers.go @v1.36"""

    name = "restartsBackOff"
    promise = "A container is started six times a minute at most, and never for a Pod that has been asked to go."

    def __init__(self) -> None:
        # By Pod and container: the start of the minute that is counted, and how many starts it has had.
        self._starts: dict[tuple[str, str], tuple[int, int]] = {}

    def attach(self, scene: Scene) -> None:
        """Count each start."""
        self._scene = scene
        self._pods = scene.pods
        scene.on_process(self._handle)

    def _handle(self, node: str, sandbox: PodSandbox, container: str, is_there: bool) -> None:
        if not is_there:
            return
        now_ns = self._scene.now_ns
        since_ns, count = self._starts.get((sandbox.uid, container), (now_ns, 0))
        if now_ns - since_ns > MINUTE:
            since_ns, count = now_ns, 0
        self._starts[sandbox.uid, container] = (since_ns, count + 1)
        subject = f"pod/{sandbox.namespace}/{sandbox.name}"
        if count >= _STARTS_MAX:
            text = f"container {container} is started {count + 1} times in {(now_ns - since_ns) // SECOND} s"
            self._scene.report(self.name, subject, text)
        machine = self._scene.cluster.data_plane.nodes[node]
        entry = self._pods.by_uid.get(sandbox.uid)
        if entry is None:
            is_late = all(gone.uid != sandbox.uid for gone in self._pods.gone(GRACE_NS))
        else:
            is_late = not entry.was_active_within(GRACE_NS)
        if is_late and machine.is_in_touch and not self._is_fresh(node) and not self._scene.is_disturbed():
            self._scene.report(self.name, subject, f"container {container} is started although the Pod is to go")

    def _is_fresh(self, node: str) -> bool:
        """Whether the node has been disturbed in the last minute: its kubelet may not know better yet."""
        since_ns = self._scene.now_ns - MINUTE
        for noted in reversed(self._scene.cluster.faults.log):
            if noted.at_ns < since_ns:
                return False
            if noted.subject == f"node/{node}":
                return True
        return False

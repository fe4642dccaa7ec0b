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
    """What a kubelet has begun for a Pod it goes through with: a container whose image takes long to pull is started
    although its Pod has been asked to go meanwhile.

    Upstream: pkg/kubelet/kuberuntime/kuberuntime_manager.go:doBackOff, pkg/kubelet/pod_workers.go, kubelet.go:SyncPod
    with its context.WithoutCancel @v1.36
    """

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
        is_excused = self._is_fresh(node) or self._are_pulls_slow() or self._scene.is_disturbed()
        if is_late and machine.is_in_touch and not is_excused:
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

    def _are_pulls_slow(self) -> bool:
        """Whether the registry is slow, or was until a minute ago: a pull from before may end only now."""
        cluster = self._scene.cluster
        if cluster.data_plane.images.added_ns:
            return True
        last = next((noted for noted in reversed(cluster.faults.log) if noted.subject == "registry"), None)
        return last is not None and self._scene.now_ns - last.at_ns < MINUTE

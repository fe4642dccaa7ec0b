"""`kubectl drain` on the loop: every Pod is asked to go, each again 5 s after a budget has refused it.

Upstream: kubectl/pkg/drain/drain.go:evictPods @v1.36
"""

from __future__ import annotations

from typing import Final, final

from kubesim.api.objects import Object
from kubesim.cluster import Cluster
from kubesim.errors import ApiError
from kubesim.sim.loop import SECOND

_AGAIN_NS: Final = 5 * SECOND


@final
class Draining:
    """Evicts the Pods of a node until none is left, `stop` is called or the time is up."""

    def __init__(self, cluster: Cluster, node: str, timeout_ns: int) -> None:
        self._cluster = cluster
        self._node = node
        self._end_ns = cluster.now_ns + timeout_ns
        self._asked: dict[str, None] = {}
        self._is_on = True

    def start(self) -> None:
        """Ask all Pods that are there, and those that were refused again later."""
        if not self._is_on:
            return
        is_refused = False
        for pod in self._cluster.list("pods"):
            uid = pod["metadata"]["uid"]
            if uid not in self._asked and is_drained(pod, self._node):
                try:
                    self._cluster.evict(f"pod/{pod['metadata']['name']}", pod["metadata"]["namespace"])
                    self._asked[uid] = None
                except ApiError:
                    is_refused = True
        if is_refused and self._cluster.now_ns + _AGAIN_NS < self._end_ns:
            self._cluster.loop.timer(_AGAIN_NS, self.start)

    def stop(self) -> None:
        """Ask no more."""
        self._is_on = False


def is_drained(pod: Object, node: str) -> bool:
    """Whether a drain of this node moves the Pod: those of a DaemonSet, of the node itself and finished ones stay."""
    owners = pod["metadata"].get("ownerReferences") or ()
    return (
        pod["spec"].get("nodeName") == node
        and pod["status"].get("phase") not in ("Succeeded", "Failed")
        and all(owner["kind"] not in ("DaemonSet", "Node") for owner in owners)
    )

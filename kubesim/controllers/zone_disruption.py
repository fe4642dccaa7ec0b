"""How much of a zone is down, and how fast its nodes may therefore be given up.

When one node fails its Pods should move; when most of a zone fails, more likely the network did, and moving everything
would make it worse. So NoExecute taints are handed out by zone and by rate.
Upstream: pkg/controller/nodelifecycle/node_lifecycle_controller.go:ComputeZoneState, handleDisruption,
pkg/controller/nodelifecycle/scheduler/rate_limited_queue.go @v1.36
"""

from __future__ import annotations

from typing import final

from kubesim.api.objects import Object, labels_of
from kubesim.sim.loop import SECOND

INITIAL, NORMAL, PARTIAL, FULL = "Initial", "Normal", "PartialDisruption", "FullDisruption"
# The defaults of --unhealthy-zone-threshold and --large-cluster-size-threshold; the rates of --node-eviction-rate and
# --secondary-node-eviction-rate, 0.1 and 0.01 nodes a second, as the time from one node to the next.
_UNHEALTHY_PERCENT = 55
_LARGE_ZONE = 50
PRIMARY_NS = 10 * SECOND
SECONDARY_NS = 100 * SECOND
NEVER_NS = 0


def zone_of(node: Object) -> str:
    """The node's region and zone as one key, empty for none. Upstream: nodetopology.GetZoneKey"""
    labels = labels_of(node)
    zone = labels.get("failure-domain.beta.kubernetes.io/zone", labels.get("topology.kubernetes.io/zone", ""))
    region = labels.get("failure-domain.beta.kubernetes.io/region", labels.get("topology.kubernetes.io/region", ""))
    return f"{region}:\0:{zone}" if region or zone else ""


def compute_zone_state(ready: int, not_ready: int) -> str:
    """The state of a zone with so many nodes ready and not."""
    if not ready and not_ready:
        return FULL
    if not_ready > 2 and not_ready * 100 >= _UNHEALTHY_PERCENT * (ready + not_ready):
        return PARTIAL
    return NORMAL


def eviction_interval_ns(state: str, nodes: int) -> int:
    """The time between two nodes of a zone in this state; `NEVER_NS` for no more nodes at all."""
    if state == PARTIAL:
        return SECONDARY_NS if nodes > _LARGE_ZONE else NEVER_NS
    return PRIMARY_NS


@final
class TaintQueue:
    """One zone's nodes that are to get a NoExecute taint, each once until it is removed, at a limited rate."""

    __slots__ = ("_interval_ns", "_known", "_next_token_ns", "_waiting")

    def __init__(self) -> None:
        self._interval_ns = PRIMARY_NS
        self._next_token_ns = 0
        self._waiting: dict[str, None] = {}
        self._known: dict[str, None] = {}

    def add(self, node_name: str) -> bool:
        """Queue the node; False if it has been queued before and not removed since."""
        if node_name in self._known:
            return False
        self._known[node_name] = None
        self._waiting[node_name] = None
        return True

    def remove(self, node_name: str) -> bool:
        """Forget the node; whether it was known."""
        if node_name not in self._known:
            return False
        del self._known[node_name]
        self._waiting.pop(node_name, None)
        return True

    def done(self, node_name: str) -> None:
        """The node has its taint; it stays known."""
        self._waiting.pop(node_name, None)

    def retry(self, node_name: str) -> None:
        """Tainting failed: the node goes to the end."""
        if node_name in self._waiting:
            del self._waiting[node_name]
            self._waiting[node_name] = None

    def set_interval(self, interval_ns: int, now_ns: int) -> None:
        """Change the rate. A token that was there is there under the new rate; one being waited for starts anew."""
        if interval_ns == self._interval_ns:
            return
        had_token = self._interval_ns != NEVER_NS and self._next_token_ns <= now_ns
        self._interval_ns = interval_ns
        self._next_token_ns = now_ns if had_token else now_ns + interval_ns

    def head(self) -> str | None:
        """The node that comes next."""
        return next(iter(self._waiting), None)

    def try_take(self, now_ns: int) -> bool:
        """Take the token for one node, if there is one."""
        if self._interval_ns == NEVER_NS or self._next_token_ns > now_ns:
            return False
        self._next_token_ns = now_ns + self._interval_ns
        return True

    def wait_ns(self, now_ns: int) -> int | None:
        """How long until something can be done; None if nothing waits or nothing is allowed."""
        if not self._waiting or self._interval_ns == NEVER_NS:
            return None
        return max(0, self._next_token_ns - now_ns)

"""Which nodes are alive: heartbeats, and the conditions of a node that has none.

A heartbeat is a renewed Lease or a Ready condition with a new heartbeat time; it counts from the moment at which the
controller looks, not from the time written in it. Between looks only names are noted, so that a silent tick over
thousands of healthy nodes is one pass over a dict of numbers.
Upstream: pkg/controller/nodelifecycle/node_lifecycle_controller.go:tryUpdateNodeHealth @v1.36
"""

from __future__ import annotations

from typing import final

from kubesim.api.conditions import find_condition
from kubesim.api.objects import Object
from kubesim.api.timestamps import from_time, to_time
from kubesim.client.informer import Lister
from kubesim.sim.loop import SECOND

# --node-monitor-grace-period and --node-startup-grace-period, as upstream's config/v1alpha1/defaults.go has them.
GRACE_NS = 50 * SECOND
STARTUP_GRACE_NS = 60 * SECOND
LEASE_NAMESPACE = "kube-node-lease"
_KUBELETS_OWN = ("Ready", "MemoryPressure", "DiskPressure", "PIDPressure")


def conditions_of(node: Object) -> list[Object]:
    """The node's conditions, an empty list where it has none."""
    conditions: list[Object] = (node.get("status") or {}).get("conditions") or []
    return conditions


def ready_of(node: Object) -> Object | None:
    """The node's Ready condition, whatever it says."""
    return find_condition(conditions_of(node), "Ready")


def with_unknown_conditions(node: Object, now_ns: int) -> Object:
    """The node with all that only its kubelet can know set to Unknown."""
    conditions = list(conditions_of(node))
    for kind in _KUBELETS_OWN:
        current = find_condition(conditions, kind)
        if current is None:
            never = {
                "type": kind,
                "status": "Unknown",
                "lastHeartbeatTime": node["metadata"]["creationTimestamp"],
                "lastTransitionTime": to_time(now_ns),
                "reason": "NodeStatusNeverUpdated",
                "message": "Kubelet never posted node status.",
            }
            conditions.append(never)
        elif current["status"] != "Unknown":
            conditions[conditions.index(current)] = {
                **current,
                "status": "Unknown",
                "lastTransitionTime": to_time(now_ns),
                "reason": "NodeStatusUnknown",
                "message": "Kubelet stopped posting node status.",
            }
    return {**node, "status": {**(node.get("status") or {}), "conditions": conditions}}


@final
class Heartbeats:
    """When each node was last seen alive. `leases` is the lister of Leases."""

    def __init__(self, leases: Lister) -> None:
        self._leases = leases
        self._seen_ns: dict[str, int] = {}
        self._ready: dict[str, Object | None] = {}
        self._renewed: dict[str, None] = {}
        # The latest time of renewal that has counted; an earlier one, of a clock that was set back, does not.
        self._renewed_to: dict[str, str] = {}

    def on_lease(self, lease: Object) -> None:
        """A Lease has appeared."""
        metadata = lease["metadata"]
        if metadata["namespace"] == LEASE_NAMESPACE:
            self._renewed[metadata["name"]] = None
            self._renewed_to[metadata["name"]] = lease["spec"].get("renewTime", "")

    def on_lease_update(self, old: Object, new: Object) -> None:
        """A Lease has changed: renewed if its time has moved on."""
        if new["metadata"]["namespace"] != LEASE_NAMESPACE:
            return
        name, renewed = new["metadata"]["name"], new["spec"].get("renewTime", "")
        if self._renewed_to.get(name, old["spec"].get("renewTime", "")) < renewed:
            self._renewed[name] = None
            self._renewed_to[name] = renewed

    def take_in(self, now_ns: int) -> list[str]:
        """Count the renewals since the last look; returns the nodes that have been silent for too long."""
        seen_ns = self._seen_ns
        if self._renewed:
            for name in self._renewed:
                if name in seen_ns:
                    seen_ns[name] = now_ns
            self._renewed.clear()
        limit_ns = now_ns - GRACE_NS
        return [name for name, at_ns in seen_ns.items() if at_ns < limit_ns]

    def is_silent(self, node: Object, now_ns: int) -> bool:
        """Note what the node's Ready condition shows; whether the node's time is up."""
        name = node["metadata"]["name"]
        ready = ready_of(node)
        if ready is None:
            if name not in self._seen_ns:
                has_lease = self._leases.get(LEASE_NAMESPACE, name) is not None
                self._seen_ns[name] = now_ns if has_lease else from_time(node["metadata"]["creationTimestamp"])
            self._ready[name] = None
            return now_ns > self._seen_ns[name] + STARTUP_GRACE_NS
        saved = self._ready.get(name)
        if saved is None or saved.get("lastHeartbeatTime") != ready.get("lastHeartbeatTime"):
            self._seen_ns[name] = now_ns
        self._ready[name] = ready
        return now_ns > self._seen_ns[name] + GRACE_NS

    def is_known_unready(self, node_name: str) -> bool:
        """Whether the node's Ready condition, as last looked at, is there and not True."""
        ready = self._ready.get(node_name)
        return ready is not None and ready["status"] != "True"

    def note_written(self, node: Object) -> None:
        """We have written the node's conditions ourselves."""
        name = node["metadata"]["name"]
        self._ready[name] = ready_of(node)
        lease = self._leases.get(LEASE_NAMESPACE, name)
        if lease is not None:
            self._renewed_to[name] = lease["spec"].get("renewTime", "")

    def start_anew(self, now_ns: int) -> None:
        """Count every node as seen now."""
        self._seen_ns = dict.fromkeys(self._seen_ns, now_ns)

    def forget(self, node_name: str) -> None:
        """The node is gone."""
        self._seen_ns.pop(node_name, None)
        self._ready.pop(node_name, None)
        self._renewed_to.pop(node_name, None)

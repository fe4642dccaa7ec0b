"""Every node's kube-proxy: which endpoint a connection to a Service reaches, as that node sees the Service now.

One copy of Services and EndpointSlices serves all nodes. It keeps a short history of each Service, and a node looks
at it as of an instant of its own: a change is known to the node's kube-proxy after the node's lag, and two syncs are
at least a second apart, so the first change after a quiet time is seen quickly and those right behind it up to a
second later. Nothing is done for a node that nobody on it uses. A node that is cut off stays at the instant it had.
Upstream: pkg/proxy/iptables/proxier.go:syncProxyRules, pkg/proxy/runner/bounded_frequency_runner.go @v1.36
"""

from __future__ import annotations

from bisect import bisect_right
from typing import final

from kubesim.api.objects import Object
from kubesim.client.informer import Informer
from kubesim.network.endpoints import DROPPED, REJECTED, Backend, PortView
from kubesim.sim.chooser import Chooser, Stream
from kubesim.sim.loop import MILLISECOND, SECOND, Loop

# Upstream: pkg/proxy/apis/config/v1alpha1/defaults.go:SetDefaults_KubeProxyConfiguration @v1.36
SYNC_INTERVAL_MIN_NS = SECOND
# From the API server's answer to the new rules in the kernel: the watch's way and one partial iptables-restore.
_LAG_MIN_NS = 20 * MILLISECOND
_LAG_SPREAD_MS = 100
_CHANGES_MAX = 1024
# Changes closer together than this, which is less than any lag, count as one made at the instant of the first.
_TOGETHER_NS = 10 * MILLISECOND
# How far back a node that is not cut off can still be.
_HISTORY_NS = 2 * SYNC_INTERVAL_MIN_NS + (_LAG_SPREAD_MS + 20) * MILLISECOND

# The address (empty for a node port) and port that was asked for.
PortKey = tuple[str, int]

SERVICE_NAME_LABEL = "kubernetes.io/service-name"


@final
class _State:
    """A Service and its slices from one instant on; the views of its ports are made when somebody looks."""

    __slots__ = ("_ports", "service", "slices")

    def __init__(self, service: Object | None, slices: dict[str, Object]) -> None:
        self.service = service
        self.slices = slices
        self._ports: dict[PortKey, PortView | None] = {}

    def port(self, ip: str, number: int) -> PortView | None:
        """The view of the port at one of the Service's addresses, or of a node port; None when there is none."""
        key = (ip, number)
        if key not in self._ports:
            self._ports[key] = self._view(ip, number)
        return self._ports[key]

    def _view(self, ip: str, number: int) -> PortView | None:
        if self.service is None:
            return None
        spec = self.service["spec"]
        if ip and ip not in _addresses(spec):
            return None  # an address that the Service had before it was made anew
        field = "port" if ip else "nodePort"
        for port in spec.get("ports") or ():
            if port.get(field) == number:
                return PortView(spec, port, self.slices.values())
        return None


def _addresses(spec: Object) -> list[str]:
    """The addresses that nodes catch for a Service."""
    cluster_ips = spec.get("clusterIPs") or [spec.get("clusterIP", "")]
    return [ip for ip in (*cluster_ips, *(spec.get("externalIPs") or ())) if ip and ip != "None"]


@final
class _History:
    """The states of one Service, oldest first, each with the instant from which it held."""

    __slots__ = ("instants", "states")

    def __init__(self) -> None:
        self.instants: list[int] = []
        self.states: list[_State] = []

    def latest(self) -> _State:
        return self.states[-1] if self.states else _EMPTY

    def draft(self, at_ns: int, horizon_ns: int) -> _State:
        """The state that holds from `at_ns`, to be filled in; what nobody can see any more is dropped."""
        instants = self.instants
        if instants and instants[-1] == at_ns:
            return self.states[-1]
        latest = self.latest()
        state = _State(latest.service, {**latest.slices})
        instants.append(at_ns)
        self.states.append(state)
        obsolete = bisect_right(instants, horizon_ns) - 1
        if obsolete > 0:
            del instants[:obsolete]
            del self.states[:obsolete]
        return state

    def at(self, seen_ns: int) -> _State:
        """The state as of an instant."""
        if self.instants and self.instants[-1] <= seen_ns:
            return self.states[-1]
        index = bisect_right(self.instants, seen_ns) - 1
        return self.states[index] if index >= 0 else _EMPTY


_EMPTY = _State(None, {})


@final
class _Node:
    """One node's kube-proxy: as of when it sees the world, and which client it sends where."""

    __slots__ = ("affinity", "catch_up_ns", "is_cut_off", "lag_ns", "seen_ns", "stream", "synced_ns")

    def __init__(self, stream: Stream) -> None:
        self.stream = stream
        self.lag_ns = _LAG_MIN_NS + stream.below(_LAG_SPREAD_MS) * MILLISECOND
        self.seen_ns = -1
        self.synced_ns = -SYNC_INTERVAL_MIN_NS
        self.is_cut_off = False
        self.catch_up_ns = 0
        self.affinity: dict[tuple[PortKey, str], tuple[Backend, int]] = {}


@final
class ProxyViews:
    """The kube-proxies of all nodes."""

    def __init__(self, loop: Loop, chooser: Chooser) -> None:
        self._loop = loop
        self._chooser = chooser
        self._histories: dict[tuple[str, str], _History] = {}
        self._by_ip: dict[str, _History] = {}
        self._by_node_port: dict[int, _History] = {}
        self._nodes: dict[str, _Node] = {}
        self._cut_off: dict[str, _Node] = {}
        self._changes: list[int] = []
        self._forgotten_ns = -1

    def follow(self, services: Informer, slices: Informer) -> None:
        """Learn of Services and EndpointSlices from these informers."""
        services.add_handler(self.on_service, lambda _, new: self.on_service(new), self.on_service_deleted)
        slices.add_handler(self.on_slice, lambda _, new: self.on_slice(new), self.on_slice_deleted)

    def on_service(self, service: Object) -> None:
        """A Service is there, or has changed."""
        metadata = service["metadata"]
        history = self._history(metadata["namespace"], metadata["name"])
        spec = service["spec"]
        before = history.latest().service
        if before is not None and before["spec"] is spec:
            return
        for ip in _addresses(spec):
            self._by_ip[ip] = history
        for port in spec.get("ports") or ():
            if port.get("nodePort"):
                self._by_node_port[port["nodePort"]] = history
        self._draft(history).service = service

    def on_service_deleted(self, service: Object) -> None:
        """A Service is gone."""
        metadata = service["metadata"]
        history = self._history(metadata["namespace"], metadata["name"])
        self._draft(history).service = None

    def on_slice(self, piece: Object) -> None:
        """An EndpointSlice is there, or has changed."""
        self._set_slice(piece, piece)

    def on_slice_deleted(self, piece: Object) -> None:
        """An EndpointSlice is gone."""
        self._set_slice(piece, None)

    def _set_slice(self, piece: Object, new: Object | None) -> None:
        metadata = piece["metadata"]
        service_name = (metadata.get("labels") or {}).get(SERVICE_NAME_LABEL)
        if not service_name:
            return
        history = self._history(metadata["namespace"], service_name)
        slices = self._draft(history).slices
        if new is None:
            slices.pop(metadata["name"], None)
        else:
            slices[metadata["name"]] = new

    def _history(self, namespace: str, name: str) -> _History:
        history = self._histories.get((namespace, name))
        if history is None:
            history = self._histories[namespace, name] = _History()
        return history

    def _draft(self, history: _History) -> _State:
        """The state of a Service in which a change made now is to be noted. Nobody has seen it yet."""
        now_ns = self._loop.now_ns
        horizon_ns = now_ns - _HISTORY_NS
        for node in self._cut_off.values():
            horizon_ns = min(horizon_ns, node.seen_ns)
        changes = self._changes
        if not changes or now_ns - changes[-1] >= _TOGETHER_NS:
            changes.append(now_ns)
            if len(changes) > _CHANGES_MAX and changes[_CHANGES_MAX // 2] < horizon_ns:
                self._forgotten_ns = changes[_CHANGES_MAX // 2 - 1]
                del changes[: _CHANGES_MAX // 2]
        return history.draft(changes[-1], horizon_ns)

    def has_node_port(self, port: int) -> bool:
        """Whether a Service has, or had, this node port."""
        return port in self._by_node_port

    def route(self, node_name: str, ip: str, port: int, client_ip: str) -> Backend | None:
        """Where a new connection through this node goes; an empty `ip` means the node port `port`.

        Returns an endpoint, `REJECTED`, `DROPPED`, or None when the address is no Service's as far as the node knows.
        """
        history = self._by_ip.get(ip) if ip else self._by_node_port.get(port)
        if history is None:
            return None
        node = self._nodes.get(node_name) or self._node(node_name)
        if not node.is_cut_off:
            self._catch_up(node)
        state = history.at(node.seen_ns)
        view = state.port(ip, port)
        if view is None:
            return None
        if not view.has_any:
            return REJECTED
        endpoints = view.usable(node_name, view.is_internal_local if ip else view.is_external_local)
        if not endpoints:
            return DROPPED
        if view.affinity_ns:
            return self._sticky(node, (ip, port), view.affinity_ns, endpoints, client_ip)
        return endpoints[0] if len(endpoints) == 1 else endpoints[node.stream.below(len(endpoints))]

    def _catch_up(self, node: _Node) -> None:
        """Do the syncs that the node's kube-proxy has done since the last look."""
        changes = self._changes
        if not changes or (changes[-1] <= node.seen_ns and not node.catch_up_ns):
            return
        now_ns = self._loop.now_ns
        node.seen_ns = max(node.seen_ns, self._forgotten_ns)
        while True:
            index = bisect_right(changes, node.seen_ns)
            if index < len(changes):
                change_ns = max(changes[index], node.catch_up_ns)
            elif node.catch_up_ns:
                change_ns = node.catch_up_ns
            else:
                return
            sync_ns = max(change_ns + node.lag_ns, node.synced_ns + SYNC_INTERVAL_MIN_NS)
            if sync_ns > now_ns:
                return
            node.synced_ns = sync_ns
            node.seen_ns = sync_ns - node.lag_ns
            node.catch_up_ns = 0

    def _sticky(
        self, node: _Node, key: PortKey, timeout_ns: int, endpoints: tuple[Backend, ...], client_ip: str
    ) -> Backend:
        now_ns = self._loop.now_ns
        last = node.affinity.get((key, client_ip))
        if last is not None and now_ns - last[1] < timeout_ns and last[0] in endpoints:
            backend = last[0]
        else:
            backend = endpoints[node.stream.below(len(endpoints))]
        node.affinity[key, client_ip] = (backend, now_ns)
        return backend

    def cut_off(self, node_name: str) -> None:
        """The node's kube-proxy hears nothing any more; its rules stay as they are."""
        node = self._node(node_name)
        if not node.is_cut_off:
            self._catch_up(node)
            node.is_cut_off = True
            self._cut_off[node_name] = node

    def reconnect(self, node_name: str) -> None:
        """The end of `cut_off`: the node lists anew and syncs."""
        node = self._cut_off.pop(node_name, None)
        if node is not None:
            node.is_cut_off = False
            node.catch_up_ns = self._loop.now_ns

    def lag_ns(self, node_name: str) -> int:
        """How long after a change in a quiet time the node acts on it."""
        return self._node(node_name).lag_ns

    def _node(self, node_name: str) -> _Node:
        node = self._nodes.get(node_name)
        if node is None:
            node = self._nodes[node_name] = _Node(self._chooser.stream(f"proxy/{node_name}"))
        return node

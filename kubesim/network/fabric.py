"""The network as a whole: which address is where, how a name or Service address becomes a host, and what is broken.

`attach` gives a Pod or node its place, `open` a process its sockets. A message to a name passes the cluster's DNS, one
to a Service's address the view of the sender's own node; from then on it is one host talking to another, whatever
happens to the Service.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, final

from kubesim.network.dns import Resolution
from kubesim.network.endpoints import DROPPED, REJECTED, Backend
from kubesim.network.links import LATENCY_BETWEEN_NODES_NS, Between, LinkFault, Links
from kubesim.network.messages import NetError
from kubesim.network.sockets import Connection, Exchange, Host, Sockets, Wire, arrive_to_request
from kubesim.sim.chooser import Chooser, Stream
from kubesim.sim.loop import Loop

Arrival = Callable[[Exchange], None]

_LOCAL = ("localhost", "127.0.0.1", "::1")


class NameServer(Protocol):
    """Who answers for names; `stream` picks among several addresses. `kubesim.network.dns.Names` is the cluster's."""

    stream: Stream

    def resolve(self, namespace: str, host: str) -> Resolution:
        """The addresses of a name, as a process of that namespace looks it up."""
        ...


class Routes(Protocol):
    """What stands on nodes between an address and the process behind it; in a cluster each node's kube-proxy."""

    def has_node_port(self, port: int) -> bool:
        """Whether nodes pass this port of theirs on."""
        ...

    def route(self, node_name: str, ip: str, port: int, client_ip: str) -> Backend | None:
        """Where a connection through a node goes that is for a virtual address, or (empty) for the node's own port."""
        ...

    def cut_off(self, node_name: str) -> None:
        """The node hears of no change any more."""
        ...

    def reconnect(self, node_name: str) -> None:
        """The end of `cut_off`."""
        ...


@final
class Fabric:
    """Hosts by address, and the way between them."""

    def __init__(self, loop: Loop, chooser: Chooser, names: NameServer, proxy: Routes) -> None:
        self.links = Links(chooser.stream("network/links"))
        self.wire = Wire(loop, self.links)
        self.names = names
        # Nobody answers for names: whoever asks waits until his own patience ends.
        self.is_dns_silent = False
        self.proxy = proxy
        # For observers: a node's proxy sends a new connection to an endpoint of a Service.
        self.on_route: Callable[[str, Backend], None] | None = None
        self._loop = loop
        self._hosts: dict[str, Host] = {}

    def attach(self, ip: str, node_name: str, is_node: bool = False) -> Host:
        """Give an address its place: a Pod's sandbox, a node (`is_node`) or a machine outside under a name of its own.

        Attaching an address that is there, as Pods on the host network do, returns the same host once more.
        """
        host = self._hosts.get(ip)
        if host is not None and host.node_name == node_name:
            host.uses += 1
            return host
        host = self._hosts[ip] = Host(ip, node_name, is_node)
        return host

    def detach(self, host: Host) -> None:
        """The address is gone: what is sent to it from now on gets no answer."""
        host.uses -= 1
        if not host.uses:
            host.is_attached = False
            if self._hosts.get(host.ip) is host:
                del self._hosts[host.ip]

    def open(self, host: Host, namespace: str) -> Sockets:
        """The sockets of one process on a host; `namespace` is where its short names are looked up first."""
        return Sockets(self, host, namespace)

    def lose_node(self, node_name: str) -> None:
        """The node has no power: silence, also for what its processes still seem to send."""
        self.links.set_down(node_name, True)
        self.proxy.cut_off(node_name)
        self._disturb(node_name)

    def restore_node(self, node_name: str) -> None:
        """The node has power again; its old connections are known to the other end only."""
        self.links.set_down(node_name, False)
        self._reconnect(node_name)

    def isolate_node(self, node_name: str) -> None:
        """The node runs on and reaches nobody else, neither Pods nor the API server."""
        self.links.set_cut_off(node_name, True)
        self.proxy.cut_off(node_name)
        self._disturb(node_name)

    def rejoin_node(self, node_name: str) -> None:
        """The end of `isolate_node`."""
        self.links.set_cut_off(node_name, False)
        self._reconnect(node_name)

    def _reconnect(self, node_name: str) -> None:
        if self.links.is_on(node_name):
            self.proxy.reconnect(node_name)
        self._disturb(node_name)

    def set_link_fault(self, source: str, target: str, fault: LinkFault | None) -> None:
        """A fault of the direction from one node to another; None repairs it."""
        self.links.set_fault(source, target, fault)
        self._disturb(source)

    def add_link_fault(self, source: str, target: str, fault: LinkFault) -> None:
        """One more fault of a direction between nodes."""
        self.links.add_fault(source, target, fault)
        self._disturb(source)

    def remove_link_fault(self, source: str, target: str, fault: LinkFault) -> None:
        """The end of this one."""
        self.links.remove_fault(source, target, fault)
        self._disturb(source)

    def add_fault_between(self, between: Between) -> None:
        """One more fault of a direction between some hosts."""
        self.links.add_between(between)
        self._disturb("")

    def remove_fault_between(self, between: Between) -> None:
        """The end of this one."""
        self.links.remove_between(between)
        self._disturb("")

    def reset_connections(self, ip: str) -> int:
        """Break every connection from and to an address, as a reset does that both ends hear; returns how many."""
        host = self._hosts.get(ip)
        if host is None:
            return 0
        connections = {each: None for sockets in host.sockets for each in (*sockets.inbound, *sockets.outbound)}
        for connection in connections:
            connection.reset()
        return len(connections)

    def send_to_name(self, exchange: Exchange, name: str, port: int, timeout_ns: int, on_arrival: Arrival) -> None:
        """For `Sockets`: resolve a name or take an address as it is, and send the first segment there."""
        exchange.port = port
        self.wire.expire_after(timeout_ns, exchange)
        source = exchange.source
        if name in _LOCAL:
            self._send(exchange, source.host.ip, on_arrival)
            return
        if name.replace(".", "").isdigit() or ":" in name:
            self._send(exchange, name, on_arrival)
            return
        if self.is_dns_silent:
            return
        answer = self.names.resolve(source.namespace, name)
        delay_ns = 2 * LATENCY_BETWEEN_NODES_NS * answer.lookups
        addresses = answer.addresses

        def send(exchange: Exchange) -> None:
            if not addresses:
                exchange.fail(NetError("unresolved", f'could not translate host name "{name}" to address'))
                return
            ip = addresses[0] if len(addresses) == 1 else self.names.stream.pick(addresses)
            self._send(exchange, ip, on_arrival)

        self._loop.post(delay_ns, send, exchange)

    def _send(self, exchange: Exchange, ip: str, on_arrival: Arrival) -> None:
        source = exchange.source
        if source.is_closed:
            return
        here = source.host.node_name
        host = self._hosts.get(ip)
        if host is None or (host.is_node and self.proxy.has_node_port(exchange.port)):
            via = here
            if host is not None:
                via = host.node_name
                if self.links.delay_ns(source.host, host) is None:
                    return
            backend = self.proxy.route(via, ip if host is None else "", exchange.port, source.host.ip)
            if backend is REJECTED:
                text = f"connect to {ip}:{exchange.port}: connection refused (no endpoints)"
                exchange.message = NetError("unreachable", text)
                self._loop.post(LATENCY_BETWEEN_NODES_NS if host is not None else 0, Exchange.finish, exchange)
                return
            if backend is not None and backend is not DROPPED:
                ip, exchange.port = backend.ip, backend.port
                host = self._hosts.get(ip)
                if self.on_route is not None:
                    self.on_route(via, backend)
            elif backend is DROPPED:
                return
        if host is None:
            return
        exchange.target = host
        delay_ns = self.links.delay_ns(source.host, host)
        if delay_ns is not None:
            # A request follows its handshake: three ways until it is there.
            self._loop.post(3 * delay_ns if on_arrival is arrive_to_request else delay_ns, on_arrival, exchange)

    def _disturb(self, node_name: str) -> None:
        """Tell the owners of connections from or to a node, or all, that these may behave differently from now on."""
        affected: dict[Connection, None] = {}
        for host in self._hosts.values():
            if not node_name or host.node_name == node_name:
                for sockets in host.sockets:
                    affected.update(sockets.inbound)
                    affected.update(sockets.outbound)
        for connection in affected:
            connection.disturbed()

"""Hosts, the sockets of one process, connections and the calls over them.

A call is one segment there and one back; each is an event of the loop, so whatever happens in between (a process
ends, a node is lost, a link is cut) is met where the segment arrives. A process that ends resets its connections at
once; a node that is lost says nothing, and the caller waits for its own timeout.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, final

from kubesim.network.links import Links
from kubesim.network.messages import Handler, NetError, OnAnswer
from kubesim.sim.loop import Loop

if TYPE_CHECKING:
    from kubesim.network.fabric import Fabric

# A handler on this port answers every port of the host that nothing else listens on.
ANY_PORT = 0


@final
class Host:
    """What has an address: a Pod's network namespace, a node, or a machine outside. Made by `Fabric.attach`."""

    __slots__ = ("ip", "is_attached", "is_node", "listeners", "node_name", "sockets", "uses")

    def __init__(self, ip: str, node_name: str, is_node: bool) -> None:
        self.ip = ip
        self.node_name = node_name
        self.is_node = is_node
        self.is_attached = True
        self.uses = 1
        self.listeners: dict[int, tuple[Sockets, Handler]] = {}
        self.sockets: dict[Sockets, None] = {}

    def listener(self, port: int) -> tuple[Sockets, Handler] | None:
        """Who answers on a port, and with what."""
        return self.listeners.get(port) or self.listeners.get(ANY_PORT)


@final
class Exchange:
    """One message on its way and the answer to it. `on_answer` is None once the caller has its outcome."""

    __slots__ = ("connection", "deadline_ns", "is_answered", "message", "on_answer", "port", "source", "target", "wire")

    def __init__(self, wire: Wire, source: Sockets, message: Any, on_answer: OnAnswer) -> None:
        self.wire = wire
        self.source = source
        self.message = message
        self.on_answer: OnAnswer | None = on_answer
        self.connection: Connection | None = None
        self.is_answered = False
        self.target: Host | None = None
        self.port = 0
        self.deadline_ns = 0

    def reply(self, answer: Any) -> None:
        """The server's answer; of several the first counts, and none from a connection that is gone."""
        connection = self.connection
        if self.is_answered or connection is None or connection.server.is_closed:
            return
        self.is_answered = True
        if connection.is_single:
            connection.server.inbound.pop(connection, None)
        delay_ns = self.wire.links.delay_ns(connection.server.host, self.source.host)
        if delay_ns is not None:
            self.message = answer
            self.wire.loop.post(delay_ns, Exchange.finish, self)

    def finish(self) -> None:
        """The outcome in `message` has reached the caller."""
        on_answer = self.on_answer
        if on_answer is None:
            return
        self.on_answer = None
        connection = self.connection
        if connection is not None:
            connection.calls.pop(self, None)
        if not self.source.is_closed:
            on_answer(self.message)

    def fail(self, error: NetError) -> None:
        """The caller learns now that there is no answer; a connection made for this one call is closed with it."""
        if self.on_answer is not None:
            self.message = error
            self.finish()
            if self.connection is not None and self.connection.is_single:
                self.connection.close()


@final
class Connection:
    """An established connection, seen from the end that opened it."""

    __slots__ = ("calls", "client", "handler", "is_open", "is_single", "on_disturbed", "port", "server", "wire")

    def __init__(self, exchange: Exchange, server: Sockets, handler: Handler, *, single: bool) -> None:
        self.wire = exchange.wire
        self.client = exchange.source
        self.server = server
        self.handler = handler
        self.port = exchange.port
        self.is_open = True
        self.is_single = single
        self.calls: dict[Exchange, None] = {}
        self.on_disturbed: Callable[[], None] | None = None

    def call(self, message: Any, timeout_ns: int, on_answer: OnAnswer) -> None:
        """Send a message; `on_answer` gets exactly one answer or `NetError`, never before this returns."""
        wire = self.wire
        exchange = Exchange(wire, self.client, message, on_answer)
        exchange.connection = self
        if not self.is_open:
            exchange.message = NetError("reset", "connection already closed")
            wire.loop.post(0, Exchange.finish, exchange)
            return
        self.calls[exchange] = None
        wire.expire_after(timeout_ns, exchange)
        delay_ns = wire.links.delay_ns(self.client.host, self.server.host)
        if delay_ns is not None:
            wire.loop.post(delay_ns, _arrive, exchange)

    def close(self) -> None:
        """Close from this end; the calls under way fail as reset."""
        if self.is_open:
            self._end("connection closed")
            if self.wire.links.delay_ns(self.client.host, self.server.host) is not None:
                self.server.inbound.pop(self, None)

    def reset(self) -> None:
        """The peer's reset has reached this end."""
        self.server.inbound.pop(self, None)
        if self.is_open:
            self._end(f"connection to {self.server.host.ip}:{self.port} was reset by the peer")
            self.disturbed()

    def disturbed(self) -> None:
        """Tell the owner, if it asked for it, that a call may fare differently from now on."""
        if self.on_disturbed is not None and not self.client.is_closed:
            self.on_disturbed()

    def _end(self, why: str) -> None:
        self.is_open = False
        self.client.outbound.pop(self, None)
        for exchange in list(self.calls):
            exchange.fail(NetError("reset", why))
        self.calls.clear()


@final
class Sockets:
    """The sockets of one process; made by `Fabric.open`. `close` them when the process ends."""

    __slots__ = ("fabric", "host", "inbound", "is_closed", "namespace", "outbound", "ports")

    def __init__(self, fabric: Fabric, host: Host, namespace: str) -> None:
        self.fabric = fabric
        self.host = host
        self.namespace = namespace
        self.is_closed = False
        self.ports: list[int] = []
        self.inbound: dict[Connection, None] = {}
        self.outbound: dict[Connection, None] = {}
        host.sockets[self] = None

    def listen(self, port: int, handler: Handler) -> bool:
        """Answer calls to a port of the host, or to `ANY_PORT`; False when another process has that port."""
        if port in self.host.listeners:
            return False
        self.host.listeners[port] = (self, handler)
        self.ports.append(port)
        return True

    def connections(self, port: int) -> int:
        """How many connections are established to a port that this process listens on, as far as it knows."""
        return sum(1 for connection in self.inbound if connection.port == port)

    def connect(self, host: str, port: int, timeout_ns: int, on_result: Callable[[Any], None]) -> None:
        """Resolve `host`, pass the node's proxy and connect; `on_result` gets a `Connection` or a `NetError`."""
        exchange = Exchange(self.fabric.wire, self, None, on_result)
        self.fabric.send_to_name(exchange, host, port, timeout_ns, _arrive_to_connect)

    def request(self, host: str, port: int, message: Any, timeout_ns: int, on_answer: OnAnswer) -> None:
        """Connect, make one call and close: a message to a name or address, and one answer or `NetError`."""
        exchange = Exchange(self.fabric.wire, self, message, on_answer)
        self.fabric.send_to_name(exchange, host, port, timeout_ns, arrive_to_request)

    def probe(self, ip: str, port: int, message: Any, timeout_ns: int, on_answer: OnAnswer) -> None:
        """What a kubelet does: `request`, or with a `message` of None a bare connection, whose answer is None."""
        if message is not None:
            self.request(ip, port, message, timeout_ns, on_answer)
            return

        def on_result(result: Any) -> None:
            if type(result) is Connection:
                result.close()
                result = None
            on_answer(result)

        self.connect(ip, port, timeout_ns, on_result)

    def close(self) -> None:
        """The process has ended: its ports close, and its connections are reset wherever a reset gets through."""
        if self.is_closed:
            return
        links, loop = self.fabric.wire.links, self.fabric.wire.loop
        here = self.host
        for connection in self.inbound:
            delay_ns = links.delay_ns(here, connection.client.host)
            if delay_ns is not None:
                loop.post(delay_ns, Connection.reset, connection)
        self._shut()
        for connection in list(self.outbound):
            connection.close()

    def vanish(self) -> None:
        """The process is gone without a word, as with its node: the other ends still believe in their connections."""
        if not self.is_closed:
            self._shut()
            for connection in self.outbound:
                connection.is_open = False
            self.outbound.clear()

    def _shut(self) -> None:
        self.is_closed = True
        del self.host.sockets[self]
        for port in self.ports:
            del self.host.listeners[port]
        self.inbound.clear()


@final
class Wire:
    """What all connections share: the loop, the links and the callers' timeouts.

    Timeouts of one length fall due in the order in which they were set, so each length has a queue and one timer for
    its head; a call that is answered costs no heap operation for the timeout that it did not need.
    """

    __slots__ = ("_waiting", "links", "loop")

    def __init__(self, loop: Loop, links: Links) -> None:
        self.loop = loop
        self.links = links
        self._waiting: dict[int, deque[Exchange]] = {}

    def expire_after(self, timeout_ns: int, exchange: Exchange) -> None:
        """Fail the exchange as timed out unless it has its outcome by then."""
        exchange.deadline_ns = self.loop.now_ns + timeout_ns
        waiting = self._waiting.get(timeout_ns)
        if waiting is None:
            waiting = self._waiting[timeout_ns] = deque()
        if not waiting:
            self.loop.post(timeout_ns, self._expire, timeout_ns)
        waiting.append(exchange)

    def _expire(self, timeout_ns: int) -> None:
        waiting = self._waiting[timeout_ns]
        now_ns = self.loop.now_ns
        expired = []
        while waiting and (waiting[0].on_answer is None or waiting[0].deadline_ns <= now_ns):
            exchange = waiting.popleft()
            if exchange.on_answer is not None:
                expired.append(exchange)
        if waiting:
            self.loop.post(waiting[0].deadline_ns - now_ns, self._expire, timeout_ns)
        else:
            del self._waiting[timeout_ns]
        for exchange in expired:
            exchange.fail(NetError("timeout", f"no answer within {timeout_ns / 1e9:g} s"))


def _refuse(exchange: Exchange, delay_ns: int) -> None:
    target = exchange.target
    address = f"{target.ip}:{exchange.port}" if target is not None else str(exchange.port)
    exchange.message = NetError("refused", f"connect to {address}: connection refused")
    exchange.wire.loop.post(delay_ns, Exchange.finish, exchange)


def _accept(exchange: Exchange, *, single: bool) -> Connection | None:
    """The server's side of a new connection; None when there is silence or a refusal instead."""
    target = exchange.target
    if target is None or not target.is_attached:
        return None
    listener = target.listener(exchange.port)
    wire = exchange.wire
    if listener is None:
        delay_ns = wire.links.delay_ns(target, exchange.source.host)
        if delay_ns is not None:
            _refuse(exchange, delay_ns)
        return None
    server, handler = listener
    connection = Connection(exchange, server, handler, single=single)
    server.inbound[connection] = None
    return connection


def _arrive_to_connect(exchange: Exchange) -> None:
    connection = _accept(exchange, single=False)
    if connection is None:
        return
    client = exchange.source
    wire = exchange.wire
    delay_ns = wire.links.delay_ns(connection.server.host, client.host)
    if delay_ns is not None:
        client.outbound[connection] = None
        exchange.connection = connection
        wire.loop.post(delay_ns, _establish, exchange)
    else:
        del connection.server.inbound[connection]


def _establish(exchange: Exchange) -> None:
    """The server's consent to a connection has reached the caller, who may have given up."""
    connection = exchange.connection
    if connection is None:
        return
    if exchange.on_answer is None:
        connection.close()
        return
    exchange.message = connection
    exchange.finish()


def arrive_to_request(exchange: Exchange) -> None:
    """A message that makes its connection itself has reached the host."""
    connection = _accept(exchange, single=True)
    if connection is not None:
        exchange.connection = connection
        connection.calls[exchange] = None
        connection.handler(exchange.message, exchange.reply)


def _arrive(exchange: Exchange) -> None:
    """A message on an established connection has reached the server's host."""
    connection = exchange.connection
    if connection is None:
        return
    server = connection.server
    if not server.is_closed:
        connection.handler(exchange.message, exchange.reply)
        return
    if server.host.is_attached and connection.is_open:
        # The process ended while its reset could not get through: the host answers with another one.
        delay_ns = exchange.wire.links.delay_ns(server.host, connection.client.host)
        if delay_ns is not None:
            exchange.wire.loop.post(delay_ns, Connection.reset, connection)

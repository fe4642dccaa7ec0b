"""A proxy for each port of each Service: at the Service's address, to the endpoints that its EndpointSlices have now.

A connection is made to one endpoint after the other until one takes it, as kube-proxy's userspace mode did; so one
that has just died costs only what it was in the middle of. Without endpoints nobody listens, and clients are refused.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
import struct
from collections.abc import Callable, Sequence
from typing import Any, Final, final

from kubesim.api.kinds import ENDPOINT_SLICE, SERVICE
from kubesim.api.objects import Object
from kubesim.client.informer import InformerFactory
from kubesim.errors import UserError
from kubesim.network.endpoints import Backend, PortView
from kubesim.network.proxy import SERVICE_NAME_LABEL
from kubesim.processes.pacing import Pacer

# Where a low port needs a privilege that we lack, the Service is here instead.
_UNPRIVILEGED_OFFSET: Final = 10_000
_CONNECT_TIMEOUT_S: Final = 1.0
_BACKLOG: Final = 512
_RESET_ON_CLOSE: Final = struct.pack("ii", 1, 0)

PortKey = tuple[str, str, int]


@final
class _Half(asyncio.Protocol):
    """One side of a proxied connection; what comes in goes out on `other`."""

    def __init__(self, all_open: dict[_Half, None]) -> None:
        self.transport: Any = None
        self.other: _Half | None = None
        self._all_open = all_open
        self.has_ended = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        self._all_open[self] = None

    def data_received(self, data: bytes) -> None:
        if self.other is not None:
            self.other.transport.write(data)

    def eof_received(self) -> bool:
        self.has_ended = True
        other = self.other
        if other is None or other.transport is None or other.has_ended:
            return False  # both ways are done: close
        if not other.transport.is_closing():
            other.transport.write_eof()
        return True

    def pause_writing(self) -> None:
        if self.other is not None:
            self.other.transport.pause_reading()

    def resume_writing(self) -> None:
        if self.other is not None and not self.other.transport.is_closing():
            self.other.transport.resume_reading()

    def connection_lost(self, error: Exception | None) -> None:
        self._all_open.pop(self, None)
        other, self.other = self.other, None
        if other is None or other.transport is None:
            return
        if error is not None:
            abort(other.transport)
        else:
            other.transport.close()


def abort(transport: Any) -> None:
    """Close a connection by a reset, as a process does that ends."""
    found = transport.get_extra_info("socket")
    if found is not None:
        with contextlib.suppress(OSError):
            found.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
    transport.abort()


@final
class PortProxy:
    """One listening port and the endpoints behind it. `backends` are asked anew for each connection."""

    def __init__(self, aio: asyncio.AbstractEventLoop, backends: Callable[[], Sequence[tuple[str, int]]]) -> None:
        self._aio = aio
        self._backends = backends
        self._turn = 0
        self._socket: socket.socket | None = None
        self._tasks: dict[asyncio.Task[None], None] = {}
        self._open: dict[_Half, None] = {}
        self.port = 0

    @property
    def is_open(self) -> bool:
        """Whether it listens."""
        return self._socket is not None

    def open(self, ip: str, port: int) -> None:
        """Listen from now on.

        Raises:
            OSError: the address is taken, or not ours to take.
        """
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((ip, port))
            listener.listen(_BACKLOG)
        except OSError:
            listener.close()
            raise
        listener.setblocking(False)
        self.port = listener.getsockname()[1]
        self._socket = listener
        self._aio.add_reader(listener, self._accept)

    def close(self) -> None:
        """Listen no more; connections that are there go on."""
        listener, self._socket = self._socket, None
        if listener is not None:
            self._aio.remove_reader(listener)
            listener.close()

    def cut(self) -> None:
        """Reset all connections, too."""
        self.close()
        for half in self._open:
            abort(half.transport)

    def _accept(self) -> None:
        for _ in range(_BACKLOG):
            if self._socket is None:
                return
            try:
                accepted, _ = self._socket.accept()
            except OSError:
                return
            accepted.setblocking(False)
            accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            task = self._aio.create_task(self._connect(accepted))
            self._tasks[task] = None
            task.add_done_callback(self._tasks.pop)

    async def _connect(self, accepted: socket.socket) -> None:
        backends = self._backends()
        self._turn += 1
        for index in range(len(backends)):
            ip, port = backends[(self._turn + index) % len(backends)]
            back, front = _Half(self._open), _Half(self._open)
            back.other, front.other = front, back
            try:
                async with asyncio.timeout(_CONNECT_TIMEOUT_S):
                    await self._aio.create_connection(lambda back=back: back, ip, port)  # type: ignore[misc]
            except OSError:
                continue
            back.transport.pause_reading()
            await self._aio.connect_accepted_socket(lambda front=front: front, accepted)  # type: ignore[misc]
            if front.transport.is_closing() or back.transport.is_closing():
                front.transport.abort()
                back.transport.abort()
            else:
                back.transport.resume_reading()
            return
        with contextlib.suppress(OSError):
            accepted.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        accepted.close()


@final
class ServiceProxies:
    """The proxies of all Services."""

    def __init__(
        self, pacer: Pacer, informers: InformerFactory, local: Callable[[str], str], note: Callable[[str], None]
    ) -> None:
        """`local` finds an address on this machine, `note` takes what there is to say to the user."""
        self._loop = pacer.loop
        self._pacer = pacer
        self._local = local
        self._services = informers.informer(SERVICE)
        self._slices = informers.informer(ENDPOINT_SLICE)
        self._proxies: dict[PortKey, PortProxy] = {}
        self._views: dict[PortKey, tuple[str, PortView]] = {}
        self._is_closed = False
        self._is_due = False
        self._note = note
        for informer in (self._services, self._slices):
            informer.add_handler(self._changed, lambda _old, new: self._changed(new), self._changed)

    def address(self, namespace: str, name: str, port: int) -> tuple[str, int] | None:
        """Where a port of a Service is on this machine; None where it has no address."""
        view = self._views.get((namespace, name, port))
        if view is None:
            return None
        proxy = self._proxies.get((namespace, name, port))
        return self._local(view[0]), proxy.port if proxy is not None and proxy.port else port

    def addresses(self) -> list[tuple[str, str, str, int]]:
        """Namespace and name of every Service with an address, and where each of its ports is."""
        found = []
        for namespace, name, port in self._views:
            place = self.address(namespace, name, port)
            if place is not None and (namespace, name) != ("default", "kubernetes"):
                found.append((namespace, name, *place))
        return found

    def is_open(self, namespace: str, name: str, port: int) -> bool:
        """Whether a port of a Service takes connections: whether it has an endpoint."""
        proxy = self._proxies.get((namespace, name, port))
        return proxy is not None and proxy.is_open

    def close(self) -> None:
        """Nobody listens any more, and all connections are reset. What changes from here on opens nothing again."""
        self._is_closed = True
        for proxy in self._proxies.values():
            proxy.cut()

    def _changed(self, _: Object) -> None:
        if not self._is_due:
            self._is_due = True
            self._loop.post(0, self._update, None)

    def _update(self, _: None) -> None:
        self._is_due = False
        if self._is_closed:
            return
        slices: dict[tuple[str, str], list[Object]] = {}
        for piece in self._slices.lister.all():
            metadata = piece["metadata"]
            name = (metadata.get("labels") or {}).get(SERVICE_NAME_LABEL, "")
            slices.setdefault((metadata["namespace"], name), []).append(piece)
        self._views = {}
        for service in self._services.lister.all():
            metadata, spec = service["metadata"], service["spec"]
            ip = spec.get("clusterIP", "")
            if not ip or ip == "None":
                continue
            for port in spec.get("ports") or ():
                if port.get("protocol", "TCP") == "TCP":
                    key = (metadata["namespace"], metadata["name"], port["port"])
                    self._views[key] = (ip, PortView(spec, port, slices.get(key[:2], ())))
        for key in [*self._proxies, *self._views]:
            self._update_port(key)

    def _update_port(self, key: PortKey) -> None:
        view = self._views.get(key)
        proxy = self._proxies.get(key)
        wants = view is not None and view[1].has_any and key[:2] != ("default", "kubernetes")
        if proxy is not None and not wants:
            proxy.close()
            if view is None:
                del self._proxies[key]
        elif wants and (proxy is None or not proxy.is_open):
            if proxy is None:
                proxy = self._proxies[key] = PortProxy(self._pacer.aio, lambda: self._backends(key))
            self._open(key, proxy)

    def _backends(self, key: PortKey) -> list[tuple[str, int]]:
        view = self._views.get(key)
        backends: Sequence[Backend] = view[1].cluster if view is not None else ()
        return [(self._local(backend.ip), backend.port) for backend in backends]

    def _open(self, key: PortKey, proxy: PortProxy) -> None:
        namespace, name, port = key
        ip = self._local(self._views[key][0])
        try:
            proxy.open(ip, port)
        except PermissionError:
            other = port + _UNPRIVILEGED_OFFSET
            self._note(f"port {port} needs privileges here: Service {namespace}/{name} is at {ip}:{other} instead")
            self._bind(key, proxy, ip, other)
        except OSError as error:
            raise _taken(key, ip, port, error) from error

    def _bind(self, key: PortKey, proxy: PortProxy, ip: str, port: int) -> None:
        try:
            proxy.open(ip, port)
        except OSError as error:
            raise _taken(key, ip, port, error) from error


def _taken(key: PortKey, ip: str, port: int, error: OSError) -> UserError:
    why = "another program listens there" if error.errno == errno.EADDRINUSE else (error.strerror or "unknown").lower()
    return UserError(f"Service {key[0]}/{key[1]}: {ip}:{port} cannot be used: {why}")

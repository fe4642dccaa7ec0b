"""`pods/portforward`: SPDY in a websocket, a pair of streams a connection, each bridged to a simulated program.

Upstream: apimachinery/pkg/util/portforward, kubelet/pkg/cri/streaming/portforward/{httpstream,tunneling}.go @v1.36
"""

from __future__ import annotations

import asyncio
from typing import Final, final

from aiohttp import WSMsgType, web

from kubesim.http.bridge import Bridge, HttpBytes
from kubesim.http.spdy import Dropped, Opened, Received, Session, SpdyError
from kubesim.network.messages import NetError

PROTOCOL: Final = "SPDY/3.1+portforward.k8s.io"


@final
class PortForward:
    """One client's tunnel to a Pod."""

    def __init__(self, request: web.BaseRequest, bridge: Bridge, ip: str, name: str) -> None:
        self._request = request
        self._bridge = bridge
        self._ip = ip
        self._name = name
        self._session = Session()
        self._socket = web.WebSocketResponse(protocols=(PROTOCOL,), max_msg_size=1 << 21)
        self._errors: dict[str, int] = {}
        self._connections: dict[int, tuple[int, str, HttpBytes]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def run(self) -> web.WebSocketResponse:
        """Carry data until the client goes."""
        await self._socket.prepare(self._request)
        async for message in self._socket:
            if message.type is not WSMsgType.BINARY:
                continue
            try:
                for event in self._session.receive(message.data):
                    self._handle(event)
            except SpdyError:
                break
            await self._flush()
        for task in self._tasks:
            task.cancel()
        await self._socket.close()
        return self._socket

    def _handle(self, event: Opened | Received | Dropped) -> None:
        if isinstance(event, Opened):
            self._session.accept(event.stream)
            number = event.headers.get("requestid", "")
            if event.headers.get("streamtype") == "error":
                self._errors[number] = event.stream
            else:
                port = event.headers.get("port", "")
                self._connections[event.stream] = (int(port) if port.isdigit() else 0, number, HttpBytes())
        elif isinstance(event, Dropped):
            self._connections.pop(event.stream, None)
        elif event.stream in self._connections:
            self._receive(event)

    def _receive(self, event: Received) -> None:
        port, number, gathered = self._connections[event.stream]
        try:
            requests = gathered.requests(event.data)
        except ValueError:
            self._fail(event.stream, number, f"kubesim: what listens on port {port} can be reached by HTTP alone")
            return
        for request in requests:
            task = asyncio.create_task(self._answer(event.stream, port, number, request))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        if event.is_last and not requests:
            self._session.send(event.stream, b"", is_last=True)
            self._connections.pop(event.stream, None)

    async def _answer(self, stream: int, port: int, number: str, request: object) -> None:
        answer = await self._bridge.call(self._ip, port, request)
        if isinstance(answer, NetError):
            self._fail(stream, number, f"error forwarding port {port} to pod {self._name}: {answer.text}")
        else:
            self._session.send(stream, HttpBytes.reply(answer))
        await self._flush()

    def _fail(self, stream: int, number: str, text: str) -> None:
        """The reason goes to the connection's stream of errors, and both end."""
        error = self._errors.pop(number, None)
        if error is not None:
            self._session.send(error, text.encode(), is_last=True)
        self._session.send(stream, b"", is_last=True)
        self._connections.pop(stream, None)

    async def _flush(self) -> None:
        data = self._session.take()
        if data and not self._socket.closed:
            await self._socket.send_bytes(data)

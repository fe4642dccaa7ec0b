"""From bytes of HTTP/1.1 to calls in the simulated network and back: how real clients reach simulated programs.

A program that speaks anything else than HTTP cannot be reached so.
"""

from __future__ import annotations

import asyncio
from typing import Any, Final, final

import msgspec

from kubesim.http.pace import Pace
from kubesim.network.fabric import Fabric
from kubesim.network.messages import HttpReply, HttpRequest
from kubesim.sim.loop import SECOND

_TIMEOUT_NS: Final = 30 * SECOND
_HEAD_MAX: Final = 64 * 1024
_BODY_MAX: Final = 1 << 20
_REASONS: Final = {
    200: "OK",
    201: "Created",
    204: "No Content",
    400: "Bad Request",
    404: "Not Found",
    503: "Service Unavailable",
}


@final
class Bridge:
    """Makes calls from the API server's place in the network."""

    def __init__(self, fabric: Fabric, address: str, pace: Pace) -> None:
        self._sockets = fabric.open(fabric.attach(address, "control-plane", is_node=True), "default")
        self._pace = pace

    async def call(self, ip: str, port: int, message: Any) -> Any:
        """Send a message to an address; an answer, or a `NetError`."""
        answered: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._pace.catch_up()
        self._sockets.request(ip, port, message, _TIMEOUT_NS, lambda answer: _settle(answered, answer))
        self._pace.nudge()
        return await answered


def _settle(future: asyncio.Future[Any], answer: Any) -> None:
    if not future.done():
        future.set_result(answer)


def body_of(reply: HttpReply) -> tuple[bytes, str]:
    """A reply's body as bytes, with its type."""
    if reply.body is None:
        return b"", "text/plain; charset=utf-8"
    if isinstance(reply.body, str):
        return reply.body.encode(), "text/plain; charset=utf-8"
    return msgspec.json.encode(reply.body), "application/json"


def value_of(body: bytes) -> Any:
    """A body as simulated programs take it: JSON where it is that, else text; None for none."""
    if not body:
        return None
    try:
        return msgspec.json.decode(body)
    except ValueError:
        return body.decode(errors="replace")


@final
class HttpBytes:
    """One connection's bytes: gathers a request, gives its reply's bytes."""

    def __init__(self) -> None:
        self._buffer = b""

    def requests(self, data: bytes) -> list[HttpRequest]:
        """The requests that are complete now.

        Raises:
            ValueError: it is no HTTP/1.1.
        """
        self._buffer += data
        found = []
        while b"\r\n\r\n" in self._buffer:
            head, _, rest = self._buffer.partition(b"\r\n\r\n")
            first, *lines = head.decode("latin-1").split("\r\n")
            method, _, target = first.partition(" ")
            path, _, version = target.rpartition(" ")
            if not path.startswith("/") or not version.startswith("HTTP/1."):
                raise ValueError(f"no HTTP/1.1: {first}")
            fields = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
            length = int(fields.get("content-length", "0"))
            if not 0 <= length <= _BODY_MAX:
                raise ValueError("the body is too long")
            if len(rest) < length:
                break
            self._buffer = rest[length:]
            found.append(HttpRequest(method, path, value_of(rest[:length])))
        if len(self._buffer) > _HEAD_MAX + _BODY_MAX:
            raise ValueError("the head is too long")
        return found

    @staticmethod
    def reply(answer: Any) -> bytes:
        """The bytes of an answer; what is no HTTP is a bad gateway."""
        if not isinstance(answer, HttpReply):
            answer = HttpReply(502, getattr(answer, "text", "kubesim: this program does not speak HTTP") + "\n")
        body, media = body_of(answer)
        reason = _REASONS.get(answer.status, "Status")
        head = f"HTTP/1.1 {answer.status} {reason}\r\nContent-Type: {media}\r\nContent-Length: {len(body)}\r\n\r\n"
        return head.encode() + body

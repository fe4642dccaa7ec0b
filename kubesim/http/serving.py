"""The HTTP server: connections, limits and headers around `Answering`, `Watching` and the paths beside resources.

aiohttp's low-level server carries it; whatever is not about HTTP itself is elsewhere.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import ssl
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final, final
from urllib.parse import parse_qsl

from aiohttp import web
from multidict import CIMultiDict

from kubesim.apiserver.request_options import manager_of_agent
from kubesim.apiserver.server import Identity
from kubesim.cluster.control_plane import HTTP, ControlPlane
from kubesim.cluster.data_plane import DataPlane
from kubesim.errors import ApiError, internal_error, too_many_requests
from kubesim.http import identities, paths
from kubesim.http.answering import Answering, Call
from kubesim.http.control import PREFIX, Control
from kubesim.http.encoding import Encoder
from kubesim.http.negotiation import JSON, including, negotiate
from kubesim.http.pace import Pace
from kubesim.http.packing import PACKED_FROM, Packing
from kubesim.http.parameters import is_true
from kubesim.http.shapes import Shapes
from kubesim.http.statuses import Reply, method_not_allowed, refusal, text
from kubesim.http.streaming import STREAMS, Streaming
from kubesim.http.targets import PlainNotFound, Target, read_path
from kubesim.http.trouble import Refused, Way
from kubesim.http.watch_requests import read_watch
from kubesim.http.watching import Watching

# Upstream: apiserver/pkg/server/config.go:MaxRequestBodyBytes, Go's net/http DefaultMaxHeaderBytes @v1.36
BODY_MAX: Final = 3 * 1024 * 1024
_HEADER_MAX: Final = 64 * 1024
_HEADERS_MAX: Final = 128
WATCHES_MAX: Final = 4000
_SILENT_MAX_S: Final = 30.0
_KEEPALIVE_S: Final = 180.0
_GOODBYE_S: Final = 2.0
_LONG: Final = 64 * 1024
_WITH_HEAD: Final = 1024
_PIECE: Final = 256 * 1024
_NOT_CACHED: Final = ("Cache-Control", "no-cache, private")
_LOCAL_HOSTS: Final = ("127.0.0.1", "localhost", "[::1]")
_log = logging.getLogger("kubesim.http")


@lru_cache(4096)
def _query(text: str) -> Mapping[str, str]:
    """A query's parameters; of one given twice the first counts."""
    found: dict[str, str] = {}
    for name, value in parse_qsl(text, keep_blank_values=True, max_num_fields=100):
        found.setdefault(name, value)
    return found


@lru_cache(1024)
def _seeing(user: str, user_agent: str, *, reads: bool) -> Identity:
    """Who asks over HTTP; without a name of his own a writer is called after his program.

    Upstream: apiserver/pkg/endpoints/handlers/create.go:managerOrUserAgent @v1.36
    """
    return Identity(user, manager=manager_of_agent(user_agent) or "unknown", sees_owners=not reads)


def _quoted(text: str) -> str:
    """A warning as it stands in its header. Upstream: apimachinery/pkg/util/net/http.go:NewWarningHeader @v1.36"""
    plain = "".join(character for character in text if character.isprintable())
    return plain.replace("\\", "\\\\").replace('"', '\\"')


_target = lru_cache(8192)(read_path)


@final
class Serving:
    """One API server on one socket."""

    def __init__(
        self,
        plane: ControlPlane,
        data_plane: DataPlane,
        pace: Pace,
        control: Control,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        server = plane.server
        self._plane = plane
        self._way = Way(plane, pace)
        self._pace = pace
        self._streaming = Streaming(server, data_plane, pace)
        self._tls = tls
        encoder = Encoder(server.ledger.shown)
        shapes = Shapes(server, encoder)
        self._answering = Answering(server, pace, shapes, self._way)
        self._watching = Watching(server, encoder, shapes, self._way)
        self._control = control
        self._packing = Packing()
        self._http: _Server | None = None
        self._listener: asyncio.Server | None = None
        self.address = ("", 0)

    @property
    def url(self) -> str:
        """Where it listens."""
        host, port = self.address
        return f"{'http' if self._tls is None else 'https'}://{host}:{port}"

    async def start(self, sock: socket.socket) -> None:
        """Answer on a bound socket, and let time pass."""
        loop = asyncio.get_running_loop()
        self.address = sock.getsockname()[:2]
        self._http = _Server(
            self._handle,
            handler_cancellation=True,
            access_log=None,
            keepalive_timeout=_KEEPALIVE_S,
            max_line_size=_HEADER_MAX,
            max_field_size=_HEADER_MAX,
            max_headers=_HEADERS_MAX,
            lingering_time=1.0,
        )
        self._listener = await loop.create_server(self._http, sock=sock, ssl=self._tls, backlog=1024)
        self._plane.join(self._way, HTTP, HTTP)
        self._pace.start()

    async def stop(self) -> None:
        """End watches, answer what has been asked, close."""
        self._pace.stop()
        self._plane.close(self._way)
        if self._listener is not None:
            self._listener.close()
        self._watching.stop()
        if self._http is not None:
            await self._http.end()
        if self._listener is not None:
            await self._listener.wait_closed()

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        self._http.heard(request)  # type: ignore[union-attr]
        try:
            return await self._route(request)
        except ApiError as error:
            reply = refusal(error)
        except Refused as refused:
            if refused.reply is None:
                return _hang_up(request)
            reply = refused.reply
        except PlainNotFound:
            reply = text("404 page not found\n", 404)
        except (ConnectionError, web.HTTPException):
            raise
        except Exception as error:  # noqa: BLE001 - a bug of ours is an answer too, and the server goes on
            _log.exception("%s %s", request.method, request.raw_path)
            reply = refusal(internal_error(f"{type(error).__name__}: {error}"))
        return await self._response(request, reply)

    async def _route(self, request: web.BaseRequest) -> web.StreamResponse:
        path, _, query = request.raw_path.partition("?")
        if not path.startswith("/"):
            path = request.path
        if self._way.troubles and not path.startswith(PREFIX):
            self._way.refuse_if_down()
        target = _target(path)
        if target is not None:
            identity = self._identity(request)
            return await self._resource(request, target, _query(query), identity)
        if path.startswith(PREFIX):
            if self._identity(request).user == identities.ANONYMOUS:
                raise identities.refuse_anonymous_path(request.method.lower(), path)
            return await self._response(request, await self._control.answer(request.method, path, await _body(request)))
        if request.method not in ("GET", "HEAD"):
            if paths.answer(path, query, "", "", "") is None:
                raise PlainNotFound
            raise method_not_allowed()
        host, port = self.address
        headers = request.headers
        accept, etag = headers.get("Accept", ""), headers.get("If-None-Match", "")
        reply = paths.answer(path, query, accept, etag, f"{host}:{port}")
        if reply is None:
            raise PlainNotFound
        return await self._response(request, reply)

    async def _resource(
        self, request: web.BaseRequest, target: Target, query: Mapping[str, str], identity: Identity
    ) -> web.StreamResponse:
        headers, method = request.headers, request.method
        if identity.user == identities.ANONYMOUS:
            kind = target.kind
            raise identities.refuse_anonymous(method.lower(), kind.plural, kind.group, target.namespace)
        accept = headers.get("Accept", "")
        if method == "GET" and (target.is_watch or (not target.name and is_true(query, "watch"))):
            return await self._watch(request, target, query, accept)
        self._pace.catch_up()
        if target.subresource in STREAMS:
            with self._way.cut_when_down(request.transport):
                return await self._streaming.answer(request, target, query)
        body = b""
        if request.body_exists:
            body = await _body(request)
            self._pace.catch_up()
        content_type = headers.get("Content-Type", "")
        call = Call(method, target, query, accept, content_type, body, identity)
        return await self._response(request, await self._answering.answer(call))

    async def _response(self, request: web.BaseRequest, reply: Reply) -> web.StreamResponse:
        headers: CIMultiDict[str] = CIMultiDict([("Content-Type", reply.media)])
        if reply.headers:
            headers.update(reply.headers)
        if "Cache-Control" not in headers:
            headers.add(*_NOT_CACHED)
        for warning in reply.warnings:
            headers.add("Warning", f'299 - "{_quoted(warning)}"')
        body = reply.body
        if len(body) < _LONG:
            return web.Response(body=body, status=reply.code, headers=headers)
        if len(body) >= PACKED_FROM and "gzip" in request.headers.get("Accept-Encoding", ""):
            body = self._packing(body)
            headers["Content-Encoding"] = "gzip"
            headers["Vary"] = "Accept-Encoding"
        if request.method == "HEAD" or len(body) < _LONG:
            return web.Response(body=body, status=reply.code, headers=headers)
        response = web.StreamResponse(status=reply.code, headers=headers)
        response.content_length = len(body)
        await response.prepare(request)
        # The head goes with the first bytes; put before all of them it would cost a copy of the whole.
        view = memoryview(body)
        await response.write(view[:_WITH_HEAD])
        for start in range(_WITH_HEAD, len(body), _PIECE):
            await response.write(view[start : start + _PIECE])
        await response.write_eof()
        return response

    def _identity(self, request: web.BaseRequest) -> Identity:
        headers = request.headers
        authorization = headers.get("Authorization")
        transport = request.transport
        certificate = transport.get_extra_info("peercert") if transport is not None else None
        if authorization is not None and not certificate:
            found = identities.of_bearer(authorization)
        elif self._tls is None:
            host = headers.get("Host", "")
            if not _is_local(host):
                raise ApiError(403, "Forbidden", f"this server answers on the loopback address alone, not as {host!r}")
            found = identities.ADMIN
        else:
            found = identities.of_certificate(certificate)
        other = headers.get("Impersonate-User")
        if other is not None and found.user == identities.ANONYMOUS:
            raise identities.refuse_anonymous("impersonate", "users", "", "")
        # What is stored is encoded with its owners once, and not for each reader.
        reads = request.method in ("GET", "HEAD")
        return _seeing(found.user if other is None else other, headers.get("User-Agent", ""), reads=reads)

    async def _watch(
        self, request: web.BaseRequest, target: Target, query: Mapping[str, str], accept: str
    ) -> web.StreamResponse:
        wish = read_watch(query, target.name)
        form = including(negotiate(accept), query.get("includeObject", ""))
        if len(self._watching.streams) >= WATCHES_MAX:
            raise too_many_requests("too many requests, please try again later.", 1)
        self._pace.catch_up()
        past = await self._way.admit_watch(target.kind) if self._way.troubles else None
        response = web.StreamResponse(headers=CIMultiDict([_NOT_CACHED, ("Content-Type", JSON)]))
        response.enable_chunked_encoding()
        await response.prepare(request)
        transport = request.transport
        if transport is None:
            raise ConnectionResetError
        with self._way.cut_when_down(transport):
            stream = self._watching.open(target, wish, form._replace(media=JSON), transport, past)
            try:
                await stream.done
            finally:
                stream.finish()
        with contextlib.suppress(ConnectionError):  # the reader may have gone first
            await response.write_eof()
        return response


def _hang_up(request: web.BaseRequest) -> web.Response:
    """Break the connection; the response is one that nobody gets."""
    if request.transport is not None:
        request.transport.abort()
    return web.Response()


@lru_cache(64)
def _is_local(host: str) -> bool:
    """Without TLS, a page in a browser must not reach the server under a name of its own."""
    name = host.rpartition(":")[0] if host.rpartition(":")[2].isdigit() else host
    return name in _LOCAL_HOSTS


async def _body(request: web.BaseRequest) -> bytes:
    """The whole body.

    Raises:
        ApiError: 413, it is too long.
    """
    length = request.content_length
    if length is not None and length > BODY_MAX:
        raise _too_large()
    parts = []
    size = 0
    async for chunk in request.content.iter_any():
        size += len(chunk)
        if size > BODY_MAX:
            raise _too_large()
        parts.append(chunk)
    return parts[0] if len(parts) == 1 else b"".join(parts)


def _too_large() -> ApiError:
    return ApiError(413, "RequestEntityTooLarge", f"Request entity too large: limit is {BODY_MAX}")


@final
class _Server(web.Server):
    """aiohttp's server, that also drops whoever connects and says nothing."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._silent: dict[Any, asyncio.TimerHandle] = {}

    def __call__(self) -> Any:
        """A connection has been made."""
        protocol = super().__call__()
        self._silent[protocol] = asyncio.get_running_loop().call_later(_SILENT_MAX_S, self._drop, protocol)
        return protocol

    def heard(self, request: web.BaseRequest) -> None:
        """A whole request has come."""
        self._wait_no_longer(request.protocol)

    def connection_lost(self, handler: Any, exc: BaseException | None = None) -> None:
        """A connection is gone, and with it all that is kept of it."""
        self._wait_no_longer(handler)
        super().connection_lost(handler, exc)

    def _wait_no_longer(self, protocol: Any) -> None:
        timer = self._silent.pop(protocol, None)
        if timer is not None:
            timer.cancel()

    async def end(self) -> None:
        """Answer what has been asked, then cut every connection: who does not say goodbye is not waited for."""
        transports = [each.transport for each in self.connections if each.transport is not None]
        for each in self.connections:
            each.close()  # who asks nothing at the moment would be waited for
        await self.shutdown(_GOODBYE_S)
        for transport in transports:
            transport.abort()
        # Each layer of a connection is told in a turn of the loop of its own.
        for _ in range(3):
            await asyncio.sleep(0)

    def _drop(self, protocol: Any) -> None:
        del self._silent[protocol]
        if protocol.transport is not None:
            protocol.transport.abort()

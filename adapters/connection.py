"""One connection to a real API server, through the official client: JSON objects in, JSON objects or `ApiError` out.

The client is used for what it knows best, credentials and transport; objects stay the dicts that the simulator has too.
What is worth another try is tried again here, once for all callers.
"""

from __future__ import annotations

import asyncio
import json
import socket
import weakref
from collections.abc import AsyncGenerator, Sequence
from typing import Any, Final, final

import aiohttp
from kubernetes.aio import client as kubernetes_client
from kubernetes.aio import config as kubernetes_config
from kubernetes.aio.stream import WsApiClient

from adapters.contexts import IN_CLUSTER, Target
from adapters.http_form import JSON, HttpForm, http_form, path_of
from kubesim.api.kinds import POD
from kubesim.api.objects import Object
from kubesim.api.requests import Request
from kubesim.errors import ApiError, Cause, UserError

FIELD_MANAGER: Final = "kubesim"

_TRIES: Final = 5
_FIRST_PAUSE_S: Final = 0.25
_TIMEOUT: Final = aiohttp.ClientTimeout(total=30)
_NO_TIMEOUT: Final = aiohttp.ClientTimeout(total=None)
_CLOSING_POLLS: Final = 500
_CLOSING_POLL_S: Final = 0.002
_BUSY: Final = (429, 503, 504)
# A read, and a write that says itself what it depends on, can be sent again when its reply is lost.
_REPEATABLE: Final = ("GET", "PUT", "PATCH", "DELETE")
_LOST: Final = (aiohttp.ClientConnectionError, aiohttp.ClientPayloadError, TimeoutError, OSError)


@final
class Connection:
    """Requests to one API server under one identity. An async context manager."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._client: kubernetes_client.ApiClient | None = None
        self._connector: aiohttp.TCPConnector | None = None
        self._sockets: weakref.WeakSet[socket.socket] = weakref.WeakSet()

    async def __aenter__(self) -> Connection:
        """Read the credentials; no request is sent yet.

        Raises:
            UserError: they cannot be read or got.
        """
        configuration = kubernetes_client.Configuration()
        target = self._target
        try:
            if target.context == IN_CLUSTER:
                kubernetes_config.load_incluster_config(client_configuration=configuration)
            else:
                files = ":".join(map(str, target.files))
                await kubernetes_config.load_kube_config(
                    files, target.context, client_configuration=configuration, persist_config=False
                )
        except (kubernetes_config.ConfigException, OSError, ValueError) as error:
            raise UserError(f"context {target.context}: its credentials cannot be used: {error}") from error
        configuration.retries = 0  # tried again below, where it is known what may be
        self._client = kubernetes_client.ApiClient(configuration)
        self._client.user_agent = FIELD_MANAGER
        self._connector = aiohttp.TCPConnector(
            limit=configuration.connection_pool_maxsize,
            ssl=self._client.rest_client.ssl_context,
            socket_factory=self._new_socket,
        )
        configuration.client_session_kwargs = {"connector": self._connector}
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close all connections, and wait for the ends of TLS: a watch that was left is still saying goodbye."""
        if self._client is None or self._connector is None:
            return
        await self._client.close()
        await self._connector.close()
        for _poll in range(_CLOSING_POLLS):
            if all(sock.fileno() < 0 for sock in self._sockets):
                break
            await asyncio.sleep(_CLOSING_POLL_S)

    def _new_socket(self, address: tuple[Any, ...]) -> socket.socket:
        family, kind, protocol, *_ = address
        sock = socket.socket(family, kind, protocol)
        self._sockets.add(sock)
        return sock

    @property
    def target(self) -> Target:
        """What it is connected to."""
        return self._target

    async def send(self, request: Request) -> Object:
        """Have a request carried out; it is sent again where the server is busy or out of reach for a moment.

        Raises:
            ApiError: the server's answer, where it is not success.
            UserError: the server cannot be reached, or does not accept the credentials.
        """
        form = http_form(request, FIELD_MANAGER)
        pause_s = _FIRST_PAUSE_S
        for left in reversed(range(_TRIES)):
            try:
                return await self._send(form)
            except ApiError as error:
                if error.code not in _BUSY or is_refused_by_budget(error) or not left:
                    raise
                pause_s = max(pause_s, float(error.retry_after_s))
            except _LOST as error:
                if not left or not (form.method in _REPEATABLE or isinstance(error, aiohttp.ClientConnectorError)):
                    raise UserError(f"{self._where()} cannot be reached: {_reason(error)}") from error
            await asyncio.sleep(pause_s)
            pause_s *= 2
        raise AssertionError("the last try returns or raises")

    async def exchange(self, method: str, path: str, body: Any, limit: aiohttp.ClientTimeout) -> tuple[int, bytes]:
        """One request as it is, sent once; returns the status and the bytes of the answer.

        Raises:
            OSError, TimeoutError, aiohttp.ClientError: there is no answer.
        """
        response = await self._open(HttpForm(method, path, {}, body, JSON), limit)
        return response.status, await response.read()

    async def version(self) -> Object:
        """What the server says of itself at /version."""
        return await self._send(HttpForm("GET", "/version", {}, None, JSON))

    async def execute(self, pod: Object, container: str, command: Sequence[str]) -> tuple[int, str]:
        """Run a command in a container; returns its exit code and what it printed.

        Raises:
            ApiError: the server or the kubelet refuses it.
        """
        name = container or pod["spec"]["containers"][0]["name"]
        metadata = pod["metadata"]
        path = path_of(POD, metadata["namespace"], metadata["name"], "exec")
        query = [("command", list(command)), ("container", name), ("stdout", "true"), ("stderr", "true")]
        headers: dict[str, str] = {}
        try:
            async with WsApiClient(configuration=self._ready_client().configuration) as client:
                await client.update_params_for_auth(headers, query, ["BearerToken"], path, "GET", None)
                url = client.configuration.host + path
                stream = await client.request("GET", url, query, headers, _preload_content=False)
                async with stream as channel:
                    return await _read_channels(channel)
        except aiohttp.WSServerHandshakeError as error:
            raise ApiError(error.status, "", error.message) from error

    async def log(self, pod: Object, container: str, *, is_previous: bool) -> str:
        """What a container has written, as the kubelet still has it.

        Raises:
            ApiError: the server or the kubelet refuses it.
        """
        metadata = pod["metadata"]
        query = {"container": container} if container else {}
        query |= {"previous": "true"} if is_previous else {}
        path = path_of(POD, metadata["namespace"], metadata["name"], "log")
        response = await self._open(HttpForm("GET", path, query, None, JSON), _TIMEOUT)
        text = (await response.read()).decode(errors="replace")
        if response.status >= 400:
            raise _error_of(response.status, text)
        return str(text)

    async def stream(self, path: str, query: dict[str, str]) -> AsyncGenerator[Object, None]:
        """The events of a watch, until the server ends it.

        Raises:
            ApiError: the server's answer, where it is not success.
            OSError, aiohttp.ClientError: the connection is lost.
        """
        response = await self._open(HttpForm("GET", path, query, None, JSON), _NO_TIMEOUT)
        if response.status >= 400:
            raise _error_of(response.status, (await response.read()).decode(errors="replace"))
        rest = b""
        async with response.response as raw:
            async for chunk in raw.content.iter_any():
                *lines, rest = (rest + chunk).split(b"\n")
                for line in lines:
                    yield json.loads(line)

    async def _send(self, form: HttpForm) -> Object:
        response = await self._open(form, _TIMEOUT)
        text = (await response.read()).decode(errors="replace")
        if response.status == 401:
            raise UserError(f"{self._where()} does not accept the credentials (401 Unauthorized); renew them")
        if response.status >= 400:
            raise _error_of(response.status, text)
        answer: Object = json.loads(text) if text else {}
        return answer

    async def _open(self, form: HttpForm, limit: aiohttp.ClientTimeout) -> Any:
        client = self._ready_client()
        method, url, headers, body, _ = await client.param_serialize(
            form.method,
            form.path,
            query_params=list(form.query.items()),
            header_params={"Accept": JSON, "Content-Type": form.content_type},
            body=form.body,
            auth_settings=["BearerToken"],
        )
        return await client.call_api(method, url, headers, body, _request_timeout=limit)

    def _ready_client(self) -> kubernetes_client.ApiClient:
        if self._client is None:
            raise AssertionError("a Connection is used as an async context manager")
        return self._client

    def _where(self) -> str:
        host = self._client.configuration.host if self._client is not None else "it"
        return f"context {self._target.context}: {host}"


async def _read_channels(channel: Any) -> tuple[int, str]:
    """What comes over a stream until it ends: output, and the Status with the exit code."""
    code, shown = 0, ""
    async for message in channel:
        data = message.data if isinstance(message.data, bytes) else message.data.encode()
        if data[:1] in (b"\x01", b"\x02"):
            shown += data[1:].decode(errors="replace")
        elif data[:1] == b"\x03":
            code = WsApiClient.parse_error_data(data[1:])
    return code, shown


def is_refused_by_budget(error: ApiError) -> bool:
    """Whether an eviction was refused by a PodDisruptionBudget, which a caller wants to know at once."""
    return error.code == 429 and any(cause.reason == "DisruptionBudget" for cause in error.causes)


def _error_of(code: int, text: str) -> ApiError:
    try:
        status = json.loads(text)
    except ValueError:
        status = {}
    if not isinstance(status, dict) or status.get("kind") != "Status":
        return ApiError(code, "", text.strip()[:500] or f"HTTP {code}")
    details = status.get("details") or {}
    causes = [
        Cause(each.get("reason", ""), each.get("field", ""), each.get("message", ""))
        for each in details.get("causes") or ()
    ]
    return ApiError(
        status.get("code", code),
        status.get("reason", ""),
        status.get("message", ""),
        kind=details.get("kind", ""),
        group=details.get("group", ""),
        name=details.get("name", ""),
        causes=causes,
        retry_after_s=details.get("retryAfterSeconds", 0),
    )


def _reason(error: BaseException) -> str:
    return str(error) or type(error).__name__

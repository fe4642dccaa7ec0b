"""A way from here to a Service: its own address where this machine reaches it, else through the API server's proxy.

The proxy picks a ready endpoint for each request, as a Service does, and works wherever the API can be reached; a
port-forward would stay with one Pod.
"""

from __future__ import annotations

import asyncio
import json
from typing import Any, Final, NamedTuple

import aiohttp

from adapters.connection import Connection
from adapters.http_form import path_of
from kubesim.api import kinds
from kubesim.api.objects import Object
from kubesim.errors import UserError
from kubesim.network.messages import Answer, HttpReply, HttpRequest, NetError
from kubesim.processes.users import AskService, ask_at

_CONNECT_S: Final = 0.5
_TIMEOUT: Final = aiohttp.ClientTimeout(total=2)
_TRIES: Final = 20
# Upstream: pkg/proxy/apis/config/v1alpha1/defaults.go: kube-proxy writes its rules once a second at most @v1.36
_CONNECTS: Final = 15
_PAUSE_S: Final = 0.1
_NO_PORT: Final = 1
_PAGE: Final = "/api/vehicles?limit=100"


class Way(NamedTuple):
    """How requests get to a Service; `text` completes "users reach it …"."""

    ask: AskService
    text: str


async def find_way(connection: Connection, service: Object) -> Way:
    """The shortest way that works from here, by the Service's first port.

    A node's rules follow the Service's endpoints some time later, so its address is tried for as long as that takes.
    """
    spec, port = service["spec"], service["spec"]["ports"][0]["port"]
    address = spec.get("clusterIP", "None")
    if address != "None" and await _can_be_reached(address, port):
        return Way(ask_at(lambda: (address, port)), f"at its own address {address}:{port}")
    metadata = service["metadata"]
    path = path_of(kinds.SERVICE, metadata["namespace"], f"{metadata['name']}:{port}", "proxy")
    return Way(_through_proxy(connection, path), "through the API server's proxy, one ready Pod a request")


async def rows_by_api(ask: AskService) -> dict[str, Any]:
    """The vehicles that the service lists now, page by page, by VIN; asked again while it is away for a moment.

    Raises:
        UserError: it stays away; what is not listed then is not lost.
    """
    rows: dict[str, Any] = {}
    path: str | None = _PAGE
    tries = 0
    while path is not None:
        answer = await ask(HttpRequest("GET", path))
        if not isinstance(answer, HttpReply) or answer.status != 200:
            tries += 1
            if tries > _TRIES:
                raise UserError(
                    "the Service does not list its vehicles any more, so acknowledged writes cannot be counted"
                )
            await asyncio.sleep(_CONNECT_S)
            continue
        page = json.loads(answer.body)
        rows |= {vehicle["vin"]: vehicle for vehicle in page["items"]}
        path = f"{_PAGE}&cursor={page['next']}" if page.get("next") else None
    return rows


async def _can_be_reached(address: str, port: int) -> bool:
    for _ in range(_CONNECTS):
        if await _can_connect(address, port):
            # Where every port answers, it is a gateway on the way that does, and not the Service.
            return not await _can_connect(address, _NO_PORT)
        await asyncio.sleep(_PAUSE_S)
    return False


async def _can_connect(address: str, port: int) -> bool:
    try:
        async with asyncio.timeout(_CONNECT_S):
            _, writer = await asyncio.open_connection(address, port)
    except (OSError, TimeoutError):
        return False
    writer.close()
    return True


def _through_proxy(connection: Connection, base: str) -> AskService:
    async def ask(message: HttpRequest) -> Answer:
        try:
            status, body = await connection.exchange(message.method, base + message.path, message.body, _TIMEOUT)
        except TimeoutError:
            return NetError("timeout", f"{base}: no answer in time")
        except (aiohttp.ClientError, OSError) as error:
            return NetError("reset", f"{base}: {error}")
        return HttpReply(status, body)

    return ask

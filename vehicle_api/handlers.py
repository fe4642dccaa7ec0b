"""What each path answers. Each handler parses, asks the store, and renders; `problems` renders what is raised."""

from __future__ import annotations

import asyncio
import re
from typing import Any, Final

import pydantic_core
from aiohttp import web

from vehicle_api import metrics, openapi, page
from vehicle_api.core import (
    IDEMPOTENCY_KEY_PATTERN,
    LIMIT_DEFAULT,
    BadRequest,
    StoredVehicle,
    VehicleFields,
    decode_cursor,
    encode_cursor,
    merge_patch,
    parse_etags,
    parse_json,
    parse_query,
    parse_vehicle,
)
from vehicle_api.pool import Unavailable
from vehicle_api.problems import make_problem
from vehicle_api.service import SERVICE
from vehicle_api.store import NotFound

BODY_BYTES_MAX: Final = 64 * 1024
# A caller that sends slower than this is cut off.
BODY_SECONDS: Final = 5.0
# Against reading a stale list from a proxy; ETags make asking again cheap.
_JSON: Final = {"Content-Type": "application/json", "Cache-Control": "no-cache"}
_JSON_TYPES: Final = ("application/json",)
_UUID: Final = re.compile("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII | re.IGNORECASE)
_PATCH_TYPES: Final = ("application/merge-patch+json", "application/json")


def _json(document: Any, status: int = 200, headers: dict[str, str] | None = None) -> web.Response:
    return web.Response(status=status, body=pydantic_core.to_json(document), headers={**_JSON, **(headers or {})})


def _render(vehicle: StoredVehicle, status: int = 200, headers: dict[str, str] | None = None) -> web.Response:
    return _json(vehicle.to_document(), status, {"ETag": vehicle.etag, **(headers or {})})


def _vehicle_id(request: web.Request) -> str:
    text = request.match_info["id"]
    if not _UUID.fullmatch(text):
        raise NotFound(text)
    return text


async def _read_json(request: web.Request, types: tuple[str, ...]) -> Any:
    if request.content_type not in types or "Content-Type" not in request.headers:
        raise web.HTTPUnsupportedMediaType(reason=f"Content-Type must be {' or '.join(types)}")
    if (request.content_length or 0) > BODY_BYTES_MAX:
        raise web.HTTPRequestEntityTooLarge(BODY_BYTES_MAX, request.content_length or 0)
    try:
        async with asyncio.timeout(BODY_SECONDS):
            return parse_json(await request.read())
    except TimeoutError:
        raise web.HTTPRequestTimeout(reason=f"the body did not come within {BODY_SECONDS} s") from None


def _required_versions(request: web.Request) -> tuple[str, ...] | None:
    """The versions at which the caller wants the change to happen; none means any (`*`)."""
    headers = request.headers.getall("If-Match", [])
    if not headers:
        raise web.HTTPPreconditionRequired(
            reason="If-Match is missing: send the ETag that the vehicle had when you read it, or * to change it anyhow"
        )
    return parse_etags(", ".join(headers), is_weak_welcome=False)


def _known_versions(request: web.Request) -> tuple[str, ...] | None:
    """The versions that the caller has; None means any. What cannot be read is ignored: then the answer is longer."""
    if (known := request.headers.get("If-None-Match")) is None:
        return ()
    try:
        return parse_etags(known, is_weak_welcome=True)
    except BadRequest:
        return ()


async def list_vehicles(request: web.Request) -> web.Response:
    """One page of the vehicles that fit."""
    query = parse_query(list(request.query.items()))
    filters = query.filters
    after = decode_cursor(query.cursor, filters)
    found = await request.app[SERVICE].store.list_vehicles(filters, after, query.limit + 1)
    shown = found[: query.limit]
    cursor = encode_cursor(shown[-1].seq, filters) if len(found) > query.limit else None
    headers = {}
    if cursor:
        headers["Link"] = f'<{request.rel_url.update_query(cursor=cursor)}>; rel="next"'
    return _json({"items": [vehicle.to_document() for vehicle in shown], "next": cursor}, headers=headers)


async def create_vehicle(request: web.Request) -> web.Response:
    """A new vehicle, once for each Idempotency-Key."""
    key = request.headers.get("Idempotency-Key")
    if key is not None and not re.match(IDEMPOTENCY_KEY_PATTERN, key):
        raise BadRequest("Idempotency-Key must have 1 to 128 visible ASCII characters")
    fields = parse_vehicle(await _read_json(request, _JSON_TYPES))
    vehicle, is_replayed = await request.app[SERVICE].store.create_vehicle(fields, key)
    headers = {"Location": f"/api/vehicles/{vehicle.id}"}
    if is_replayed:
        headers["Idempotent-Replayed"] = "true"
    return _render(vehicle, 201, headers)


async def get_vehicle(request: web.Request) -> web.Response:
    """One vehicle; 304 if the caller has it."""
    vehicle_id = _vehicle_id(request)
    versions = _known_versions(request)
    vehicle = await request.app[SERVICE].store.get_vehicle(vehicle_id)
    if vehicle is None:
        raise NotFound(vehicle_id)
    if versions is None or str(vehicle.version) in versions:
        return web.Response(status=304, headers={"ETag": vehicle.etag, "Cache-Control": "no-cache"})
    return _render(vehicle)


async def replace_vehicle(request: web.Request) -> web.Response:
    """Another vehicle in the old one's place."""
    vehicle_id, versions = _vehicle_id(request), _required_versions(request)
    fields = parse_vehicle(await _read_json(request, _JSON_TYPES))
    return _render(await request.app[SERVICE].store.change_vehicle(vehicle_id, versions, lambda _: fields))


async def patch_vehicle(request: web.Request) -> web.Response:
    """The same vehicle with some fields changed (RFC 7396)."""
    vehicle_id, versions = _vehicle_id(request), _required_versions(request)
    patch = await _read_json(request, _PATCH_TYPES)

    def change(old: StoredVehicle) -> VehicleFields:
        return parse_vehicle(merge_patch(old.to_fields(), patch))

    return _render(await request.app[SERVICE].store.change_vehicle(vehicle_id, versions, change))


async def delete_vehicle(request: web.Request) -> web.Response:
    """No vehicle any more."""
    await request.app[SERVICE].store.delete_vehicle(_vehicle_id(request), _required_versions(request))
    return web.Response(status=204)


async def healthz(_request: web.Request) -> web.Response:
    """The process is alive. It asks for nothing else: a restart of this process mends no database."""
    return _json({"status": "ok"})


async def readyz(request: web.Request) -> web.Response:
    """Whether requests should come here."""
    if why := await request.app[SERVICE].readiness.explain_unready():
        return make_problem(503, why)
    return _json({"status": "ok"})


async def show_metrics(request: web.Request) -> web.Response:
    """For Prometheus."""
    text = request.app[SERVICE].metrics.to_text()
    return web.Response(body=text, headers={"Content-Type": metrics.CONTENT_TYPE})


async def show_openapi(_request: web.Request) -> web.Response:
    """The description of all this."""
    return _json(openapi.document())


async def show_page(request: web.Request) -> web.Response:
    """The fleet, for people."""
    service = request.app[SERVICE]
    status, headers = 200, dict(page.HEADERS)
    vehicles: list[StoredVehicle] | None = None
    try:
        vehicles = await service.store.list_vehicles({}, 0, LIMIT_DEFAULT + 1)
    except Unavailable:
        status, headers["Retry-After"] = 503, "1"
    return web.Response(status=status, text=page.render(service.pod, vehicles, LIMIT_DEFAULT), headers=headers)


ROUTES: Final = (
    web.get("/", show_page),
    web.get("/api/vehicles", list_vehicles),
    web.post("/api/vehicles", create_vehicle),
    web.get("/api/vehicles/{id}", get_vehicle),
    web.put("/api/vehicles/{id}", replace_vehicle),
    web.patch("/api/vehicles/{id}", patch_vehicle),
    web.delete("/api/vehicles/{id}", delete_vehicle),
    web.get("/healthz", healthz),
    web.get("/readyz", readyz),
    web.get("/metrics", show_metrics),
    web.get("/openapi.json", show_openapi),
)

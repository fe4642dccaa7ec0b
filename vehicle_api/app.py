"""The application: routes, what happens around every request, and what lives as long as the process."""

from __future__ import annotations

import asyncio
import itertools
import logging
import os
import re
import time
from collections.abc import AsyncIterator
from typing import Final

from aiohttp import web
from aiohttp.typedefs import Handler

from vehicle_api import logs
from vehicle_api.handlers import BODY_BYTES_MAX, ROUTES
from vehicle_api.logs import LineHandler
from vehicle_api.metrics import Metrics
from vehicle_api.pool import Pool, SchemaMissing
from vehicle_api.problems import make_problem, problem_of
from vehicle_api.readiness import Readiness
from vehicle_api.service import SERVICE, Service
from vehicle_api.settings import Settings
from vehicle_api.store import PostgresStore

POOL_SIZE: Final = 8
_REQUEST_ID = re.compile(r"[\w.:/+=-]{1,128}", re.ASCII)
_METHODS: Final = frozenset(("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"))
# Asked every few seconds by kubelets and Prometheus; only of interest when something is wrong.
_QUIET: Final = frozenset(("/healthz", "/readyz", "/metrics"))

# Request ids: of this process, and counted.
_PROCESS: Final = os.urandom(8).hex()
_numbers = itertools.count(1)

_log = logging.getLogger("vehicle_api.requests")


def make_app(settings: Settings, log: LineHandler | None = None) -> web.Application:
    """The service, to be run by aiohttp; its connections open when it starts and close when it ends. `log` gets a line
    for each request."""
    pool = Pool(settings.database, POOL_SIZE)
    store = PostgresStore(pool)
    service = Service(store, Readiness(store), Metrics(pool), settings.pod, log)
    app = web.Application(middlewares=[_answer], client_max_size=BODY_BYTES_MAX)
    app[SERVICE] = service
    app.add_routes(ROUTES)

    async def live(_app: web.Application) -> AsyncIterator[None]:
        tasks = [
            asyncio.create_task(service.readiness.keep_schema()),
            asyncio.create_task(service.readiness.keep_keys_few()),
        ]
        yield
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await pool.close()

    app.cleanup_ctx.append(live)
    return app


def _route(request: web.Request) -> str:
    resource = request.match_info.route.resource
    return resource.canonical if resource is not None else "(none)"


async def _respond(request: web.Request, handler: Handler, readiness: Readiness) -> web.StreamResponse:
    try:
        return await handler(request)
    except asyncio.CancelledError:
        raise
    except Exception as error:  # noqa: BLE001 - whatever it is, the caller gets an answer
        if isinstance(error, SchemaMissing):
            readiness.note_schema_missing()
        if (response := problem_of(error)) is not None:
            return response
        _log.exception("unexpected error")
        return make_problem(500, "an unexpected error; the log has it under this request's id")


@web.middleware
async def _answer(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Around every request: its id, errors as problem documents, who answered, counting and logging."""
    began = time.perf_counter()
    service = request.app[SERVICE]
    given = request.headers.get("X-Request-ID", "")
    request_id = given if _REQUEST_ID.fullmatch(given) else f"{_PROCESS}-{next(_numbers)}"
    logs.request_id.set(request_id)
    service.metrics.in_flight += 1
    try:
        response = await _respond(request, handler, service.readiness)
    finally:
        service.metrics.in_flight -= 1
    response.headers["X-Request-ID"] = request_id
    response.headers["X-Pod"] = service.pod
    if service.readiness.is_draining:
        response.force_close()
    route = _route(request)
    method = request.method if request.method in _METHODS else "(other)"
    seconds = time.perf_counter() - began
    service.metrics.count(method, route, response.status, seconds)
    is_quiet = route in _QUIET and response.status < 400
    if service.log is not None and (not is_quiet or _log.isEnabledFor(logging.DEBUG)):
        fields = {"method": method, "path": request.path, "status": response.status, "ms": round(seconds * 1000, 2)}
        service.log.log("answered", fields)
    return response

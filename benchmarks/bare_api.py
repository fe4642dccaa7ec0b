"""What the vehicle API is measured against: the least that answers the same question with aiohttp and aiopg.

    python -m benchmarks.bare_api PORT

One handler, aiopg's own pool, no log, no metrics, no request ids, no deadlines, no ETags. What both do, both do the
quick way: JSON is made by pydantic-core, and aiopg sets no timer for a statement.
"""

from __future__ import annotations

import os
import sys
from collections.abc import AsyncIterator
from typing import cast

import aiopg
import pydantic_core
from aiohttp import web

from vehicle_api.core import Vehicle
from vehicle_api.settings import read_settings
from vehicle_api.store import GET_VEHICLE

_POOL = web.AppKey("pool", aiopg.Pool)
_NAMES = tuple(Vehicle.model_fields)


async def _connect(app: web.Application) -> AsyncIterator[None]:
    database = read_settings(os.environ).database
    async with aiopg.create_pool(
        maxsize=8,
        timeout=cast(float, None),
        host=database.host,
        port=database.port,
        dbname=database.name,
        user=database.user,
        password=database.password,
    ) as pool:
        app[_POOL] = pool
        yield


async def _get(request: web.Request) -> web.Response:
    async with request.app[_POOL].acquire() as connection, connection.cursor() as cursor:
        await cursor.execute(GET_VEHICLE, (request.match_info["id"],))
        row = await cursor.fetchone()
    if row is None:
        raise web.HTTPNotFound
    body = pydantic_core.to_json(dict(zip(_NAMES, row, strict=False)))
    return web.Response(body=body, content_type="application/json")


if __name__ == "__main__":
    app = web.Application()
    app.cleanup_ctx.append(_connect)
    app.add_routes([web.get("/api/vehicles/{id}", _get)])
    web.run_app(app, host="127.0.0.1", port=int(sys.argv[1]), access_log=None, print=None)

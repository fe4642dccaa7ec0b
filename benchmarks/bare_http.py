"""What a served cluster is measured against: the least that answers with aiohttp.

    python -m benchmarks.bare_http

One handler on aiohttp's low-level server. A path of digits is answered with that many bytes, a body with itself.
"""

from __future__ import annotations

import asyncio
import sys
from functools import lru_cache

from aiohttp import web


@lru_cache(16)
def _bytes(path: str) -> bytes:
    return b"x" * int(path[1:])


async def _handle(request: web.BaseRequest) -> web.StreamResponse:
    body = await request.read() if request.body_exists else _bytes(request.raw_path)
    return web.Response(body=body, headers={"Content-Type": "application/json"})


async def _serve() -> None:
    server = web.Server(_handle, access_log=None)
    listener = await asyncio.get_running_loop().create_server(server, "127.0.0.1", 0)
    sys.stdout.write(f"bare at http://127.0.0.1:{listener.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    await listener.serve_forever()


if __name__ == "__main__":
    asyncio.run(_serve())

"""`GET /api/vehicles/{id}` of the real service and of a bare handler, by turns in one run, before one PostgreSQL.

The client is a process of its own: as many connections as ask, each sending its next request when it has its answer.
"""

from __future__ import annotations

import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

_CONNECTIONS = 16
# Short and many, and each pair the other way round than the one before: what else the machine does meets both alike.
_SECONDS = 0.5
_TURNS = 24
_START_SECONDS = 20
_VEHICLE = {"vin": "WVWZZZ1JZXW000001", "make": "VW", "model": "Golf", "year": 1999, "licence_plate": "B-XY 123"}


class _Connection(asyncio.Protocol):
    """Sends the same request again and again, and counts answers of status 200."""

    def __init__(self, request: bytes) -> None:
        self._request = request
        self._missing = 0
        self.answers = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        self._ask()

    def _ask(self) -> None:
        assert isinstance(self._transport, asyncio.WriteTransport)  # noqa: S101 - for the type checker
        self._transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        if not self._missing:
            head, _, body = data.partition(b"\r\n\r\n")
            if not head.startswith(b"HTTP/1.1 200 "):
                raise RuntimeError(head.decode())
            length = int(head.lower().partition(b"content-length:")[2].partition(b"\r")[0])
            self._missing = length - len(body)
        else:
            self._missing -= len(data)
        if not self._missing:
            self.answers += 1
            self._ask()

    def close(self) -> None:
        """Ask no more."""
        self._transport.close()


async def _load(port: int, path: str) -> float:
    request = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n".encode()
    loop = asyncio.get_running_loop()
    connections = [
        (await loop.create_connection(lambda: _Connection(request), "127.0.0.1", port))[1] for _ in range(_CONNECTIONS)
    ]
    began, before = time.perf_counter(), sum(each.answers for each in connections)
    await asyncio.sleep(_SECONDS)
    rate = (sum(each.answers for each in connections) - before) / (time.perf_counter() - began)
    for each in connections:
        each.close()
    return rate


def _rate(port: int, path: str) -> float:
    command = [sys.executable, "-m", "benchmarks.vehicle_api", str(port), path]
    return float(subprocess.run(command, check=True, capture_output=True).stdout)  # noqa: S603


def _serve(stack: ExitStack, words: Sequence[str], environment: dict[str, str]) -> None:
    process = subprocess.Popen(  # noqa: S603
        [sys.executable, "-m", *words], env={**os.environ, **environment}, stdout=subprocess.DEVNULL
    )
    stack.callback(process.wait)
    stack.callback(process.terminate)


def _ask(port: int, path: str, document: Any = None) -> Any:
    """The answer, as soon as there is one that is no 503."""
    body = None if document is None else json.dumps(document).encode()
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", body, {"Content-Type": "application/json"})
    deadline = time.monotonic() + _START_SECONDS
    while True:
        try:
            with urllib.request.urlopen(request) as answer:  # noqa: S310
                return json.load(answer)
        except (urllib.error.URLError, ConnectionError):
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)


def measure() -> dict[str, Any]:
    """Requests per second of both, the medians of several turns, and their ratio."""
    # The tests' supervisor; needs the extra `local-db` or a PostgreSQL of the system.
    sys.path.insert(0, str(Path("tests/vehicle_api")))
    from postgres import Postgres, free_port  # type: ignore[import-not-found]

    with ExitStack() as stack:
        server = Postgres(Path(stack.enter_context(tempfile.TemporaryDirectory())))
        stack.callback(server.kill)
        server.start()
        service, bare = free_port(), free_port()
        environment = {**server.environment, "POSTGRES_DB": "postgres", "LISTEN_HOST": "127.0.0.1"}
        _serve(stack, ["vehicle_api"], {**environment, "LISTEN_PORT": str(service)})
        _ask(service, "/readyz")
        path = f"/api/vehicles/{_ask(service, '/api/vehicles', _VEHICLE)['id']}"
        _serve(stack, ["benchmarks.bare_api", str(bare)], environment)
        _ask(bare, path)
        rates = []
        for turn in range(_TURNS):
            ports = (service, bare) if turn % 2 else (bare, service)
            found = {port: _rate(port, path) for port in ports}
            rates.append((found[service], found[bare]))
    ours, theirs = (statistics.median(each) for each in zip(*rates, strict=True))
    return {
        "service_per_second": round(ours),
        "bare_per_second": round(theirs),
        "ratio": round(statistics.median(service / bare for service, bare in rates), 3),
        "ratios": [round(service / bare, 3) for service, bare in rates],
    }


if __name__ == "__main__":
    sys.stdout.write(str(asyncio.run(_load(int(sys.argv[1]), sys.argv[2]))))

"""The service, running: in this process behind a client, or as a child; and a proxy that loses a database."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
from pathlib import Path

from aiohttp import ClientSession, ClientTimeout
from aiohttp.test_utils import TestClient, TestServer
from postgres import free_port

from vehicle_api.app import make_app
from vehicle_api.pool import Pool
from vehicle_api.settings import read_settings

# With this begins PostgreSQL's answer to a statement that gives rows.
ROW_DESCRIPTION = b"T"
ROOT = Path(__file__).parents[2]
VEHICLE = {
    "vin": "1HGCM82633A004352",
    "make": "Honda",
    "model": "Accord",
    "year": 2003,
    "licence_plate": "B-XY 123",
    "mileage": 181_250,
    "status": "active",
}


def vehicle(number: int, **fields) -> dict:
    """The vehicle of this number; its VIN is from a region without check digits."""
    return {**VEHICLE, "vin": f"WVW{number:014d}", "licence_plate": f"B-{number}", **fields}


@contextlib.asynccontextmanager
async def open_pool(environment, size=4):
    """A pool of the service's kind."""
    pool = Pool(read_settings(environment).database, size)
    try:
        yield pool
    finally:
        await pool.close()


async def until_ready(get, seconds=120.0):
    """Ask `/readyz` until it says 200; the kubelet does so, too."""
    async with asyncio.timeout(seconds):
        while True:
            with contextlib.suppress(OSError, asyncio.TimeoutError):
                async with get("/readyz") as answer:
                    if answer.status == 200:
                        return
            await asyncio.sleep(0.02)


@contextlib.asynccontextmanager
async def serving(environment, *, is_ready=True):
    """A client of the service, which runs in this process."""
    async with TestClient(TestServer(make_app(read_settings(environment)))) as client:
        if is_ready:
            await until_ready(client.get)
        yield client


class Child:
    """The service as a process of its own."""

    def __init__(self, process, port: int, session: ClientSession) -> None:
        self.process = process
        self.port = port
        self.session = session
        self.printed = b""
        self._news = asyncio.Event()
        self._reader = asyncio.create_task(self._read())

    async def _read(self) -> None:
        while chunk := await self.process.stdout.read(65536):
            self.printed += chunk
            self._news.set()

    def get(self, path: str):
        """Ask for a path."""
        return self.session.get(f"http://127.0.0.1:{self.port}{path}", timeout=ClientTimeout(total=120))

    async def until_printed(self, text: str, seconds: float = 120.0) -> None:
        """Wait for a whole line of its log that holds this."""
        async with asyncio.timeout(seconds):
            while not any(
                text.encode() in line for line in self.printed.splitlines(keepends=True) if line.endswith(b"\n")
            ):
                self._news.clear()
                await self._news.wait()

    async def wait(self) -> int:
        """Its exit code, once all that it printed is in `printed`."""
        await self._reader
        return await self.process.wait()

    @property
    def lines(self) -> list[dict]:
        """Its log."""
        return [json.loads(line) for line in self.printed.decode().splitlines()]


@contextlib.asynccontextmanager
async def child(environment):
    """A `Child`, killed at the end if it still runs."""
    port = free_port()
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "vehicle_api",
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], **environment, "LISTEN_PORT": str(port)},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    async with ClientSession() as session:
        started = Child(process, port, session)
        try:
            yield started
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await started.wait()


class Proxy:
    """Stands between the service and its database, and can become a black hole: packets go in and nothing comes out."""

    def __init__(self, port: int) -> None:
        self._target = port
        self._passes = asyncio.Event()
        self._passes.set()
        self._server: asyncio.Server | None = None
        self.port = 0
        # Connections that were opened, whatever became of them.
        self.opened = 0
        self._tasks: set[asyncio.Task] = set()
        self.arrival = asyncio.Event()
        self._is_cutting = False
        self.cuts = 0

    async def __aenter__(self):
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_exc) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def swallow(self) -> None:
        """From now on nothing passes, on old connections and new ones."""
        self._passes.clear()
        self.arrival.clear()

    def restore(self) -> None:
        """What was held up passes, and all that follows."""
        self._passes.set()

    def cut_after_next_answer(self) -> None:
        """The database's next answer to a question is withheld, and the connection is cut instead."""
        self._is_cutting = True

    async def _serve(self, reader, writer) -> None:
        self.opened += 1
        self._tasks.add(asyncio.current_task())
        self.arrival.set()
        async with contextlib.AsyncExitStack() as stack:
            stack.callback(writer.close)
            await self._passes.wait()
            there_reader, there_writer = await asyncio.open_connection("127.0.0.1", self._target)
            stack.callback(there_writer.close)
            await asyncio.gather(self._copy(reader, there_writer), self._copy_back(there_reader, writer))

    async def _copy_back(self, reader, writer) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(65536):
                await self._passes.wait()
                if self._is_cutting and data.startswith(ROW_DESCRIPTION):
                    self._is_cutting = False
                    self.cuts += 1
                    break
                writer.write(data)
                await writer.drain()
        writer.close()

    async def _copy(self, reader, writer) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(65536):
                await self._passes.wait()
                writer.write(data)
                await writer.drain()
        writer.close()

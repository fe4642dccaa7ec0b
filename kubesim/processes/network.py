"""A node's way to its Pods: real connections and real HTTP/1.1, for probes and hooks."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any, Final, final

from kubesim.network.messages import HttpReply, HttpRequest, NetError, OnAnswer
from kubesim.processes.pacing import Pacer
from kubesim.sim.loop import SECOND

_HEAD_MAX: Final = 65_536


async def call_http(ip: str, port: int, message: HttpRequest, host: str = "") -> HttpReply:
    """One request on a connection of its own; the reply's body is the bytes that came.

    Raises:
        OSError: there is no connection, or it was cut.
        ValueError: what came is no HTTP.
    """
    reader, writer = await asyncio.open_connection(ip, port, limit=_HEAD_MAX)
    try:
        body = b"" if message.body is None else json.dumps(message.body).encode()
        kind = f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n" if message.body is not None else ""
        fields = {"Host": host or ip, "Connection": "close", **message.headers}
        own = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
        head = f"{message.method} {message.path} HTTP/1.1\r\n{own}{kind}\r\n"
        writer.write(head.encode() + body)
        try:
            start = await reader.readuntil(b"\r\n\r\n")
        except asyncio.IncompleteReadError as error:
            raise ConnectionResetError("EOF") from error
        except asyncio.LimitOverrunError as error:
            raise ValueError("malformed HTTP response") from error
        first, *lines = start.decode("latin-1").split("\r\n")
        version, _, rest = first.partition(" ")
        if not version.startswith("HTTP/") or not rest[:3].isdigit():
            raise ValueError(f'malformed HTTP response "{first[:40]}"')
        got = {name.title(): value.strip() for name, _, value in (line.partition(":") for line in lines) if name}
        length = got.get("Content-Length", "")
        content = await (reader.readexactly(int(length)) if length.isdigit() else reader.read())
        return HttpReply(int(rest[:3]), content, got)
    except asyncio.IncompleteReadError as error:
        raise ConnectionResetError("unexpected EOF") from error
    finally:
        writer.close()


async def ask(work: Callable[[], Any], timeout_ns: int, address: str) -> Any:
    """What the coroutine of `work` returns, or the `NetError` that it comes to."""
    try:
        async with asyncio.timeout(timeout_ns / SECOND):
            return await work()
    except TimeoutError:
        return NetError("timeout", f"{address}: i/o timeout")
    except ConnectionRefusedError:
        return NetError("refused", f"{address}: connection refused")
    except (OSError, ValueError) as error:
        return NetError("reset", f"{address}: {error}")


@final
class ProcessNetwork:
    """Satisfies `node.runtime.Network`."""

    def __init__(self, pacer: Pacer, local: Callable[[str], str]) -> None:
        self._pacer = pacer
        self._local = local
        self._tasks: dict[asyncio.Task[None], None] = {}

    def probe(self, ip: str, port: int, message: HttpRequest | None, timeout_ns: int, on_answer: OnAnswer) -> None:
        task = self._pacer.aio.create_task(self._probe(self._local(ip), port, message, timeout_ns, on_answer))
        self._tasks[task] = None
        task.add_done_callback(self._tasks.pop)

    async def _probe(
        self, ip: str, port: int, message: HttpRequest | None, timeout_ns: int, on_answer: OnAnswer
    ) -> None:
        async def connect() -> None:
            _, writer = await asyncio.open_connection(ip, port)
            writer.close()

        work = connect if message is None else lambda: call_http(ip, port, message)
        answer = await ask(work, timeout_ns, f"dial tcp {ip}:{port}")
        self._pacer.hand_in(on_answer, answer)

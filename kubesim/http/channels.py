"""exec and attach over a websocket: standard streams as channels, and the ending as a Status.

Protocols `v5.channel.k8s.io` (in which a client can close its input) and `v4.channel.k8s.io`.
Upstream: apimachinery/pkg/util/remotecommand/constants.go, kubelet/pkg/cri/streaming/remotecommand @v1.36
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final, NamedTuple, final

import msgspec
from aiohttp import WSMsgType, web

from kubesim.errors import bad_request
from kubesim.http.pace import Pace
from kubesim.programs.running import RunningProcess
from kubesim.programs.shell.session import Input, Session

PROTOCOLS: Final = ("v5.channel.k8s.io", "v4.channel.k8s.io")
_STDIN, _STDOUT, _STDERR, _ERROR, _CLOSE = 0, 1, 2, 3, 255
_LOOK_S: Final = 0.05
_SUCCESS: Final = {"metadata": {}, "status": "Success"}


class ExecOptions(NamedTuple):
    """What is to be run, and which streams there are."""

    container: str
    command: tuple[str, ...]
    stdin: bool
    stdout: bool
    stderr: bool
    tty: bool


def read_exec_options(pairs: Sequence[tuple[str, str]]) -> ExecOptions:
    """The options of a query, in which `command` is given once a word.

    Raises:
        ApiError: 400, no stream is asked for.
    """
    query = dict(pairs)
    flags = [query.get(name, "false").lower() in ("true", "1") for name in ("stdin", "stdout", "stderr", "tty")]
    if not any(flags[:3]):
        raise bad_request("you must specify at least 1 of stdin, stdout, stderr")
    command = tuple(value for name, value in pairs if name == "command")
    return ExecOptions(query.get("container", ""), command, flags[0], flags[1], flags[2], flags[3])


@final
class Channels:
    """One websocket with its channels."""

    def __init__(self, request: web.BaseRequest, options: ExecOptions) -> None:
        self._request = request
        self._options = options
        self._socket = web.WebSocketResponse(protocols=PROTOCOLS, heartbeat=30.0, max_msg_size=1 << 20)
        self._outbox: asyncio.Queue[bytes | None] = asyncio.Queue()

    async def take_over(self, process: RunningProcess, pace: Pace) -> web.WebSocketResponse:
        """Attach to a shell that waits for somebody at its input: it ends with them."""

        def leave(code: int) -> None:
            pace.catch_up()
            process.exit(code)
            pace.nudge()

        return await self.run(process, ("sh",), pace, leave)

    async def run(
        self,
        process: RunningProcess,
        command: Sequence[str],
        pace: Pace,
        on_end: Callable[[int], None] | None = None,
    ) -> web.WebSocketResponse:
        """Carry out a command to its end, and tell `on_end` of its exit code."""
        await self._socket.prepare(self._request)
        options = self._options
        given = Input(is_open=options.stdin, has_prompt=options.tty and options.stdin)
        ended: list[int] = []

        def end(code: int) -> None:
            ended.append(code)
            self._outbox.put_nowait(None)

        pace.catch_up()
        session = Session(
            process,
            process.program,
            command,
            given,
            output=lambda text: self._write(_STDOUT, text),
            error=lambda text: self._write(_STDERR, text),
            on_end=end,
        )
        process.after(0, session.start)
        pace.nudge()
        # The container may end before the command does.
        works = (self._until_gone(process), self._read(given, pace, session.signal), self._send())
        async with _beside(*works) as tasks:
            try:
                await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            finally:
                # Whoever goes takes the command along, also where the connection breaks.
                if not ended:
                    session.signal("KILL")
                code = ended[0] if ended else 137
                if on_end is not None:
                    on_end(code)
                    code = 0  # whoever attaches does not hear of it
            await asyncio.wait(tasks[-1:], timeout=5.0)
        if not self._socket.closed:
            await self._socket.send_bytes(bytes([_ERROR]) + msgspec.json.encode(_status(code)))
            await self._socket.close()
        return self._socket

    async def show(self, process: RunningProcess) -> web.WebSocketResponse:
        """Attach: what the container's own process writes from now on."""
        await self._socket.prepare(self._request)
        seen = process.written
        async with _beside(self._read(Input(), None, lambda _: None)) as (reader,):
            while not self._socket.closed and not reader.done():
                is_over = process.ending is not None
                count = min(process.written - seen, len(process.output))
                seen = process.written
                if count:
                    text = "".join(f"{line}\n" for _, line in process.output[-count:])
                    await self._socket.send_bytes(bytes([_STDOUT]) + text.encode())
                if is_over:
                    break
                await asyncio.sleep(_LOOK_S)
        if not self._socket.closed:
            code = process.ending.exit_code if process.ending is not None else 0
            await self._socket.send_bytes(bytes([_ERROR]) + msgspec.json.encode(_status(code)))
            await self._socket.close()
        return self._socket

    def _write(self, channel: int, text: str) -> None:
        options = self._options
        if options.tty:
            channel = _STDOUT
        if (channel == _STDOUT and options.stdout) or (channel == _STDERR and options.stderr):
            if options.tty:
                text = text.replace("\n", "\r\n")
            self._outbox.put_nowait(bytes([channel]) + text.encode())

    async def _send(self) -> None:
        while True:
            data = await self._outbox.get()
            if data is None:
                return
            await self._socket.send_bytes(data)

    async def _read(self, given: Input, pace: Pace | None, signal: Callable[[str], None]) -> None:
        """What the client sends: input, its end, or Ctrl-C at a terminal. Ends when the client is gone."""
        async for message in self._socket:
            if message.type is not WSMsgType.BINARY or not message.data:
                continue
            channel, data = message.data[0], message.data[1:]
            if pace is not None:
                pace.catch_up()
            if channel == _STDIN:
                self._take(given, data, signal)
            elif channel == _CLOSE and data[:1] == bytes([_STDIN]):
                given.close()
            if pace is not None:
                pace.nudge()

    def _take(self, given: Input, data: bytes, signal: Callable[[str], None]) -> None:
        text = data.decode(errors="replace")
        if self._options.tty:
            if "\x03" in text:
                signal("INT")
            if "\x04" in text:
                given.close()
            text = text.replace("\r", "\n").replace("\x03", "").replace("\x04", "")
            self._write(1, text)
        given.feed(text)

    @staticmethod
    async def _until_gone(process: RunningProcess) -> None:
        while process.ending is None:  # noqa: ASYNC110 - the simulation has no asyncio events
            await asyncio.sleep(_LOOK_S)


@asynccontextmanager
async def _beside(*works: Coroutine[Any, Any, None]) -> AsyncIterator[list[asyncio.Task[None]]]:
    """Tasks that end with the block, however that ends."""
    tasks = [asyncio.create_task(work) for work in works]
    try:
        yield tasks
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _status(code: int) -> Any:
    if not code:
        return _SUCCESS
    message = f"command terminated with non-zero exit code: error executing command, exit code {code}"
    causes = [{"reason": "ExitCode", "message": str(code)}]
    return {
        "metadata": {},
        "status": "Failure",
        "message": message,
        "reason": "NonZeroExitCode",
        "details": {"causes": causes},
    }

"""A container's output in a file, one line of it per line, with its time, as the container runtime interface has it.

`2026-11-24T22:03:05.123456789Z stdout F listening on 8080`. At 10 MB a file is set aside as NAME.1, as kubelets do.
Upstream: KubeletConfiguration containerLogMaxSize @v1.36; cri-api's log format
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from pathlib import Path
from typing import Final, final

_SIZE_MAX: Final = 10 * 1024 * 1024
_LINE_MAX: Final = 16 * 1024


@final
class LogFile:
    """Reads the end of a pipe and writes lines. `writer` is the other end: close it once the process has it."""

    def __init__(self, aio: asyncio.AbstractEventLoop, path: Path) -> None:
        self.path = path
        self._aio = aio
        self._file = path.open("ab")
        self._rest = b""
        self._reader, self.writer = os.pipe()
        os.set_blocking(self._reader, False)
        aio.add_reader(self._reader, self._read)

    def _read(self) -> None:
        try:
            chunk = os.read(self._reader, 1 << 16)
        except BlockingIOError:
            return
        if not chunk:
            self.close()
            return
        self._take(chunk)

    def _take(self, chunk: bytes) -> None:
        *lines, self._rest = (self._rest + chunk).split(b"\n")
        self._write(lines)
        if len(self._rest) > _LINE_MAX:
            self._write([self._rest])
            self._rest = b""

    def _write(self, lines: list[bytes]) -> None:
        seconds, rest = divmod(time.time_ns(), 1_000_000_000)
        stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)).encode() + b".%09dZ" % rest
        self._file.write(b"".join(b"%s stdout F %s\n" % (stamp, line) for line in lines))
        self._file.flush()
        if self._file.tell() > _SIZE_MAX:
            self._file.close()
            self.path.replace(f"{self.path}.1")
            self._file = self.path.open("ab")

    def close_writer(self) -> None:
        """The process has the other end now, and when it closes it, the file is done."""
        os.close(self.writer)

    def close(self) -> None:
        """Read what is left and write no more. Idempotent."""
        if self._reader < 0:
            return
        self._aio.remove_reader(self._reader)
        with contextlib.suppress(BlockingIOError):
            # One read: it holds all that a pipe does, and a child that goes on writing cannot keep us here.
            self._take(os.read(self._reader, 1 << 16))
        os.close(self._reader)
        self._reader = -1
        if self._rest:
            self._write([self._rest])
        self._file.close()


def text_of(line: str) -> str:
    """What the process wrote, without what we put before it."""
    return line.split(" ", 3)[3] if line.count(" ") >= 3 else line

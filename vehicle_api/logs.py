"""Logs as JSON lines on standard output: time, level, message, Pod, and the request that it belongs to."""

from __future__ import annotations

import asyncio
import logging
import sys
import time
from collections.abc import Mapping
from contextvars import ContextVar
from typing import Any, Final, TextIO

import pydantic_core
from aiohttp.http_exceptions import HttpProcessingError

# So long a line may wait for others to be written with it: a system call for each would be a tenth of a short request.
_TOGETHER_SECONDS: Final = 0.01

_TRACEBACKS: Final = logging.Formatter()

# The request that is being answered; empty outside of one.
request_id: ContextVar[str] = ContextVar("request_id", default="")


class LineHandler(logging.Handler):
    """Makes lines of records and writes them a moment later, many at once; warnings and what is worse at once, with all
    before them. What a caller puts into `extra={"fields": …}` becomes members of their own."""

    def __init__(self, pod: str, stream: TextIO) -> None:
        super().__init__()
        self._pod = pod
        self._stream = stream
        self._second = 0
        self._second_text = ""
        self._lines: list[bytes] = []

    def format(self, record: logging.LogRecord) -> str:
        """The line, without its end."""
        error = {"error": _TRACEBACKS.formatException(record.exc_info)} if record.exc_info else {}
        fields = {**getattr(record, "fields", {}), **error}
        return self._line(record.created, record.levelname, record.getMessage(), fields).decode()

    def _line(self, at: float, level: str, message: str, fields: Mapping[str, Any]) -> bytes:
        second = int(at)
        if second != self._second:
            self._second, self._second_text = second, time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second))
        line = {
            "time": f"{self._second_text}.{int((at - second) * 1000):03d}Z",
            "level": level.lower(),
            "message": message,
            "pod": self._pod,
        }
        if current := request_id.get():
            line["request_id"] = current
        line.update(fields)
        return pydantic_core.to_json(line, fallback=str)

    def emit(self, record: logging.LogRecord) -> None:
        """Take a record's line, and write it soon."""
        self._take(self.format(record).encode())
        if record.levelno >= logging.WARNING:
            self.flush()

    def log(self, message: str, fields: Mapping[str, Any]) -> None:
        """A line of level info, without the ways of `logging`, which cost more than the line."""
        self._take(self._line(time.time(), "info", message, fields))

    def _take(self, line: bytes) -> None:
        self._lines.append(line)
        if len(self._lines) == 1:
            try:
                asyncio.get_running_loop().call_later(_TOGETHER_SECONDS, self.flush)
            except RuntimeError:  # before the service begins, and after it has ended
                self.flush()

    def flush(self) -> None:
        """Write what waits."""
        if self._lines:
            lines, self._lines = self._lines, []
            self._stream.write(b"\n".join([*lines, b""]).decode())
            self._stream.flush()


def _is_worth_it(record: logging.LogRecord) -> bool:
    """Not what aiohttp says with a traceback about each caller that speaks no HTTP: such a caller gets its 400."""
    return not (record.exc_info and isinstance(record.exc_info[1], HttpProcessingError))


def configure_logs(level: int, pod: str) -> LineHandler:
    """Send all that is logged in this process through one handler."""
    handler = LineHandler(pod, sys.stdout)
    handler.addFilter(_is_worth_it)
    logging.basicConfig(level=level, handlers=[handler], force=True)
    logging.captureWarnings(capture=True)
    return handler

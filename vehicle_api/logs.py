"""Logs as JSON lines on standard output: time, level, message, Pod, and the request that it belongs to."""

from __future__ import annotations

import logging
import sys
import time
from contextvars import ContextVar
from typing import Any

import pydantic_core
from aiohttp.http_exceptions import HttpProcessingError

# The request that is being answered; empty outside of one.
request_id: ContextVar[str] = ContextVar("request_id", default="")


class JsonFormatter(logging.Formatter):
    """One record as one line; what a caller puts into `extra={"fields": …}` becomes members of their own."""

    def __init__(self, pod: str) -> None:
        super().__init__()
        self._pod = pod
        self._second = 0
        self._second_text = ""

    def format(self, record: logging.LogRecord) -> str:
        """The line, without its end."""
        second = int(record.created)
        if second != self._second:
            self._second, self._second_text = second, time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second))
        line: dict[str, Any] = {
            "time": f"{self._second_text}.{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "message": record.getMessage(),
            "pod": self._pod,
        }
        if current := request_id.get():
            line["request_id"] = current
        line.update(getattr(record, "fields", ()))
        if record.exc_info:
            line["error"] = self.formatException(record.exc_info)
        return pydantic_core.to_json(line, fallback=str).decode()


def _is_worth_it(record: logging.LogRecord) -> bool:
    """Not what aiohttp says with a traceback about each caller that speaks no HTTP: such a caller gets its 400."""
    return not (record.exc_info and isinstance(record.exc_info[1], HttpProcessingError))


def configure_logs(level: int, pod: str) -> None:
    """Send all that is logged in this process through the formatter."""
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(JsonFormatter(pod))
    handler.addFilter(_is_worth_it)
    logging.basicConfig(level=level, handlers=[handler], force=True)
    logging.captureWarnings(capture=True)
    # What no line shows need not be found out for each.
    logging.logThreads = logging.logMultiprocessing = logging.logProcesses = False

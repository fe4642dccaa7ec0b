"""Logs as JSON lines on standard output: time, level, message, Pod, and the request that it belongs to."""

from __future__ import annotations

import json
import logging
import sys
import time
from contextvars import ContextVar

# The request that is being answered; empty outside of one.
request_id: ContextVar[str] = ContextVar("request_id", default="")


class JsonFormatter(logging.Formatter):
    """One record as one line; what a caller puts into `extra={"fields": …}` becomes members of their own."""

    def __init__(self, pod: str) -> None:
        super().__init__()
        self._pod = pod

    def format(self, record: logging.LogRecord) -> str:
        """The line, without its end."""
        seconds = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        line: dict[str, object] = {
            "time": f"{seconds}.{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "message": record.getMessage(),
            "pod": self._pod,
        }
        if current := request_id.get():
            line["request_id"] = current
        line.update(getattr(record, "fields", ()))
        if record.exc_info:
            line["error"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False)


def configure_logs(level: int, pod: str) -> None:
    """Send all that is logged in this process through the formatter."""
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(JsonFormatter(pod))
    logging.basicConfig(level=level, handlers=[handler], force=True)
    logging.captureWarnings(capture=True)

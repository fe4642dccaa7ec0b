"""Spans of time as words of a command line."""

from __future__ import annotations

from kubesim.errors import UserError
from kubesim.faults.arguments import Duration
from kubesim.scenario.fields import parse_duration


def read_duration(flag: str, text: str) -> Duration:
    """What a flag such as `--until` was given, in ns.

    Raises:
        UserError: it is no time, or none at all.
    """
    span_ns = parse_duration(text)
    if not span_ns:
        raise UserError(f"{flag}: {text!r} is no time; write it as in 90s, 5m or 1h30m")
    return span_ns

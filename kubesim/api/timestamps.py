"""Virtual instants as the strings that API objects carry.

The loop counts nanoseconds from zero; on the wire that zero is `EPOCH`, a fixed date, so that equal runs print equal
bytes. Only dates go through `datetime`: every lease renewal has a time of its own to be written.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import lru_cache

EPOCH = datetime(2026, 1, 1, tzinfo=UTC)
_SECOND = 1_000_000_000


@lru_cache(maxsize=64)
def _date(days: int) -> str:
    return (EPOCH + timedelta(days=days)).strftime("%Y-%m-%d")


@lru_cache(maxsize=4096)
def _second(seconds: int) -> str:
    days, rest = divmod(seconds, 86_400)
    return f"{_date(days)}T{rest // 3600:02d}:{rest // 60 % 60:02d}:{rest % 60:02d}Z"


def to_time(at_ns: int) -> str:
    """`metav1.Time`: whole seconds, cut down, e.g. `2026-01-01T00:00:07Z`."""
    return _second(at_ns // _SECOND)


def to_micro_time(at_ns: int) -> str:
    """`metav1.MicroTime`: six digits of fraction, e.g. `2026-01-01T00:00:07.250000Z`."""
    return f"{_second(at_ns // _SECOND)[:-1]}.{at_ns % _SECOND // 1000:06d}Z"


@lru_cache(maxsize=65536)
def from_time(text: str) -> int:
    """The instant in nanoseconds of a `Time` or `MicroTime`.

    Raises:
        ValueError: the text is not an RFC 3339 date and time.
    """
    delta = datetime.fromisoformat(text) - EPOCH
    return (delta.days * 86_400 + delta.seconds) * _SECOND + delta.microseconds * 1000

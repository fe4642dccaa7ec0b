"""How kubectl writes a span of time.

Upstream: apimachinery/pkg/util/duration/duration.go:HumanDuration @v1.36
"""

from __future__ import annotations

from kubesim.api.timestamps import from_time
from kubesim.sim.loop import SECOND


def human_duration(span_ns: int) -> str:
    """`45s`, `3m20s`, `25m`, `4h5m`, `30h`, `5d2h`, `300d`, `2y35d`, `9y`."""
    seconds = span_ns // SECOND
    if seconds < -1:
        return "<invalid>"
    seconds = max(seconds, 0)
    minutes, hours = seconds // 60, seconds // 3600
    if seconds < 120:
        return f"{seconds}s"
    if minutes < 10:
        return _pair(minutes, "m", seconds % 60, "s")
    if minutes < 180:
        return f"{minutes}m"
    if hours < 8:
        return _pair(hours, "h", minutes % 60, "m")
    if hours < 48:
        return f"{hours}h"
    if hours < 24 * 8:
        return _pair(hours // 24, "d", hours % 24, "h")
    if hours < 24 * 365 * 2:
        return f"{hours // 24}d"
    if hours < 24 * 365 * 8:
        return _pair(hours // 24 // 365, "y", hours // 24 % 365, "d")
    return f"{hours // 24 // 365}y"


def _pair(big: int, big_unit: str, small: int, small_unit: str) -> str:
    return f"{big}{big_unit}{small}{small_unit}" if small else f"{big}{big_unit}"


def age(timestamp: str | None, now_ns: int) -> str:
    """The age of something with that timestamp."""
    return human_duration(now_ns - from_time(timestamp)) if timestamp else "<unknown>"

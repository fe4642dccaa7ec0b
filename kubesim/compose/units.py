"""Spans of time and sizes of memory as Compose files write them.

Upstream: compose-spec 11-extension.md, "Specifying durations", "Specifying byte values"
"""

from __future__ import annotations

import re
from typing import Final

_UNITS_NS: Final = {
    "us": 1_000,
    "ms": 1_000_000,
    "s": 1_000_000_000,
    "m": 60_000_000_000,
    "h": 3_600_000_000_000,
}
_SPAN: Final = re.compile(r"(\d+(?:\.\d+)?)(us|ms|s|m|h)")
_SIZE: Final = re.compile(r"(\d+(?:\.\d+)?) ?([bkmg]?)b?", re.IGNORECASE)
_SCALES: Final = {"": 1, "b": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30}


def parse_duration(text: str) -> int | None:
    """`10s`, `1m30s`, `2h32m`, `500ms` or `40us` in ns; None for anything else."""
    if not text or _SPAN.sub("", text):
        return None
    return round(sum(float(number) * _UNITS_NS[unit] for number, unit in _SPAN.findall(text)))


def parse_bytes(text: str) -> int | None:
    """`512M`, `1g`, `64kb`, `300b` or a bare number in bytes, in powers of 1024; None for anything else."""
    match = _SIZE.fullmatch(text)
    return None if match is None else int(float(match[1]) * _SCALES[match[2].lower()])

"""What the published schema says in words about definitions and fields; unpacked when first asked for."""

from __future__ import annotations

import lzma
from functools import cache
from pathlib import Path

import msgspec


class Documentation(msgspec.Struct, rename={"text": "d", "fields": "f", "values": "e"}):
    """One definition's description, its fields', and the values that a field may have."""

    text: str = ""
    fields: dict[str, str] = {}
    values: dict[str, list[str]] = {}


_NOTHING = Documentation()


@cache
def _table() -> dict[str, Documentation]:
    packed = (Path(__file__).parent / "documentation.json.xz").read_bytes()
    return msgspec.json.decode(lzma.decompress(packed), type=dict[str, Documentation])


def documentation(name: str) -> Documentation:
    """Of the definition called e.g. `io.k8s.api.core.v1.PodSpec`; empty for an unknown one."""
    return _table().get(name, _NOTHING)

"""In which fields two JSON-shaped values differ."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any


def field_differences(before: Any, after: Any, path: str = "") -> Iterator[tuple[str, Any, Any]]:
    """Each field that differs, by its path, with what it was and is; None stands for one that is not there.

    Lists of equal length are compared entry by entry, others as a whole.
    """
    if isinstance(before, dict) and isinstance(after, dict):
        for name in {**before, **after}:
            yield from field_differences(before.get(name), after.get(name), f"{path}.{name}" if path else name)
    elif isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        for at, (one, other) in enumerate(zip(before, after, strict=True)):
            yield from field_differences(one, other, f"{path}[{at}]")
    elif before != after:
        yield path, before, after

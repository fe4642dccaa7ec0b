"""Two versions of an object, field by field, as a person reads them: `- path: before` and `+ path: after`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from kubesim.api.objects import Object

# What the server keeps for itself and changes with every write.
_SECRETS = ("data", "stringData")
_HIDDEN = "(not shown)"
_SERVERS = ("managedFields", "resourceVersion", "generation", "uid", "creationTimestamp")


def difference_lines(before: Object | None, after: Object) -> Iterator[str]:
    """The fields that differ, by path; nothing where only the server's own bookkeeping does."""
    yield from _differences(_plain(before) if before is not None else {}, _plain(after), "")


def _plain(obj: Object) -> Object:
    if obj.get("kind") == "Secret":
        obj = {**obj, **{field: dict.fromkeys(obj[field], _HIDDEN) for field in _SECRETS if field in obj}}
    metadata = {field: value for field, value in obj["metadata"].items() if field not in _SERVERS}
    return {**{field: value for field, value in obj.items() if field != "status"}, "metadata": metadata}


def _differences(before: Any, after: Any, path: str) -> Iterator[str]:
    if isinstance(before, dict) and isinstance(after, dict):
        for field in {**before, **after}:
            yield from _differences(before.get(field), after.get(field), f"{path}.{field}" if path else field)
        return
    if isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        for index, (one, other) in enumerate(zip(before, after, strict=True)):
            yield from _differences(one, other, f"{path}[{index}]")
        return
    if before == after:
        return
    if before is not None:
        yield f"  - {path}: {json.dumps(before)}"
    if after is not None:
        yield f"  + {path}: {json.dumps(after)}"

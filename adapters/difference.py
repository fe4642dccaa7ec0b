"""Two versions of an object, field by field, as a person reads them: `- path: before` and `+ path: after`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from kubesim.api.differences import field_differences
from kubesim.api.objects import Object

_SECRETS = ("data", "stringData")
_HIDDEN = "(not shown)"
# What the server keeps for itself and changes with every write.
_SERVERS = ("managedFields", "resourceVersion", "generation", "uid", "creationTimestamp")


def difference_lines(before: Object | None, after: Object) -> Iterator[str]:
    """The fields that differ, by path; nothing where only the server's own bookkeeping does."""
    for path, old, new in field_differences(_plain(before) if before is not None else {}, _plain(after)):
        is_secret = after.get("kind") == "Secret" and path.partition(".")[0] in _SECRETS
        for sign, value in (("-", old), ("+", new)):
            if value is not None:
                yield f"  {sign} {path}: {json.dumps(_hidden(value) if is_secret else value)}"


def _hidden(value: Any) -> Any:
    return dict.fromkeys(value, _HIDDEN) if isinstance(value, dict) else _HIDDEN


def _plain(obj: Object) -> Object:
    metadata = {field: value for field, value in obj["metadata"].items() if field not in _SERVERS}
    return {**{field: value for field, value in obj.items() if field != "status"}, "metadata": metadata}

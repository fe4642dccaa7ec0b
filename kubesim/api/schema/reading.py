"""Reading JSON as Go's decoder does: what stands twice in an object is noticed, the later one wins.

Upstream: sigs.k8s.io/json internal/golang/encoding/json/kubernetes_patch.go @v1.36
"""

from __future__ import annotations

import json
from typing import Any, final


@final
class _Pairs(list[tuple[str, Any]]):
    """An object's fields as they stand there."""


def read_json(text: str | bytes) -> tuple[Any, tuple[str, ...]]:
    """The value, and the decoder's words for what stands twice: `duplicate field "data.a"`.

    Raises:
        ValueError: it is no JSON.
    """
    duplicates: list[str] = []
    value = _settled(json.loads(text, object_pairs_hook=_Pairs), "", duplicates)
    return value, tuple(duplicates)


def _settled(value: Any, path: str, duplicates: list[str]) -> Any:
    if type(value) is _Pairs:
        result: dict[str, Any] = {}
        for name, item in value:
            where = f"{path}.{name}" if path else name
            if name in result:
                duplicates.append(f'duplicate field "{where}"')
            new, before = _settled(item, where, duplicates), result.get(name)
            # A map that comes twice is decoded into the same map.
            result[name] = {**before, **new} if isinstance(before, dict) and isinstance(new, dict) else new
        return result
    if isinstance(value, list):
        return [_settled(item, f"{path}[{at}]", duplicates) for at, item in enumerate(value)]
    return value

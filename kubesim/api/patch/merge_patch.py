"""JSON merge patch (RFC 7386): objects merge, null removes, everything else replaces.

Upstream: gopkg.in/evanphx/json-patch.v4 merge.go, apiserver/pkg/endpoints/handlers/patch.go:applyJSPatch @v1.36
"""

from __future__ import annotations

from typing import Any

from kubesim.api.objects import Object
from kubesim.api.patch.values import is_same, require_object
from kubesim.errors import bad_request


def without_null_fields(value: Any) -> Any:
    """The value without null fields of objects, however deep; nulls in lists stay. Shares what has none."""
    if isinstance(value, dict):
        pruned = {key: without_null_fields(item) for key, item in value.items() if item is not None}
        same = len(pruned) == len(value) and all(pruned[key] is value[key] for key in pruned)
        return value if same else pruned
    if isinstance(value, list):
        items = [without_null_fields(item) for item in value]
        return value if all(map(_is, items, value)) else items
    return value


def _is(left: Any, right: Any) -> bool:
    return left is right


def _merge(original: Object, patch: Object) -> Object:
    merged: Object | None = None
    for key, value in patch.items():
        current = original.get(key)
        if value is None:
            if key not in original:
                continue
            if merged is None:
                merged = dict(original)
            del merged[key]
            continue
        if isinstance(value, dict) and isinstance(current, dict):
            new = _merge(current, value)
        else:
            new = without_null_fields(value)
            if is_same(new, current):
                continue
        if new is not current:
            if merged is None:
                merged = dict(original)
            merged[key] = new
    return original if merged is None else merged


def apply_merge_patch(original: Object, patch: Any) -> Object:
    """The object with the patch merged in.

    Raises:
        ApiError: 400, the patch is not a JSON object.
    """
    if patch is None:
        raise bad_request("Invalid JSON Patch")
    return _merge(original, require_object(patch, "error decoding patch: "))

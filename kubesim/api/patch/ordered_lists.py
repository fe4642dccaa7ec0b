"""The order of merged lists: what the patch orders comes in the patch's order, the rest keeps its own among itself.

Both are interleaved by the order of the live list as far as that goes.

Upstream: apimachinery/pkg/util/strategicpatch/patch.go:{normalizeElementOrder,mergeSortedSlice} @v1.36
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from kubesim.api.patch.values import go_text, go_type, server_error

KeyOf = Callable[[Any], Any]


def key_function(merge_key: str) -> KeyOf:
    """What identifies an element: its merge key, or itself in lists of scalars."""
    if not merge_key:
        return _itself

    def key_of(item: Any) -> Any:
        if type(item) is not dict:
            raise server_error(f"expected a map[string]interface {{}}, but received a {go_type(item)}")
        if merge_key not in item:
            raise server_error(f"map: {go_text(item)} does not contain declared merge key: {merge_key}")
        key = item[merge_key]
        if type(key) is dict or type(key) is list:
            raise server_error("runtime error: comparing uncomparable type " + go_type(key))
        return key

    return key_of


def _itself(item: Any) -> Any:
    return item


def ranks(items: list[Any], key_of: KeyOf) -> dict[Any, int]:
    """The first place of each key."""
    places: dict[Any, int] = {}
    for at, item in enumerate(items):
        places.setdefault(key_of(item), at)
    return places


def in_patch_order(merged: list[Any], patch_ranks: dict[Any, int], live: list[Any], key_of: KeyOf) -> list[Any]:
    """`merged` in order: elements of the patch by `patch_ranks`, the rest as in `live`, interleaved."""
    ordered: list[tuple[int, Any, Any]] = []
    others: list[tuple[int, Any, Any]] = []
    live_ranks = ranks(live, key_of)
    for item in merged:
        key = key_of(item)
        rank = patch_ranks.get(key)
        if rank is None:
            others.append((live_ranks.get(key, len(live)), key, item))
        else:
            ordered.append((rank, key, item))
    ordered.sort(key=_rank)
    others.sort(key=_rank)
    if not others:
        return [item for _, _, item in ordered]
    if not ordered:
        return [item for _, _, item in others]
    return _interleave(others, ordered, live_ranks)


def _rank(entry: tuple[int, Any, Any]) -> int:
    return entry[0]


def _interleave(
    others: list[tuple[int, Any, Any]], ordered: list[tuple[int, Any, Any]], live_ranks: dict[Any, int]
) -> list[Any]:
    result = []
    at = 0
    for _, key, item in ordered:
        place = live_ranks.get(key)
        if place is not None:
            while at < len(others) and others[at][0] < place:
                result.append(others[at][2])
                at += 1
        result.append(item)
    result.extend(item for _, _, item in others[at:])
    return result

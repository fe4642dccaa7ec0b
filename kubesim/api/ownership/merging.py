"""Laying a configuration over an object, and taking fields out of one.

Upstream: structured-merge-diff/v6/typed/{merge,remove}.go
"""

from __future__ import annotations

from typing import Any

from kubesim.api.objects import Object
from kubesim.api.ownership.field_sets import EMPTY, FieldSet, child
from kubesim.api.ownership.shapes import ABSENT, Shape, shape_of_definition


def merge(definition_name: str, live: Object, config: Object) -> Object:
    """`live` with what `config` names; nothing is taken away. Lists of items keep the order of both where they can."""
    merged = _merge(shape_of_definition(definition_name), live, config)
    return {} if merged is ABSENT else merged


def _merge(shape: Shape, live: Any, config: Any) -> Any:
    if live is config or config is ABSENT:
        return live
    if shape.is_leaf or (not config and (live is ABSENT or not live)):
        return config
    merged: Any
    if shape.kind in ("struct", "map"):
        merged = _merge_fields(shape, {} if live is ABSENT or live is None else live, config or {})
    else:
        merged = _merge_items(shape, [] if live is ABSENT or live is None else live, config or [])
    return merged or ABSENT


def _merge_fields(shape: Shape, live: dict[str, Any], config: dict[str, Any]) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for name in (*live, *(each for each in config if each not in live)):
        below = shape.below(name)
        if below is None:
            continue
        value = _merge(below, live.get(name, ABSENT), config.get(name, ABSENT))
        if value is not ABSENT:
            result[name] = value
    return result


def _merge_items(shape: Shape, live: list[Any], config: list[Any]) -> list[Any]:
    """Items of both lists; those of the configuration stand in its order, others keep their place among them."""
    below = shape.element
    if below is None:
        return config
    theirs = [(shape.item_element(item), item) for item in live]
    mine = {shape.item_element(item): item for item in config}
    counts: dict[str, int] = {}
    for element, _ in theirs:
        counts[element] = counts.get(element, 0) + 1
    unique = {element: item for element, item in theirs if counts[element] == 1}
    shared = [element for element in mine if element in counts]
    result: list[Any] = []

    def take(item: Any, base: Any) -> None:
        value = _merge(below, base, item)
        if value is not ABSENT:
            result.append(value)

    order = list(mine)
    merged: dict[str, None] = {}
    left = right = 0
    while left < len(theirs) or right < len(order):
        element = theirs[left][0] if left < len(theirs) else ""
        if left < len(theirs) and right < len(order):
            if element == order[right]:
                merged[element] = None
                take(mine[element], unique.get(element, ABSENT))
                left, right = left + 1, right + 1
                shared = shared[1:] if shared and shared[0] == element else shared
                continue
            if element in mine and shared and shared[0] != element:
                left += 1
                continue
        if left < len(theirs):
            if element not in mine:
                take(ABSENT, theirs[left][1])
                left += 1
                continue
            if element in merged:
                left += 1
        if right < len(order):
            element = order[right]
            merged[element] = None
            take(mine[element], unique.get(element, ABSENT))
            right += 1
            shared = shared[1:] if shared and shared[0] == element else shared
    return result


def remove(definition_name: str, obj: Object, fields: FieldSet) -> Object:
    """`obj` without some fields and items; what is left empty by that is null."""
    return _remove(shape_of_definition(definition_name), obj, fields) or {}


def _remove(shape: Shape, value: Any, fields: FieldSet) -> Any:
    if shape.kind == "scalar":
        return value
    if not value or shape.is_leaf:
        return None
    if shape.kind in ("struct", "map"):
        result = {}
        for name, item in value.items():
            is_gone, below = child(fields, f"f:{name}")
            inner = shape.below(name)
            if not is_gone:
                result[name] = _remove(inner, item, below) if below and inner is not None else item
        return result or None
    items = []
    for item in value:
        is_gone, below = child(fields, shape.item_element(item))
        if not is_gone:
            items.append(_remove(shape.element, item, below) if below and shape.element is not None else item)
    return items or None


def with_parents(definition_name: str, fields: FieldSet) -> FieldSet:
    """The set with every named field in it that has something below it in the set.

    Upstream: structured-merge-diff/v6/fieldpath/set.go:EnsureNamedFieldsAreMembers
    """
    return _with_parents(shape_of_definition(definition_name), fields)


def _with_parents(shape: Shape | None, fields: FieldSet) -> FieldSet:
    result: FieldSet = {}
    for element, tree in fields.items():
        below = EMPTY
        inner: Shape | None = None
        is_there, below = child(fields, element) if element != "." else (True, EMPTY)
        if shape is not None and element[:2] == "f:" and shape.kind in ("struct", "map"):
            inner = shape.below(element[2:])
            is_there = is_there or (shape.kind == "struct" and inner is not None)
        elif shape is not None and element[:2] == "k:":
            inner = shape.element
        if not below:
            result[element] = tree
            continue
        deeper = _with_parents(inner, below)
        result[element] = {".": EMPTY, **deeper} if is_there else deeper
    return result

"""Which fields a write has added, modified and removed, and which fields a configuration names.

Both sides of a comparison are stored objects, so they are looked at as Go would encode them (`Shape.part`); what both
share is skipped by its identity. A configuration is what a client wrote.

Upstream: structured-merge-diff/v6/typed/{compare,tofieldset}.go
"""

from __future__ import annotations

from functools import cache
from typing import Any, NamedTuple

from kubesim.api.memo import IdentityMemo
from kubesim.api.objects import Object
from kubesim.api.ownership.field_sets import EMPTY, LEAF, FieldSet, node, without
from kubesim.api.ownership.shapes import ABSENT, ZERO, Shape, shape_of_definition


class Comparison(NamedTuple):
    """What differs between two objects; no field is in two of the sets."""

    removed: FieldSet = EMPTY
    modified: FieldSet = EMPTY
    added: FieldSet = EMPTY

    def ignoring(self, fields: FieldSet) -> Comparison:
        """The comparison without some fields and all below them."""
        if not fields:
            return self
        return Comparison(*(without(each, fields) for each in self))


# The three subtrees of one place; None where nothing of it differs.
_Nodes = tuple[FieldSet | None, FieldSet | None, FieldSet | None]
_SAME: _Nodes = (None, None, None)
_GONE: _Nodes = (LEAF, None, None)
_CHANGED: _Nodes = (None, LEAF, None)
_NEW: _Nodes = (None, None, LEAF)


# What nobody can own. Upstream: managedfields/internal/stripmeta.go:NewStripMetaManager @v1.36
UNOWNED = ("apiVersion", "kind")
UNOWNED_METADATA = (
    "name",
    "namespace",
    "creationTimestamp",
    "selfLink",
    "uid",
    "clusterName",
    "generation",
    "managedFields",
    "resourceVersion",
)
_NAMES_UNOWNED = frozenset((*UNOWNED, "metadata"))
_METADATA_UNOWNED = frozenset(UNOWNED_METADATA)


def compare(definition_name: str, old: Object, new: Object, *, is_merged: bool = False) -> Comparison:
    """What has happened to an object of this definition; `{}` stands for one that was not there.

    What nobody can own is left out. `is_merged`: the new one is what an apply has merged, before it is decoded.

    Raises:
        UntypableError: a list has an item that cannot be told from others.
    """
    shape = shape_of_definition(definition_name)
    found = _compare_fields(shape, old, new, is_merged, _NAMES_UNOWNED)
    metadata = shape.below("metadata")
    before, after = old.get("metadata") or ZERO, new.get("metadata") or ZERO
    if metadata is not None and before is not after:
        for tree, below in zip(
            found, _compare_fields(metadata, before, after, is_merged, _METADATA_UNOWNED), strict=True
        ):
            if below:
                tree["f:metadata"] = below
    return Comparison(*found)


def _compare(shape: Shape, old: Any, new: Any, is_merged: bool) -> _Nodes:
    if old is new:
        return _SAME
    if is_merged:
        return _compare_parts(shape, old, new, is_merged)
    if old is ABSENT or old is ZERO:
        if type(new) is dict or type(new) is list:
            return _fresh_memo(shape)(new) if old is ABSENT else _filled_memo(shape)(new)
        return _leaf(old, new) if old is ABSENT or new is not None else _SAME
    return _compare_parts(shape, old, new, is_merged)


def _compare_parts(shape: Shape, old: Any, new: Any, is_merged: bool = False) -> _Nodes:
    if shape.is_leaf or (_is_void(old) and _is_void(new)):
        return _leaf(old, new)
    if shape.kind in ("struct", "map"):
        found = _compare_fields(shape, old, new, is_merged)
    else:
        before, after = ([] if each is ABSENT else each or [] for each in (old, new))
        found = _compare_items(shape, before, after, is_merged)
    removed, modified, added = found
    if old is not ABSENT and new is not ABSENT and not removed and not modified and not added:
        return _SAME
    return node(new is ABSENT, removed), node(False, modified), node(old is ABSENT, added)


def _leaf(old: Any, new: Any) -> _Nodes:
    if old is ABSENT:
        return _NEW
    if new is ABSENT:
        return _GONE
    # In Python, true is 1.
    return _SAME if old == new and isinstance(old, bool) is isinstance(new, bool) else _CHANGED


def _is_void(value: Any) -> bool:
    return value is ABSENT or not value


def _compare_fields(
    shape: Shape, old: Any, new: Any, is_merged: bool, skipped: frozenset[str] = frozenset()
) -> tuple[FieldSet, FieldSet, FieldSet]:
    found: tuple[FieldSet, FieldSet, FieldSet] = ({}, {}, {})
    for name in shape.names_that_differ(old, new):
        below = shape.below(name)
        if below is None or name in skipped:
            continue
        before, after = shape.part(old, name), (shape.merged_part if is_merged else shape.part)(new, name)
        if before is after:
            continue
        removed, modified, added = _compare(below, before, after, is_merged)
        element = f"f:{name}"
        if removed is not None:
            found[0][element] = removed
        if modified is not None:
            found[1][element] = modified
        if added is not None:
            found[2][element] = added
    return found


def _compare_items(
    shape: Shape, old: list[Any], new: list[Any], is_merged: bool
) -> tuple[FieldSet, FieldSet, FieldSet]:
    before, after = _by_element(shape, old), _by_element(shape, new)
    found: tuple[FieldSet, FieldSet, FieldSet] = ({}, {}, {})
    for element in dict.fromkeys((*before, *after)):
        children = _compare_item(shape, before.get(element, []), after.get(element, []), is_merged)
        if children is not _SAME:
            for tree, below in zip(found, children, strict=True):
                if below is not None:
                    tree[element] = below
    return found


def _compare_item(shape: Shape, old: list[Any], new: list[Any], is_merged: bool) -> _Nodes:
    """One element of a list; where it stands there several times, its items together are a leaf."""
    below = shape.element
    if below is None or (len(old) > 1 and len(new) > 1):
        return _SAME if old == new else _CHANGED
    if len(old) <= 1 and len(new) <= 1:
        return _compare(below, old[0] if old else ABSENT, new[0] if new else ABSENT, is_merged)
    if len(old) > 1:
        return LEAF, None, _compare(below, ABSENT, new[0], is_merged)[2] if new else None
    return _compare(below, old[0], ABSENT, is_merged)[0] if old else None, None, LEAF


def _by_element(shape: Shape, items: list[Any]) -> dict[str, list[Any]]:
    result: dict[str, list[Any]] = {}
    for item in items:
        result.setdefault(shape.item_element(item), []).append(item)
    return result


# What a new subtree adds is asked again and again of the same subtree: Pods share their template's.
@cache
def _fresh_memo(shape: Shape) -> IdentityMemo[_Nodes]:
    return IdentityMemo(lambda value: _compare_parts(shape, ABSENT, value), 64)


@cache
def _filled_memo(shape: Shape) -> IdentityMemo[_Nodes]:
    return IdentityMemo(lambda value: _compare_parts(shape, {}, value), 64)


# --- configurations ---


def fields_of(definition_name: str, config: Object) -> FieldSet:
    """Every leaf and item that a configuration names."""
    return _contents(shape_of_definition(definition_name), config)[1]


def _contents(shape: Shape, value: Any) -> tuple[bool, FieldSet]:
    """Whether the value is a leaf, and the set of what lies below it."""
    if shape.is_leaf:
        return True, EMPTY
    if value is None:
        return False, EMPTY
    result: FieldSet = {}
    if shape.kind in ("struct", "map"):
        for name, item in value.items():
            below = shape.below(name)
            if below is None:
                continue
            is_leaf, children = _contents(below, item)
            is_leaf = is_leaf or item is None or item == {} or shape.kind == "map"
            _put(result, f"f:{name}", node(is_leaf, children))
        return False, result
    for element, items in _by_element(shape, value).items():
        children = _contents(shape.element, items[0])[1] if shape.element is not None and len(items) == 1 else EMPTY
        _put(result, element, node(True, children))
    return False, result


def _put(tree: FieldSet, element: str, below: FieldSet | None) -> None:
    if below is not None:
        tree[element] = below

"""Sets of fields of an object, in the very form in which `managedFields` shows them, and their algebra.

A set is a tree of path elements. An element without children is in the set; one with children is in it if it has the
child `.`. So `{"f:spec": {"f:replicas": {}}}` holds `.spec.replicas` alone. Elements are `f:` with a field's name,
`k:` with the keys of a list's item, `v:` with the value of a set's item. Sets share subtrees and are never changed.

Upstream: sigs.k8s.io/structured-merge-diff/v6/fieldpath/{set,element,serialize,serialize-pe}.go
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Any

FieldSet = dict[str, Any]
Path = tuple[str, ...]

# An element that is in the set and has no children. At the top it is the empty set.
LEAF: FieldSet = {}
EMPTY: FieldSet = LEAF
_SELF = "."
_HTML = str.maketrans({"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029"})
_INDEX = re.compile("[+-]?[0-9]{1,18}")
_TEXTS = 4096


def value_text(value: Any) -> str:
    """A scalar as Go's encoder writes it."""
    return json.dumps(value, ensure_ascii=False).translate(_HTML)


def key_element(keys: tuple[tuple[str, Any], ...]) -> str:
    """The element of a list's item with these key fields, which are sorted by name."""
    return "k:{" + ",".join(f'"{name}":{_key_text(value)}' for name, value in keys) + "}"


def _key_text(value: Any) -> str:
    return value_text(value) if isinstance(value, dict | list) else _scalar_text(value)


# Typed, for true is 1 in Python.
_scalar_text = lru_cache(_TEXTS, typed=True)(value_text)


def value_element(value: Any) -> str:
    """The element of a set's item."""
    return f"v:{value_text(value)}"


def node(is_member: bool, children: FieldSet) -> FieldSet | None:
    """The subtree of an element with these children; None if nothing of it is in the set."""
    if not children:
        return LEAF if is_member else None
    return {_SELF: LEAF, **children} if is_member else children


def _is_member(tree: FieldSet) -> bool:
    return not tree or _SELF in tree


def union(first: FieldSet, second: FieldSet) -> FieldSet:
    """What is in either."""
    if not first or not second or first is second:
        return first or second
    result = {**first}
    for element, tree in second.items():
        found = result.get(element)
        result[element] = tree if found is None else _union(found, tree)
    return result


def _union(first: FieldSet, second: FieldSet) -> FieldSet:
    if first is second:
        return first
    if not first:
        return second if _is_member(second) else {_SELF: LEAF, **second}
    if not second:
        return first if _is_member(first) else {_SELF: LEAF, **first}
    return union(first, second)


def difference(first: FieldSet, second: FieldSet) -> FieldSet:
    """What is in the first and not in the second; what lies below a field of the second stays."""
    return _difference(first, second, False) if first and second else first


def without(first: FieldSet, second: FieldSet) -> FieldSet:
    """The first without the fields of the second and all that lies below them."""
    return _difference(first, second, True) if first and second else first


def _difference(first: FieldSet, second: FieldSet, is_deep: bool) -> FieldSet:
    result: FieldSet | None = None
    for element, other in second.items():
        tree = first.get(element)
        if tree is None or element == _SELF:
            continue
        left = None if is_deep and _is_member(other) else _node_difference(tree, other, is_deep)
        if left is tree:
            continue
        if result is None:
            result = {**first}
        if left is None:
            del result[element]
        else:
            result[element] = left
    return first if result is None else result


def _node_difference(tree: FieldSet, other: FieldSet, is_deep: bool) -> FieldSet | None:
    if not tree:
        return None if _is_member(other) else tree
    left = _difference(tree, other, is_deep)
    if _SELF in tree and _is_member(other):
        return {element: below for element, below in left.items() if element != _SELF} or None
    if left is tree:
        return tree
    return LEAF if len(left) == 1 and _SELF in left else left or None


def intersection(first: FieldSet, second: FieldSet) -> FieldSet:
    """What is in both."""
    result: FieldSet = {}
    for element, tree in first.items():
        other = second.get(element)
        if other is None or element == _SELF:
            continue
        shared = node(_is_member(tree) and _is_member(other), intersection(tree, other))
        if shared is not None:
            result[element] = shared
    return result


def child(fields: FieldSet, element: str) -> tuple[bool, FieldSet]:
    """Whether an element is in the set, and the set of what is below it."""
    tree = fields.get(element)
    if tree is None:
        return False, EMPTY
    if not tree:
        return True, EMPTY
    if _SELF not in tree:
        return False, tree
    return True, {element: below for element, below in tree.items() if element != _SELF}


def has(fields: FieldSet, path: Path) -> bool:
    """Whether a path is in the set."""
    is_there = False
    for element in path:
        is_there, fields = child(fields, element)
    return is_there


def of_paths(paths: Iterable[Path]) -> FieldSet:
    """The set of these paths."""
    result = EMPTY
    for path in paths:
        tree = LEAF
        for element in reversed(path[1:]):
            tree = {element: tree}
        result = union(result, {path[0]: tree})
    return result


def paths_of(fields: FieldSet, prefix: Path = ()) -> Iterator[Path]:
    """All paths, in upstream's order: at each level the members, then what is below them."""
    order = sorted((element for element in fields if element != _SELF), key=_rank)
    for element in order:
        if _is_member(fields[element]):
            yield (*prefix, element)
    for element in order:
        yield from paths_of(fields[element], (*prefix, element))


def in_order(fields: FieldSet) -> FieldSet:
    """The set with its elements in the order in which the API writes them."""
    order = sorted(fields, key=_rank)
    return {element: in_order(fields[element]) if fields[element] else LEAF for element in order}


def parse(fields: Any) -> FieldSet | None:
    """A set that a client has sent, without elements of kinds that there are not; None where it is no set."""
    if type(fields) is not dict:
        return None
    result: FieldSet = {}
    for element, tree in fields.items():
        if element == _SELF:
            result[element] = LEAF
            continue
        below = parse(tree)
        if below is None or not _is_element(element):
            return None
        if element[0] in "fkvi":
            result[element] = below
    return result


def _is_element(element: str) -> bool:
    """Upstream: fieldpath/serialize-pe.go:DeserializePathElement"""
    kind, text = element[:1], element[2:]
    if element[1:2] != ":":
        return False
    if kind == "i":
        return _INDEX.fullmatch(text) is not None
    try:
        value = json.loads(text) if kind in "kv" else None
    except ValueError:
        return False
    return kind != "k" or type(value) is dict


def text_of(path: Path) -> str:
    """A path as messages print it: `.spec.containers[name="c"].image`."""
    return "".join(element_text(element) for element in path)


def element_text(element: str) -> str:
    """A path element as messages print it."""
    if element[0] == "f":
        return f".{element[2:]}"
    if element[0] == "k":
        keys = json.loads(element[2:])
        return f"[{','.join(f'{name}={value_text(value)}' for name, value in keys.items())}]"
    return f"[={element[2:]}]" if element[0] == "v" else f"[{element[2:]}]"


@lru_cache(_TEXTS)
def _rank(element: str) -> tuple[Any, ...]:
    """The place of an element among its siblings: itself, names, keys, values, indices."""
    kind, text = element[:1], element[2:]
    if kind == "f":
        return (1, text)
    if kind == "k":
        return (2, tuple((name, _value_rank(value)) for name, value in json.loads(text).items()))
    if kind == "v":
        return (3, _value_rank(json.loads(text)))
    return (4, int(text)) if kind == "i" else (0,)


def _value_rank(value: Any) -> tuple[Any, ...]:
    """Numbers, texts, booleans, lists, objects, null. Upstream: structured-merge-diff/v6/value/value.go:CompareUsing"""
    if value is None:
        return (4,)
    if isinstance(value, bool):
        return (2, value)
    if isinstance(value, dict | list):
        return (3, value_text(value))
    return (1, value) if isinstance(value, str) else (0, value)

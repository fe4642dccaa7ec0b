"""Structural checks: does an object have the shape that its definition gives?

Two passes share the schema. `is_clean` answers yes or no in a few microseconds per Pod, with checkers compiled per
definition when first needed; `find_problems` walks again only to say what is wrong and where.

Null stands for an absent value, as it does for the API server; unknown fields are dropped, and most fields
are left out when they are empty. `decoded` gives what is left.

Upstream: sigs.k8s.io/json internal/golang/encoding/json/decode.go, kubernetes_patch.go;
apimachinery/pkg/runtime/serializer/json/json.go:unmarshal @v1.36
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final

from kubesim.api.schema import scalars
from kubesim.api.schema.table import Definition, Field, definition, fields
from kubesim.api.schema.walk import Problem, Walk

Check = Callable[[Any], bool]

_PLAIN: Final[dict[str, type]] = {"string": str, "boolean": bool}
_checkers: dict[str, Check] = {}


def is_clean(value: Any, definition_name: str) -> bool:
    """Whether strict decoding into the definition would succeed (duplicate keys aside, which a dict cannot show)."""
    check = _checkers.get(definition_name) or _object_check(definition_name)
    return value is not None and check(value)


def find_problems(
    obj: Any,
    definition_name: str,
    *,
    duplicates: Iterable[tuple[str, ...]] = (),
    with_missing: bool = False,
) -> list[Problem]:
    """Every structural problem, in the order of the object's keys; duplicate keys last.

    Args:
        obj: the decoded JSON value.
        definition_name: `Kind.schema`.
        duplicates: paths of keys given twice, known only to whoever read the text; list indices as `[0]`.
        with_missing: also report required fields that are absent. The decoder does not (validation does, later).
    """
    duplicates = tuple(duplicates)
    if not duplicates and not with_missing and is_clean(obj, definition_name):
        return []
    walk = Walk(with_missing=with_missing)
    walk.root(obj, definition_name)
    for path in duplicates:
        walk.duplicate(path)
    return walk.problems


def decoded(value: Any, definition_name: str) -> Any:
    """What decoding makes of a value of the right types: fields that are null, unknown, or empty where Go's encoding
    leaves them out are gone, null elements are zero values.

    Shares what it can with the value given.
    """
    found = definition(definition_name)
    return value if found is None else _decoded_object(value, found)


def _decoded_object(value: Any, found: Definition) -> Any:
    if type(value) is not dict:
        return value
    kept: dict[str, Any] = {}
    changed = False
    for key, item in value.items():
        field = found.fields.get(key)
        if item is None or field is None or (field.presence == "e" and not item):
            changed = True
            continue
        new = _decoded_field(item, field) if type(item) in (dict, list) else item
        changed = changed or new is not item
        kept[key] = new
    return kept if changed else value


def _decoded_field(value: Any, field: Field) -> Any:
    if field.type == "object":
        found = definition(field.ref)
        return value if found is None else _decoded_object(value, found)
    inner = definition(field.items_ref) if field.items_ref else None
    zero = {"string": "", "object": {}, "quantity": "0"}.get(field.items)
    if field.type == "array" and type(value) is list:
        items = [_decoded_element(item, inner, zero) for item in value]
        return value if all(new is old for new, old in zip(items, value, strict=True)) else items
    if field.type == "map" and type(value) is dict:
        entries = {key: _decoded_element(item, inner, zero) for key, item in value.items()}
        return value if all(entries[key] is item for key, item in value.items()) else entries
    return value


def _decoded_element(value: Any, inner: Definition | None, zero: Any) -> Any:
    if value is None:
        return zero
    return value if inner is None else _decoded_object(value, inner)


def _object_check(name: str) -> Check:
    plain: dict[str, type] = {}
    others: dict[str, Check] = {}

    def check(value: Any) -> bool:
        if type(value) is not dict:
            return value is None
        for key, item in value.items():
            if plain.get(key) is type(item):
                continue
            inner = others.get(key)
            if inner is None:
                if item is None and key in plain:
                    continue
                return False
            if not inner(item):
                return False
        return True

    _checkers[name] = check
    for key, field in fields(name).items():
        simple = _PLAIN.get(field.type)
        if simple is not None:
            plain[key] = simple
        else:
            others[key] = _deferred(others, key, field)
    return check


def _deferred(others: dict[str, Check], key: str, field: Field) -> Check:
    """A check that replaces itself with the real one when it first runs: most fields are never met."""

    def first(value: Any) -> bool:
        others[key] = real = _field_check(field)
        return real(value)

    return first


def _field_check(field: Field) -> Check:
    if field.type == "object":
        return _checkers.get(field.ref) or _object_check(field.ref)
    if field.type == "array":
        return _array_check(_element_check(field), _PLAIN.get(field.items))
    if field.type == "map":
        return _map_check(_element_check(field), _PLAIN.get(field.items))
    return scalars.CHECKS[field.type]


def _element_check(field: Field) -> Check:
    if field.items == "object":
        return _checkers.get(field.items_ref) or _object_check(field.items_ref)
    if field.items == "array":
        return _array_check(scalars.CHECKS["string"], str)
    return scalars.CHECKS[field.items]


def _array_check(element: Check, simple: type | None) -> Check:
    def check(value: Any) -> bool:
        if type(value) is not list:
            return value is None
        for item in value:
            if type(item) is simple:
                continue
            if not element(item):
                return False
        return True

    return check


def _map_check(element: Check, simple: type | None) -> Check:
    def check(value: Any) -> bool:
        if type(value) is not dict:
            return value is None
        for item in value.values():
            if type(item) is simple:
                continue
            if not element(item):
                return False
        return True

    return check

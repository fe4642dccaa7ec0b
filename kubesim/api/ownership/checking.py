"""Whether a configuration has the structure that its kind's schema gives, in upstream's words.

Upstream: structured-merge-diff/v6/typed/{validate,helpers}.go
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from kubesim.api.objects import Object
from kubesim.api.ownership.field_sets import element_text
from kubesim.api.ownership.shapes import Shape, UntypableError, shape_of_definition
from kubesim.api.patch.values import go_text
from kubesim.api.validation.field import go_quote

_NUMERIC = ("int32", "int64", "number")
_STRINGS = ("string", "bytes", "time", "microtime")
_Problem = tuple[str, str]


def structure_problem(definition_name: str, config: Object) -> str:
    """What is wrong with a configuration, empty if nothing is. Upstream walks maps in any order, here it is sorted."""
    found = _problems(shape_of_definition(definition_name), config)
    problems = [f"{path}: {why}" if path else why for path, why in found]
    if len(problems) < 2:
        return "".join(problems)
    return "\n".join(["errors:", *(f"  {problem}" for problem in problems)])


def _problems(shape: Shape, value: Any) -> Iterator[_Problem]:
    if value is None:
        return
    if shape.kind == "scalar":
        why = _scalar_problem(shape.type, value)
        if why:
            yield "", why
        return
    is_map = shape.kind in ("struct", "map")
    if is_map and isinstance(value, dict):
        yield from _in_map(shape, value)
    elif not is_map and isinstance(value, list):
        yield from _in_list(shape, value)
    else:
        yield "", f"expected {'map' if is_map else 'list'}, got &{{{go_text(value)}}}"


def _in_map(shape: Shape, value: dict[str, Any]) -> Iterator[_Problem]:
    for name, item in sorted(value.items()):
        below = shape.below(name)
        if below is None:
            yield f".{name}", "field not declared in schema"
            return
        for path, why in _problems(below, item):
            yield f".{name}{path}", why


def _in_list(shape: Shape, value: list[Any]) -> Iterator[_Problem]:
    seen: dict[str, None] = {}
    for at, item in enumerate(value):
        where = f"[{at}]"
        if shape.kind != "list":
            try:
                element = shape.item_element(item)
            except UntypableError as error:
                yield "", f"element {at}: {error}"
                return
            where = element_text(element)
            if element in seen:
                yield "", f"duplicate entries for key {where}"
            seen[element] = None
        if shape.element is not None:
            for path, why in _problems(shape.element, item):
                yield where + path, why


def _scalar_problem(type_: str, value: Any) -> str:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if type_ in _NUMERIC:
        return "" if is_number else f"expected numeric (int or float), got {_go_type(value)}"
    if type_ in _STRINGS:
        if isinstance(value, str):
            return ""
        return f"expected string, got &value.valueUnstructured{{Value:{_go_syntax(value)}}}"
    if type_ == "boolean":
        return "" if isinstance(value, bool) else f"expected boolean, got &{{{go_text(value)}}}"
    if type_ in ("quantity", "int-or-string") and isinstance(value, dict | list):
        return f"expected any scalar, got &{{{go_text(value)}}}"
    return ""


def _go_type(value: Any) -> str:
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, str):
        return "string"
    return "map[string]interface {}" if isinstance(value, dict) else "[]interface {}"


def _go_syntax(value: Any) -> str:
    """Go's `%#v`."""
    if isinstance(value, str):
        return go_quote(value)
    if isinstance(value, dict):
        parts = (f"{go_quote(name)}:{_go_syntax(item)}" for name, item in sorted(value.items()))
        return f"map[string]interface {{}}{{{', '.join(parts)}}}"
    if isinstance(value, list):
        return f"[]interface {{}}{{{', '.join(map(_go_syntax, value))}}}"
    return go_text(value)

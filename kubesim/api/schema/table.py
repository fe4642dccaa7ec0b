"""The schema table: fields by definition, decoded when first asked for.

A field's `type` is one of string, int32, int64, number, boolean, bytes (base64), quantity, int-or-string, time,
microtime, any (raw JSON), object (see `ref`), map and array (see `items`, `items_ref`).
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any, Final

import msgspec

TYPES: Final[dict[str, str]] = {
    "s": "string",
    "i": "int32",
    "l": "int64",
    "n": "number",
    "b": "boolean",
    "y": "bytes",
    "q": "quantity",
    "x": "int-or-string",
    "t": "time",
    "u": "microtime",
    "a": "any",
    "o": "object",
    "m": "map",
    "v": "array",
}
_ANNOTATION_COUNT = 7


class Field(msgspec.Struct, frozen=True, gc=False):
    """One field of a definition. Texts are empty where the schema is silent.

    `patch_strategy` is upstream's text (`merge`, `retainKeys`, `merge,retainKeys`, `replace`); `list_type` is atomic,
    set or map; `map_type` is atomic or granular, taken from the referred definition where the field has none.
    `go_type` is the type as Go prints it in decoding errors. `presence` says when an encoded object has the field:
    `z` always, if only with its zero value; `p` where it is set; `e` where it is set and not empty.
    """

    type: str
    ref: str = ""
    items: str = ""
    items_ref: str = ""
    list_type: str = ""
    map_keys: tuple[str, ...] = ()
    map_type: str = ""
    patch_strategy: str = ""
    merge_key: str = ""
    required: bool = False
    go_type: str = ""
    presence: str = "e"


class Definition(msgspec.Struct, frozen=True, gc=False):
    """One object type: its fields by JSON name in alphabetical order, and the names of those that must be there."""

    name: str
    fields: dict[str, Field]
    required: tuple[str, ...]
    map_type: str = ""


class _Row(msgspec.Struct):
    f: dict[str, Any] = {}
    r: list[str] = []
    m: str = ""


class _File(msgspec.Struct):
    names: list[str]
    rows: list[msgspec.Raw]


class _Table:
    """The decoded frame of the file; each row stays raw until it is asked for."""

    __slots__ = ("index", "names", "rows")

    def __init__(self) -> None:
        content = msgspec.json.decode((Path(__file__).parent / "definitions.json").read_bytes(), type=_File)
        self.names = content.names
        self.rows = content.rows
        self.index = {name: at for at, name in enumerate(content.names)}


@cache
def _table() -> _Table:
    return _Table()


@cache
def _row(name: str) -> _Row | None:
    table = _table()
    at = table.index.get(name)
    return None if at is None else msgspec.json.decode(table.rows[at], type=_Row)


def _go_name(definition_name: str) -> str:
    return ".".join(definition_name.rsplit(".", 2)[-2:])


_GO_SCALARS: Final = {
    "int-or-string": "int32",
    "boolean": "bool",
    "number": "float64",
    "bytes": "[]uint8",
    "time": "string",
    "microtime": "string",
    "quantity": "resource.Quantity",
}


def go_type_of(type_: str, ref: str, items: str, items_ref: str) -> str:
    """The Go type that follows from the schema alone; named string types differ and are stored."""
    if type_ == "object":
        return _go_name(ref)
    if type_ == "array":
        return "[]" + go_type_of(items, items_ref, "", "")
    if type_ == "map":
        return "map[string]" + go_type_of(items, items_ref, "", "")
    return _GO_SCALARS.get(type_, type_)


def usual_presence(type_: str) -> str:
    """The presence of most fields of a type; where another holds, it is stored."""
    return "p" if type_ in ("object", "quantity", "int-or-string", "time", "microtime") else "e"


def _decode_field(stored: str | list[str], *, required: bool) -> Field:
    code, *rest = [stored] if isinstance(stored, str) else stored
    list_type, map_keys, map_type, strategy, key, go_type, presence = [*rest, *[""] * (_ANNOTATION_COUNT - len(rest))]
    type_ = TYPES[code[0]]
    ref = items = items_ref = ""
    if type_ == "object":
        ref = _table().names[int(code[1:])]
        referred = _row(ref)
        map_type = map_type or (referred.m if referred else "")
    elif type_ in ("map", "array"):
        items = TYPES[code[1]]
        items_ref = _table().names[int(code[2:])] if items == "object" else ""
    return Field(
        type_,
        ref,
        items,
        items_ref,
        list_type,
        tuple(map_keys.split()),
        map_type,
        strategy,
        key,
        required,
        go_type or go_type_of(type_, ref, items, items_ref),
        presence or usual_presence(type_),
    )


@cache
def definition(name: str) -> Definition | None:
    """The definition called e.g. `io.k8s.api.core.v1.PodSpec`, or None. Scalars such as Quantity and Time have none."""
    row = _row(name)
    if row is None:
        return None
    decoded = {key: _decode_field(stored, required=key in row.r) for key, stored in row.f.items()}
    return Definition(name, decoded, tuple(row.r), row.m)


def fields(name: str) -> dict[str, Field]:
    """The fields of a definition by JSON name; empty for an unknown one. Not to be changed."""
    found = definition(name)
    return found.fields if found is not None else {}


def field(definition_name: str, field_name: str) -> Field | None:
    """One field, or None where the definition or the field is unknown."""
    return fields(definition_name).get(field_name)


def merge_key(definition_name: str, field_name: str) -> str:
    """The strategic-merge key of a list field, empty where the list is replaced as a whole."""
    found = field(definition_name, field_name)
    return found.merge_key if found is not None and "merge" in found.patch_strategy.split(",") else ""

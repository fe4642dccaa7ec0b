"""The slow pass over a malformed object: one `Problem` per mistake, with both the decoder's words and plain ones."""

from __future__ import annotations

import json
from typing import Any, Final, NamedTuple

from kubesim.api.schema import scalars
from kubesim.api.schema.table import Definition, Field, definition


class Problem(NamedTuple):
    """One structural mistake.

    `reason` is unknown, duplicate, type or missing. `path` reads `spec.containers[0].name` or `metadata.labels[app]`.
    `message` and `remedy` are for people. `wire` is the decoder's text, empty for what it does not notice; where
    `aborts` is set the decoder goes no further.
    """

    reason: str
    path: str
    message: str
    remedy: str
    wire: str
    aborts: bool = False


# Required by the schema, yet the API server takes the zero value, or sets the field itself.
_ZERO_IS_VALID: Final = frozenset(
    {
        ("ControllerRevision", "revision"),
        ("HTTPHeader", "value"),
        ("Sysctl", "value"),
        ("ISCSIVolumeSource", "lun"),
        ("ISCSIPersistentVolumeSource", "lun"),
        ("SleepAction", "seconds"),
        ("PreferredSchedulingTerm", "preference"),
        ("CustomResourceDefinitionVersion", "served"),
        ("CustomResourceDefinitionVersion", "storage"),
        ("CSIDriver", "spec"),
        ("CSINode", "spec"),
        ("CSINodeSpec", "drivers"),
        ("DeviceClass", "spec"),
        ("LimitRangeSpec", "limits"),
        ("ResourceClaim", "spec"),
        ("ResourceClaimTemplate", "spec"),
        ("ResourceClaimTemplateSpec", "spec"),
        ("ResourcePool", "generation"),
        ("Event", "involvedObject"),
        ("SelfSubjectRulesReview", "spec"),
    }
)
_WANTED: Final = {
    "string": "text",
    "boolean": "true or false",
    "int32": "a whole number of 32 bits",
    "int64": "a whole number of 64 bits",
    "number": "a number",
    "bytes": "base64 text",
    "quantity": "a quantity such as 100m or 64Mi",
    "int-or-string": "a whole number or text",
    "time": "a date and time such as 2026-01-01T00:00:00Z",
    "microtime": "a date and time such as 2026-01-01T00:00:00.000000Z",
    "object": "a mapping",
    "map": "a mapping",
    "array": "a list",
}
_NUMERIC = frozenset({"int32", "int64", "number", "int-or-string"})
_SHOWN_CHARACTERS = 40


def _key_path(path: str, key: str) -> str:
    return f"{path}.{key}" if path else key


def _literal(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= _SHOWN_CHARACTERS else f"{text[: _SHOWN_CHARACTERS - 1]}…"


def _shown(value: Any) -> str:
    if isinstance(value, str):
        return f"the text {_literal(value)}"
    if isinstance(value, dict):
        return "a mapping"
    return "a list" if isinstance(value, list) else _literal(value)


def _go_value(value: Any, type_: str) -> str:
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, int | float):
        return f"number {value!r}" if type_ in _NUMERIC else "number"
    if isinstance(value, str):
        return "string"
    return "object" if isinstance(value, dict) else "array"


def _type_remedy(value: Any, type_: str) -> str:
    if type_ in ("string", "bytes") and isinstance(value, bool | int | float):
        return "put it in quotes"
    if type_ in _NUMERIC and isinstance(value, str) and value.strip().lstrip("+-").isdigit():
        return "remove the quotes"
    if type_ == "boolean" and isinstance(value, str) and value.lower() in ("true", "false"):
        return "remove the quotes"
    if type_ == "array":
        return "write it as a list, each item after a dash"
    return "correct the value"


class _Place(NamedTuple):
    """Where a value stands: for people, for strict errors, and for Go's type errors (struct and dotted fields)."""

    path: str
    strict: str
    struct: str
    stack: str


class Walk:
    """Collects problems of one object."""

    def __init__(self, *, with_missing: bool) -> None:
        self.problems: list[Problem] = []
        self._with_missing = with_missing

    def root(self, value: Any, definition_name: str) -> None:
        """Walks a whole object."""
        found = definition(definition_name)
        if found is not None:
            kind = definition_name.rpartition(".")[2]
            self._object(value, found, _Place("", "", "", ""), f"v1.{kind}")

    def duplicate(self, path: tuple[str, ...]) -> None:
        """Notes a key that stands twice in one mapping."""
        dotted = ""
        for part in path:
            dotted = dotted + part if part.startswith("[") else _key_path(dotted, part)
        self._add("duplicate", dotted, f'the key "{path[-1]}" stands twice', "keep one", f'duplicate field "{dotted}"')

    def _add(self, reason: str, path: str, message: str, remedy: str, wire: str, *, aborts: bool = False) -> None:
        self.problems.append(Problem(reason, path, message, remedy, wire, aborts))

    def _object(self, value: Any, found: Definition, place: _Place, go_type: str) -> None:
        if value is None:
            value = {}
        if type(value) is not dict:
            self._mistyped(value, "object", go_type, place)
            return
        struct = found.name.rpartition(".")[2]
        for key, item in value.items():
            field = found.fields.get(key)
            inner = _Place(
                _key_path(place.path, key), _key_path(place.strict, key), struct, _key_path(place.stack, key)
            )
            if field is None:
                self._unknown(key, found, inner)
            elif item is not None:
                self._field(item, field, inner)
        if self._with_missing:
            self._missing(value, found, place, struct)

    def _unknown(self, key: str, found: Definition, place: _Place) -> None:
        from difflib import get_close_matches

        names = {name.lower(): name for name in found.fields}
        close = get_close_matches(key.lower(), names, n=1, cutoff=0.6)
        struct = found.name.rpartition(".")[2]
        remedy = f'write "{names[close[0]]}"' if close else "remove it, or move it to where it belongs"
        message = f'"{place.path}" is not a field of {struct}'
        self._add("unknown", place.path, message, remedy, f'unknown field "{place.strict}"')

    def _missing(self, value: dict[str, Any], found: Definition, place: _Place, struct: str) -> None:
        for key, field in found.fields.items():
            if value.get(key) is not None or (key == "status" and not place.path) or (struct, key) in _ZERO_IS_VALID:
                continue
            path = _key_path(place.path, key)
            if field.required:
                self._add("missing", path, f'the required field "{path}" is missing', "add it", "")
            elif key == "spec":
                inner = definition(field.ref)
                if inner is not None and inner.required:
                    names = " and ".join(inner.required)
                    self._add("missing", path, f'"{path}" is missing', f"add it, with {names}", "")

    def _field(self, value: Any, field: Field, place: _Place) -> None:
        if field.type == "object":
            found = definition(field.ref)
            if found is not None:
                self._object(value, found, place, field.go_type)
        elif field.type == "array":
            self._array(value, field, place)
        elif field.type == "map":
            self._map(value, field, place)
        else:
            self._scalar(value, field.type, field.go_type, place)

    def _array(self, value: Any, field: Field, place: _Place) -> None:
        if type(value) is not list:
            self._mistyped(value, "array", field.go_type, place)
            return
        for index, item in enumerate(value):
            at = f"[{index}]"
            inner = place._replace(path=place.path + at, strict=place.strict + at)
            self._element(item, field, field.go_type.removeprefix("[]"), inner)

    def _map(self, value: Any, field: Field, place: _Place) -> None:
        if type(value) is not dict:
            self._mistyped(value, "map", field.go_type, place)
            return
        go_type = field.go_type.partition("]")[2] or field.items
        for key, item in value.items():
            inner = place._replace(path=f"{place.path}[{key}]", strict=f"{place.strict}.{key}")
            self._element(item, field, go_type, inner)

    def _element(self, value: Any, field: Field, go_type: str, place: _Place) -> None:
        if field.items == "object":
            found = definition(field.items_ref)
            if found is not None:
                self._object(value, found, place, go_type)
        elif value is None:
            return
        elif field.items == "array":
            inner = Field("array", items="string", go_type=go_type if go_type.startswith("[]") else "[]string")
            self._array(value, inner, place)
        else:
            self._scalar(value, field.items, go_type, place)

    def _mistyped(self, value: Any, type_: str, go_type: str, place: _Place, *, aborts: bool = False) -> None:
        name = f"{place.struct}.{place.stack}"
        wire = f"json: cannot unmarshal {_go_value(value, type_)} into Go struct field {name} of type {go_type}"
        message = f'"{place.path}" must be {_WANTED[type_]}, not {_shown(value)}'
        self._add("type", place.path, message, _type_remedy(value, type_), wire, aborts=aborts)

    def _scalar(self, value: Any, type_: str, go_type: str, place: _Place) -> None:
        if scalars.CHECKS[type_](value):
            return
        wire = ""
        aborts = type_ in ("quantity", "time", "microtime", "int-or-string")
        if type_ == "quantity":
            wire = scalars.quantity_error(json.dumps(value) if not isinstance(value, str) else value)
        elif type_ in ("time", "microtime") and isinstance(value, str):
            wire = scalars.time_error(value, type_)
        elif type_ == "bytes" and isinstance(value, str):
            wire = f"illegal base64 data at input byte {scalars.base64_error(value)}"
        if not wire:
            self._mistyped(value, type_, go_type, place, aborts=aborts)
            return
        message = f'"{place.path}" must be {_WANTED[type_]}, not {_shown(value)}'
        self._add("type", place.path, message, "correct the value", wire, aborts=aborts)

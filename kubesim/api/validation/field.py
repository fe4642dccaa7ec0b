"""One broken rule of one field, worded as the API server words it.

An error is an `errors.Cause`: the machine reason, the path (a plain string such as
`spec.template.spec.containers[0].image`) and the prose. Each constructor makes one reason; the value is printed as Go
prints it: strings quoted, numbers and booleans bare, everything else as JSON.
Upstream: staging/src/k8s.io/apimachinery/pkg/util/validation/field/errors.go @v1.36
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from kubesim.errors import Cause

_GO_ESCAPES = {
    '"': '\\"',
    "\\": "\\\\",
    "\a": "\\a",
    "\b": "\\b",
    "\f": "\\f",
    "\n": "\\n",
    "\r": "\\r",
    "\t": "\\t",
    "\v": "\\v",
}
_HTML_ESCAPES = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029"}


def go_quote(text: str) -> str:
    """The text as a Go string literal, as `%q` prints it."""
    if text.isprintable() and '"' not in text and "\\" not in text:
        return f'"{text}"'
    return '"' + "".join(_go_character(character) for character in text) + '"'


def _go_character(character: str) -> str:
    escaped = _GO_ESCAPES.get(character)
    if escaped is not None:
        return escaped
    if character.isprintable():
        return character
    code = ord(character)
    if code < 0x80:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def go_json(value: Any) -> str:
    """The value as Go's `json.Marshal` prints it: no spaces, `<`, `>` and `&` escaped."""
    return escape_html(json.dumps(value, separators=(",", ":"), ensure_ascii=False))


def escape_html(text: str) -> str:
    """JSON text with the characters escaped that Go's encoder escapes for the sake of HTML."""
    for character, escape in _HTML_ESCAPES.items():
        if character in text:
            text = text.replace(character, escape)
    return text


def _print(value: Any) -> str:
    if isinstance(value, str):
        return go_quote(value)
    return go_json(value)


def _cause(reason: str, path: str, title: str, detail: str) -> Cause:
    return Cause(reason, path, f"{title}: {detail}" if detail else title)


def invalid(path: str, value: Any, detail: str) -> Cause:
    """A malformed value: failed format, out of bounds, or changed though immutable."""
    return _cause("FieldValueInvalid", path, f"Invalid value: {_print(value)}", detail)


def type_invalid(path: str, value: Any, detail: str) -> Cause:
    """A value of the wrong JSON type."""
    return _cause("FieldValueTypeInvalid", path, f"Invalid value: {_print(value)}", detail)


def required(path: str, detail: str = "") -> Cause:
    """A value that must be there and is missing or empty."""
    return _cause("FieldValueRequired", path, "Required value", detail)


def duplicate(path: str, value: Any) -> Cause:
    """A value that must be unique among its siblings."""
    return Cause("FieldValueDuplicate", path, f"Duplicate value: {_print(value)}")


def not_supported(path: str, value: Any, supported: Iterable[str]) -> Cause:
    """A value outside an enumeration; `supported` is printed in the order given (upstream mostly sorts it)."""
    listed = ", ".join(go_quote(choice) for choice in supported)
    detail = f"supported values: {listed}" if listed else ""
    return _cause("FieldValueNotSupported", path, f"Unsupported value: {_print(value)}", detail)


def forbidden(path: str, detail: str) -> Cause:
    """A well-formed value that is not permitted here or now."""
    return _cause("FieldValueForbidden", path, "Forbidden", detail)


def not_found(path: str, value: Any) -> Cause:
    """A reference to something that does not exist."""
    return Cause("FieldValueNotFound", path, f"Not found: {_print(value)}")


def too_long(path: str, max_bytes: int) -> Cause:
    """A string of more than `max_bytes` bytes; the value itself is not printed."""
    unit = "byte" if max_bytes == 1 else "bytes"
    return Cause("FieldValueTooLong", path, f"Too long: may not be more than {max_bytes} {unit}")


def too_many(path: str, actual: int, maximum: int) -> Cause:
    """A list of more than `maximum` items."""
    unit = "item" if maximum == 1 else "items"
    return Cause("FieldValueTooMany", path, f"Too many: {actual}: must have at most {maximum} {unit}")


def internal(path: str, detail: str) -> Cause:
    """An error that is not about the user's input."""
    return _cause("InternalError", path, "Internal error", detail)

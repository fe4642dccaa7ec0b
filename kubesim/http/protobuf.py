"""Objects out of Kubernetes' protobuf, which Go clients send: read by the numbers in `kubesim.api.schema`.

Answers are JSON: a client that sends protobuf reads that too. What Go writes although it was not given (empty texts,
zeros and empty parts where there is no pointer) is left out, as Go's own JSON leaves it out.
Upstream: apimachinery/pkg/runtime/serializer/protobuf/protobuf.go, apimachinery/pkg/runtime/generated.proto @v1.36
"""

from __future__ import annotations

import base64
import struct
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any, Final

import msgspec

from kubesim.api import schema
from kubesim.api.kinds import find_kind
from kubesim.api.schema.table import Field
from kubesim.errors import ApiError, bad_request

_MAGIC: Final = b"k8s\x00"
_META: Final = "io.k8s.apimachinery.pkg.apis.meta.v1."
_OPTIONS: Final = ("DeleteOptions", "CreateOptions", "UpdateOptions", "PatchOptions")
_OTHERS: Final = {
    "Binding": "io.k8s.api.core.v1.Binding",
    "Eviction": "io.k8s.api.policy.v1.Eviction",
    "Scale": "io.k8s.api.autoscaling.v1.Scale",
    "TokenRequest": "io.k8s.api.authentication.v1.TokenRequest",
}
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_DEPTH_MAX: Final = 100


class _Malformed(Exception):  # noqa: N818 - it ends as a 400
    pass


@cache
def _numbers() -> dict[str, dict[str, str]]:
    path = Path(schema.__file__).parent / "protobuf.json"
    found: dict[str, dict[str, str]] = msgspec.json.decode(path.read_bytes())
    return found


def decode_envelope(body: bytes) -> dict[str, Any]:
    """The object in a protobuf body.

    Raises:
        ApiError: 400, it is none, or of a kind that nobody knows.
    """
    if body[:4] != _MAGIC:
        raise bad_request("provided data does not appear to be a protobuf message, expected prefix [107 56 115 0]")
    try:
        parts = dict(_fields(memoryview(body)[4:]))
        said = dict(_fields(parts.get(1, b"")))
        api_version, kind = (bytes(said.get(number, b"")).decode() for number in (1, 2))
        name = _definition_of(api_version, kind)
        raw = parts.get(2, b"")
        obj = _message(raw, name, name, 0) if not isinstance(raw, int) else {}
    except (_Malformed, UnicodeDecodeError, struct.error, RecursionError, TypeError, OverflowError) as error:
        raise bad_request(f"unable to decode protobuf: {error}") from None
    return {"apiVersion": api_version, "kind": kind, **obj}


def _definition_of(api_version: str, kind: str) -> str:
    found = find_kind(api_version, kind)
    if found is not None:
        return found.schema
    name = _META + kind if kind in _OPTIONS else _OTHERS.get(kind)
    if name is None:
        group, _, version = api_version.rpartition("/")
        raise ApiError(400, "BadRequest", f'no kind "{kind}" is registered for version "{group}/{version}" in scheme')
    return name


def _varint(data: Any, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        if at >= len(data) or shift > 63:
            raise _Malformed("unexpected EOF")
        byte = data[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, at
        shift += 7


def _fields(data: Any) -> list[tuple[int, Any]]:
    """Numbers and raw values: integers, or bytes still to be read."""
    found: list[tuple[int, Any]] = []
    at = 0
    while at < len(data):
        tag, at = _varint(data, at)
        number, wire = tag >> 3, tag & 7
        if wire == _VARINT:
            value, at = _varint(data, at)
            found.append((number, value))
            continue
        length = {_FIXED64: 8, _FIXED32: 4}.get(wire, 0)
        if wire == _BYTES:
            length, at = _varint(data, at)
        elif not length:
            raise _Malformed(f"proto: illegal wireType {wire}")
        if at + length > len(data):
            raise _Malformed("unexpected EOF")
        found.append((number, data[at : at + length]))
        at += length
    return found


def _message(data: Any, message: str, definition: str, depth: int) -> dict[str, Any]:
    """An object; `message` has the numbers, `definition` the types (of the object in which its fields stand)."""
    if depth > _DEPTH_MAX:
        raise _Malformed("nested too deep")
    numbers = _numbers().get(message)
    if numbers is None:
        raise _Malformed(f"no fields of {message} are known")
    types = schema.fields(definition)
    obj: dict[str, Any] = {}
    for number, raw in _fields(data):
        name = numbers.get(str(number))
        if name is None:
            continue
        if name[0] == "=":
            obj.update(_message(raw, name[1:], definition, depth + 1))
            continue
        is_pointer = name[-1] == "*"
        name = name.rstrip("*")
        field = types.get(name)
        if field is not None:
            _put(obj, name, field, raw, is_pointer=is_pointer, depth=depth)
    return obj


def _put(obj: dict[str, Any], name: str, field: Field, raw: Any, *, is_pointer: bool, depth: int) -> None:
    if field.type == "array":
        items = obj.setdefault(name, [])
        element = Field(field.items, field.items_ref)
        if field.items in ("int32", "int64") and not isinstance(raw, int):
            at = 0
            while at < len(raw):
                value, at = _varint(raw, at)
                items.append(_signed(value))
        else:
            items.append(_value(element, raw, depth))
    elif field.type == "map":
        entry = dict(_fields(raw))
        key = bytes(entry.get(1, b"")).decode()
        obj.setdefault(name, {})[key] = _element(field, entry.get(2), depth)
    else:
        value = _value(field, raw, depth)
        if is_pointer or (value not in ("", 0, None, {}) and value is not False):
            obj[name] = value


def _element(field: Field, raw: Any, depth: int) -> Any:
    """A map's value; lists in maps are messages with items."""
    if field.items == "array":
        return [bytes(text).decode() for _, text in _fields(raw or b"")]
    if raw is None:
        raw = 0 if field.items in ("int32", "int64", "boolean") else b""
    return _value(Field(field.items, field.items_ref), raw, depth)


def _value(field: Field, raw: Any, depth: int) -> Any:
    type_ = field.type
    if type_ in ("int32", "int64"):
        return _signed(raw)
    if type_ == "boolean":
        return bool(raw)
    if type_ == "number":
        return struct.unpack("<d", raw)[0]
    if type_ == "object":
        return _message(raw, field.ref, field.ref, depth + 1)
    if type_ == "bytes":
        return base64.b64encode(raw).decode()
    if type_ == "string":
        return bytes(raw).decode()
    parts = dict(_fields(raw))
    if type_ == "quantity":
        return bytes(parts.get(1, b"")).decode()
    if type_ == "int-or-string":
        return bytes(parts.get(3, b"")).decode() if parts.get(1) else _signed(parts.get(2, 0))
    if type_ == "any":
        text = bytes(parts.get(1, b""))
        return msgspec.json.decode(text) if text else None
    return _time(parts, has_micros=type_ == "microtime")


def _signed(value: Any) -> int:
    if not isinstance(value, int):
        raise _Malformed("wrong wireType for a whole number")
    return value - (1 << 64) if value >= 1 << 63 else value


def _time(parts: dict[int, Any], *, has_micros: bool) -> str | None:
    if not parts.get(1) and not parts.get(2):
        return None
    at = _EPOCH + timedelta(seconds=_signed(parts.get(1, 0)), microseconds=_signed(parts.get(2, 0)) // 1000)
    return at.strftime("%Y-%m-%dT%H:%M:%S.%fZ" if has_micros else "%Y-%m-%dT%H:%M:%SZ")

"""ConfigMap, Secret and ServiceAccount.

Upstream: pkg/apis/core/validation/validation.go:ValidateConfigMap, ValidateSecret @v1.36
"""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Iterator
from typing import Any

from kubesim.api import names
from kubesim.api.objects import Object, annotations_of
from kubesim.api.validation import field, formats
from kubesim.api.validation.metadata import immutable
from kubesim.api.validation.rules import Rules
from kubesim.errors import Cause

_DATA_BYTES_MAX = 1024 * 1024
_FROZEN = "field is immutable when `immutable` is set"
_ACCOUNT_ANNOTATION = "kubernetes.io/service-account.name"
_DOCKER_KEYS = {
    "kubernetes.io/dockercfg": ".dockercfg",
    "kubernetes.io/dockerconfigjson": ".dockerconfigjson",
}
_REDACTED = "<secret contents redacted>"


def _decoded_size(encoded: str) -> int:
    return len(encoded) * 3 // 4 - encoded.count("=")


def _keys(path: str, data: Object) -> Iterator[Cause]:
    for key in data:
        yield from formats.check(f"{path}[{key}]", key, names.config_map_key(key))


def _config_map(obj: Object) -> list[Cause]:
    data, binary = obj.get("data") or {}, obj.get("binaryData") or {}
    causes: list[Cause] = []
    for key in data:
        causes += formats.check(f"data[{key}]", key, names.config_map_key(key))
        if key in binary:
            causes.append(field.invalid(f"data[{key}]", key, "duplicate of key present in binaryData"))
    causes += _keys("binaryData", binary)
    size = sum(len(value.encode()) for value in data.values()) + sum(map(_decoded_size, binary.values()))
    if size > _DATA_BYTES_MAX:
        # Upstream's path for the whole object prints so.
        causes.append(field.too_long("[]", _DATA_BYTES_MAX))
    return causes


def _frozen(new: Object, old: Object, *bags: str) -> Iterator[Cause]:
    """An object marked immutable keeps the mark and its data."""
    if not old.get("immutable"):
        return
    if not new.get("immutable"):
        yield field.forbidden("immutable", _FROZEN)
    for bag in bags:
        if (new.get(bag) or {}) != (old.get(bag) or {}):
            yield field.forbidden(bag, _FROZEN)


def _config_map_update(new: Object, old: Object) -> list[Cause]:
    return [*_frozen(new, old, "data", "binaryData"), *_config_map(new)]


def _secret(obj: Object) -> list[Cause]:
    data = obj.get("data") or {}
    causes = list(_keys("data", data))
    if sum(map(_decoded_size, data.values())) > _DATA_BYTES_MAX:
        causes.append(field.too_long("data", _DATA_BYTES_MAX))
    causes += _typed_secret(obj, data)
    return causes


def _typed_secret(obj: Object, data: Object) -> Iterator[Cause]:
    """The keys that a well-known type asks for."""
    match obj.get("type", ""):
        case "kubernetes.io/service-account-token":
            if not annotations_of(obj).get(_ACCOUNT_ANNOTATION):
                yield field.required(f"metadata.annotations[{_ACCOUNT_ANNOTATION}]")
        case "kubernetes.io/dockercfg" | "kubernetes.io/dockerconfigjson" as docker:
            key = _DOCKER_KEYS[docker]
            problem = _json_problem(data[key]) if key in data else ""
            if key not in data:
                yield field.required(f"data[{key}]")
            elif problem:
                yield field.invalid(f"data[{key}]", _REDACTED, problem)
        case "kubernetes.io/basic-auth":
            if "username" not in data and "password" not in data:
                yield field.required("data[username]")
                yield field.required("data[password]")
        case "kubernetes.io/ssh-auth":
            if not data.get("ssh-privatekey"):
                yield field.required("data[ssh-privatekey]")
        case "kubernetes.io/tls":
            for key in ("tls.crt", "tls.key"):
                if key not in data:
                    yield field.required(f"data[{key}]")


_GO_TYPES: dict[type, str] = {list: "array", str: "string", bool: "bool", int: "number", float: "number"}
# What Go calls the place at which Python's decoder gives up.
_GO_PLACES = {
    "Expecting value": "looking for beginning of value",
    "Expecting property name": "looking for beginning of object key string",
    "Expecting ':'": "after object key",
    "Expecting ','": "after object key:value pair",
    "Extra data": "after top-level value",
}


def _json_problem(encoded: str) -> str:
    """What Go says of bytes that should be a JSON object, empty if they are one."""
    import json

    text = b64decode(encoded).decode(errors="replace")
    try:
        value: Any = json.loads(text)
    except json.JSONDecodeError as error:
        return _syntax_problem(text, error.msg, error.pos)
    if value is None or isinstance(value, dict):
        return ""
    return f"json: cannot unmarshal {_GO_TYPES[type(value)]} into Go value of type map[string]interface {{}}"


def _syntax_problem(text: str, message: str, at: int) -> str:
    if at >= len(text.rstrip()) or message.startswith("Unterminated"):
        return "unexpected end of JSON input"
    literal = {"n": "null", "t": "true", "f": "false"}.get(text[at], "")
    for found, expected in zip(text[at:], literal, strict=False):
        if found != expected:
            return f"invalid character {_go_rune(found)} in literal {literal} (expecting {_go_rune(expected)})"
    place = next((place for start, place in _GO_PLACES.items() if message.startswith(start)), "in string literal")
    return f"invalid character {_go_rune(text[at])} {place}"


def _go_rune(character: str) -> str:
    return "'\\''" if character == "'" else f"'{character}'"


def _secret_update(new: Object, old: Object) -> list[Cause]:
    return [*immutable("type", new.get("type", ""), old.get("type", "")), *_frozen(new, old, "data"), *_secret(new)]


RULES: dict[str, Rules] = {
    "configmaps": Rules(_config_map, _config_map_update),
    "secrets": Rules(_secret, _secret_update),
}

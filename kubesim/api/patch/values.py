"""What Go says about JSON values: their type names, how they print, whether two are equal."""

from __future__ import annotations

from typing import Any

from kubesim.errors import ApiError, bad_request

_TYPE_NAMES = {
    dict: "map[string]interface {}",
    list: "[]interface {}",
    str: "string",
    bool: "bool",
    int: "int64",
    float: "float64",
}
_ABSENT: Any = object()
_JSON_NAMES = {dict: "object", list: "array", str: "string", bool: "bool", int: "number", float: "number"}


def go_type(value: Any) -> str:
    """The dynamic type as `%s` prints it."""
    return _TYPE_NAMES.get(type(value), "%!s(<nil>)")


def go_text(value: Any) -> str:
    """The value as `%v` prints it: `map[a:1 b:[x y]]`."""
    if isinstance(value, dict):
        return f"map[{' '.join(f'{key}:{go_text(value[key])}' for key in sorted(value))}]"
    if isinstance(value, list):
        return f"[{' '.join(map(go_text, value))}]"
    if value is None:
        return "<nil>"
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def is_same(left: Any, right: Any) -> bool:
    """Deep equality in which `1` and `true` differ."""
    if left is right:
        return True
    kind = type(left)
    if kind is not type(right):
        return False
    if kind is dict:
        if len(left) != len(right):
            return False
        for key, value in left.items():
            other = right.get(key, _ABSENT)
            if value is not other and not is_same(value, other):
                return False
        return True
    if kind is list:
        return len(left) == len(right) and all(map(is_same, left, right))
    return bool(left == right)


def json_type(value: Any) -> str:
    """What JSON calls it, in the decoder's words."""
    return _JSON_NAMES.get(type(value), "null")


def not_of_type(value: Any, wanted: str) -> str:
    """The decoder's complaint about a document of the wrong type."""
    return f"json: cannot unmarshal {json_type(value)} into Go value of type {wanted}"


def require_object(patch: Any, prefix: str = "") -> dict[str, Any]:
    """The patch, if it is an object; a 400 otherwise."""
    if not isinstance(patch, dict):
        raise bad_request(prefix + not_of_type(patch, _TYPE_NAMES[dict]))
    return patch


def unprocessable() -> ApiError:
    """The 422 for a patch that fits no object like this: the reason proper stays in the server's log."""
    return ApiError(422, "Invalid", "the server rejected our request due to an error in our request")


def server_error(message: str) -> ApiError:
    """The 500 without a reason that an error of no particular type becomes."""
    return ApiError(500, "", message)

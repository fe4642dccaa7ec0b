"""Scalar types of the schema: which JSON values each accepts, and the decoder's words for one it does not.

Upstream: apimachinery/pkg/util/intstr/intstr.go:UnmarshalJSON,
pkg/apis/meta/v1/time.go:UnmarshalJSON @v1.36; Go encoding/base64, time.Parse
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from typing import Any, Final

from kubesim.api import quantity

_INT32 = 1 << 31
_INT64 = 1 << 63
_BASE64_DIGITS: Final = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/")
_BASE64_GROUP = 4


def _is_string(value: Any) -> bool:
    return type(value) is str or value is None


def _is_boolean(value: Any) -> bool:
    return type(value) is bool or value is None


def _is_int32(value: Any) -> bool:
    return (type(value) is int and -_INT32 <= value < _INT32) or value is None


def _is_int64(value: Any) -> bool:
    return (type(value) is int and -_INT64 <= value < _INT64) or value is None


def _is_number(value: Any) -> bool:
    return type(value) is float or type(value) is int or value is None


def _is_int_or_string(value: Any) -> bool:
    return type(value) is str or _is_int32(value)


def _is_quantity(value: Any) -> bool:
    if value is None:
        return True
    return type(value) in (str, int, float) and not quantity_error(str(value))


def _is_bytes(value: Any) -> bool:
    return value is None or (type(value) is str and base64_error(value) is None)


def _is_time(value: Any) -> bool:
    return value is None or (type(value) is str and not time_error(value, "time"))


def _is_micro_time(value: Any) -> bool:
    return value is None or (type(value) is str and not time_error(value, "microtime"))


def _is_any(_value: Any) -> bool:
    return True


CHECKS: Final[dict[str, Callable[[Any], bool]]] = {
    "string": _is_string,
    "boolean": _is_boolean,
    "int32": _is_int32,
    "int64": _is_int64,
    "number": _is_number,
    "int-or-string": _is_int_or_string,
    "quantity": _is_quantity,
    "bytes": _is_bytes,
    "time": _is_time,
    "microtime": _is_micro_time,
    "any": _is_any,
}


@lru_cache(maxsize=8192)
def quantity_error(text: str) -> str:
    """The decoder's complaint about a quantity's text, empty if it is one."""
    try:
        quantity.parse(text.strip())
    except quantity.QuantityError as error:
        return str(error)
    return ""


def base64_error(text: str) -> int | None:
    """The index of the byte at which the text stops being base64, or None if all of it is."""
    kept = [(at, char) for at, char in enumerate(text) if char not in "\r\n"]
    for position, (at, char) in enumerate(kept):
        if char in _BASE64_DIGITS:
            continue
        tail = "".join(item[1] for item in kept[position:])
        in_group = position % _BASE64_GROUP
        if char != "=" or in_group < 2:
            return at
        wanted = _BASE64_GROUP - in_group
        if not tail.startswith("=" * wanted):
            return len(text) if len(tail) < wanted else kept[position + 1][0] - 1
        return None if len(tail) == wanted else kept[position + wanted][0]
    left = len(kept) % _BASE64_GROUP
    return None if left == 0 else kept[-left][0]


_DATE_PARTS: Final = (
    ("2006", r"\d{4}"),
    ("-", "-"),
    ("01", r"\d{2}"),
    ("-", "-"),
    ("02", r"\d{2}"),
    ("T", "T"),
    ("15", r"\d{2}"),
    (":", ":"),
    ("04", r"\d{2}"),
    (":", ":"),
    ("05", r"\d{2}(?:[.,]\d+)?"),
    (".000000", ""),
    ("Z07:00", r"Z|[+-]\d{2}:\d{2}"),
)
_LAYOUTS: Final = {"time": "2006-01-02T15:04:05Z07:00", "microtime": "2006-01-02T15:04:05.000000Z07:00"}


@lru_cache(maxsize=8192)
def time_error(text: str, type_: str) -> str:
    """The decoder's complaint about a date and time, empty if it is one."""
    complaint = f'parsing time "{text}" as "{_LAYOUTS[type_]}": '
    rest = text
    for part, pattern in _DATE_PARTS:
        match = re.match(pattern, rest)
        if match is None:
            return f'{complaint}cannot parse "{rest}" as "{part}"'
        rest = rest[match.end() :]
    if rest:
        return f'{complaint[:-2]}: extra text: "{rest}"'.replace(f' as "{_LAYOUTS[type_]}"', "")
    month = int(text[5:7])
    days = _days_in(int(text[:4]), month)
    ranges = (
        (5, 1, 12, "month"),
        (8, 1, days, "day"),
        (11, 0, 23, "hour"),
        (14, 0, 59, "minute"),
        (17, 0, 59, "second"),
    )
    for start, low, high, name in ranges:
        if not low <= int(text[start : start + 2]) <= high:
            return f'parsing time "{text}": {name} out of range'
    return ""


def _days_in(year: int, month: int) -> int:
    if month == 2:
        return 29 if year % 4 == 0 and (year % 100 != 0 or year % 400 == 0) else 28
    return 30 if month in (4, 6, 9, 11) else 31

"""Plain YAML scalars as Kubernetes reads them: go-yaml v2's YAML 1.1 rules, then JSON's.

`y`, `on` and `yes` are booleans, `0o17` and `017` are 15, `1_000` is 1000, `1e3` is 1000 (a float without a fraction
becomes an integer on its way through JSON), timestamps stay text.

Upstream: go.yaml.in/yaml/v2 resolve.go:resolve, sigs.k8s.io/yaml yaml.go:convertToJSONableObject
"""

from __future__ import annotations

import base64
import binascii
import math
import re
from typing import Any, Final

_WORDS: Final[dict[str, Any]] = {
    **dict.fromkeys(("y", "Y", "yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON"), True),
    **dict.fromkeys(("n", "N", "no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF"), False),
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys((".nan", ".NaN", ".NAN"), math.nan),
    **dict.fromkeys((".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF"), math.inf),
    **dict.fromkeys(("-.inf", "-.Inf", "-.INF"), -math.inf),
}
_NUMERIC_START: Final = frozenset("+-.0123456789")
_FLOAT: Final = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?", re.ASCII)
_INTEGER: Final = re.compile(
    r"([-+]?)(?:0[xX]([0-9a-fA-F]+)|0[oO]([0-7]+)|0[bB]([01]+)|0([0-7]+)|(0|[1-9][0-9]*))", re.ASCII
)
_BASES: Final = (16, 8, 2, 8, 10)
_INT64_MIN: Final = -(1 << 63)
_UINT64_MAX: Final = (1 << 64) - 1
_EXPONENT_FROM: Final = 1e21
_TAG: Final = "tag:yaml.org,2002:"


class ScalarError(Exception):
    """A scalar that cannot be what its tag says, or that JSON cannot hold."""


def plain_value(text: str) -> Any:
    """The JSON value of an unquoted, untagged scalar.

    Raises:
        ScalarError: the scalar is infinite or not a number.
    """
    value = _resolved(text)
    if not isinstance(value, float):
        return value
    if not math.isfinite(value):
        raise ScalarError(f"{text} is not a number that JSON can hold")
    return int(value) if value.is_integer() and abs(value) < _EXPONENT_FROM else value


def _resolved(text: str) -> Any:
    """The value before it passes through JSON: a float stays one."""
    if text in _WORDS:
        return _WORDS[text]
    if text[0] not in _NUMERIC_START:
        return text
    digits = text if text[0] == "." else text.replace("_", "")
    match = _INTEGER.fullmatch(digits)
    if match is not None:
        sign, *by_base = match.groups()
        value = next(int(part, base) for part, base in zip(by_base, _BASES, strict=True) if part is not None)
        value = -value if sign == "-" else value
        if _INT64_MIN <= value <= _UINT64_MAX:
            return value
    if _FLOAT.fullmatch(digits) is None:
        return text
    number = float(digits)
    return text if math.isinf(number) else number


def tagged_value(tag: str, text: str) -> Any:
    """The JSON value of a scalar with an explicit tag.

    Raises:
        ScalarError: the text is not of the tag's type.
    """
    name = tag.removeprefix(_TAG)
    if name == tag or name in ("str", "timestamp"):
        return text
    if name == "binary":
        try:
            return base64.b64decode("".join(text.split()), validate=True).decode()
        except (binascii.Error, UnicodeDecodeError) as error:
            raise ScalarError("the value of !!binary is not base64 of UTF-8 text") from error
    value = _resolved(text)
    types: dict[str, tuple[type, ...]] = {"int": (int,), "float": (int, float), "bool": (bool,), "null": (type(None),)}
    if name in types and type(value) not in types[name]:
        raise ScalarError(f'"{text}" cannot be read as !!{name}')
    return plain_value(text)


def key_text(value: Any) -> str:
    """A mapping key as JSON spells it.

    Raises:
        ScalarError: the key is null.
    """
    if isinstance(value, str):
        return value
    if value is None:
        raise ScalarError("a key must be text, not null")
    if isinstance(value, bool):
        return "true" if value else "false"
    return f"{value:g}" if isinstance(value, float) else str(value)

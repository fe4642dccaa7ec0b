"""Fields that hold a number or a percentage of one: `maxSurge: 25%`, `minAvailable: 2`.

Upstream: apimachinery/pkg/util/intstr/intstr.go @v1.36
"""

from __future__ import annotations

IntOrString = int | str

_INT64 = range(-(2**63), 2**63)


class IntOrStringError(ValueError):
    """The string is not a percentage; the message is upstream's."""


def _is_integer(text: str) -> bool:
    digits = text[1:] if text[:1] in {"+", "-"} else text
    return digits.isascii() and digits.isdigit()


def parse_int64(text: str) -> int | None:
    """The number that Go's strconv reads from `text` in base 10, or None."""
    if not _is_integer(text):
        return None
    number = int(text)
    return number if number in _INT64 else None


def _percentage(value: str) -> int:
    digits = value[:-1]
    number = parse_int64(digits)
    if number is not None:
        return number
    problem = "value out of range" if _is_integer(digits) else "invalid syntax"
    why = f'invalid value "{value}": strconv.Atoi: parsing "{digits}": {problem}'
    raise IntOrStringError(f"invalid value for IntOrString: {why}")


def resolve(value: IntOrString, total: int, *, round_up: bool) -> int:
    """The number itself, or the percentage of `total` rounded up or down.

    Raises:
        IntOrStringError: a string without a trailing `%`, or with something else than an integer before it.

    Upstream: intstr.go:GetScaledValueFromIntOrPercent @v1.36
    """
    if isinstance(value, int):
        return value
    if not value.endswith("%"):
        raise IntOrStringError("invalid value for IntOrString: invalid type: string is not a percentage")
    share = _percentage(value) * total
    # 25% of 10 is 2.5: 3 rounded up, 2 rounded down.
    return -(-share // 100) if round_up else share // 100

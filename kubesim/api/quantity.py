"""Resource quantities (`100m`, `1.5Gi`, `12e6`) as exact integers.

A quantity is an integer count of nano-units, which is the finest grain that the API knows, and the family of suffixes
in which it was written, because the API server prints it back in that family. No floating point takes part.

Beyond 2^63 upstream's accessors wrap around; here `value` and `milli` stay exact.

Upstream: apimachinery/pkg/api/resource/{quantity,suffix,amount}.go @v1.36
"""

from __future__ import annotations

from functools import lru_cache
from typing import Literal, NamedTuple

Format = Literal["BinarySI", "DecimalExponent", "DecimalSI"]
QuantityText = str | int | float

FORMAT_WRONG = "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"
NUMERIC_WRONG = "unable to parse numeric part of quantity"
SUFFIX_WRONG = "unable to parse quantity's suffix"

_NANO = 1_000_000_000
_MILLI = 1_000_000
_MAX_INT64 = 2**63 - 1
_MAX_FACTORS = 18
# Upstream loops for minutes over exponents of a few thousand million; nothing real comes near this.
_MAX_EXPONENT = 1000
_DIGITS = frozenset("0123456789")
_SUFFIX_LETTERS = frozenset("eEinumkKMGTP")
_BINARY = {"Ki": 10, "Mi": 20, "Gi": 30, "Ti": 40, "Pi": 50, "Ei": 60}
_DECIMAL = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_BINARY_SUFFIX = {0: "", **{exponent: suffix for suffix, exponent in _BINARY.items()}}
_DECIMAL_SUFFIX = {exponent: suffix for suffix, exponent in _DECIMAL.items()}


class Quantity(NamedTuple):
    """`nano` units, the suffix family, and the text to print where upstream keeps what was written."""

    nano: int
    format: Format
    text: str = ""


class QuantityError(ValueError):
    """The text is not a quantity; the message is upstream's."""


def _scan(text: str) -> tuple[bool, str, str, str]:
    """Sign, digits before the point (`0` if there are none), digits after it, and suffix."""
    end = len(text)
    positive = text[:1] != "-"
    start = 1 if text[:1] in {"+", "-"} else 0
    while start < end and text[start] == "0":
        start += 1
    if start == end:
        return positive, "0", "", ""
    at = start
    while at < end and text[at] in _DIGITS:
        at += 1
    whole = text[start:at] or "0"
    fraction = ""
    if at < end and text[at] == ".":
        start = at = at + 1
        while at < end and text[at] in _DIGITS:
            at += 1
        fraction = text[start:at]
    suffix = text[at:]
    while at < end and text[at] in _SUFFIX_LETTERS:
        at += 1
    if at < end and text[at] in {"+", "-"}:
        at += 1
    if not all(char in _DIGITS for char in text[at:]):
        raise QuantityError(FORMAT_WRONG)
    return positive, whole, fraction, suffix


def _interpret(suffix: str) -> tuple[Format, int]:
    """The family of a suffix and its exponent: of 2 for BinarySI, else of 10."""
    if suffix in _DECIMAL:
        return "DecimalSI", _DECIMAL[suffix]
    if suffix in _BINARY:
        return "BinarySI", _BINARY[suffix]
    digits = suffix[2:] if suffix[1:2] in {"+", "-"} else suffix[1:]
    if suffix[:1] not in {"e", "E"} or not digits or not all(char in _DIGITS for char in digits):
        raise QuantityError(SUFFIX_WRONG)
    exponent = int(suffix[1:]) if len(digits) < 20 else _MAX_EXPONENT + 1
    if abs(exponent) > _MAX_EXPONENT:
        raise QuantityError(SUFFIX_WRONG)
    return "DecimalExponent", exponent


def _keeps_text(form: Format, digits: str, scale: int, exponent: int, fraction: str) -> bool:
    """Whether upstream's fast path takes the number for canonical already and keeps the text as written."""
    if form == "BinarySI":
        precise = not fraction and len(digits) + int(exponent * 3 / 10) <= 14
        return precise and int(digits) & 7 != 0
    precise = len(digits) <= _MAX_FACTORS and scale >= -9
    return precise and scale % 3 == 0 and not digits.endswith("000") and digits[0] != "0"


def _to_nano(digits: str, scale: int) -> int:
    """`digits` times 10^`scale` in nano-units, rounded up."""
    power: int = 10 ** abs(scale + 9)
    return int(digits) * power if scale >= -9 else -(-int(digits) // power)


def _number_text(number: float) -> str:
    """A JSON number as Go's encoder writes it: with an exponent only below 1e-6 and from 1e21 on."""
    if number.__class__ is int:
        return str(number)
    if number.__class__ is not float or number - number != 0:
        raise QuantityError(FORMAT_WRONG)
    mantissa, _, exponent = repr(number).partition("e")
    if not exponent:
        return mantissa.removesuffix(".0")
    if not 1e-6 <= abs(number) < 1e21:
        return f"{mantissa}e{exponent.replace('-0', '-')}"
    sign = "-" if number < 0 else ""
    whole, _, fraction = mantissa.removeprefix("-").partition(".")
    digits = whole + fraction
    point = len(whole) + int(exponent)
    return sign + (digits.ljust(point, "0") if point > 0 else f"0.{'0' * -point}{digits}")


@lru_cache(maxsize=16384, typed=True)
def parse(text: QuantityText) -> Quantity:
    """The quantity of a string, or of a number as YAML and JSON may hold it.

    Raises:
        QuantityError: with upstream's text.

    Upstream: quantity.go:ParseQuantity @v1.36
    """
    written = text.strip() if isinstance(text, str) else _number_text(text)
    if not written:
        raise QuantityError(FORMAT_WRONG)
    positive, whole, fraction, suffix = _scan(written)
    form, exponent = _interpret(suffix)
    digits = whole + fraction
    if form == "BinarySI":
        if suffix == "Ei" and not any(char in _DIGITS for char in written):
            raise QuantityError(NUMERIC_WRONG)
        nano = -(-int(digits) * 2**exponent * _NANO // 10 ** len(fraction))
        nano = min(nano, _MAX_INT64 * _NANO)
        scale = 0
    else:
        scale = exponent - len(fraction)
        nano = _to_nano(digits, scale)
    keep = _keeps_text(form, digits, scale, exponent, fraction)
    if form == "BinarySI" and 0 < nano < _NANO:
        form = "DecimalSI"
    return Quantity(nano if positive else -nano, form, written if keep else "")


def _remove_factors(number: int, factor: int) -> tuple[int, int]:
    times = 0
    while number % factor == 0:
        number //= factor
        times += 1
    return number, times


def print_nano(nano: int, form: Format) -> str:
    """The canonical text of a number of nano-units: the largest suffix of the family that leaves no fraction.

    Upstream: quantity.go:CanonicalizeBytes @v1.36
    """
    if nano == 0:
        return "0"
    if form == "BinarySI" and abs(nano) >= 1024 * _NANO and nano % _NANO == 0:
        number, times = _remove_factors(nano // _NANO, 1024)
        return f"{number}{_BINARY_SUFFIX.get(times * 10, '')}"
    number, times = _remove_factors(nano, 1000)
    exponent = times * 3 - 9
    if form == "DecimalExponent":
        return f"{number}e{exponent}" if exponent else str(number)
    return f"{number}{_DECIMAL_SUFFIX.get(exponent, '')}"


@lru_cache(maxsize=16384, typed=True)
def canonical(text: QuantityText) -> str:
    """What the API server answers for a quantity: `1000m` → `1`, `0.5Gi` → `512Mi`, `1.5` → `1500m`."""
    quantity = parse(text)
    return quantity.text or print_nano(quantity.nano, quantity.format)


def _round_away(nano: int, unit: int) -> int:
    return -(-nano // unit) if nano >= 0 else nano // unit


@lru_cache(maxsize=16384, typed=True)
def value(text: QuantityText) -> int:
    """Whole units, rounded away from zero. Upstream: quantity.go:Value @v1.36"""
    return _round_away(parse(text).nano, _NANO)


@lru_cache(maxsize=16384, typed=True)
def milli(text: QuantityText) -> int:
    """Thousandths, rounded away from zero. Upstream: quantity.go:MilliValue @v1.36"""
    return _round_away(parse(text).nano, _MILLI)


def compare(left: QuantityText, right: QuantityText) -> int:
    """-1, 0 or 1 as `left` is less than, equal to or greater than `right`."""
    left_nano, right_nano = parse(left).nano, parse(right).nano
    return (left_nano > right_nano) - (left_nano < right_nano)


def _combined(left: QuantityText, right: QuantityText, sign: int) -> str:
    first, second = parse(left), parse(right)
    # A sum that starts from zero speaks in the suffixes of what is added to it.
    form = first.format if first.nano else second.format
    return print_nano(first.nano + sign * second.nano, form)


def add(left: QuantityText, right: QuantityText) -> str:
    """The canonical sum, in the suffixes of `left` unless that is zero. Upstream: quantity.go:Add @v1.36"""
    return _combined(left, right, 1)


def subtract(left: QuantityText, right: QuantityText) -> str:
    """The canonical difference, in the suffixes of `left` unless that is zero. Upstream: quantity.go:Sub @v1.36"""
    return _combined(left, right, -1)


def from_value(number: int, form: Format = "DecimalSI") -> str:
    """The canonical text of whole units, e.g. 1073741824 as BinarySI → `1Gi`."""
    return print_nano(number * _NANO, form)


def from_milli(number: int, form: Format = "DecimalSI") -> str:
    """The canonical text of thousandths, e.g. 1500 → `1500m`."""
    return print_nano(number * _MILLI, form)

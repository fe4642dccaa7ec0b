"""Vehicle identification numbers (ISO 3779) and their check digit (49 CFR 565.15, GB 16735)."""

from __future__ import annotations

from typing import Final

# Neither I, O nor Q: they look like 1 and 0.
VIN_PATTERN: Final = "^[A-HJ-NPR-Z0-9]{17}$"

# The first character names the region of the maker. North America and China demand a check digit;
# elsewhere the ninth character belongs to the maker.
_WITH_CHECK_DIGIT: Final = frozenset("12345L")
_POSITION: Final = 8
_WEIGHTS: Final = (8, 7, 6, 5, 4, 3, 2, 10, 0, 9, 8, 7, 6, 5, 4, 3, 2)
_VALUES: Final = dict(
    zip("0123456789ABCDEFGHJKLMNPRSTUVWXYZ", map(int, "012345678912345678123457923456789"), strict=True)
)


def compute_check_digit(vin: str) -> str:
    """What stands in the ninth place of a well-formed VIN whose region demands a check digit: 0 to 9, or X for ten."""
    rest = sum(weight * _VALUES[character] for weight, character in zip(_WEIGHTS, vin, strict=True)) % 11
    return "X" if rest == 10 else str(rest)


def explain_wrong_check_digit(vin: str) -> str:
    """Why the ninth character of a well-formed VIN cannot be right, or nothing."""
    if vin[0] not in _WITH_CHECK_DIGIT or vin[_POSITION] == (expected := compute_check_digit(vin)):
        return ""
    return f"the check digit (ninth character) must be {expected}, not {vin[_POSITION]}: a character may be mistyped"

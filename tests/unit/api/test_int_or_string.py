"""Numbers and percentages as intstr resolves them."""

from __future__ import annotations

import pytest

from kubesim.api.int_or_string import IntOrString, IntOrStringError, resolve


@pytest.mark.parametrize(
    ("value", "total", "round_up", "resolved"),
    [
        pytest.param(3, 10, True, 3, id="a number is itself"),
        pytest.param(0, 0, False, 0, id="zero is a number"),
        pytest.param("25%", 10, True, 3, id="a surge of 25% of 10 is 3"),
        pytest.param("25%", 10, False, 2, id="an unavailability of 25% of 10 is 2"),
        pytest.param("100%", 7, True, 7, id="all of it"),
        pytest.param("0%", 7, True, 0, id="nothing of it"),
        pytest.param("1%", 1, True, 1, id="a sliver rounded up is one"),
        pytest.param("33%", 3, False, 0, id="a third rounded down is nothing"),
        pytest.param("-10%", 15, True, -1, id="a negative share rounded up goes to zero"),
        pytest.param("-10%", 15, False, -2, id="a negative share rounded down goes from zero"),
        pytest.param("+50%", 4, True, 2, id="a plus sign is read as Atoi reads it"),
    ],
)
def test_a_share_of_the_total(value: IntOrString, total: int, round_up: bool, resolved: int) -> None:
    """intstr_test.go:TestGetScaledValueFromIntOrPercent and the ceil and floor of its source."""
    assert resolve(value, total, round_up=round_up) == resolved


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("5", "invalid type: string is not a percentage"),
        ("", "invalid type: string is not a percentage"),
        ("a%", 'invalid value "a%": strconv.Atoi: parsing "a": invalid syntax'),
        ("%", 'invalid value "%": strconv.Atoi: parsing "": invalid syntax'),
        ("1.5%", 'invalid value "1.5%": strconv.Atoi: parsing "1.5": invalid syntax'),
        ("1_0%", 'invalid value "1_0%": strconv.Atoi: parsing "1_0": invalid syntax'),
        (f"{1 << 63}%", f'invalid value "{1 << 63}%": strconv.Atoi: parsing "{1 << 63}": value out of range'),
    ],
)
def test_what_is_no_percentage_is_refused(value: str, message: str) -> None:
    """The texts of getIntOrPercentValueSafely, with strconv's inside."""
    with pytest.raises(IntOrStringError) as caught:
        resolve(value, 10, round_up=True)

    assert str(caught.value) == f"invalid value for IntOrString: {message}"

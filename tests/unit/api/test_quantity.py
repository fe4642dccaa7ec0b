"""Quantities against the facts that Go's resource.Quantity produced (tests/unit/api/facts)."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubesim.api import quantity

FACTS = Path(__file__).parent / "facts"
ERRORS = {"!FORMAT": quantity.FORMAT_WRONG, "!NUMERIC": quantity.NUMERIC_WRONG, "!SUFFIX": quantity.SUFFIX_WRONG}


def rows(name: str) -> list[list[str]]:
    """The rows of a table of facts, without its comment."""
    return [line.split("\t") for line in (FACTS / name).read_text().splitlines() if not line.startswith("#")]


def test_every_text_that_go_accepts_reads_and_prints_the_same() -> None:
    """Canonical text, Value and MilliValue agree with Go for each accepted row that fits an int64."""
    wrong = []
    for text, canonical, *numbers in rows("quantity.tsv"):
        if not numbers:
            continue
        source = json.loads(text)
        got = [quantity.canonical(source), str(quantity.value(source)), str(quantity.milli(source))]
        want = [canonical, *(number if number != "-" else got[1 + at] for at, number in enumerate(numbers))]
        if got != want:
            wrong.append((source, got, want))

    assert wrong == []


def test_every_text_that_go_refuses_is_refused_in_its_words() -> None:
    """Each refused row raises with upstream's error text."""
    refused = [(json.loads(row[0]), ERRORS[row[1]]) for row in rows("quantity.tsv") if row[1].startswith("!")]

    assert len(refused) > 20
    for text, message in refused:
        with pytest.raises(quantity.QuantityError) as caught:
            quantity.parse(text)
        assert str(caught.value) == message, text


def test_sums_differences_and_comparisons_are_those_of_go() -> None:
    """Add, Sub and Cmp agree with Go, suffix family included."""
    operations: dict[str, Callable[[str, str], str]] = {
        "add": quantity.add,
        "sub": quantity.subtract,
        "cmp": lambda left, right: str(quantity.compare(left, right)),
    }

    got = [
        (name, left, right, operations[name](left, right)) for name, left, right, _ in rows("quantity_arithmetic.tsv")
    ]

    assert got == [tuple(row) for row in rows("quantity_arithmetic.tsv")]


@pytest.mark.parametrize(
    ("number", "canonical"),
    [
        (1, "1"),
        (0.5, "500m"),
        (1.0, "1"),
        (1000, "1k"),
        (0, "0"),
        (1e21, "1e+21"),
        (0.00001, "10u"),
        (-2.5e-5, "-25u"),
        (1.5e17, "150P"),
        (1e-7, "100e-9"),
    ],
)
def test_numbers_are_accepted_as_their_json_text(number: float, canonical: str) -> None:
    """`cpu: 1` and `cpu: 0.5` in YAML mean what the strings mean."""
    assert quantity.canonical(number) == canonical


@pytest.mark.parametrize("value", [True, float("inf"), float("nan")])
def test_what_json_has_no_quantity_for_is_refused(value: float) -> None:
    """Booleans and the numbers that JSON lacks are no quantities."""
    with pytest.raises(quantity.QuantityError, match="quantities must match"):
        quantity.parse(value)


def test_an_exponent_beyond_reason_is_refused() -> None:
    """Upstream would loop for minutes; we call the suffix wrong at once."""
    with pytest.raises(quantity.QuantityError):
        quantity.parse("1e99999")


def test_counts_print_in_the_family_asked_for() -> None:
    """from_value and from_milli are NewQuantity and NewMilliQuantity printed."""
    assert quantity.from_value(1 << 30, "BinarySI") == "1Gi"
    assert quantity.from_value(1 << 30) == "1073741824"
    assert quantity.from_milli(1500) == "1500m"
    assert quantity.from_milli(2000) == "2"


@given(st.integers(-(10**24), 10**24), st.sampled_from(["BinarySI", "DecimalSI", "DecimalExponent"]))
def test_the_canonical_text_reads_back_as_the_same_amount(nano: int, form: quantity.Format) -> None:
    """Printing loses nothing, and a canonical text is its own canonical text."""
    text = quantity.print_nano(nano, form)

    assert quantity.parse(text).nano == nano
    assert quantity.canonical(text) == text

"""Name forms against what Go's validation package says about the same strings (tests/unit/api/facts/names.json)."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from kubesim.api import names

FACTS = json.loads((Path(__file__).parent / "facts" / "names.json").read_text())


@pytest.mark.parametrize("function", sorted(FACTS["problems"]))
def test_each_form_finds_what_go_finds(function: str) -> None:
    """Every string of the table gets the details of the Go function, in their order."""
    check = getattr(names, function)

    expected = FACTS["problems"][function]

    got = {text: list(check(text)) for text in FACTS["inputs"]}

    assert got == {
        text: [FACTS["details"][detail] for detail in expected.get(str(at), [])]
        for at, text in enumerate(FACTS["inputs"])
    }


@pytest.mark.parametrize(("port", "problems"), [(1, ()), (65535, ()), (0, ("must be between 1 and 65535, inclusive",))])
def test_a_port_number_is_one_of_65535(port: int, problems: tuple[str, ...]) -> None:
    """The bounds of IsValidPortNum."""
    assert names.port_number(port) == problems


def test_a_range_includes_both_ends() -> None:
    """IsInRange, as priorities and percentages use it."""
    assert names.in_range(5, 5, 5) == ()
    assert names.in_range(6, 1, 5) == ("must be between 1 and 5, inclusive",)


@pytest.mark.parametrize(("prefix", "checked"), [("web-", "wea"), ("-", "-"), ("web", "web"), ("a-", "a")])
def test_a_generated_name_may_end_in_a_dash(prefix: str, checked: str) -> None:
    """maskTrailingDash replaces the last two characters by one letter."""
    assert names.generated_prefix(prefix) == checked

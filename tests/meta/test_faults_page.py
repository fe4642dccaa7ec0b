"""docs/faults.md against the catalogue of faults."""

from __future__ import annotations

import pytest
from source_tree import ROOT

from kubesim.faults import FAULTS
from kubesim.faults.describing import list_lines, page


def test_the_page_is_the_catalogue():
    """Every fault with its argument, what it does and how it ends."""
    shown = (ROOT / "docs" / "faults.md").read_text(encoding="utf-8")

    assert shown == page(), "run: python -m kubesim faults --markdown > docs/faults.md"


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_described(name):
    """In a sentence of its own, with an end that is there; and the command line lists it."""
    kind = FAULTS[name]

    assert kind.name == name
    assert kind.summary[0] != " "
    assert not kind.summary.endswith(".")
    assert kind.healed_by in ("", "heal", *FAULTS)
    assert not kind.heals or FAULTS[kind.heals].healed_by == name
    assert any(line.split()[:1] == [name] for line in list_lines())

"""docs/invariants.md against the table of invariants."""

from __future__ import annotations

from source_tree import ROOT

from kubesim.checks.describing import page


def test_the_page_is_what_the_table_says():
    """The page is made, not written."""
    shown = (ROOT / "docs" / "invariants.md").read_text(encoding="utf-8")

    assert shown == page(), "run: python -m kubesim invariants --markdown > docs/invariants.md"

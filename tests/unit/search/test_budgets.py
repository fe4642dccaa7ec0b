"""Which budget a scenario file is taken for: the least that it allows anywhere."""

from __future__ import annotations

import pytest

from kubesim.scenario.file import read_scenario
from kubesim.search.budgets import Budget, budget_of
from kubesim.sim.loop import SECOND


@pytest.mark.parametrize(
    "lines, budget",
    [
        ("expect: []", Budget()),
        ("expect: [availability: 0.99]", Budget(0.99)),
        ("expect: [recovery: 30s]", Budget(0.0, 30 * SECOND)),
        ("expect: [recovery: 30s, outage: 40s]", Budget(0.0, 40 * SECOND)),
        ("expect: [availability: 0.99]\nsteps: [{for: 1s, expect: [availability: 0.9, recovery: 65s]}]", None),
        ("steps: [{for: 1s, expect: [recovery: 65s]}, {for: 1s, expect: [recovery: 5s]}]", Budget(0.0, 65 * SECOND)),
        ("checks: {availability: 0.5, recovery: 20s}", Budget(0.5, 20 * SECOND)),
    ],
)
def test_the_budget_of_a_scenario(tmp_path, lines, budget):
    """Of the whole, of its steps and of its checks."""
    path = tmp_path / "scenario.yaml"
    lines = lines.replace("[availability: 0.9, recovery: 65s]", "[{availability: 0.9}, {recovery: 65s}]")
    lines = lines.replace("[recovery: 30s, outage: 40s]", "[{recovery: 30s}, {outage: 40s}]")
    path.write_text(f"name: x\npromise: It holds.\n{lines}\n", encoding="utf-8")
    found = budget_of(read_scenario(path).scenario)

    assert found == (Budget(0.9, 65 * SECOND) if budget is None else budget)

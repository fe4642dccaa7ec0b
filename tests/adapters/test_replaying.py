"""What is asked of a real cluster when a file that a search has kept runs there."""

from __future__ import annotations

from adapters.replaying import as_scenario
from kubesim.scenario.file import read_scenario
from kubesim.sim.loop import SECOND

REPLAY = """\
name: a replay
promise: Found by a search.
load: {service: web}
faults:
  - {at: 1s, for: 5s, cordon: {node: node-1}}
checks: {availability: 0.9, recovery: 20s, within: 60s, breaks: recovery}
"""


def test_the_budgets_of_a_search_are_expected_there(tmp_path):
    """The share that is served, the longest outage, and that no write is lost."""
    path = tmp_path / "replay.yaml"
    path.write_text(REPLAY, encoding="utf-8")
    scenario, _ = as_scenario(read_scenario(path).scenario, ())

    asked = [(each.availability, each.outage, each.lost_writes is not None) for each in scenario.expect]
    assert asked == [(None, None, True), (0.9, None, False), (None, 20 * SECOND, False)]

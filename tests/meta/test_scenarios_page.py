"""docs/scenarios.md against the fields that a scenario file may have."""

from __future__ import annotations

import re

import pytest
from source_tree import ROOT

from kubesim.faults import Disturbance, WriteEvent
from kubesim.scenario.model import Condition, Expectation, Latency, Nodes, Scenario, Step, Users

PARTS = (Scenario, Step, Condition, Expectation, Nodes, Latency, Users, Disturbance, WriteEvent)
# Not keys of files, but what the one chosen key and its value are kept as.
KEPT = ("action", "fault", "argument")


@pytest.mark.parametrize("part", PARTS, ids=lambda part: part.__name__)
def test_every_field_is_on_the_page(part):
    """What a file may say is what the reference says."""
    page = (ROOT / "docs" / "scenarios.md").read_text(encoding="utf-8")
    named = {word for text in re.findall(r"`([^`\n]+)`", page) for word in re.findall(r"\w+", text)}

    assert [field for field in part.__struct_encode_fields__ if field not in (*named, *KEPT)] == []

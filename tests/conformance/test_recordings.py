"""The simulated cluster against recordings of a real one: what was done there is done here, and must come to the same.

What was recorded is in recordings/, what was done in scenarios_*.py. Pods, claims, volumes and
nodes are compared write by write, with the time between; what sums up several Pods by the states that last; Events by
their texts and counts.
"""

from __future__ import annotations

import gzip
import json
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import scenarios_controllers
import scenarios_nodes
import scenarios_pods
from known_differences import KNOWN
from replay import Replay

from adapters.parity.comparison import differences, subjects
from adapters.parity.recording import relevant
from adapters.parity.summary import Entry, summarise

RECORDINGS = Path(__file__).parent / "recordings"
SCENARIOS = {**scenarios_pods.SCENARIOS, **scenarios_controllers.SCENARIOS, **scenarios_nodes.SCENARIOS}
# Recordings whose scenarios bring all their nodes themselves.
OWN_NODES = ("h1", "k2")


@cache
def recorded(name: str) -> dict[str, Any]:
    with gzip.open(RECORDINGS / f"{name}.jsonl.gz", "rt") as file:
        head, *lines = map(json.loads, file)
    entries = [Entry(line["t"], line["type"], line["res"], line["obj"]) for line in lines if "res" in line]
    return summarise(relevant(entries, head["namespace"]))


@cache
def simulated(name: str) -> dict[str, Any]:
    has_foreign_node = "0/2 nodes" in json.dumps(recorded(name)) and not name.startswith(OWN_NODES)
    is_stack = name == "s1-stack"
    namespace = "vehicles" if is_stack else f"rec-{name[:2]}"
    replay = Replay(namespace, creates_namespace=not is_stack, has_foreign_node=has_foreign_node)
    SCENARIOS[name](replay)
    return replay.summary()


def rows() -> list[Any]:
    found = []
    for name in SCENARIOS:
        for subject in subjects(recorded(name)):
            cause = KNOWN.get((name, subject))
            marks = [pytest.mark.xfail(reason=cause)] if cause else []
            found.append(pytest.param(name, subject, id=f"{name}: {subject}", marks=marks))
    return found


@pytest.mark.parametrize("name, subject", rows())
def test_simulator_does_what_the_real_cluster_did(name, subject):
    """Every recorded object goes through the recorded states, and the recorded Events are there."""
    found = differences(recorded(name), simulated(name), subject)

    assert not found, "\n".join(["", *found])


@pytest.mark.parametrize("name", SCENARIOS)
def test_simulator_does_no_more_than_the_real_cluster_did(name):
    """There is no object and no Event about anything that the recording does not have."""
    known = {subject for recording, subject in KNOWN if recording == name}
    unknown = [subject for subject in subjects(simulated(name)) if subject not in subjects(recorded(name))]
    found = {
        subject: lines
        for subject in unknown
        if subject not in known and (lines := differences(recorded(name), simulated(name), subject))
    }

    assert not found, f"only simulated: {found}"

"""The simulator does what a real cluster was recorded doing, scenario by scenario."""

from __future__ import annotations

from pathlib import Path

import pytest

from adapters.parity.causes import CAUSES
from adapters.parity.judging import compare, judge, recorded_scenarios
from adapters.parity.page import parity_page
from adapters.parity.playing import differences_from
from adapters.parity.recording import read_recording, write_recording
from adapters.parity.sequences import read_trials

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.usefixtures("in_the_project")


@pytest.fixture
def in_the_project(monkeypatch):
    """Scenarios and recordings are named from the project's folder."""
    monkeypatch.chdir(ROOT)


NAMES = sorted(path.name.removesuffix(".jsonl.gz") for path in (ROOT / "specs/recordings").glob("*.jsonl.gz"))


@pytest.mark.parametrize("name", NAMES)
def test_the_simulator_does_what_was_recorded(name):
    """What differs is known, with its cause; what is listed as different does differ."""
    found = judge(name).differences
    known = {subject for scenario, subject in CAUSES if scenario == name}

    assert {subject: lines for subject, lines in found.items() if subject not in known} == {}
    assert known - found.keys() == set(), "no longer different"


def test_enough_scenarios_are_recorded_and_identical():
    """At least 40, and at least 95 in a hundred of them."""
    verdicts = [judge(name) for name in recorded_scenarios()]

    assert len(verdicts) >= 40
    assert sum(verdict.is_identical for verdict in verdicts) >= 0.95 * len(verdicts)


def test_the_page_is_what_the_comparison_finds():
    """docs/parity.md is generated, and up to date."""
    kept = read_trials()
    page = parity_page([judge(name) for name in recorded_scenarios()], kept, differences_from(kept))

    assert (ROOT / "docs/parity.md").read_text() == page


@pytest.mark.parametrize(
    "damage",
    [
        lambda run: run.entries.pop(),
        lambda run: run.calls.pop(),
        lambda run: run.entries.append(run.entries[-1]._replace(type="ADDED", seconds=99)),
    ],
    ids=["a change is missing", "a call is missing", "a change too many"],
)
def test_a_difference_is_found(damage):
    """The comparison can fail."""
    run = read_recording(ROOT / "specs/recordings/pod-lifecycle.jsonl.gz")
    other = read_recording(ROOT / "specs/recordings/pod-lifecycle.jsonl.gz")
    damage(other)

    assert compare(run, run) == {}
    assert compare(run, other) != {}


def test_a_recording_is_the_same_after_being_written(tmp_path):
    """And the same bytes each time."""
    source = ROOT / "specs/recordings/pod-lifecycle.jsonl.gz"
    run = read_recording(source)
    for name in ("one", "two"):
        write_recording(tmp_path / name, run)

    assert read_recording(tmp_path / "one") == run
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()

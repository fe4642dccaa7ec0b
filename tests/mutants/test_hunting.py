"""A small part of the hunts, the same each time; `make mutants` has them all."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

import campaign  # noqa: E402 - its folder is no package
from mutants import MUTANTS  # noqa: E402

QUICK = ("onePodTooMany", "doesNotWait", "forgetsAssumed")


def source_of(module):
    return (HERE.parents[1] / f"{module.replace('.', '/')}.py").read_text(encoding="utf-8")


def test_every_edit_still_fits():
    """A text that is edited stands exactly once in its module."""
    lost = [
        (mutant.name, edit.module)
        for mutant in MUTANTS
        for edit in mutant.edits
        if source_of(edit.module).count(edit.old) != 1
    ]

    assert lost == [], "the code has changed: write these edits anew"


def test_there_are_forty_mutants_each_with_a_name_and_a_sentence():
    """Names are not used twice."""
    assert len({mutant.name for mutant in MUTANTS}) == len(MUTANTS) == 40
    assert all(len(mutant.broken.split()) > 4 for mutant in MUTANTS)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_sound_form_breaks_no_promise(seed):
    """The same schedules that find mutants find nothing where there is nothing to find."""
    town = campaign.Town(str(HERE / "town.yaml"))

    assert campaign.play(town, campaign.draw(seed), seed) is None


@pytest.mark.parametrize("name", QUICK)
def test_a_mutant_is_caught_in_another_process(name):
    """The first seed shows it, without a single fault."""
    environment = {**os.environ, "PYTHONPATH": str(HERE.parents[1]), "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, str(HERE / "run.py"), "--hunt", name, "--seconds", "60"]

    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)

    found = json.loads(done.stdout)
    assert (found["seed"], found["faults"]) == (0, [])
    assert found["invariant"] in ("noExtraPods", "statefulOrder", "nodesFit")

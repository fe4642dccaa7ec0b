"""Random sequences of requests: how they are drawn and kept, and that the simulator answers as a real API server did."""

from __future__ import annotations

from pathlib import Path

import pytest

from adapters.parity.bodies import COMMON, KINDS
from adapters.parity.causes import OF_REQUESTS
from adapters.parity.changes import CHANGES
from adapters.parity.drawing import LENGTH, draw_sequences
from adapters.parity.playing import differences_from, play_simulated
from adapters.parity.sequences import count_requests, differences_between, plain, read_trials, write_trials
from adapters.parity.steps import CURRENT, Step, changed_at, pack, request_of, unpack

KEPT = Path(__file__).parents[2] / "specs/requests/sequences.xz"


def test_the_simulator_answers_as_recorded():
    """5,000 requests over ten kinds and more; 99 in a hundred alike, and the others are known with their cause."""
    kept = read_trials(KEPT)
    found = {(each.namespace, each.number) for each in differences_from(kept)}
    steps = [step for trial in kept.trials for step in trial.steps]

    assert count_requests(kept.trials) >= 5000
    assert len({step.resource for step in steps}) >= 10
    assert len(found) <= 0.01 * len(steps)
    assert found == set(OF_REQUESTS)


def test_every_request_of_the_recording_is_of_some_use():
    """Neither nearly all done nor nearly all refused, and every verb is there."""
    trials = read_trials(KEPT).trials
    answers = [answer for trial in trials for answer in trial.answers]

    assert 0.2 < answers.count("done") / len(answers) < 0.8
    assert {step.verb for trial in trials for step in trial.steps} == {
        *("create", "get", "list", "update", "patch", "delete", "deletecollection")
    }


def test_the_same_seed_draws_the_same_requests():
    """And another seed others."""
    assert draw_sequences(2, 5) == draw_sequences(2, 5)
    assert draw_sequences(2, 5) != draw_sequences(2, 6)
    assert [len(steps) for steps in draw_sequences(2, 5)] == [LENGTH, LENGTH]


def test_the_simulator_answers_the_same_twice(tmp_path):
    """Playing is deterministic, and what is kept is what was played."""
    kept = read_trials(KEPT)
    some = [(trial.namespace, trial.steps) for trial in kept.trials[:5]]
    once = play_simulated(some)
    write_trials(tmp_path / "kept", kept._replace(trials=once))

    assert differences_between(once, play_simulated(some)) == []
    assert read_trials(tmp_path / "kept").trials == once


def test_another_answer_is_a_difference():
    """The comparison can fail."""
    trials = read_trials(KEPT).trials[:1]
    other = [trials[0]._replace(answers=["418 Teapot: no", *trials[0].answers[1:]])]

    (found,) = differences_between(trials, other)

    assert (found.number, found.simulated) == (0, "418 Teapot: no")


@pytest.mark.parametrize(
    ("path", "new", "changed"),
    [
        (("a", "b"), (2,), {"a": {"b": 2, "l": [1, {"x": 1}]}}),
        (("a", "b"), (), {"a": {"l": [1, {"x": 1}]}}),
        (("a", "l", "1", "x"), (5,), {"a": {"b": 1, "l": [1, {"x": 5}]}}),
        (("a", "l", "7"), (5,), {"a": {"b": 1, "l": [1, {"x": 1}]}}),
        (("n", "m"), (5,), {"a": {"b": 1, "l": [1, {"x": 1}]}, "n": {"m": 5}}),
    ],
    ids=["a field", "without a field", "in a list", "beyond a list", "a new path"],
)
def test_a_change_is_made(path, new, changed):
    """At its path, in a new value."""
    assert changed_at({"a": {"b": 1, "l": [1, {"x": 1}]}}, path, new) == changed


def test_a_step_follows_the_object_as_it_is():
    """What it says of the current object is filled in when its turn comes."""
    current = {"metadata": {"name": "a", "uid": "u", "resourceVersion": "7"}}
    update = Step("update", "configmaps", "a", (("data/a", "2"),), CURRENT)
    delete = Step("delete", "configmaps", "a", options={"precondition_uid": CURRENT})

    assert request_of(update, "ns", current, "").body["metadata"]["resourceVersion"] == "7"
    assert request_of(update, "ns", current, "").body["data"] == {"a": "2"}
    assert request_of(delete, "ns", current, "").options.precondition_uid == "u"
    assert unpack(pack(update)) == update


def test_what_no_two_clusters_share_is_made_alike():
    """Versions, times, addresses, uids; errors in the order of a Go map are sorted."""
    one = "in record (12). at 2026-01-02T03:04:05Z of 10.0.0.1 errors:\n  b\n  a"
    other = "in record (34). at 2027-01-02T03:04:05Z of 10.9.0.1 errors:\n  a\n  b"

    assert plain(f"the ResourceVersion {one}") == plain(f"the ResourceVersion {other}")


def test_every_kind_has_a_body_and_changes():
    """None is drawn without."""
    assert set(CHANGES) == set(KINDS)
    assert len(KINDS) >= 10
    assert COMMON

"""Several procedures in one reconcile, advancing in step."""

from __future__ import annotations

import pytest

from kubesim.api.kinds import POD
from kubesim.api.requests import get
from kubesim.controllers.base import Wait
from kubesim.controllers.together import in_slow_start, together
from kubesim.errors import ApiError, not_found


def part(name, *steps):
    """Asks for each of the steps, then returns its name and the replies."""
    replies = []
    for step in steps:
        replies.append((yield step))
    return name, replies


def drive(generator, answer):
    """Run to the end; returns (what was asked for in each round, outcome)."""
    rounds, reply = [], None
    while True:
        try:
            step = generator.send(reply)
        except StopIteration as stop:
            return rounds, stop.value
        rounds.append(step)
        reply = None if isinstance(step, Wait) else [answer(request) for request in step]


def ask(name):
    """A request told apart by its name."""
    return get(POD, "default", name)


def test_requests_of_one_round_go_out_together():
    """Each part gets its own reply; a short one is done while the other goes on."""
    rounds, outcomes = drive(together([part("a", ask("a1"), ask("a2")), part("b", ask("b1"))]), lambda each: each.name)
    assert rounds == [(ask("a1"), ask("b1")), (ask("a2"),)]
    assert outcomes == [("a", ["a1", "a2"]), ("b", ["b1"])]


def test_a_failure_stays_with_its_part():
    """The others go on, and the failure is among the outcomes."""
    failure = not_found("pods", "", "a1")
    _, outcomes = drive(
        together([part("a", ask("a1")), part("b", ask("b1"))]), lambda each: failure if each.name == "a1" else "ok"
    )
    assert outcomes == [failure, ("b", ["ok"])]


def test_parts_may_pause():
    """The longest pause of a round counts for all who pause in it."""
    rounds, _ = drive(together([part("a", Wait(5)), part("b", Wait(7)), part("c", ask("c1"))]), lambda _: "ok")
    assert rounds == [(ask("c1"),), Wait(7)]


def test_a_slow_start_doubles_and_stops_at_a_failure():
    """1, 2, 4, … and no further batch after one that failed."""
    failure = not_found("pods", "", "4")
    parts = [part(str(number), ask(str(number))) for number in range(9)]
    rounds = []

    def answer(request):
        rounds.append(request.name)
        return failure if request.name == "4" else "ok"

    with pytest.raises(ApiError, match='pods "4" not found'):
        drive(in_slow_start(parts, 500), answer)
    assert rounds == ["0", "1", "2", "3", "4", "5", "6"]

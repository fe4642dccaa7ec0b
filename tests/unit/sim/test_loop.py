"""The loop: order, timers, stopping."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubesim.sim.loop import SECOND, Loop


@given(st.lists(st.integers(0, 5), max_size=20))
def test_callbacks_run_by_instant_and_then_in_the_order_of_asking(delays):
    """A stable sort by delay is what happens, and the clock shows each one's instant."""
    loop, ran = Loop(), []
    for number, delay in enumerate(delays):
        loop.post(delay, lambda number: ran.append((loop.now_ns, number)), number)
    loop.run_until(10)

    assert ran == sorted((delay, number) for number, delay in enumerate(delays))
    assert (loop.now_ns, loop.steps) == (10, len(delays))


def test_a_callback_for_now_runs_after_those_that_were_there():
    """Asked for from within a callback of the same instant."""
    loop, ran = Loop(), []

    def first(_):
        ran.append("first")
        loop.post(0, ran.append, "third")

    loop.post(1, first, None)
    loop.post(1, ran.append, "second")
    loop.run_until(1)

    assert ran == ["first", "second", "third"]


def test_nothing_runs_beyond_the_instant_asked_for():
    """It runs later, when that is asked for."""
    loop, ran = Loop(), []
    loop.post(2 * SECOND, ran.append, "late")
    assert loop.run_until(SECOND) is False
    assert (ran, loop.now_ns) == ([], SECOND)
    loop.run_until(2 * SECOND)

    assert ran == ["late"]


def test_a_stop_leaves_the_clock_at_the_callback_that_caused_it():
    """What was due later is still there."""
    loop, ran = Loop(), []
    for at in (1, 2, 3):
        loop.post(at, ran.append, at)
    stopped = loop.run_until(9, lambda: len(ran) == 2)

    assert (stopped, ran, loop.now_ns) == (True, [1, 2], 2)
    assert loop.next_at_ns() == 3


def test_a_stop_within_an_instant_leaves_the_rest_of_it():
    """Going on begins with what was due next at that very instant, before what was asked for meanwhile."""
    loop, ran = Loop(), []
    for name in ("a", "b", "c"):
        loop.post(1, ran.append, name)
    loop.run_until(9, lambda: len(ran) == 1)
    loop.post(0, ran.append, "d")
    assert loop.next_at_ns() == 1
    loop.run_until(9)

    assert ran == ["a", "b", "c", "d"]
    assert loop.next_at_ns() is None


def test_steps_are_counted_even_when_a_callback_fails():
    """The error comes out where it happened."""
    loop = Loop()
    loop.post(1, lambda _: 1 / 0, None)
    with pytest.raises(ZeroDivisionError):
        loop.run_until(5)

    assert (loop.steps, loop.now_ns) == (1, 1)


class TestTimers:
    """Callbacks that can be called off."""

    def test_one_that_is_cancelled_never_runs_and_hides_from_the_future(self):
        """Cancelling twice, or after it ran, does no harm."""
        loop, ran = Loop(), []
        off, on = loop.timer(1, lambda: ran.append("off")), loop.timer(2, lambda: ran.append("on"))
        off.cancel()
        off.cancel()
        assert loop.next_at_ns() == 2
        loop.run_until(5)
        on.cancel()

        assert ran == ["on"]
        assert loop.next_at_ns() is None

    def test_it_is_pending_until_it_runs(self):
        """From within its own callback it is not."""
        loop, seen = Loop(), []
        timer = loop.timer(1, lambda: seen.append(timer.pending))
        assert timer.pending
        loop.run_until(1)

        assert (seen, timer.pending) == ([False], False)


def test_a_callback_may_let_time_pass_itself():
    """What is due meanwhile runs then, and the loop goes on with what is due later."""
    loop, ran = Loop(), []

    def impatient(_):
        loop.run_until(2)
        ran.append(("impatient", loop.now_ns))

    loop.post(1, impatient, None)
    loop.post(2, lambda _: ran.append(("meanwhile", loop.now_ns)), None)
    loop.post(3, lambda _: ran.append(("later", loop.now_ns)), None)
    loop.run_until(9)

    assert ran == [("meanwhile", 2), ("impatient", 2), ("later", 3)]


def test_a_callback_may_ask_when_the_next_is():
    """What it asks for at its own instant afterwards runs at that instant."""
    loop, ran = Loop(), []

    def curious(_):
        ran.append(loop.next_at_ns())
        loop.post(0, lambda _: ran.append(("now", loop.now_ns)), None)

    loop.post(1, curious, None)
    loop.post(2, lambda _: ran.append(("later", loop.now_ns)), None)
    loop.run_until(9)

    assert ran == [2, ("now", 1), ("later", 2)]

"""Delays between restarts. Upstream: client-go/util/flowcontrol/backoff_test.go @v1.36"""

from __future__ import annotations

from kubesim.node.backoff import Backoff
from kubesim.sim.loop import SECOND


def test_delays_double_up_to_five_minutes():
    """10 s, doubled with each start, at most 300 s (recording b1)."""
    backoff = Backoff()
    delays = []
    for _ in range(7):
        backoff.count("main", 0, 0)
        delays.append(backoff.delay_ns("main") // SECOND)

    assert delays == [10, 20, 40, 80, 160, 300, 300]


def test_the_first_failure_waits_for_nothing():
    """Without a start counted before, a container may start at once."""
    assert not Backoff().is_waiting("main", 0, 1)


def test_the_delay_counts_from_the_exit():
    """A container waits until the delay has passed since it ended."""
    backoff = Backoff()
    backoff.count("main", 0, 0)

    assert backoff.is_waiting("main", 5 * SECOND, 15 * SECOND - 1)
    assert not backoff.is_waiting("main", 5 * SECOND, 15 * SECOND)


def test_ten_minutes_of_running_reset_the_delay():
    """An exit more than twice the maximum after the last start begins anew."""
    backoff = Backoff()
    backoff.count("main", 0, 0)
    backoff.count("main", 0, 0)

    assert not backoff.is_waiting("main", 601 * SECOND, 602 * SECOND)
    backoff.count("main", 601 * SECOND, 602 * SECOND)
    assert backoff.delay_ns("main") == 10 * SECOND

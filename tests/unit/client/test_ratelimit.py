"""Token buckets and back-off. Upstream: golang.org/x/time/rate, client-go/util/workqueue/default_rate_limiters.go @v1.36"""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubesim.client.ratelimit import ItemBackoff, TokenBucket, controller_backoff
from kubesim.sim.loop import MILLISECOND, SECOND


def test_a_burst_is_free_and_the_rest_waits_for_its_turn():
    """10 a second with a burst of 3: the fourth waits 100 ms, the fifth 200 ms."""
    bucket = TokenBucket(10, 3)

    assert [bucket.reserve(0) // MILLISECOND for _ in range(6)] == [0, 0, 0, 100, 200, 300]


def test_tokens_come_back_with_time_but_never_more_than_the_burst():
    """After a long rest the burst is there again, and no more."""
    bucket = TokenBucket(10, 3)
    for _ in range(5):
        bucket.reserve(0)

    assert [bucket.reserve(60 * SECOND) // MILLISECOND for _ in range(4)] == [0, 0, 0, 100]


@given(st.integers(1, 50), st.integers(1, 20), st.lists(st.integers(0, 2 * SECOND), min_size=1, max_size=40))
def test_no_window_has_more_than_burst_and_rate_allow(qps, burst, pauses):
    """Whoever waits as told: from any grant on, at most burst + qps * t are granted within t."""
    bucket, now, granted = TokenBucket(qps, burst), 0, []
    for pause in pauses:
        now += pause
        granted.append(now + bucket.reserve(now))
    granted.sort()
    interval = SECOND // qps
    for first, start in enumerate(granted):
        for last in range(first, len(granted)):
            assert last - first + 1 <= burst + (granted[last] - start) // interval + 1


@pytest.mark.parametrize(
    "failures, delay_ms",
    [(1, 5), (2, 10), (3, 20), (10, 2560), (18, 655_360), (19, 1_000_000), (200, 1_000_000)],
)
def test_a_controller_s_back_off_doubles_from_5_ms_to_1000_s(failures, delay_ms):
    """The n-th failure in a row."""
    backoff = controller_backoff()
    delays = [backoff.next_ns("key") for _ in range(failures)]

    assert delays[-1] == delay_ms * MILLISECOND
    assert backoff.failures("key") == failures


def test_items_back_off_by_themselves_and_can_be_forgotten():
    """A success starts its item anew and leaves the others alone."""
    backoff = ItemBackoff(1, 100)
    for item in ("a", "a", "b"):
        backoff.next_ns(item)
    backoff.forget("a")
    backoff.forget("unknown")

    assert (backoff.next_ns("a"), backoff.next_ns("b")) == (1, 2)

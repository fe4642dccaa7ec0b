"""The work queue's contract. Upstream: client-go/util/workqueue/{doc,queue,delaying_queue}.go @v1.36"""

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from kubesim.client.ratelimit import ItemBackoff
from kubesim.client.workqueue import WorkQueue
from kubesim.sim.loop import MILLISECOND, SECOND, Loop

KEYS = st.sampled_from("abc")


class QueueModel(RuleBasedStateMachine):
    """The queue against three plain values: the order of waiting, who is in work, who came back during it."""

    def __init__(self):
        super().__init__()
        self.queue = WorkQueue(Loop())
        self.told = 0
        self.queue.on_ready = self._tell
        self.waiting, self.working, self.again = [], [], []
        self.expected_told = 0

    def _tell(self):
        self.told += 1

    @rule(key=KEYS)
    def add(self, key):
        self.queue.add(key)
        if key in self.working:
            if key not in self.again:
                self.again.append(key)
        elif key not in self.waiting:
            self.waiting.append(key)
            self.expected_told += 1

    @precondition(lambda self: self.waiting)
    @rule()
    def take(self):
        assert self.queue.take() == self.waiting[0]
        self.working.append(self.waiting.pop(0))

    @precondition(lambda self: self.working)
    @rule(data=st.data())
    def finish(self, data):
        key = data.draw(st.sampled_from(self.working))
        self.queue.done(key)
        self.working.remove(key)
        if key in self.again:
            self.again.remove(key)
            self.waiting.append(key)
            self.expected_told += 1

    @invariant()
    def agrees(self):
        assert len(self.queue) == len(self.waiting)
        assert self.queue.idle == (not self.waiting and not self.working)
        assert self.told == self.expected_told


QueueModel.TestCase.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
TestTheThreeSets = QueueModel.TestCase


@pytest.fixture
def loop():
    """A clock at zero."""
    return Loop()


def _taken(queue):
    keys = []
    while len(queue):
        keys.append(queue.take())
        queue.done(keys[-1])
    return keys


@pytest.mark.parametrize(
    "delays, at_1s, at_3s",
    [
        ([1, 3], ["k"], []),
        ([3, 1], ["k"], []),
        ([0], ["k"], []),
        ([2], [], ["k"]),
    ],
    ids=["the earlier first", "the earlier last", "no delay is now", "not yet"],
)
def test_of_several_delays_the_earliest_counts(loop, delays, at_1s, at_3s):
    """The later one is gone with it."""
    queue = WorkQueue(loop)
    for delay in delays:
        queue.add_after("k", delay * SECOND)
    loop.run_until(SECOND)
    assert _taken(queue) == at_1s
    loop.run_until(3 * SECOND)

    assert _taken(queue) == at_3s
    assert queue.idle


def test_a_delayed_key_is_not_idle(loop):
    """Something is still to come."""
    queue = WorkQueue(loop)
    queue.add_after("k", SECOND)

    assert not queue.idle
    assert len(queue) == 0


def test_failures_back_off_and_success_forgets_them(loop):
    """The queue counts them for whoever wants to give up."""
    queue = WorkQueue(loop, ItemBackoff(10 * MILLISECOND, SECOND))
    at = []
    for _ in range(3):
        queue.add_rate_limited("k")
        loop.run_until(loop.next_at_ns())
        at.append(loop.now_ns // MILLISECOND)
        _taken(queue)
    assert (at, queue.failures("k")) == ([10, 30, 70], 3)
    queue.forget("k")

    assert queue.failures("k") == 0


def test_a_key_is_given_up_while_nobody_adds_it_and_until_it_succeeds(loop):
    """A failure after that counts from one again."""
    queue = WorkQueue(loop)
    queue.add_rate_limited("k")
    loop.run_until(loop.next_at_ns())
    _taken(queue)
    queue.give_up("k")
    seen = [(queue.failures("k"), queue.has_given_up("k"))]
    queue.add("k")
    seen.append((queue.failures("k"), queue.has_given_up("k")))
    _taken(queue)
    seen.append((queue.failures("k"), queue.has_given_up("k")))
    queue.forget("k")

    assert (seen, queue.has_given_up("k")) == ([(0, True), (0, False), (0, True)], False)


def test_all_retries_of_a_queue_share_a_limit(loop):
    """Ten a second after the first hundred, whatever the keys' own back-offs say."""
    queue = WorkQueue(loop)
    for key in range(120):
        queue.add_rate_limited(key)
    loop.run_until(5 * MILLISECOND)
    assert len(_taken(queue)) == 100
    loop.run_until(SECOND)

    assert len(_taken(queue)) == 10

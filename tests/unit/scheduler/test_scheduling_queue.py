"""Who waits where, and for how long."""

from __future__ import annotations

import pytest

from kubesim.scheduler.hints import Event, Happening
from kubesim.scheduler.profile import PodProfiles
from kubesim.scheduler.queue import Place, SchedulingQueue
from kubesim.scheduler.snapshot import NodeInfo
from kubesim.sim.loop import MILLISECOND, MINUTE, SECOND


class Waiting:
    """A queue with its Pods' profiles and a clock."""

    def __init__(self) -> None:
        self.queue = SchedulingQueue()
        self.profiles = PodProfiles()
        self.now_ns = 0

    def add(self, pod) -> None:
        """A Pod appears."""
        self.queue.add(pod, self.profiles.of(pod), self.now_ns)

    def fail(self, *plugins):
        """Take the next Pod and let the attempt fail."""
        queued = self.queue.pop()
        self.queue.put_back(queued, frozenset(plugins), self.now_ns)
        return queued

    def move(self, event, **what) -> None:
        """Something happens."""
        self.queue.move(Happening(event, **what), self.now_ns)


@pytest.fixture
def waiting():
    """An empty queue at instant 0."""
    return Waiting()


def names(queue) -> list[str]:
    """Pop everything."""
    found = []
    while (queued := queue.pop()) is not None:
        found.append(queued.pod["metadata"]["name"])
    return found


def test_pods_come_by_priority_then_by_age(waiting, pod) -> None:
    """Upstream: queuesort/priority_sort.go:Less @v1.36"""
    for name, priority in (("old", 0), ("high", 10), ("young", 0)):
        waiting.add(pod(name, priority=priority))
        waiting.now_ns += 1

    assert names(waiting.queue) == ["high", "old", "young"]


@pytest.mark.parametrize(
    "failures, expected_s",
    [(1, 1), (2, 2), (3, 4), (4, 8), (5, 10), (40, 10)],
    ids=["one", "two", "three", "four", "five reach the limit", "many stay at it"],
)
def test_back_off_doubles_from_one_to_ten_seconds(waiting, pod, failures, expected_s) -> None:
    """Upstream: backoff_queue.go:calculateBackoffDuration @v1.36"""
    waiting.add(pod("p"))
    for _ in range(failures):
        queued = waiting.queue.pop()
        waiting.queue.put_back(queued, frozenset({"NodeResourcesFit"}), waiting.now_ns)
        waiting.queue.activate(queued.uid)

    assert queued.backoff_end_ns() == expected_s * SECOND


def test_errors_wait_for_the_end_of_their_back_off(waiting, pod) -> None:
    """A Pod that failed without a refusal comes back by time alone, at a whole second after its back-off."""
    waiting.now_ns = 300 * MILLISECOND
    waiting.add(pod("p"))
    queued = waiting.fail()

    assert queued.place is Place.ERROR_BACKOFF
    assert not waiting.queue.has_next
    assert waiting.queue.next_flush_ns(waiting.now_ns) == 2 * SECOND
    waiting.queue.flush(2 * SECOND)
    assert names(waiting.queue) == ["p"]


def test_refused_pods_wait_for_an_event_of_interest(waiting, pod, node) -> None:
    """A new node that is large enough is one; a small one, a label or another Pod is not."""
    waiting.add(pod("p", cpu="2"))
    queued = waiting.fail("NodeResourcesFit")
    waiting.move(Event.NODE_ADD, node=NodeInfo(node("small", cpu="1")))
    waiting.move(Event.NODE_LABEL, node=NodeInfo(node("large", cpu="4")))
    waiting.move(Event.POD_ADD, pod=waiting.profiles.of(pod("other")))

    assert queued.place is Place.POOL
    waiting.move(Event.NODE_ADD, node=NodeInfo(node("large", cpu="4")))
    assert queued.place is Place.BACKOFF


def test_back_off_is_cut_short_while_nothing_else_is_there(waiting, pod) -> None:
    """Upstream: the feature SchedulerPopFromBackoffQ, on by default @v1.36"""
    waiting.add(pod("p", cpu="2"))
    waiting.fail("NodeResourcesFit")
    waiting.move(Event.POD_DELETE, pod=waiting.profiles.of(pod("other")))
    waiting.add(pod("fresh"))

    assert names(waiting.queue) == ["fresh", "p"]


def test_pods_leave_the_pool_after_five_minutes(waiting, pod) -> None:
    """The pool is looked through every 30 s."""
    waiting.now_ns = 10 * SECOND
    waiting.add(pod("p", cpu="2"))
    waiting.fail("NodeResourcesFit")

    assert waiting.queue.next_flush_ns(waiting.now_ns) == 5 * MINUTE + 30 * SECOND
    waiting.queue.flush(5 * MINUTE + 30 * SECOND)
    assert names(waiting.queue) == ["p"]


def test_gated_pods_are_in_nobodys_way(waiting, pod) -> None:
    """No event and no time brings them back, only the end of their gates."""
    gated = pod("p", schedulingGates=[{"name": "g"}])
    waiting.add(gated)
    waiting.queue.flush(10 * MINUTE)

    assert not waiting.queue.has_next
    assert waiting.queue.next_flush_ns(0) is None
    free = pod("p")
    waiting.queue.update(free, waiting.profiles.of(free), waiting.now_ns)
    assert names(waiting.queue) == ["p"]


def test_removed_pods_are_not_popped(waiting, pod) -> None:
    """What is left of them in the heaps is passed over."""
    for name in ("a", "b"):
        waiting.add(pod(name))
    waiting.queue.remove("uid-default-a")

    assert names(waiting.queue) == ["b"]
    assert not waiting.queue.has_next


def test_a_changed_toleration_brings_a_pod_back(waiting, pod) -> None:
    """Its own change is an event for the plugins that read what has changed."""
    waiting.add(pod("p"))
    waiting.fail("TaintToleration")
    changed = pod("p", tolerations=[{"operator": "Exists"}])
    waiting.queue.update(changed, waiting.profiles.of(changed), waiting.now_ns)

    assert names(waiting.queue) == ["p"]

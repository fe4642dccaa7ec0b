"""The one clock and the one queue: callbacks in virtual time, ordered by (instant, sequence).

Instants are integer nanoseconds since the loop's start. Two callbacks for one instant run in the order in which they
were asked for, so a run is a pure function of its inputs. Nothing here reads a real clock; a runtime that paces the
loop by the wall does so from outside, by asking `next_at_ns` and calling `run_until`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from heapq import heappop, heappush
from typing import Any

MICROSECOND = 1_000
MILLISECOND = 1_000_000
SECOND = 1_000_000_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE


class Timer:
    """A callback that can be called off. Made by `Loop.timer`."""

    __slots__ = ("at_ns", "callback")

    def __init__(self, at_ns: int, callback: Callable[[], None]) -> None:
        self.at_ns = at_ns
        self.callback: Callable[[], None] | None = callback

    def cancel(self) -> None:
        """Make sure that the callback never runs (again). Idempotent."""
        self.callback = None

    @property
    def pending(self) -> bool:
        """Whether the callback is still to run."""
        return self.callback is not None


def _fire(timer: Timer) -> None:
    callback = timer.callback
    if callback is not None:
        timer.callback = None
        callback()


class Loop:
    """A queue of callbacks for each instant that has any, a heap of these instants, and the one that has been reached.

    Most callbacks share their instant with others, so the heap is small, and its entries are bare integers.
    """

    __slots__ = ("_instants", "_queues", "now_ns", "steps")

    def __init__(self) -> None:
        self.now_ns = 0
        self.steps = 0
        self._instants: list[int] = []
        self._queues: dict[int, deque[tuple[Callable[[Any], None], Any]]] = {}

    def post(self, delay_ns: int, callback: Callable[[Any], None], argument: Any) -> None:
        """Run `callback(argument)` after `delay_ns`; the cheapest form, which cannot be called off."""
        at_ns = self.now_ns + delay_ns
        queue = self._queues.get(at_ns)
        if queue is None:
            queue = self._queues[at_ns] = deque()
            heappush(self._instants, at_ns)
        queue.append((callback, argument))

    def timer(self, delay_ns: int, callback: Callable[[], None]) -> Timer:
        """Run `callback()` after `delay_ns` unless the timer is cancelled first."""
        timer = Timer(self.now_ns + delay_ns, callback)
        self.post(delay_ns, _fire, timer)
        return timer

    def next_at_ns(self) -> int | None:
        """The instant of the earliest callback that will run, or None when nothing is left."""
        instants = self._instants
        while instants:
            at_ns = instants[0]
            queue = self._queues[at_ns]
            while queue:
                callback, argument = queue[0]
                if callback is not _fire or argument.callback is not None:
                    return at_ns
                queue.popleft()
            self._leave(at_ns, queue)
        return None

    def _leave(self, at_ns: int, queue: deque[tuple[Callable[[Any], None], Any]]) -> None:
        """The queue of the earliest instant is empty; a callback that has let time pass itself may have left it."""
        if self._queues.get(at_ns) is queue:
            heappop(self._instants)
            del self._queues[at_ns]

    def run_until(self, at_ns: int, stop: Callable[[], bool] | None = None) -> bool:
        """Run everything due up to and including `at_ns`, then stand at `at_ns`.

        `stop` is asked after every callback; when it says True the loop stays at that instant. Returns whether it did.
        """
        instants = self._instants
        while instants and instants[0] <= at_ns:
            self.now_ns = now_ns = instants[0]
            queue = self._queues[now_ns]
            # What is asked for at this very instant meanwhile joins the end of the queue.
            while queue:
                callback, argument = queue.popleft()
                self.steps += 1
                callback(argument)
                if stop is not None and stop():
                    return True
            self._leave(now_ns, queue)
        self.now_ns = max(self.now_ns, at_ns)
        return False

"""The work queue of a controller: each key at most once waiting and at most once in work.

Three sets do it: `queue` (waiting, in order), `dirty` (to be worked on) and `processing` (in work now). A key added
while it is in work becomes dirty and waits again once that work is done.
Upstream: client-go/util/workqueue/{queue,delaying_queue,rate_limiting_queue}.go @v1.36
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any, final

from kubesim.client.ratelimit import ItemBackoff, TokenBucket, controller_backoff
from kubesim.sim.loop import Loop

# Upstream's overall limit on retries of one queue: 10 a second, bursts of 100.
_RETRY_QPS = 10
_RETRY_BURST = 100


@final
class WorkQueue:
    """A deduplicating queue with delays and back-off on the loop's clock. `on_ready` is told when a key waits."""

    __slots__ = (
        "_backoff",
        "_delayed",
        "_dirty",
        "_given_up",
        "_loop",
        "_processing",
        "_queue",
        "_retries",
        "on_ready",
    )

    def __init__(self, loop: Loop, backoff: ItemBackoff | None = None) -> None:
        self._loop = loop
        self._backoff = backoff or controller_backoff()
        self._retries = TokenBucket(_RETRY_QPS, _RETRY_BURST)
        self._queue: deque[Any] = deque()
        self._dirty: dict[Any, None] = {}
        self._processing: dict[Any, None] = {}
        self._delayed: dict[Any, int] = {}
        # What has used up its retries, and has not succeeded since.
        self._given_up: dict[Any, None] = {}
        self.on_ready: Callable[[], None] | None = None

    def __len__(self) -> int:
        return len(self._queue)

    @property
    def idle(self) -> bool:
        """Nothing waits, nothing is in work and nothing is delayed."""
        return not (self._queue or self._processing or self._delayed)

    def add(self, key: Any) -> None:
        """Have the key worked on; a key that already waits is not added again."""
        if key in self._dirty:
            return
        self._dirty[key] = None
        if key in self._processing:
            return
        self._queue.append(key)
        if self.on_ready is not None:
            self.on_ready()

    def add_after(self, key: Any, delay_ns: int) -> None:
        """Add the key after a delay; of several pending delays for one key the earliest counts."""
        if delay_ns <= 0:
            self.add(key)
            return
        at_ns = self._loop.now_ns + delay_ns
        pending = self._delayed.get(key)
        if pending is not None and pending <= at_ns:
            return
        self._delayed[key] = at_ns
        self._loop.post(delay_ns, self._add_delayed, (key, at_ns))

    def _add_delayed(self, delayed: tuple[Any, int]) -> None:
        key, at_ns = delayed
        if self._delayed.get(key) == at_ns:
            del self._delayed[key]
            self.add(key)

    def add_rate_limited(self, key: Any) -> None:
        """Add the key after its back-off."""
        self.add_after(key, max(self._backoff.next_ns(key), self._retries.reserve(self._loop.now_ns)))

    def forget(self, key: Any) -> None:
        """The key succeeded: its next failure starts the back-off anew."""
        self._backoff.forget(key)
        self._given_up.pop(key, None)

    def give_up(self, key: Any) -> None:
        """The key has failed too often: it is worked on again when somebody adds it, with a back-off from its start."""
        self._backoff.forget(key)
        self._given_up[key] = None

    def has_given_up(self, key: Any) -> bool:
        """Whether nobody will come back to the key by himself, although it has not succeeded."""
        return key in self._given_up and not (key in self._dirty or key in self._delayed or key in self._processing)

    def failures(self, key: Any) -> int:
        """How often in a row the key has been added rate-limited."""
        return self._backoff.failures(key)

    def take(self) -> Any:
        """The next key, now in work. Call `done` with it afterwards."""
        key = self._queue.popleft()
        self._processing[key] = None
        del self._dirty[key]
        return key

    def done(self, key: Any) -> None:
        """The key is no longer in work; if it was added meanwhile it waits again."""
        del self._processing[key]
        if key in self._dirty:
            self._queue.append(key)
            if self.on_ready is not None:
                self.on_ready()

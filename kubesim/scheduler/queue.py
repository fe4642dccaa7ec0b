"""Pods that wait for a cycle, in the order in which they get one.

Three places: active (next), back-off (failed, worth another try soon), and the pool of unschedulable Pods, which an
event of interest or five minutes bring back. While nothing is active a Pod in back-off is taken before its time is up.
Upstream: pkg/scheduler/backend/queue/{scheduling_queue,backoff_queue,active_queue}.go @v1.36
"""

from __future__ import annotations

from enum import StrEnum
from heapq import heappop, heappush
from typing import Any, Final, final

from kubesim.api.objects import Object
from kubesim.scheduler.hints import INTERESTED, SCHEDULING_GATES, Event, Happening, is_worth_retrying
from kubesim.scheduler.profile import PodProfile
from kubesim.sim.loop import MINUTE, SECOND

INITIAL_BACKOFF_NS: Final = SECOND
MAX_BACKOFF_NS: Final = 10 * SECOND
# Back-off ends at whole seconds, so that Pods that failed together come back in order of priority.
ORDERING_WINDOW_NS: Final = SECOND
MAX_IN_POOL_NS: Final = 5 * MINUTE
FLUSH_POOL_EVERY_NS: Final = 30 * SECOND


class Place(StrEnum):
    """Where a Pod is."""

    OUT = "out"
    ACTIVE = "active"
    BACKOFF = "backoff"
    ERROR_BACKOFF = "error-backoff"
    POOL = "pool"


@final
class QueuedPod:
    """A Pod and what the queue remembers of it from attempt to attempt."""

    __slots__ = (
        "backoff_until_ns",
        "error_count",
        "place",
        "plugins",
        "pod",
        "profile",
        "since_ns",
        "ticket",
        "uid",
        "unschedulable_count",
    )

    def __init__(self, pod: Object, profile: PodProfile, now_ns: int) -> None:
        self.uid: str = pod["metadata"]["uid"]
        self.pod = pod
        self.profile = profile
        self.since_ns = now_ns
        self.unschedulable_count = 0
        self.error_count = 0
        self.backoff_until_ns = -1
        self.plugins: frozenset[str] = frozenset()
        self.place = Place.OUT
        # Tells the one valid entry in the heaps from those that the Pod has left behind.
        self.ticket = 0

    @property
    def is_gated(self) -> bool:
        """Whether scheduling gates keep the Pod from being considered at all."""
        return bool(self.pod["spec"].get("schedulingGates"))

    def backoff_end_ns(self) -> int:
        """The start of the second in which back-off ends; 0 where nothing has failed yet."""
        count = self.error_count or self.unschedulable_count
        if not count:
            return 0
        if self.backoff_until_ns < 0:
            wait_ns = min(INITIAL_BACKOFF_NS << min(count - 1, 10), MAX_BACKOFF_NS)
            self.backoff_until_ns = _aligned(self.since_ns + wait_ns)
        return self.backoff_until_ns

    def is_backing_off(self, now_ns: int) -> bool:
        """Whether the Pod has to wait before its next attempt."""
        return (self.unschedulable_count or self.error_count) > 0 and self.backoff_end_ns() >= _aligned(now_ns)


def _aligned(at_ns: int) -> int:
    return at_ns - at_ns % ORDERING_WINDOW_NS


_Heap = list[tuple[Any, ...]]


@final
class SchedulingQueue:
    """All Pods that have no node yet, but for the one that is being decided on."""

    def __init__(self) -> None:
        self._pods: dict[str, QueuedPod] = {}
        self._heaps: dict[Place, _Heap] = {Place.ACTIVE: [], Place.BACKOFF: [], Place.ERROR_BACKOFF: []}
        self._sizes: dict[Place, int] = dict.fromkeys(Place, 0)
        # In the order in which they came: the first has waited longest.
        self._pool: dict[str, QueuedPod] = {}
        # How many Pods of the pool each plugin has refused.
        self._refused_by: dict[str, int] = {}
        self._ticket = 0

    def add(self, pod: Object, profile: PodProfile, now_ns: int) -> None:
        """A Pod without a node has appeared."""
        queued = self._pods[pod["metadata"]["uid"]] = QueuedPod(pod, profile, now_ns)
        if queued.is_gated:
            queued.plugins = frozenset({SCHEDULING_GATES})
            self._put(queued, Place.POOL)
        else:
            self._put(queued, Place.ACTIVE)

    def update(self, pod: Object, profile: PodProfile, now_ns: int) -> None:
        """A waiting Pod has changed. In the pool, a change of what plugins read may bring it back."""
        queued = self._pods.get(pod["metadata"]["uid"])
        if queued is None:
            self.add(pod, profile, now_ns)
            return
        was_gated, before = queued.is_gated, queued.profile
        queued.pod, queued.profile = pod, profile
        if queued.place is not Place.POOL or queued.is_gated:
            return
        if was_gated or (profile is not before and self._is_worth(queued, Happening(Event.OWN_UPDATE))):
            self._requeue(queued, now_ns)

    def remove(self, uid: str) -> None:
        """The Pod is gone or has a node."""
        queued = self._pods.pop(uid, None)
        if queued is not None:
            self._put(queued, Place.OUT)

    def get(self, uid: str) -> QueuedPod | None:
        return self._pods.get(uid)

    @property
    def has_next(self) -> bool:
        """Whether `pop` would return a Pod."""
        return self._sizes[Place.ACTIVE] > 0 or self._sizes[Place.BACKOFF] > 0

    @property
    def has_pool(self) -> bool:
        """Whether there is a Pod that an event could bring back."""
        return bool(self._pool)

    @property
    def waits_for_time(self) -> bool:
        """Whether `flush` will ever have something to do."""
        heaps = self._heaps
        return bool(self._pool or heaps[Place.BACKOFF] or heaps[Place.ERROR_BACKOFF])

    def pop(self) -> QueuedPod | None:
        """The next Pod: highest priority, then longest waiting; from back-off only where nothing is active."""
        for place in (Place.ACTIVE, Place.BACKOFF):
            heap = self._heaps[place]
            while heap:
                queued: QueuedPod = heap[0][-1]
                if queued.place is place and queued.ticket == heap[0][-2]:
                    heappop(heap)
                    self._sizes[place] -= 1
                    queued.place = Place.OUT
                    return queued
                heappop(heap)
        return None

    def put_back(self, queued: QueuedPod, plugins: frozenset[str], now_ns: int) -> None:
        """The attempt failed: by refusal of `plugins`, or by an error where there are none."""
        queued.plugins = plugins
        if plugins:
            queued.unschedulable_count += 1
            queued.error_count = 0
        else:
            queued.error_count += 1
        queued.since_ns = now_ns
        queued.backoff_until_ns = -1
        self._pods[queued.uid] = queued
        if plugins:
            self._put(queued, Place.POOL)
        else:
            self._requeue(queued, now_ns)

    def move(self, happening: Happening, now_ns: int) -> None:
        """Something has happened: Pods of the pool for which it may matter come back."""
        refused_by = self._refused_by
        for plugin in INTERESTED[happening.event]:
            if plugin in refused_by:
                break
        else:
            return
        for queued in list(self._pool.values()):
            if not queued.is_gated and self._is_worth(queued, happening):
                self._requeue(queued, now_ns)

    def activate(self, uid: str) -> None:
        """Bring the Pod back at once, whatever it waits for."""
        queued = self._pods.get(uid)
        if queued is not None and queued.place is Place.POOL and not queued.is_gated:
            self._put(queued, Place.ACTIVE)

    def flush(self, now_ns: int) -> None:
        """Move on what time alone moves: Pods whose back-off after an error is over, and those long in the pool."""
        for place in (Place.BACKOFF, Place.ERROR_BACKOFF):
            heap = self._heaps[place]
            while heap and heap[0][0] < _aligned(now_ns):
                entry = heappop(heap)
                queued: QueuedPod = entry[-1]
                if queued.place is place and queued.ticket == entry[-2]:
                    self._put(queued, Place.ACTIVE)
        for queued in list(self._pool.values()):
            if now_ns - queued.since_ns <= MAX_IN_POOL_NS:
                break
            if not queued.is_gated:
                self._requeue(queued, now_ns)

    def next_flush_ns(self, now_ns: int) -> int | None:
        """The instant at which `flush` will have something to do, or None while it won't."""
        times = [heap[0][0] + ORDERING_WINDOW_NS for heap in map(self._heaps.get, _TIMED) if heap]
        oldest = next((queued for queued in self._pool.values() if not queued.is_gated), None)
        if oldest is not None:
            over_ns = oldest.since_ns + MAX_IN_POOL_NS
            times.append(over_ns - over_ns % FLUSH_POOL_EVERY_NS + FLUSH_POOL_EVERY_NS)
        return max(min(times), now_ns) if times else None

    def _is_worth(self, queued: QueuedPod, happening: Happening) -> bool:
        return not queued.plugins or is_worth_retrying(queued.profile, queued.plugins, happening)

    def _requeue(self, queued: QueuedPod, now_ns: int) -> None:
        if not queued.is_backing_off(now_ns):
            self._put(queued, Place.ACTIVE)
        else:
            self._put(queued, Place.BACKOFF if queued.plugins else Place.ERROR_BACKOFF)

    def _put(self, queued: QueuedPod, place: Place) -> None:
        before = queued.place
        if before is Place.POOL:
            del self._pool[queued.uid]
            self._count_refusals(queued, -1)
        if before is not Place.OUT:
            self._sizes[before] -= 1
        queued.place = place
        self._ticket = queued.ticket = ticket = self._ticket + 1
        if place is Place.OUT:
            return
        self._sizes[place] += 1
        if place is Place.POOL:
            self._pool[queued.uid] = queued
            self._count_refusals(queued, 1)
            return
        rank: tuple[int, ...] = (-queued.profile.priority, queued.since_ns)
        if place is Place.BACKOFF:
            rank = (queued.backoff_end_ns(), *rank)
        elif place is Place.ERROR_BACKOFF:
            rank = (queued.backoff_end_ns(),)
        heappush(self._heaps[place], (*rank, ticket, queued))

    def _count_refusals(self, queued: QueuedPod, delta: int) -> None:
        refused_by = self._refused_by
        for plugin in sorted(queued.plugins):
            left = refused_by.get(plugin, 0) + delta
            if left:
                refused_by[plugin] = left
            else:
                del refused_by[plugin]


_TIMED: Final = (Place.BACKOFF, Place.ERROR_BACKOFF)

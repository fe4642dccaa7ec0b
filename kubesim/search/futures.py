"""Many futures of one running cluster: what becomes of it if a fault strikes at this very instant, and how likely.

A story is played on a settled cluster. It is stopped at each write that leads to another state, and from there copies
of the process go on, one per fault: in each the fault strikes now, lasts to the end, and it is counted whether users
were left unserved or a promise was broken. The story itself goes on as if nothing had been tried.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, NamedTuple, TypeVar

import msgspec

from kubesim.apiserver.server import Write
from kubesim.checks.invariant import subject_of
from kubesim.cluster.recording import actor_of, verb_of
from kubesim.faults import Disturbance, Schedule, arm
from kubesim.faults.arguments import Duration
from kubesim.search.chains import try_future
from kubesim.search.forking import can_fork, in_fork, still_memory
from kubesim.search.running import Setting, Stage
from kubesim.sim.loop import MINUTE

T = TypeVar("T")
_SILENT: Final = ("Lease", "Event")


class Odds(NamedTuple):
    """How futures fared that began at one event of a story: `at_ns` after its begin, with `what` was written by whom.

    Of `tries` futures `unserved` left some request of users unserved, and `broken` broke a promise.
    """

    at_ns: int
    what: str
    tries: int
    unserved: int
    broken: int

    @property
    def failing(self) -> float:
        """The share of futures in which users noticed or a promise was broken."""
        return max(self.unserved, self.broken) / self.tries if self.tries else 0.0


def try_futures(futures: Sequence[Callable[[], T]]) -> list[T]:
    """What each of the functions returns, every one called in a copy of this process as it is now.

    A function that lets a cluster's time pass therefore tries a future: the cluster here stays at its instant.
    """
    with still_memory():
        return [in_fork(future) for future in futures]


def find_odds(
    setting: Setting, story: Schedule, faults: Sequence[Disturbance], within_ns: int = 2 * MINUTE
) -> tuple[Odds, ...]:
    """Try each of the faults at each event of a story, and look at every future for `within_ns`.

    Raises:
        UserError: the manifests have mistakes.
    """
    if not can_fork():
        return _odds_of(Stage(setting), story, faults, within_ns)
    found: tuple[Odds, ...] = try_future(setting, lambda stage: _odds_of(stage, story, faults, within_ns))
    return found


def _odds_of(stage: Stage, story: Schedule, faults: Sequence[Disturbance], within_ns: int) -> tuple[Odds, ...]:
    cluster, loop = stage.cluster, stage.cluster.loop
    start_ns = loop.now_ns
    events = _Events(stage)
    cluster.listen(events.look)
    armed = arm(cluster, story)
    found = []
    while loop.run_until(start_ns + stage.setting.disturbed_ns, events.is_there):
        what = events.take()
        fates = try_futures([lambda fault=fault: _fate(stage, fault, within_ns) for fault in faults])  # type: ignore[misc]
        unserved, broken = sum(fate[0] for fate in fates), sum(fate[1] for fate in fates)
        found.append(Odds(loop.now_ns - start_ns, what, len(fates), unserved, broken))
    armed.heal_all()
    return tuple(found)


def _fate(stage: Stage, fault: Disturbance, within_ns: int) -> tuple[bool, bool]:
    """In a copy: whether users were left unserved, and whether a promise was broken."""
    loop, load = stage.cluster.loop, stage.load
    start_ns = loop.now_ns
    arm(stage.cluster, (msgspec.structs.replace(fault, at=Duration(0), after_write=None),))
    if load is not None:
        load.start()
    loop.run_until(start_ns + within_ns)
    counts = load.report.count(start_ns, loop.now_ns) if load is not None else None
    return counts is not None and counts.served < counts.total, stage.checks.is_broken


class _Events:
    """Stops a loop after each write that leads to another state."""

    def __init__(self, stage: Stage) -> None:
        self._states = stage.states
        self._last = stage.states.present
        self._what = ""

    def look(self, write: Write) -> None:
        """A write has happened."""
        if write.kind.kind not in _SILENT and self._states.present != self._last:
            self._last = self._states.present
            self._what = f"{actor_of(write.identity.user)} {verb_of(write)} {subject_of(write.obj)}"

    def is_there(self) -> bool:
        """Whether there is an event that has not been taken."""
        return bool(self._what)

    def take(self) -> str:
        """The event, in words."""
        what, self._what = self._what, ""
        return what

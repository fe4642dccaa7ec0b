"""Small scopes, wholly: every fault, and after each write that changes something every fault again, up to a number.

A settled cluster looks the same at every instant, so the first fault strikes at once. Each further one strikes right
after a write that led to a state which no such fault has met yet: what looks the same is tried once. States are those
of `kubesim.search.states`, so two that differ only in names and instants count as one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor
from typing import Final, NamedTuple

from kubesim.apiserver.server import Write
from kubesim.checks import Violation
from kubesim.cluster.recording import actor_of, verb_of
from kubesim.faults import Disturbance, Schedule, WriteEvent
from kubesim.search.campaign import Failure
from kubesim.search.chains import try_future
from kubesim.search.running import Setting, Stage

_SILENT: Final = ("Lease", "Event")
# How many schedules a worker gets at a time.
_BATCH: Final = 8


class Point(NamedTuple):
    """A write after which a fault may strike, and the state to which it led."""

    event: WriteEvent
    state: int


class Visit(NamedTuple):
    """What came of one schedule, and the points behind its last fault."""

    schedule: Schedule
    violation: Violation | None
    points: tuple[Point, ...]


class Progress(NamedTuple):
    """How many schedules were played, of how many faults the present ones are, how many met a state that was known,
    and the failure that ended it."""

    played: int
    faults: int
    pruned: int
    failure: Failure | None


def exhaust(
    setting: Setting,
    faults: Sequence[Disturbance],
    most: int,
    executor: Executor | None,
    is_over: Callable[[], bool],
) -> Iterator[Progress]:
    """Play all schedules of one fault, then of two, up to `most`; ends with the first failure."""
    level: list[Schedule] = [(fault,) for fault in faults]
    met: dict[tuple[int, int], None] = {}
    played = pruned = 0
    for count in range(1, most + 1):
        following: list[Schedule] = []
        for visit in _visit_all(setting, level, executor):
            played += 1
            if visit.violation is not None:
                yield Progress(played, count, pruned, Failure(-1, setting, (visit.schedule,), visit.violation))
                return
            for point in visit.points if count < most else ():
                for number, fault in enumerate(faults):
                    if (point.state, number) in met:
                        pruned += 1
                        continue
                    met[point.state, number] = None
                    following.append((*visit.schedule, _after(fault, point.event)))
            yield Progress(played, count, pruned, None)
            if is_over():
                return
        level = following


def _after(fault: Disturbance, event: WriteEvent) -> Disturbance:
    from msgspec.structs import replace

    return replace(fault, at=None, after_write=event)


def _visit_all(setting: Setting, level: Sequence[Schedule], executor: Executor | None) -> Iterator[Visit]:
    batches = [(setting, level[start : start + _BATCH]) for start in range(0, len(level), _BATCH)]
    found = map(visit_batch, batches) if executor is None else executor.map(visit_batch, batches)
    for visits in found:
        yield from visits


def visit_batch(batch: tuple[Setting, Sequence[Schedule]]) -> list[Visit]:
    """For a worker: play each schedule on a copy of its own."""
    setting, schedules = batch
    return [_visit(setting, schedule) for schedule in schedules]


def _visit(setting: Setting, schedule: Schedule) -> Visit:
    visit: Visit = try_future(setting, lambda stage: _play(stage, schedule))
    return visit


def _play(stage: Stage, schedule: Schedule) -> Visit:
    points: list[Point] = []
    counts: dict[tuple[str, str, str], int] = {}
    known: dict[int, None] = {}
    last = schedule[-1].after_write

    def look(write: Write) -> None:
        nonlocal last
        if write.kind.kind in _SILENT:
            return
        key = (actor_of(write.identity.user), verb_of(write), write.kind.singular)
        counts[key] = number = counts.get(key, 0) + 1
        event = WriteEvent(by=key[0], verb=key[1], of=key[2], number=number)
        if last is not None:
            last = None if event == last else last
        elif stage.states.present not in known:
            known[stage.states.present] = None
            points.append(Point(event, stage.states.present))

    stage.cluster.listen(look)
    violation = stage.play(schedule).violation
    return Visit(schedule, violation, tuple(points))

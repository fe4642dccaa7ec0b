"""From a schedule that breaks a promise to the smallest one that still does: fewer faults first, then plainer ones.

`fails` decides; it is asked about each schedule once. Taking away is Zeller's ddmin (Zeller and Hildebrandt,
Simplifying and Isolating Failure-Inducing Input, 2002); then every fault that is left is made plainer, one field at a
time, for as long as something gives: earlier and rounder, the first of several alike, a simpler fault in its place.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final, TypeVar, final

import msgspec

from kubesim.faults import FAULTS, Disturbance, Schedule
from kubesim.faults.arguments import Duration
from kubesim.sim.loop import MILLISECOND, SECOND

T = TypeVar("T")
Fails = Callable[[Schedule], bool]
# Instants and spans are cut to whole numbers of these, the coarsest first.
_GRIDS_NS: Final = (60 * SECOND, 10 * SECOND, SECOND, 100 * MILLISECOND)
_TRIES_MAX: Final = 600


@final
class Tries:
    """Asks about schedules, about none twice, and about no more than a number of them."""

    def __init__(self, fails: Fails, most: int = _TRIES_MAX) -> None:
        self._fails = fails
        self._known: dict[Schedule, bool] = {}
        self._most = most

    def __call__(self, schedule: Schedule) -> bool:
        known = self._known.get(schedule)
        if known is None:
            known = self._known[schedule] = len(self._known) < self._most and self._fails(schedule)
        return known


def shrink(schedule: Schedule, fails: Fails, most: int = _TRIES_MAX) -> Schedule:
    """The smallest schedule found for which `fails` is true, in at most `most` tries; `schedule` itself must fail."""
    tries = Tries(fails, most)
    schedule = fewer(schedule, lambda faults: tries(tuple(faults)))
    while True:
        plainer = _plainer(schedule, tries)
        if plainer == schedule:
            return schedule
        schedule = fewer(plainer, lambda faults: tries(tuple(faults)))


def fewer(items: Sequence[T], fails: Callable[[Sequence[T]], bool]) -> tuple[T, ...]:
    """The items without those that are not needed for `fails`: none of those that are left can be taken away alone."""
    left = list(items)
    if left and fails([]):
        return ()
    parts = 2
    while len(left) > 1:
        size = -(-len(left) // parts)
        chunks = [left[start : start + size] for start in range(0, len(left), size)]
        smaller = next((chunk for chunk in chunks if len(chunks) > 1 and fails(chunk)), None)
        if smaller is not None:
            left, parts = smaller, 2
            continue
        rests = ([item for other in chunks if other is not chunk for item in other] for chunk in chunks)
        rest = next((rest for rest in rests if len(chunks) > 2 and fails(rest)), None)
        if rest is not None:
            left, parts = rest, max(parts - 1, 2)
        elif size == 1:
            break
        else:
            parts = min(2 * parts, len(left))
    return tuple(left)


def _plainer(schedule: Schedule, fails: Fails) -> Schedule:
    """One pass over all faults."""
    for number in range(len(schedule)):
        is_done = False
        while not is_done:
            is_done = True
            for candidate in simpler(schedule[number]):
                changed = (*schedule[:number], candidate, *schedule[number + 1 :])
                if fails(changed):
                    schedule, is_done = changed, False
                    break
    return schedule


def simpler(disturbance: Disturbance) -> Iterator[Disturbance]:
    """Disturbances that are plainer than this one, the plainest first; repeated, it comes to an end."""
    replace = msgspec.structs.replace
    argument = disturbance.argument
    for name, kind in FAULTS.items():
        if name == disturbance.fault:
            break
        # A fault of the same argument and area that comes earlier in the table is taken to be the simpler one.
        known = FAULTS[disturbance.fault]
        if kind.argument is known.argument and kind.area == known.area and not kind.heals:
            lasts = disturbance.lasts if kind.healed_by else None
            yield replace(disturbance, fault=name, lasts=lasts)
    if disturbance.after_write is not None:
        yield replace(disturbance, at=Duration(0), after_write=None)
        if disturbance.after_write.number > 1:
            first = replace(disturbance.after_write, number=1)
            yield replace(disturbance, after_write=first)
    if disturbance.at is not None:
        for span in _rounder(disturbance.at):
            yield replace(disturbance, at=span)
    if disturbance.lasts is not None:
        yield replace(disturbance, lasts=None)
        for span in _rounder(disturbance.lasts):
            if span:
                yield replace(disturbance, lasts=span)
    for changed in _plainer_arguments(argument):
        yield replace(disturbance, argument=changed)


def _rounder(span: Duration) -> Iterator[Duration]:
    """Shorter spans: none, half, and cut to a whole number of ever finer units."""
    if not span:
        return
    yield Duration(0)
    half = span // 2 // SECOND * SECOND
    if half > 0:
        yield Duration(half)
    for grid_ns in _GRIDS_NS:
        cut = span // grid_ns * grid_ns
        if 0 < cut < span:
            yield Duration(cut)


def _plainer_arguments(argument: Any) -> Iterator[Any]:
    for field in msgspec.structs.fields(type(argument)):
        value = getattr(argument, field.name)
        if isinstance(value, bool) or field.required:
            continue
        if isinstance(value, int) and value and field.name == "index":
            yield msgspec.structs.replace(argument, index=0)
        elif field.default is not msgspec.NODEFAULT and value != field.default and field.name != "node":
            yield msgspec.structs.replace(argument, **{field.name: field.default})

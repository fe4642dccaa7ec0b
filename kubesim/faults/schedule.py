"""Schedules: disturbances by virtual instant or by write, armed on a cluster and carried out while its time passes.

A schedule is never invalid by luck: what cannot be done when its time comes is not done, and `Armed.fired` says why.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, NamedTuple, final

import msgspec

from kubesim.apiserver.server import Write
from kubesim.cluster import Cluster
from kubesim.cluster.recording import actor_of, verb_of
from kubesim.errors import ApiError, UserError
from kubesim.faults.arguments import Argument, Duration, Part
from kubesim.faults.catalogue import FAULTS
from kubesim.faults.injecting import Active, Injector
from kubesim.sim.loop import SECOND, Timer

_HEAL_AGAIN_NS: Final = SECOND


class WriteEvent(Part, frozen=True, kw_only=True):
    """The `number`-th write that fits: `by` an actor as the trace names it (deployment-controller, kubelet/node-1), of
    the `verb` created, updated, patched, deleted or marked, `of` a kind (pod) or an object (pod/postgres-0).

    What is left empty fits every write, but for Events and the renewal of Leases, which must be named to count.
    """

    by: str = ""
    verb: str = ""
    of: str = ""
    number: int = 1


class Disturbance(Part, frozen=True, kw_only=True):
    """One line of a schedule: a fault with its argument, when it strikes, and when it is healed.

    It strikes `at` an instant since the schedule was armed, or right after a write. It is healed after it `lasts`
    (`for` in files), or after a write since it struck; without either when all is healed. In a file the fault is the
    one key beside these: `losePower: {node: node-1}`.
    """

    fault: str = ""
    argument: Argument = Argument()
    at: Duration | None = None
    after_write: WriteEvent | None = None
    lasts: Duration | None = msgspec.field(default=None, name="for")
    healed_after_write: WriteEvent | None = None


# Writes that say nothing about the state that anybody wants.
_UNCOUNTED: Final = ("event", "lease")
Schedule = tuple[Disturbance, ...]


class Fired(NamedTuple):
    """What was done at an instant: a fault, or the end of one (`is_healing`), to a subject.

    `why_not` is empty, or says why nothing could be done.
    """

    at_ns: int
    number: int
    fault: str
    subject: str
    is_healing: bool = False
    why_not: str = ""


def describe(disturbance: Disturbance) -> dict[str, Any]:
    """The disturbance as it is written in a file, durations in words."""
    kind = FAULTS[disturbance.fault]
    document = _document(disturbance)
    argument = _document(disturbance.argument)
    del document["fault"], document["argument"]
    return {**document, kind.name: argument}


def _document(part: Part) -> dict[str, Any]:
    """A part's fields as a file has them, without those that are as they are by default."""
    document: dict[str, Any] = {}
    for field in msgspec.structs.fields(type(part)):
        value = getattr(part, field.name)
        if value == field.default and not field.required:
            continue
        if isinstance(value, Duration):
            document[field.encode_name] = spell_duration(value)
        elif isinstance(value, Part):
            document[field.encode_name] = _document(value)
        else:
            document[field.encode_name] = str(value) if isinstance(value, str) else value
    return document


def spell_duration(span_ns: int) -> str:
    """A span as files write it: `90s`, `1.5s`, `250ms`; exact."""
    milliseconds, rest_ns = divmod(span_ns, 1_000_000)
    if rest_ns:
        return f"{milliseconds}.{rest_ns:06d}".rstrip("0") + "ms"
    seconds, rest = divmod(milliseconds, 1000)
    return f"{seconds}s" if not rest else f"{milliseconds}ms"


@final
class _WriteWatch:
    """Waits for one write on behalf of a disturbance."""

    __slots__ = ("_action", "_left", "_wanted", "is_on")

    def __init__(self, wanted: WriteEvent, action: Callable[[], None]) -> None:
        self._wanted = wanted
        self._left = wanted.number
        self._action = action
        self.is_on = True

    def look(self, write: Write) -> None:
        """A write has happened."""
        if not self.is_on or not _fits(self._wanted, write):
            return
        self._left -= 1
        if self._left <= 0:
            self.is_on = False
            self._action()


def _fits(wanted: WriteEvent, write: Write) -> bool:
    kind = write.kind.singular
    if wanted.of:
        of, _, name = wanted.of.partition("/")
        if of != kind or (name and name != write.obj["metadata"]["name"]):
            return False
    elif kind in _UNCOUNTED:
        return False
    if wanted.verb and wanted.verb != verb_of(write):
        return False
    return not wanted.by or wanted.by == actor_of(write.identity.user)


@final
class Armed:
    """A schedule that waits for its instants and writes on one cluster."""

    def __init__(self, cluster: Cluster, schedule: Schedule, namespace: str = "") -> None:
        self.fired: list[Fired] = []
        self._cluster = cluster
        self._schedule = schedule
        self._start_ns = cluster.now_ns
        self._injector = Injector(cluster, namespace)
        self._timers: list[Timer] = []
        self._watches: list[_WriteWatch] = []
        self._numbers: dict[Active, int] = {}
        self._is_listening = False
        for number, disturbance in enumerate(schedule):
            self._await(number, disturbance)

    @property
    def active(self) -> list[Active]:
        """What is on at this moment, in the order in which it struck."""
        return self._injector.active

    @property
    def end_ns(self) -> int:
        """The instant at which the last that has an instant will have struck and been healed."""
        ends = [each.at + (each.lasts or 0) for each in self._schedule if each.at is not None]
        return self._start_ns + max(ends, default=0)

    def heal_all(self) -> None:
        """End everything that is on, and let nothing more of the schedule strike. What cannot be ended now, and why, is
        said in `fired`, and is tried again every second."""
        for timer in self._timers:
            timer.cancel()
        self._watches.clear()
        if self._is_listening:
            self._is_listening = False
            self._cluster.stop_listening(self._on_write)
        for active, why_not in self._injector.heal_all():
            number = self._numbers[active]
            self._note(number, active.fault, active.subject, is_healing=True, why_not=why_not)
            if why_not:
                self._heal_later(number, active)

    def _await(self, number: int, disturbance: Disturbance) -> None:
        def strike() -> None:
            self._strike(number, disturbance)

        if disturbance.after_write is not None:
            self._watch(disturbance.after_write, strike)
        else:
            self._timers.append(self._cluster.loop.timer(disturbance.at or 0, strike))

    def _watch(self, wanted: WriteEvent, action: Callable[[], None]) -> None:
        self._watches.append(_WriteWatch(wanted, action))
        if not self._is_listening:
            self._is_listening = True
            self._cluster.listen(self._on_write)

    def _on_write(self, write: Write) -> None:
        for watch in list(self._watches):
            watch.look(write)
            if not watch.is_on and watch in self._watches:
                self._watches.remove(watch)

    def _strike(self, number: int, disturbance: Disturbance) -> None:
        fault = disturbance.fault
        try:
            subject, active = self._injector.inject(fault, disturbance.argument)
        except (UserError, ApiError) as error:
            why_not = error.message if isinstance(error, ApiError) else str(error)
            self._note(number, fault, "", why_not=why_not)
            return
        self._note(number, fault, subject)
        if active is None:
            return
        self._numbers[active] = number

        def heal() -> None:
            self._heal(number, active)

        if disturbance.lasts is not None:
            self._timers.append(self._cluster.loop.timer(disturbance.lasts, heal))
        if disturbance.healed_after_write is not None:
            self._watch(disturbance.healed_after_write, heal)

    def _heal(self, number: int, active: Active) -> None:
        try:
            is_healed = self._injector.heal(active)
        except ApiError:
            self._heal_later(number, active)
            return
        if is_healed:
            self._note(number, active.fault, active.subject, is_healing=True)

    def _heal_later(self, number: int, active: Active) -> None:
        """Whoever mends it tries again until the API server takes it."""
        self._timers.append(self._cluster.loop.timer(_HEAL_AGAIN_NS, lambda: self._heal(number, active)))

    def _note(self, number: int, fault: str, subject: str, *, is_healing: bool = False, why_not: str = "") -> None:
        self.fired.append(Fired(self._cluster.now_ns, number, fault, subject, is_healing, why_not))


def arm(cluster: Cluster, schedule: Schedule, namespace: str = "") -> Armed:
    """Let a schedule strike from now on; what it comes to is in the result's `fired`."""
    return Armed(cluster, schedule, namespace)

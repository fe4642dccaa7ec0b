"""Faults of a served cluster: what there is, one that begins now, which are on, and their ends.

A wish is a line of a scenario's `faults` without an instant, such as {"losePower": {"node": "node-1"}, "for": "90s"}.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple, final

import msgspec

from kubesim.api.timestamps import to_micro_time
from kubesim.cluster import Cluster
from kubesim.errors import ApiError, UserError
from kubesim.faults import FAULTS, Disturbance, Injector
from kubesim.faults.arguments import Duration
from kubesim.faults.injecting import Active
from kubesim.faults.kinds import FaultKind
from kubesim.faults.schedule import spell_duration
from kubesim.manifests.document import Spot
from kubesim.scenario.fields import Reader
from kubesim.sim.loop import SECOND

_AGAIN_NS: Final = SECOND
_LATER: Final = ("at", "afterWrite", "healedAfterWrite")


class _On(NamedTuple):
    """A fault that was on when it was last looked at; `end_ns` is when it ends by itself."""

    active: Active
    began_ns: int
    end_ns: int | None


@final
class Faults:
    """Those of one cluster, each with a number of its own from 1."""

    def __init__(self, cluster: Cluster) -> None:
        self._loop = cluster.loop
        self._injector = Injector(cluster)
        self._on: dict[int, _On] = {}
        self._count = 0

    def inject(self, wish: Disturbance) -> dict[str, Any]:
        """Do it now; returns what it was done to and, where it lasts, its `id`.

        Raises:
            UserError: what it names is not there, or not in the state for it.
            ApiError: the API server refuses it.
        """
        now_ns = self._loop.now_ns
        subject, active = self._injector.inject(wish.fault, wish.argument)
        if active is None:
            return {"fault": wish.fault, "subject": subject, "since": to_micro_time(now_ns)}
        self._count += 1
        number = self._count
        end_ns = None if wish.lasts is None else now_ns + wish.lasts
        self._on[number] = _On(active, now_ns, end_ns)
        if wish.lasts is not None:
            self._loop.timer(wish.lasts, lambda: self._end(number))
        return _shown(number, self._on[number])

    def active(self) -> list[dict[str, Any]]:
        """What is on, in the order in which it began."""
        return [_shown(number, each) for number, each in self._still_on().items()]

    def heal(self, number: int) -> dict[str, Any] | None:
        """End one; returns what it was, None where none of that number is on.

        Raises:
            ApiError: it is ended by a request, which the API server refuses; the fault stays on.
        """
        found = self._still_on().get(number)
        if found is None:
            return None
        self._injector.heal(found.active)
        return _shown(number, found)

    def heal_all(self) -> list[dict[str, Any]]:
        """End all that is on; returns what has ended."""
        before = self._still_on()
        self._injector.heal_all()
        after = self._still_on()
        return [_shown(number, each) for number, each in before.items() if number not in after]

    def _still_on(self) -> dict[int, _On]:
        """A fault may have been ended by its twin."""
        self._on = {number: each for number, each in self._on.items() if each.active in self._injector.active}
        return self._on

    def _end(self, number: int) -> None:
        try:
            self.heal(number)
        except ApiError:
            self._loop.timer(_AGAIN_NS, lambda: self._end(number))


def read_wish(document: Mapping[str, Any]) -> Disturbance:
    """A fault with its argument, and for how long.

    Raises:
        UserError: something is wrong with it.
    """
    mistakes: list[str] = []
    for field in _LATER:
        if field in document:
            mistakes.append(f"{field}: a fault begins at once here; put it into a scenario file")
    reader = Reader(lambda _, what, remedy: mistakes.append(f"{what}; {remedy}"))
    value = {"at": "0s", **document}
    wish: Disturbance | None = None if mistakes else reader.read(Disturbance, value, _spot(value), "fault")
    if wish is None:
        raise UserError(mistakes[0])
    if wish.lasts is not None and not FAULTS[wish.fault].healed_by:
        raise UserError(f"{wish.fault} happens in an instant; leave out for")
    return wish


def catalogue() -> list[dict[str, Any]]:
    """Every fault: what happens, the argument's fields with their defaults (null where there is none), what ends it."""
    return [_described(kind) for kind in FAULTS.values()]


def _described(kind: FaultKind) -> dict[str, Any]:
    fields = msgspec.structs.fields(kind.argument)
    shown = {
        "name": kind.name,
        "area": kind.area,
        "summary": kind.summary,
        "argument": {field.encode_name: _default(field) for field in fields},
    }
    return {**shown, "endedBy": kind.healed_by} if kind.healed_by else shown


def _default(field: msgspec.structs.FieldInfo) -> Any:
    if field.required:
        return None
    value = field.default
    if isinstance(value, Duration):
        return spell_duration(value)
    return str(value) if isinstance(value, str) else value


def _shown(number: int, on: _On) -> dict[str, Any]:
    shown = {"id": number, "fault": on.active.fault, "subject": on.active.subject, "since": to_micro_time(on.began_ns)}
    return shown if on.end_ns is None else {**shown, "until": to_micro_time(on.end_ns)}


def _spot(value: Any) -> Spot:
    """A place for each part of a value that stands in no file."""
    if isinstance(value, Mapping):
        return Spot(0, 0, {name: _spot(item) for name, item in value.items()})
    return Spot(0, 0, [_spot(item) for item in value] if isinstance(value, list) else None)

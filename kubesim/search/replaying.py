"""Playing one schedule again, with a trace: what happened, the digest by which it is known, and where it parts from a
run without the faults.

A finding is kept as a scenario file, with the same words as any other: its manifests, its cluster, its faults, the
checks that watch, and the digest of the trace that must come of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest
from typing import NamedTuple

import msgspec

from kubesim.checks import Violation
from kubesim.cluster import Cluster
from kubesim.faults import Fired, Schedule
from kubesim.search.running import Played, Setting, Stage
from kubesim.sim.trace import Record

_FAULT = "fault"


class Replay(NamedTuple):
    """A run with its trace. `start` is how many records there were when the schedule began, at `start_ns`."""

    cluster: Cluster
    played: Played
    start: int
    digest: str

    @property
    def violation(self) -> Violation | None:
        """The promise that was broken."""
        return self.played.violation

    @property
    def fired(self) -> Sequence[Fired]:
        """What was done."""
        return self.played.fired

    @property
    def records(self) -> Sequence[Record]:
        """What happened since the schedule began."""
        return self.cluster.trace.records[self.start :]


class Parting(NamedTuple):
    """The first record in which two runs differ, beside the faults themselves; None where a run has ended."""

    with_faults: Record | None
    without: Record | None


def replay(setting: Setting, schedule: Schedule) -> Replay:
    """Play it from nothing, on a cluster of its own, and keep the trace."""
    recorded = msgspec.structs.replace(setting, options=setting.options.with_changes({"records": True}))
    stage = Stage(recorded)
    start = len(stage.cluster.trace.records)
    played = stage.play(schedule)
    return Replay(stage.cluster, played, start, stage.cluster.trace.digest())


def find_parting(setting: Setting, found: Replay) -> Parting | None:
    """Where the run parts from the same run without any fault; None where it never does."""
    calm = replay(setting, ())
    for mine, other in zip_longest(_beside_faults(found.records), _beside_faults(calm.records)):
        if mine is None or other is None or _essence(mine) != _essence(other):
            return Parting(mine, other)
    return None


def _beside_faults(records: Sequence[Record]) -> list[Record]:
    return [record for record in records if record.actor != _FAULT]


def _essence(record: Record) -> tuple[object, ...]:
    """What makes two records the same: a write's revision and object follow from all that was before it."""
    return record.at_ns, record.actor, record.verb, record.subject, record.detail

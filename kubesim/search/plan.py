"""Which schedules a campaign plays: drawn from its seed alone, or made from earlier ones that reached something new.

The schedule of a number follows from the seed and from the results of the generations but one before: not from how
many workers there are, nor from which of them was faster.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, NamedTuple, final

import msgspec

from kubesim.client.inprocess import Latency
from kubesim.cluster import ClusterOptions
from kubesim.faults import Disturbance, FaultKind, Schedule
from kubesim.faults.arguments import Duration
from kubesim.search.chains import Chain
from kubesim.search.running import Setting
from kubesim.sim.chooser import SeededStream, Stream
from kubesim.sim.loop import MILLISECOND
from kubesim.testing.schedules import Targets, draw_disturbance, draw_schedule

CHAIN: Final = 16
# Chains of one generation, and how many of them share a cluster's configuration.
GENERATION: Final = 16
_SAME_CLUSTER: Final = 8
_NODES: Final = (3, 3, 3, 2, 4, 1, 5)
_LATENCIES_MS: Final = ((1, 4, 1), (1, 4, 1), (1, 10, 5), (5, 20, 1), (1, 2, 50), (20, 50, 20))
_CORPUS_MAX: Final = 256
_MOST: Final = 8


class Range(NamedTuple):
    """What a campaign draws from. `varies_cluster` is off where the user has said what the cluster is."""

    setting: Setting
    targets: Targets
    kinds: tuple[FaultKind, ...]
    seed: int
    varies_cluster: bool = True


@final
class Corpus:
    """Schedules that reached a state which none before them had reached, and all states that were reached."""

    def __init__(self) -> None:
        self.schedules: list[Schedule] = []
        self.states: dict[int, None] = {}

    def note(self, schedule: Schedule, states: Sequence[int]) -> tuple[int, ...]:
        """Learn from one schedule; returns the states that are new. Schedules must come in their order."""
        fresh = tuple(state for state in states if state not in self.states)
        if fresh:
            self.states.update(dict.fromkeys(fresh))
            if schedule:
                self.schedules.append(schedule)
        return fresh

    def seeds(self) -> tuple[Schedule, ...]:
        """The schedules that are worth being changed: the latest ones, which reached what is rare."""
        return tuple(self.schedules[-_CORPUS_MAX:])


def draw_chain(plan: Range, number: int, seeds: Sequence[Schedule]) -> Chain:
    """The chain of this number, with as many schedules as each has."""
    first = number * CHAIN
    setting, kinds = plan.setting, plan.kinds
    stream: Stream = SeededStream(f"{plan.seed}/cluster/{number // _SAME_CLUSTER}")
    if plan.varies_cluster:
        setting = msgspec.structs.replace(setting, options=_draw_options(stream, setting.options))
    rounds = []
    for at in range(first, first + CHAIN):
        stream = SeededStream(f"{plan.seed}/schedule/{at}")
        some = _draw_kinds(stream, kinds)
        if seeds and stream.below(2):
            rounds.append(_changed(stream, plan, seeds))
        else:
            rounds.append(draw_schedule(stream, plan.targets, some, setting.disturbed_ns, _MOST))
    return Chain(number, setting, tuple(rounds))


def _draw_options(stream: Stream, options: ClusterOptions) -> ClusterOptions:
    read, write, watch = (ms * MILLISECOND for ms in _LATENCIES_MS[stream.below(len(_LATENCIES_MS))])
    changes: dict[str, Any] = {
        "nodes": _NODES[stream.below(len(_NODES))],
        "seed": stream.below(1 << 16),
        "latency": Latency(read, write, watch),
    }
    return options.with_changes(changes)


def _draw_kinds(stream: Stream, kinds: Sequence[FaultKind]) -> Sequence[FaultKind]:
    """Some areas of all: a run with few kinds of faults finds what a run with all of them drowns."""
    areas = list(dict.fromkeys(kind.area for kind in kinds))
    on = [area for area in areas if stream.below(2)]
    return [kind for kind in kinds if kind.area in on] if on else kinds


def _changed(stream: Stream, plan: Range, seeds: Sequence[Schedule]) -> Schedule:
    """An earlier schedule with one thing different."""
    schedule = list(stream.pick(seeds))
    span_ns = plan.setting.disturbed_ns
    how = stream.below(4)
    if how == 0 and len(schedule) > 1:
        del schedule[stream.below(len(schedule))]
    elif how == 1:
        other = stream.pick(seeds)
        schedule = [*schedule[: 1 + len(schedule) // 2], *other[len(other) // 2 :]][:_MOST]
    elif how == 2:
        number = stream.below(len(schedule))
        schedule[number] = _moved(stream, schedule[number], span_ns)
    else:
        drawn = draw_disturbance(stream, plan.targets, plan.kinds, span_ns, schedule[-1])
        if drawn is not None:
            schedule = [*schedule, drawn][-_MOST:]
    return tuple(schedule)


def _moved(stream: Stream, disturbance: Disturbance, span_ns: int) -> Disturbance:
    if disturbance.after_write is not None:
        event = msgspec.structs.replace(disturbance.after_write, number=1 + stream.below(8))
        return msgspec.structs.replace(disturbance, after_write=event)
    at_ns = stream.below(span_ns // MILLISECOND) * MILLISECOND
    return msgspec.structs.replace(disturbance, at=Duration(at_ns))

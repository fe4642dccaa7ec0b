"""What a worker does: it plays a few schedules one after the other on a copy of a settled cluster.

To bring a cluster up costs as much as to play some schedules on it, and to copy the process costs a part of that. So a
worker keeps one stage per setting, copies it for each chain, and plays the whole chain in the copy: a schedule that was
recovered from leaves a settled cluster, older by ten minutes. A broken promise ends its chain.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from kubesim.checks import Violation
from kubesim.cluster import Cluster
from kubesim.faults import Schedule
from kubesim.search.forking import can_fork, in_fork, still_memory
from kubesim.search.running import Played, Setting, Stage

# How many stages a worker keeps; each is some 10 MB.
_STAGES_MAX = 4
_stages: list[tuple[Setting, Stage]] = []


class Chain(NamedTuple):
    """Schedules to be played one after the other. `number` is the place in the campaign of the first."""

    number: int
    setting: Setting
    rounds: tuple[Schedule, ...]


class Tally(NamedTuple):
    """What is kept of one schedule: how many faults struck and how many found nothing to be done to, requests, the
    abstract states that it reached, and the broken promise."""

    faults: int
    no_ops: int
    served: int
    requests: int
    states: tuple[int, ...]
    violation: Violation | None


class ChainResult(NamedTuple):
    """What came of a chain: one entry a schedule, up to the first broken promise."""

    number: int
    tallies: tuple[Tally, ...]


def tally_of(played: Played) -> Tally:
    """What is kept of a schedule that was played."""
    strikes = [fired for fired in played.fired if not fired.is_healing]
    no_ops = sum(bool(fired.why_not) for fired in strikes)
    return Tally(len(strikes) - no_ops, no_ops, played.served, played.requests, played.states, played.violation)


def play_chain(chain: Chain) -> ChainResult:
    """For a worker: play it in a copy of this process, or where that cannot be copied on a cluster of its own."""
    if not can_fork():
        return ChainResult(chain.number, _tallies(Stage(chain.setting), chain.rounds))
    return ChainResult(chain.number, try_future(chain.setting, lambda stage: _tallies(stage, chain.rounds)))


def _tallies(stage: Stage, rounds: Sequence[Schedule]) -> tuple[Tally, ...]:
    return tuple(tally_of(played) for played in play_rounds(stage, rounds))


def play_rounds(stage: Stage, rounds: Sequence[Schedule]) -> tuple[Played, ...]:
    """Play on this stage, up to the first broken promise."""
    played: list[Played] = []
    for schedule in rounds:
        played.append(stage.play(schedule))
        if played[-1].violation is not None:
            break
    return tuple(played)


def try_future(setting: Setting, function: Callable[[Stage], Any]) -> Any:
    """What the function returns for a settled stage, in a copy; the stage itself stays as it is."""
    stage = settled_stage(setting)
    if not can_fork():
        return function(Stage(setting))
    with still_memory():
        return in_fork(lambda: function(stage))


def settled_stage(setting: Setting) -> Stage:
    """This process's stage for a setting, brought up on first use."""
    for known, stage in _stages:
        if known == setting:
            return stage
    stage = Stage(setting)
    _stages.insert(0, (setting, stage))
    del _stages[_STAGES_MAX:]
    return stage


def cluster_of(setting: Setting) -> Cluster:
    """The settled cluster itself, to be looked at."""
    return settled_stage(setting).cluster

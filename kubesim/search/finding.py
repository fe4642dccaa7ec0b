"""From a failure of a campaign to what a person can read: the smallest schedule, on the plainest cluster."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import msgspec

from kubesim.checks import Violation
from kubesim.client.inprocess import Latency
from kubesim.faults import Schedule
from kubesim.faults.arguments import Duration
from kubesim.search.campaign import Failure
from kubesim.search.chains import play_rounds, try_future
from kubesim.search.running import Played, Setting, with_options
from kubesim.search.shrinking import shrink

Tell = Callable[[str], None]


class Finding(NamedTuple):
    """A broken promise and the least that breaks it: `schedule` on a settled cluster of this `setting`.

    `faults_before` is how many faults the run had in which it was found. `is_alone` is False where nothing less than
    the whole chain of schedules before it breaks the promise; `schedule` is then the last of them.
    """

    setting: Setting
    schedule: Schedule
    violation: Violation
    number: int
    faults_before: int
    is_alone: bool = True


def reduce_failure(failure: Failure, tell: Tell = lambda _: None) -> Finding:
    """Shrink it. Each try is a run of its own on a copy of a settled cluster."""
    name = failure.violation.invariant
    setting, schedule = failure.setting, failure.rounds[-1]
    found = Finding(setting, schedule, failure.violation, failure.number, len(schedule))
    if not breaks(setting, schedule, name):
        setting, schedule = _flattened(failure)
        if not breaks(setting, schedule, name):
            return found._replace(is_alone=False)
    setting = _plainest(setting, schedule, name)
    tries = 0

    def fails(candidate: Schedule) -> bool:
        nonlocal tries
        tries += 1
        tell(f"shrinking: {len(candidate)} of {found.faults_before} faults, try {tries}")
        return breaks(setting, candidate, name)

    smallest = shrink(schedule, fails)
    setting = _plainest(setting, smallest, name)
    violation = play_once(setting, smallest).violation or failure.violation
    return Finding(setting, smallest, violation, failure.number, len(schedule))


def breaks(setting: Setting, schedule: Schedule, invariant: str) -> bool:
    """Whether this schedule breaks this promise on a settled cluster."""
    violation = play_once(setting, schedule).violation
    return violation is not None and violation.invariant == invariant


def play_once(setting: Setting, schedule: Schedule) -> Played:
    """What comes of one schedule on a copy of a settled cluster."""
    played: Played = try_future(setting, lambda stage: stage.play(schedule))
    return played


def _flattened(failure: Failure) -> tuple[Setting, Schedule]:
    """A chain as one schedule: every fault at the instant at which it struck, healed when it was."""
    setting, rounds = failure.setting, failure.rounds
    played: tuple[Played, ...] = try_future(setting, lambda stage: play_rounds(stage, rounds))
    start_ns = played[0].start_ns
    flat = []
    for schedule, each in zip(rounds, played, strict=False):
        struck = {fired.number: fired.at_ns for fired in each.fired if not fired.is_healing and not fired.why_not}
        healed = {fired.number: fired.at_ns for fired in each.fired if fired.is_healing}
        for number, at_ns in struck.items():
            lasts = Duration(healed[number] - at_ns) if number in healed else None
            at = Duration(at_ns - start_ns)
            changed = msgspec.structs.replace(
                schedule[number], at=at, after_write=None, lasts=lasts, healed_after_write=None
            )
            flat.append(changed)
    disturbed_ns = played[-1].start_ns - start_ns + setting.disturbed_ns
    return msgspec.structs.replace(setting, disturbed_ns=disturbed_ns), tuple(flat)


def _plainest(setting: Setting, schedule: Schedule, name: str) -> Setting:
    """The plainest setting found in which the schedule still breaks the promise."""
    options = setting.options
    changes: list[dict[str, Any]] = [{"latency": Latency()}] if options.latency != Latency() else []
    changes += [{"seed": 0}] if options.seed else []
    for change in changes:
        plainer = with_options(setting, **change)
        if breaks(plainer, schedule, name):
            setting = plainer
    for nodes in range(1, options.nodes):
        plainer = with_options(setting, nodes=nodes)
        if breaks(plainer, schedule, name):
            return plainer
    return setting

"""A replay file on a real cluster: what its checks ask for becomes a step and expectations, as far as it can be seen.

Invariants look at every write and process, which only a simulator shows; what users see and whether all is well again
can be asked anywhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from msgspec.structs import replace

from kubesim.api.objects import Object
from kubesim.faults import FAULTS
from kubesim.faults.arguments import Duration
from kubesim.scenario.model import Bound, Checks, Condition, Expectation, Scenario, Step, reference_to
from kubesim.scenario.runner import SELF_STARTING

_WRITES: Final = "writesKept"


def as_scenario(scenario: Scenario, applied: Sequence[Object]) -> tuple[Scenario, list[str]]:
    """The scenario with its checks as a step and expectations, and notes on what is not judged; unchanged without."""
    checks = scenario.checks
    if checks is None or scenario.steps:
        return scenario, []
    end_ns = _end_of(scenario, checks)
    faults = [
        each
        if each.lasts is not None or each.healed_after_write is not None
        else replace(each, lasts=Duration(end_ns - (each.at or 0)))
        for each in scenario.faults
    ]
    until = [
        Condition(object=reference_to(obj, applied), is_="ready") for obj in applied if obj["kind"] in SELF_STARTING
    ]
    step = Step(step="All is well again", after=Duration(end_ns), until=until, within=checks.within, stays=checks.stays)
    expect = [*scenario.expect]
    if scenario.load is not None and _WRITES in (checks.invariants or [_WRITES]):
        expect.append(Expectation(lost_writes=Bound(equals=0)))
    if scenario.load is not None and checks.availability:
        expect.append(Expectation(availability=checks.availability))
    if scenario.load is not None and checks.recovery:
        expect.append(Expectation(outage=checks.recovery))
    unseen = ", ".join(name for name in checks.invariants if name != _WRITES) or "all but that no write is lost"
    notes = [f"invariants are watched in the simulator only, here not: {unseen}"]
    notes += [f"in the simulator this breaks {checks.breaks}"] if checks.breaks else []
    return replace(scenario, faults=faults, steps=[step], expect=expect), notes


def _end_of(scenario: Scenario, checks: Checks) -> int:
    """How long after the first fault all of them are over: as soon as that is certain, else when the file says."""
    if any(each.at is None or (each.lasts is None and _lasts(each.fault)) for each in scenario.faults):
        return checks.disturbed
    return max(((each.at or 0) + (each.lasts or 0) for each in scenario.faults), default=0)


def _lasts(fault: str) -> bool:
    return bool(FAULTS[fault].healed_by)

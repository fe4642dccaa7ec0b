"""Service levels as promises: the least share of requests served, and the longest time for which users may do without.

They stand in scenario files as `expect` of availability, recovery and outage, of the whole and of its steps. A search
that is given such a file holds every schedule against the least that the file allows anywhere.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from kubesim.checks import Violation
from kubesim.scenario.judge import seconds
from kubesim.scenario.model import Scenario
from kubesim.users.load import Load

AVAILABILITY: Final = "availability"
RECOVERY: Final = "recovery"
PROMISES: Final = {
    AVAILABILITY: "Users are served.",
    RECOVERY: "Users who are not served are served again in time.",
}


class Budget(NamedTuple):
    """`availability` is the least share of requests that must be served, `recovery_ns` the longest outage allowed; 0 of
    either asks for nothing."""

    availability: float = 0.0
    recovery_ns: int = 0


def budget_of(scenario: Scenario) -> Budget:
    """The least that a scenario allows, in its checks, in what it expects of the whole and of its steps."""
    expected = [*scenario.expect, *(each for step in scenario.steps for each in step.expect)]
    shares = [each.availability for each in expected if each.availability is not None]
    times_ns = [int(time) for each in expected for time in (each.recovery, each.outage) if time is not None]
    if scenario.checks is not None:
        shares += [scenario.checks.availability] if scenario.checks.availability else []
        times_ns += [int(scenario.checks.recovery)] if scenario.checks.recovery else []
    return Budget(min(shares, default=0.0), max(times_ns, default=0))


def find_overrun(budget: Budget, load: Load, service: str, start_ns: int, end_ns: int) -> Violation | None:
    """The budget that was not kept from one instant to another, if one was not."""
    subject = f"service/{service}"
    if budget.recovery_ns:
        began_ns, lasted_ns = load.report.longest_outage(start_ns, end_ns)
        if lasted_ns > budget.recovery_ns:
            text = f"its users are not served for {seconds(lasted_ns)}, longer than {seconds(budget.recovery_ns)}"
            return Violation(RECOVERY, began_ns + budget.recovery_ns, subject, text)
    counts = load.report.count(start_ns, end_ns)
    if counts.total and counts.served < budget.availability * counts.total:
        text = f"{counts.served} of {counts.total} requests were served, less than {budget.availability:.4g} of them"
        return Violation(AVAILABILITY, end_ns, subject, text)
    return None

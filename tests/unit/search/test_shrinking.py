"""Shrinking: what is not needed goes, and what is left becomes plain."""

from __future__ import annotations

import pytest

from kubesim.faults import FAULTS, Disturbance, WriteEvent
from kubesim.faults.arguments import Crash, Duration, NodeName, NodeTarget, PodTarget, Reference
from kubesim.search.shrinking import fewer, shrink, simpler

SECOND = 1_000_000_000
WEB = Reference("deployment/web")


def crash(at_s: float, **fields) -> Disturbance:
    """A crash of a web Pod."""
    return Disturbance(fault="crash", argument=Crash(of=WEB, **fields), at=Duration(round(at_s * SECOND)))


def isolate(at_s: float, lasts_s: float) -> Disturbance:
    """A node that is cut off for a while."""
    argument = NodeTarget(node=NodeName("node-1"))
    at, lasts = Duration(round(at_s * SECOND)), Duration(round(lasts_s * SECOND))
    return Disturbance(fault="isolate", argument=argument, at=at, lasts=lasts)


@pytest.mark.parametrize("needed", [(), (7,), (0, 19), (3, 9, 17)])
def test_only_what_is_needed_is_left(needed):
    """Of twenty items those stay without any of which it would not fail."""
    assert fewer(range(20), lambda items: set(needed) <= set(items)) == needed


def test_a_schedule_of_twenty_faults_shrinks_to_the_two_that_matter():
    """Fewer faults, at plain instants with plain arguments, in few tries."""
    schedule = tuple(crash(17.3 * number, index=number % 3, exit_code=137) for number in range(18))
    schedule = (*schedule[:9], isolate(123.456, 77), *schedule[9:], crash(250.25, index=2, exit_code=143))
    tries = 0

    def fails(candidate) -> bool:
        nonlocal tries
        tries += 1
        cut = [each for each in candidate if each.fault == "isolate" and (each.lasts or 301 * SECOND) >= 40 * SECOND]
        late = [each for each in candidate if each.fault == "crash" and each.argument.exit_code == 143]
        return bool(cut and late and late[0].at > cut[0].at + 2 * SECOND)

    smallest = shrink(schedule, fails)

    assert [each.fault for each in smallest] == ["isolate", "crash"]
    assert smallest[0].at == 0
    assert smallest[1].at % SECOND == 0
    assert smallest[1].argument == Crash(of=WEB, exit_code=143)
    assert tries < 150


def test_a_simpler_fault_takes_the_place_of_one_that_is_like_it():
    """What hangs for no reason of its own becomes what is simpler to think of."""
    hang = Disturbance(fault="hang", argument=PodTarget(of=WEB), at=Duration(0))

    smallest = shrink((hang,), lambda candidate: len(candidate) == 1)

    assert smallest[0].fault == next(name for name, kind in FAULTS.items() if kind.argument is PodTarget)


def test_a_write_that_does_not_matter_becomes_the_first_instant():
    """A trigger that is no part of the failure goes."""
    event = WriteEvent(by="kube-scheduler", of="pod", number=3)
    late = Disturbance(fault="crash", argument=Crash(of=WEB), after_write=event)

    assert shrink((late,), bool) == (crash(0),)


def test_making_plainer_comes_to_an_end():
    """Taking the last of the simpler disturbances again and again ends at one that has none."""
    one = isolate(123.456, 77.7)
    for _ in range(1000):
        following = list(simpler(one))
        if not following:
            break
        one = following[-1]

    assert list(simpler(one)) == []

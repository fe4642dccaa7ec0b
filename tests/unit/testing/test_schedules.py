"""Drawn schedules: of what there is, from a seed or by Hypothesis, and shrinking to what is calm."""

from __future__ import annotations

import pytest
from hypothesis import find, settings

from kubesim.errors import UserError
from kubesim.faults import FAULTS
from kubesim.faults.arguments import Reference, ServiceReference
from kubesim.sim.chooser import SeededStream
from kubesim.testing.schedules import (
    MOST,
    SPAN_NS,
    Targets,
    WorkloadTarget,
    draw_schedule,
    every_disturbance,
    find_faults,
    is_drawable,
)
from kubesim.testing.strategies import clusters, schedules

WEB = WorkloadTarget(Reference("deployment/web"), "Deployment", 3, ("main", "helper"))
DB = WorkloadTarget(Reference("statefulset/db"), "StatefulSet", 1, ("main",))
WEB_SERVICE = ServiceReference("service/web")
TARGETS = Targets(("node-1", "node-2"), (WEB, DB), (WEB_SERVICE,))
# What is never drawn: ends of faults, and changes of what a user wants.
NEVER_DRAWN = {"setImage", "undoRollout", *(kind.name for kind in FAULTS.values() if kind.heals)}


def test_every_other_fault_of_the_catalogue_can_be_drawn():
    """A fault that is new in the catalogue is drawn, or stands here with a reason."""
    assert {kind.name for kind in FAULTS.values() if not is_drawable(kind)} == NEVER_DRAWN


def test_a_seed_gives_the_same_schedules():
    """Two streams of one seed draw alike, two of different seeds differ."""
    drawn = [draw_schedule(SeededStream(seed), TARGETS, find_faults()) for seed in ("a", "a", "b")]

    assert drawn[0] == drawn[1]
    assert drawn[0] != drawn[2]


def test_what_is_drawn_is_there_and_in_time():
    """Targets, instants and numbers are within their limits, and every fault comes up."""
    seen = set()
    for seed in range(500):
        schedule = draw_schedule(SeededStream(f"{seed}"), TARGETS, find_faults())
        assert 1 <= len(schedule) <= MOST
        for each in schedule:
            seen.add(each.fault)
            assert (each.at is None) != (each.after_write is None)
            assert each.at is None or 0 <= each.at <= SPAN_NS
            of = getattr(each.argument, "of", WEB.reference)
            known = (WEB_SERVICE,) if isinstance(of, ServiceReference) else (WEB.reference, DB.reference)
            assert not isinstance(of, Reference) or of in known
            assert getattr(each.argument, "node", "node-1") in ("node-1", "node-2", "")
            assert each.lasts is None or FAULTS[each.fault].healed_by
    assert seen == {kind.name for kind in find_faults()}


def test_a_database_is_never_scaled():
    """A StatefulSet of one that becomes two is another system, not a disturbed one."""
    scaled = [
        each.argument.of
        for seed in range(200)
        for each in draw_schedule(SeededStream(f"{seed}"), TARGETS, find_faults(["scale"]))
    ]

    assert set(scaled) == {WEB.reference}


def test_areas_and_names_choose_faults():
    """An area means all of its faults."""
    chosen = {kind.name for kind in find_faults(["node", "crash"])}

    assert chosen == {kind.name for kind in find_faults() if kind.area == "node"} | {"crash"}


@pytest.mark.parametrize(
    "name, said",
    [
        ("losePowr", 'there is no fault "losePowr"; did you mean losePower?'),
        ("restorePower", "the fault restorePower cannot be drawn: it only ends losePower; name another"),
        ("setImage", "it changes what is wanted"),
    ],
)
def test_a_fault_that_cannot_be_drawn_is_refused(name, said):
    """With the nearest name, or with why not."""
    with pytest.raises(UserError) as caught:
        find_faults([name])

    assert said in str(caught.value)


def test_every_disturbance_is_there_once():
    """Each fault for each Pod or node, at once."""
    every = every_disturbance(TARGETS, find_faults(["crash", "losePower"]))

    assert [(each.fault, getattr(each.argument, "index", each.argument)) for each in every[:4]] == [
        ("crash", 0),
        ("crash", 1),
        ("crash", 2),
        ("crash", 0),
    ]
    assert [each.argument.node for each in every[4:]] == ["node-1", "node-2"]


def test_hypothesis_shrinks_to_one_plain_fault():
    """A failure that needs a lost node is shown by one lost node, at the first instant, for as long as it takes."""
    lost = find(
        schedules(TARGETS, ["crash", "delete", "isolate", "losePower"], most=2),
        lambda schedule: any(each.fault == "losePower" for each in schedule),
        settings=settings(database=None, derandomize=True, max_examples=2000),
    )

    assert len(lost) == 1
    assert (lost[0].at, lost[0].lasts, lost[0].argument.node) == (0, None, "node-1")


def test_hypothesis_shrinks_clusters_to_the_plain_one():
    """Three nodes, the first seed and the usual latencies."""
    plain = find(clusters(), lambda _: True, settings=settings(database=None, derandomize=True))

    assert (plain.nodes, plain.seed) == (3, 0)

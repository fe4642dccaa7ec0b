"""The arithmetic of rollouts, on the worked examples of upstream's own tests.

Upstream: pkg/controller/deployment/{sync_test,rolling_test}.go, pkg/controller/deployment/util/deployment_util_test.go @v1.36
"""

from __future__ import annotations

from typing import NamedTuple

import pytest

from kubesim.controllers.deployment_scale import (
    StaleCountError,
    is_saturated,
    max_surge,
    max_unavailable,
    new_replica_count,
    plan_cleanup,
    plan_proportions,
    plan_scale_down,
    scale_down_budget,
)

_PREFIX = "deployment.kubernetes.io/"


def deployment(size, surge=0, unavailable=0, strategy="RollingUpdate", **status):
    rolling = {"type": strategy}
    if strategy == "RollingUpdate":
        rolling["rollingUpdate"] = {"maxSurge": surge, "maxUnavailable": unavailable}
    return {"spec": {"replicas": size, "strategy": rolling}, "status": status}


def replica_set(name, replicas, hour=0, desired=None, surge=0, available=None):
    annotations = {}
    if desired is not None:
        annotations = {_PREFIX + "desired-replicas": str(desired), _PREFIX + "max-replicas": str(desired + surge)}
    metadata = {"name": name, "creationTimestamp": f"2016-05-20T{hour:02}:00:00Z", "annotations": annotations}
    return {
        "metadata": metadata,
        "spec": {"replicas": replicas},
        "status": {"replicas": replicas, "availableReplicas": replicas if available is None else available},
    }


class Scaled(NamedTuple):
    """`before` and `after` are the sizes of ReplicaSets, oldest first; `was` and `is_` those of the Deployment."""

    id: str
    was: int
    is_: int
    before: tuple[int, ...]
    after: tuple[int, ...]
    surge_was: int = 0
    surge: int = 0


PROPORTIONS = [
    Scaled("5 to 10 in parts of 3 and 2", 5, 10, (3, 2), (6, 4)),
    Scaled("5 to 3 in parts of 3 and 2", 5, 3, (3, 2), (2, 1)),
    Scaled("9 to 4 in parts of 1 and 8", 9, 4, (1, 8), (0, 4)),
    Scaled("7 to 10 in parts of 2, 3 and 2", 7, 10, (2, 3, 2), (3, 4, 3)),
    Scaled("13 to 8 in parts of 3, 8 and 2", 13, 8, (3, 8, 2), (2, 5, 1)),
    Scaled("one more of three equal parts goes to the newest", 3, 4, (1, 1, 1), (1, 1, 2)),
    Scaled("one less of three equal parts comes from the oldest", 3, 2, (1, 1, 1), (0, 1, 1)),
    Scaled("without a new one the newest old one grows", 4, 5, (2, 2), (2, 3)),
    Scaled("6 to 0", 6, 0, (1, 2, 3), (0, 0, 0)),
    Scaled("with two surge Pods", 10, 20, (6, 6), (11, 11), surge_was=2, surge=2),
    Scaled("surge and size change together", 10, 50, (8, 5), (34, 22), surge_was=3, surge=6),
    Scaled("template and size change together", 10, 14, (3, 7), (4, 10)),
    Scaled("the same size moves nothing", 5, 5, (3, 2), (3, 2)),
]


@pytest.mark.parametrize("case", PROPORTIONS, ids=lambda case: case.id)
def test_scaling_in_the_middle_of_a_rollout_is_proportional(case):
    """Each ReplicaSet gets its share of what is added or taken; what is left over goes to the largest."""
    sets = [replica_set(f"foo-v{at}", size, at, case.was, case.surge_was) for at, size in enumerate(case.before)]

    plan = plan_proportions(deployment(case.is_, case.surge), sets)

    assert {each["metadata"]["name"]: size for each, size in plan} == {
        f"foo-v{at}": size for at, size in enumerate(case.after)
    }


def test_a_share_without_the_annotation_is_of_the_present_size():
    """When somebody has removed max-replicas, the Deployment's own count of replicas stands in."""
    plan = plan_proportions(deployment(10, replicas=5), [replica_set("a", 3, 0), replica_set("b", 2, 1)])

    assert [size for _, size in plan] == [6, 4]


def test_no_share_can_be_computed_without_any_count():
    """Then the whole difference goes to the largest ReplicaSet."""
    plan = plan_proportions(deployment(10), [replica_set("a", 3, 0), replica_set("b", 2, 1)])

    assert [size for _, size in plan] == [8, 2]


NEW_SIZES = [
    ("no surge, so it waits", 10, 0, 10, 0, 0),
    ("as many as the surge", 10, 2, 10, 0, 2),
    ("surge and what the old ones lack", 10, 2, 5, 0, 7),
    ("the surge is used up", 10, 2, 10, 2, 2),
    ("never more than wanted", 10, 5, 0, 8, 10),
]


@pytest.mark.parametrize(
    "replicas, surge, old, new, size", [row[1:] for row in NEW_SIZES], ids=[row[0] for row in NEW_SIZES]
)
def test_the_new_replica_set_grows_as_the_surge_allows(replicas, surge, old, new, size):
    """All ReplicaSets together stay within replicas + maxSurge."""
    sets = [replica_set("new", new), replica_set("old", old)]

    assert new_replica_count(deployment(replicas, surge), sets, sets[0]) == size


def test_under_recreate_the_new_replica_set_starts_whole():
    """The old ones are gone by then, so nothing is left to add up."""
    assert new_replica_count(deployment(3, strategy="Recreate"), [replica_set("old", 3)], replica_set("new", 0)) == 3


BUDGETS = [
    ("available old ones may go", 10, 2, 10, 0, 0, 2),
    ("one may be unavailable, and one is", 10, 1, 9, 1, 0, 0),
    ("new ones that are not available do not count", 10, 2, 8, 2, 0, 0),
    ("new ones that are available do", 10, 2, 8, 2, 2, 2),
    ("no old ones", 10, 2, 0, 10, 10, 0),
]


@pytest.mark.parametrize(
    "replicas, unavailable, old, new, available, budget", [row[1:] for row in BUDGETS], ids=[row[0] for row in BUDGETS]
)
def test_the_budget_for_scaling_down_keeps_enough(replicas, unavailable, old, new, available, budget):
    """What may go is what there is beyond replicas - maxUnavailable, leaving out new replicas not yet available."""
    olds = [replica_set("old", old)]

    assert (
        scale_down_budget(deployment(replicas, 0, unavailable), olds, replica_set("new", new, available=available))
        == budget
    )


CLEANUPS = [
    ("one of two unhealthy", 8, 1, [(0, 9)]),
    ("both unhealthy", 8, 3, [(0, 8)]),
    ("no budget", 8, 0, []),
    ("all healthy", 10, 3, []),
]


@pytest.mark.parametrize("available, budget, plan", [row[1:] for row in CLEANUPS], ids=[row[0] for row in CLEANUPS])
def test_unhealthy_replicas_go_first(available, budget, plan):
    """Replicas that are not available go within the budget, as they would otherwise block the rollout."""
    assert list(plan_cleanup([replica_set("old", 10, available=available)], budget)) == plan


def test_unhealthy_replicas_of_the_oldest_go_first():
    """Among several ReplicaSets the oldest gives up its unhealthy replicas before the next."""
    olds = [replica_set("b", 2, 2, available=0), replica_set("a", 2, 1, available=1)]

    assert list(plan_cleanup(olds, 2)) == [(1, 1), (0, 1)]


def test_a_status_behind_its_spec_stops_the_cleanup():
    """A ReplicaSet that was just scaled down still counts the old Pods: to go on would take too many."""
    with pytest.raises(StaleCountError):
        list(plan_cleanup([replica_set("old", 2, available=3)], 5))


SCALE_DOWNS = [
    ("down to what must be available", 10, 2, 10, 10, [(0, 8)]),
    ("nothing to spare", 10, 2, 10, 8, []),
    ("none of the old left", 10, 2, 0, 10, []),
    ("far too few available", 10, 2, 10, 1, []),
]


@pytest.mark.parametrize(
    "replicas, unavailable, old, available, plan", [row[1:] for row in SCALE_DOWNS], ids=[row[0] for row in SCALE_DOWNS]
)
def test_available_replicas_go_as_availability_allows(replicas, unavailable, old, available, plan):
    """So many go that replicas - maxUnavailable stay available."""
    olds = [replica_set("old", old, available=available)]

    assert plan_scale_down(deployment(replicas, 0, unavailable), olds, replica_set("new", 0)) == plan


FENCEPOSTS = [
    ("percentages round up for surge and down for unavailable", 10, "25%", "25%", 3, 2),
    ("the defaults with three replicas", 3, "25%", "25%", 1, 0),
    ("numbers are taken as they are", 10, 4, 1, 4, 1),
    ("both nothing lets one be unavailable", 10, 0, 0, 0, 1),
    ("one percent of one rounds to nothing and then one", 1, 0, "1%", 0, 1),
    ("never more unavailable than there are", 5, 0, 10, 0, 5),
    ("nothing of nothing", 0, 0, "50%", 0, 0),
]


@pytest.mark.parametrize(
    "replicas, surge, unavailable, surge_count, unavailable_count",
    [row[1:] for row in FENCEPOSTS],
    ids=[row[0] for row in FENCEPOSTS],
)
def test_surge_and_unavailable_become_counts(replicas, surge, unavailable, surge_count, unavailable_count):
    """Upstream: deployment_util.go:ResolveFenceposts, MaxUnavailable."""
    subject = deployment(replicas, surge, unavailable)

    assert (max_surge(subject), max_unavailable(subject)) == (surge_count, unavailable_count)


def test_recreate_knows_neither_surge_nor_unavailable():
    """Both are nothing, whatever the size."""
    subject = deployment(4, strategy="Recreate")

    assert (max_surge(subject), max_unavailable(subject)) == (0, 0)


SATURATED = [
    ("whole and available", 3, 3, 3, True),
    ("not all available", 3, 3, 2, False),
    ("sized for another count", 3, 2, 3, False),
    ("never sized", 3, None, 3, False),
]


@pytest.mark.parametrize(
    "size, desired, available, saturated", [row[1:] for row in SATURATED], ids=[row[0] for row in SATURATED]
)
def test_a_saturated_replica_set_makes_up_the_deployment(size, desired, available, saturated):
    """It has the wanted size, was given it for the present size of the Deployment, and is all available."""
    assert is_saturated(deployment(3), replica_set("new", size, desired=desired, available=available)) is saturated


def test_there_is_no_saturation_without_a_new_replica_set():
    """Nothing cannot make up a Deployment."""
    assert not is_saturated(deployment(3), None)

"""Whom preemption evicts, and where."""

from __future__ import annotations

from kubesim.scheduler.plugins.default_preemption import split_by_budget
from kubesim.scheduler.snapshot import PodEntry


def started(pod, at):
    """The Pod as running since that instant."""
    return {**pod, "status": {"phase": "Running", "startTime": at}}


def victims(failure) -> list[str]:
    """The names of those to be evicted, most important first."""
    return [entry.pod["metadata"]["name"] for _, entry in failure.candidate.victims]


def budget(allowed, **labels):
    """A PodDisruptionBudget over labels."""
    return {
        "metadata": {"namespace": "default", "name": "b"},
        "spec": {"selector": {"matchLabels": labels}},
        "status": {"disruptionsAllowed": allowed},
    }


def test_as_few_and_as_unimportant_pods_as_possible_go(world, node, pod) -> None:
    """Of three Pods the two that matter least would do; the one of lower priority and the younger one go."""
    cluster = world(node("n", cpu="3"))
    cluster.place(started(pod("old", cpu="1"), "2026-01-01T00:00:00Z"), "n")
    cluster.place(started(pod("young", cpu="1"), "2026-01-01T01:00:00Z"), "n")
    cluster.place(started(pod("lower", cpu="1", priority=-5), "2026-01-01T00:00:00Z"), "n")

    failure = cluster.run(pod("p", cpu="2", priority=10))

    assert failure.nomination == "n"
    assert victims(failure) == ["young", "lower"]
    assert failure.message == "0/1 nodes are available: 1 Insufficient cpu."


def test_equal_priority_is_never_evicted(world, node, pod) -> None:
    """Upstream: default_preemption.go:isPreemptionAllowed @v1.36"""
    cluster = world(node("n", cpu="1"))
    cluster.place(pod("there", cpu="1", priority=10), "n")

    assert cluster.run(pod("p", cpu="1", priority=10)).candidate is None


def test_the_node_with_the_least_important_victims_is_chosen(world, node, pod) -> None:
    """Lowest highest priority first, whatever the number of victims."""
    cluster = world(node("a", cpu="1"), node("b", cpu="1"))
    cluster.place(pod("one", cpu="1", priority=5), "a")
    cluster.place(pod("two", cpu="500m", priority=4), "b")
    cluster.place(pod("three", cpu="500m", priority=4), "b")

    assert cluster.run(pod("p", cpu="1", priority=10)).nomination == "b"


def test_a_budget_sends_preemption_elsewhere(world, node, pod) -> None:
    """A node where a budget would be overrun is chosen only where there is no other."""
    cluster = world(node("a", cpu="1"), node("b", cpu="1"))
    cluster.place(pod("guarded", cpu="1", labels={"app": "db"}), "a")
    cluster.place(pod("free", cpu="1", priority=5), "b")
    cluster.put("budgets", budget(0, app="db"))

    assert cluster.run(pod("p", cpu="1", priority=10)).nomination == "b"


def test_a_budget_is_used_up_one_victim_after_the_other(pod) -> None:
    """With one disruption allowed the second Pod already violates; Pods of other labels never do."""
    profile = None
    entries = [
        (name, PodEntry(pod(name, labels={"app": app}), profile, terminating=False))
        for name, app in (("a", "db"), ("b", "db"), ("c", "web"))
    ]

    violating, harmless = split_by_budget(entries, [budget(1, app="db")])

    assert [name for name, _ in violating] == ["b"]
    assert [name for name, _ in harmless] == ["a", "c"]


def test_room_made_for_one_pod_is_kept_from_equals(world, node, pod) -> None:
    """A nominated Pod counts on its node against Pods of its own priority, not against higher ones."""
    cluster = world(node("n", cpu="1"))
    nominated = pod("nominated", cpu="1", priority=5)
    cluster.nominator.add("uid-default-nominated", cluster.snapshot.profiles.of(nominated), "n")

    assert cluster.message(pod("equal", cpu="1", priority=5)).startswith("0/1 nodes are available: 1 Insufficient cpu.")
    assert cluster.run(pod("higher", cpu="1", priority=6)).node_name == "n"
    assert cluster.run(nominated).node_name == "n"


def test_no_second_preemption_while_victims_leave(world, node, pod) -> None:
    """The nominated node has a Pod on its way out for this one: wait for it."""
    cluster = world(node("n", cpu="1"))
    leaving = pod("leaving", cpu="1")
    leaving["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    target = {"type": "DisruptionTarget", "status": "True", "reason": "PreemptionByScheduler"}
    cluster.place({**leaving, "status": {"conditions": [target]}}, "n")
    waiting = {**pod("p", cpu="1", priority=5), "status": {"nominatedNodeName": "n"}}

    failure = cluster.run(waiting)

    assert failure.candidate is None
    assert failure.nomination is None
    assert failure.message.endswith("preemption: not eligible due to a terminating pod on the nominated node.")

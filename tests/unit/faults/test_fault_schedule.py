"""Schedules: when disturbances strike and end, and what is said of those that cannot."""

from __future__ import annotations

import pytest
from fault_world import OF_WEB, SECOND, WEB, seconds

from kubesim.cluster import Cluster, ready
from kubesim.faults import Disturbance, WriteEvent, arm, describe
from kubesim.faults.arguments import Crash, Drain, Duration, NodeTarget, PodTarget, Reference, Scale
from kubesim.faults.schedule import spell_duration


def fired(armed, start_ns):
    """What was done, with instants in seconds since the start."""
    return [((each.at_ns - start_ns) / SECOND, each.fault, each.subject, each.is_healing) for each in armed.fired]


def test_a_fault_lasts_as_long_as_it_says(cluster):
    """It strikes at its instant since the schedule was armed, and is healed by its twin."""
    lost = Disturbance(at=seconds(5), fault="losePower", argument=NodeTarget(node="node-2"), lasts=seconds(60))
    start_ns = cluster.now_ns
    armed = arm(cluster, (lost,))
    cluster.run(62)
    was_ready = ready("node/node-2").holds(cluster)
    cluster.run(30)

    assert fired(armed, start_ns) == [(5, "losePower", "node/node-2", False), (65, "losePower", "node/node-2", True)]
    assert not was_ready
    assert ready("node/node-2").holds(cluster)


def test_what_is_on_is_healed_at_the_end(cluster):
    """The latest first; what has not struck by then never does."""
    schedule = (
        Disturbance(at=seconds(1), fault="isolate", argument=NodeTarget(node="node-1")),
        Disturbance(at=seconds(2), fault="cordon", argument=NodeTarget(node="node-3")),
        Disturbance(at=seconds(90), fault="losePower", argument=NodeTarget(node="node-2")),
    )
    start_ns = cluster.now_ns
    armed = arm(cluster, schedule)
    cluster.run(60)
    armed.heal_all()
    cluster.run(60)

    assert fired(armed, start_ns)[2:] == [(60, "cordon", "node/node-3", True), (60, "isolate", "node/node-1", True)]
    assert armed.active == []
    assert all(ready(f"node/node-{number}").holds(cluster) for number in (1, 2, 3))


@pytest.mark.parametrize(
    "wanted",
    [
        WriteEvent(of="pod", verb="created", number=2),
        WriteEvent(by="replicaset-controller", of="pod", number=2),
        WriteEvent(by="replicaset-controller", verb="created", number=2),
    ],
)
def test_a_fault_strikes_at_a_write(cluster, wanted):
    """The number-th that fits, counted since the schedule was armed, before anybody acts on it."""
    armed = arm(cluster, (Disturbance(after_write=wanted, fault="losePower", argument=NodeTarget(node="node-1")),))
    cluster.scale("deployment/web", 5)
    cluster.run(10)
    records = [(each.actor, each.verb, each.subject.partition("/")[0]) for each in cluster.trace.records]
    struck = records.index(("fault", "losePower", "node"))
    created = ("replicaset-controller", "created", "pod")

    assert [each.fault for each in armed.fired] == ["losePower"]
    assert records[struck - 1] == created
    assert records[:struck].count(created) == 3 + 2


def test_a_fault_is_healed_after_a_write(cluster):
    """Here once the node has been found lost."""
    unreachable = WriteEvent(of="node/node-1", by="node-controller", number=1)
    armed = arm(
        cluster,
        (
            Disturbance(
                at=seconds(1),
                fault="isolate",
                argument=NodeTarget(node="node-1"),
                healed_after_write=unreachable,
            ),
        ),
    )
    cluster.run(100)

    assert [each.is_healing for each in armed.fired] == [False, True]
    assert ready("node/node-1").holds(cluster)


@pytest.mark.parametrize(
    "fault, argument, why_not",
    [
        ("losePower", NodeTarget(node="node-9"), "there is no node node-9"),
        ("crash", Crash(of=Reference("deployment/wb")), "there is no deployment/wb at this moment"),
        ("scale", Scale(of=Reference("deployment/wb"), replicas=1), "there is no deployment/wb; did you mean web?"),
        (
            "oom",
            PodTarget(of=OF_WEB, index=0),
            "container c has no memory limit, so nothing kills it; set one",
        ),
        ("wake", PodTarget(of=OF_WEB), "no hang of deployment/web is on; a step with hang must come before wake"),
    ],
)
def test_what_cannot_be_done_is_said(cluster, fault, argument, why_not):
    """A schedule is never invalid by luck: nothing happens then, and the log says why."""
    armed = arm(cluster, (Disturbance(at=seconds(1), fault=fault, argument=argument),))
    cluster.run(2)

    assert [(each.fault, each.subject) for each in armed.fired] == [(fault, "")]
    assert armed.fired[0].why_not.endswith(why_not)


@pytest.mark.parametrize("index, same_as", [(0, 0), (2, 2), (4, 1)])
def test_an_index_counts_pods_by_name(cluster, index, same_as):
    """Beyond the last one it counts on from the first."""
    names = [pod["metadata"]["name"] for pod in cluster.pods_of("deployment/web")]
    armed = arm(cluster, (Disturbance(fault="crash", argument=Crash(of=OF_WEB, index=index), at=Duration(0)),))
    cluster.run(1)

    assert armed.fired[0].subject == f"pod/default/{names[same_as]}"


def test_a_drain_asks_again_until_it_is_healed(cluster):
    """A budget that refuses is asked every five seconds; the end of the drain is the end of asking."""
    cluster.create(
        {
            "apiVersion": "policy/v1",
            "kind": "PodDisruptionBudget",
            "metadata": {"name": "web"},
            "spec": {"minAvailable": 3, "selector": {"matchLabels": {"app": "web"}}},
        }
    )
    cluster.run(1)
    node = cluster.pods_of("deployment/web")[0]["spec"]["nodeName"]
    drain = Disturbance(at=Duration(0), fault="drain", argument=Drain(node=node), lasts=seconds(20))
    arm(cluster, (drain,))
    cluster.run(12)
    is_cordoned = cluster.get(f"node/{node}")["spec"].get("unschedulable")
    cluster.run(10)
    cluster.delete("poddisruptionbudget/web")
    cluster.run(30)

    assert is_cordoned
    assert "unschedulable" not in cluster.get(f"node/{node}")["spec"]
    assert any(pod["spec"]["nodeName"] == node for pod in cluster.pods_of("deployment/web"))


def test_equal_schedules_give_equal_runs():
    """A schedule is a value, and the run is a function of it."""
    schedule = (
        Disturbance(at=seconds(3), fault="crash", argument=Crash(of=OF_WEB, index=7)),
        Disturbance(at=seconds(9), fault="losePower", argument=NodeTarget(runs=OF_WEB), lasts=seconds(50)),
    )

    def digest():
        with Cluster(nodes=3) as made:
            made.create(WEB)
            armed = arm(made, schedule)
            made.run(120)
            return made.trace.digest(), armed.fired

    assert digest() == digest()


def test_a_disturbance_can_be_written():
    """In the words of a file, without what is as it is by default."""
    disturbance = Disturbance(
        after_write=WriteEvent(of="pod", number=3),
        fault="crash",
        argument=Crash(of=OF_WEB, index=1, exit_code=137),
        lasts=Duration(90 * SECOND),
    )

    assert describe(disturbance) == {
        "afterWrite": {"of": "pod", "number": 3},
        "for": "90s",
        "crash": {"of": "deployment/web", "index": 1, "exitCode": 137},
    }


@pytest.mark.parametrize(
    "span_ns, text", [(90 * SECOND, "90s"), (1_500_000_000, "1500ms"), (250_000_000, "250ms"), (1_500_000, "1.5ms")]
)
def test_durations_are_spelled_exactly(span_ns, text):
    """What is written is read back as the same."""
    from kubesim.scenario.fields import parse_duration

    assert spell_duration(span_ns) == text
    assert parse_duration(text) == span_ns

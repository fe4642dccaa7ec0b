"""Faults of Pods, nodes, network, volumes, databases and users on the vehicle stack: what is seen, and what comes after."""

from __future__ import annotations

import pytest
from fault_world import SECOND, seconds, strike

from kubesim.api.conditions import is_condition_true
from kubesim.cluster import Cluster, ready
from kubesim.faults import FAULTS
from kubesim.faults.arguments import (
    BadVersion,
    Breakage,
    Crowd,
    Link,
    NodeName,
    NodeTarget,
    Nothing,
    Pair,
    PodTarget,
    Reference,
    SlowRegistry,
    SlowStart,
    SlowVolume,
    Spike,
)

API = Reference("deployment/vehicle-api")
DATABASE = Reference("statefulset/postgres")
NODE = NodeTarget(node=NodeName("node-1"))


@pytest.fixture
def stack():
    """The vehicle stack on three nodes, with users."""
    with Cluster(nodes=3) as made:
        made.apply("specs/stack.yaml")
        made.until(ready("deployment/vehicle-api"))
        made.run(5)
        yield made


def all_ready(cluster):
    """Nodes and workloads."""
    nodes = [f"node/{node['metadata']['name']}" for node in cluster.list("nodes")]
    return all(ready(each).holds(cluster) for each in (*nodes, API, DATABASE)) and len(nodes) == 3


ROWS = [
    ("notReady", PodTarget(of=API)),
    ("slowStart", SlowStart(of=API)),
    ("badVersion", BadVersion(of=API, how=Breakage("crashes"))),
    ("badVersion", BadVersion(of=API, how=Breakage("neverReady"))),
    ("badVersion", BadVersion(of=DATABASE, how=Breakage("crashes"))),
    ("badVersion", BadVersion(of=DATABASE, how=Breakage("neverReady"))),
    ("stopRegistry", Nothing()),
    ("slowRegistry", SlowRegistry()),
    ("stopDns", Nothing()),
    ("reboot", NODE),
    ("cutOffApi", NODE),
    ("removeNode", NODE),
    ("slowLink", Link(node=NodeName("node-1"), peer="node-2", loss=0.2)),
    ("cutLink", Pair(node=NodeName("node-1"), peer="node-2")),
    ("cutLink", Pair(node=NodeName("node-2"), peer="users", one_way=True)),
    ("resetConnections", PodTarget(of=DATABASE)),
    ("slowVolume", SlowVolume(of=DATABASE)),
    ("fillVolume", PodTarget(of=DATABASE)),
    ("breakVolume", PodTarget(of=DATABASE)),
    ("crashInCommit", PodTarget(of=DATABASE)),
    ("takeConnections", Crowd(of=DATABASE)),
    ("loadSpike", Spike(of=Reference("service/vehicle-api"))),
]


@pytest.mark.parametrize("fault, argument", ROWS, ids=[f"{name}-{number}" for number, (name, _) in enumerate(ROWS)])
def test_the_stack_is_whole_again_after(stack, fault, argument):
    """Something was done, it is noted, and after its end all is ready and no acknowledged write is missing."""
    load = stack.load("vehicle-api", rate_per_second=10, write_percent=50)
    armed = strike(stack, fault, argument)
    stack.run(60)
    armed.heal_all()
    stack.until(all_ready, within=700)
    load.stop()
    stack.run(10)

    assert [each.why_not for each in armed.fired] == [""] * len(armed.fired)
    assert any((each.actor, each.verb) in (("fault", fault), ("fault", "losePower")) for each in stack.trace.records)
    assert stack.audit(load).lost == ()
    assert load.report.count(stack.now_ns - 14 * SECOND, stack.now_ns - 10 * SECOND).served > 0


def served(stack, argument, fault, writes=0):
    """The share of requests served in the half minute after a fault."""
    load = stack.load("vehicle-api", rate_per_second=20, write_percent=writes)
    stack.run(2)
    start_ns = stack.now_ns
    strike(stack, fault, argument)
    stack.run(30)
    load.stop()
    stack.run(5)
    counts = load.report.count(start_ns, stack.now_ns)
    return counts.served / counts.total


@pytest.mark.parametrize(
    "fault, argument, writes, least, most",
    [
        ("fillVolume", PodTarget(of=DATABASE), 100, 0, 0),
        ("fillVolume", PodTarget(of=DATABASE), 0, 1, 1),
        ("slowVolume", SlowVolume(of=DATABASE, added=seconds(0.2)), 100, 0.9, 1),
        ("breakVolume", PodTarget(of=DATABASE), 100, 0, 0.2),
        ("takeConnections", Crowd(of=DATABASE), 0, 0.9, 1),
        ("notReady", PodTarget(of=API), 0, 0.9, 1),
        ("stopRegistry", Nothing(), 0, 1, 1),
    ],
)
def test_what_users_see(stack, fault, argument, writes, least, most):
    """Of each fault while it is on."""
    assert least <= served(stack, argument, fault, writes) <= most


def test_readiness_fails_while_the_process_lives(stack):
    """No restart, not ready, out of the endpoints; and back when it is over."""
    armed = strike(stack, "notReady", PodTarget(of=API, index=0))
    stack.run(40)
    pod = stack.pods_of(API)[0]
    was_ready = is_condition_true(pod["status"]["conditions"], "Ready")
    restarts = pod["status"]["containerStatuses"][0]["restartCount"]
    armed.heal_all()
    stack.run(30)

    assert (was_ready, restarts) == (False, 0)
    assert any("statuscode: 503" in event["message"] for event in stack.events())
    assert is_condition_true(stack.pods_of(API)[0]["status"]["conditions"], "Ready")


def test_a_node_that_only_loses_the_api_server_still_serves(stack):
    """It becomes NotReady after the grace period, its containers run on and answer."""
    name = stack.pods_of(API)[0]["spec"]["nodeName"]
    armed = strike(stack, "cutOffApi", NodeTarget(node=NodeName(name)))
    stack.run(70)
    was_ready = ready(f"node/{name}").holds(stack)
    runs = [process.pod_name for process in stack.data_plane.node(name).runtime.processes()]
    armed.heal_all()
    stack.until(ready(f"node/{name}"), within=60)

    assert not was_ready
    assert any(each.startswith("vehicle-api") for each in runs)


def test_a_commit_whose_answer_is_lost_is_in_the_volume(stack):
    """Unknown to its user, and there: acknowledged writes are never lost by it."""
    load = stack.load("vehicle-api", rate_per_second=5, write_percent=100)
    stack.run(3)
    strike(stack, "crashInCommit", PodTarget(of=DATABASE))
    stack.run(60)
    load.stop()
    stack.run(10)
    audit = stack.audit(load)
    restarts = stack.get("pod/postgres-0")["status"]["containerStatuses"][0]["restartCount"]

    assert restarts == 1
    assert audit.lost == ()
    assert audit.unknown_kept >= 1


@pytest.mark.parametrize("name", [kind.name for kind in FAULTS.values() if kind.area in ("storage", "database")])
def test_what_has_no_volume_or_database_is_spared(stack, name):
    """The log says why."""
    argument = FAULTS[name].argument(of=API)
    armed = strike(stack, name, argument)

    assert armed.fired[0].why_not

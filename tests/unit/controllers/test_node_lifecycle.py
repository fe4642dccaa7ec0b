"""Silent nodes, their conditions, taints and Pods; and the evictions that NoExecute taints bring.

Times and texts from upstream's source: 5 s between looks, 50 s of grace, one node per zone in 10 s @v1.36.
"""

from __future__ import annotations

import pytest

from kubesim.api.kinds import NODE, POD
from kubesim.controllers.zone_disruption import (
    FULL,
    NEVER_NS,
    NORMAL,
    PARTIAL,
    PRIMARY_NS,
    SECONDARY_NS,
    compute_zone_state,
    eviction_interval_ns,
)

NAMES = ("node-1", "node-2", "node-3")


def add_nodes(world, names=NAMES, **labels):
    """Nodes that are ready and have just been heard from."""
    for name in names:
        world.add_node(name, labels)
    world.live(10, *names)


def add_pod(world, name, node="node-1", tolerations=None):
    """A Pod that runs on the node. None for the tolerations leaves the usual 300 s to admission."""
    spec = {"containers": [{"name": "main", "image": "nginx:1"}]}
    if tolerations is not None:
        spec["tolerations"] = tolerations
    world.create(POD, {"metadata": {"name": name}, "spec": spec})
    world.bind(name, node)
    world.set_ready(name)
    world.run(0.1)


def taints(world, name):
    """Key without prefix, and effect, of each taint."""
    found = world.get(NODE, name)["spec"].get("taints", [])
    return sorted((taint["key"].removeprefix("node.kubernetes.io/"), taint["effect"]) for taint in found)


def condition(world, kind, name, type_="Ready"):
    """One condition of a node or Pod."""
    conditions = world.get(kind, name)["status"]["conditions"]
    return next((each for each in conditions if each["type"] == type_), None)


def test_healthy_nodes_are_left_alone(world):
    """As long as the Leases are renewed nothing is written, whatever the age of the status."""
    add_nodes(world)
    world.writes.clear()
    world.live(600, *NAMES)
    ours = [write for write in world.writes if write.identity.user.endswith("node-controller")]
    assert ours == []


def test_a_new_node_is_welcomed(world):
    """The event that every node's first look brings."""
    add_nodes(world)
    assert world.events("node-1", "RegisteredNode") == ["Node node-1 event: Registered Node node-1 in Controller"]


def test_a_silent_node_becomes_unknown(world):
    """50 to 55 s after the last heartbeat, with all of the kubelet's conditions, and its Pods not ready."""
    add_nodes(world)
    add_pod(world, "web")
    world.live(40, "node-2", "node-3")
    assert condition(world, NODE, "node-1")["status"] == "True"
    world.live(10, "node-2", "node-3")
    for kind in ("Ready", "MemoryPressure", "DiskPressure", "PIDPressure"):
        found = condition(world, NODE, "node-1", kind)
        assert (found["status"], found["reason"], found["message"]) == (
            "Unknown",
            "NodeStatusUnknown",
            "Kubelet stopped posting node status.",
        )
    assert condition(world, POD, "web")["status"] == "False"
    assert world.events("node-1", "NodeNotReady") == ["Node node-1 status is now: NodeNotReady"]
    assert world.events("web", "NodeNotReady") == ["Node is not ready"]
    assert taints(world, "node-1") == [("unreachable", "NoExecute"), ("unreachable", "NoSchedule")]
    assert taints(world, "node-2") == []


def test_a_node_that_comes_back_is_cleared(world):
    """The kubelet's own status removes the taints; the Pod's eviction is called off."""
    add_nodes(world)
    add_pod(world, "web")
    world.live(70, "node-2", "node-3")
    world.post_status("node-1")
    world.live(10, *NAMES)
    assert taints(world, "node-1") == []
    assert world.events("web", "TaintManagerEviction") == ["Cancelling deletion of Pod default/web"]
    world.live(400, *NAMES)
    assert "deletionTimestamp" not in world.get(POD, "web")["metadata"]


def test_pods_leave_when_their_toleration_has_run_out(world):
    """300 s after the taint: condition, event and deletion; the Pod stays, as no kubelet confirms."""
    add_nodes(world)
    add_pod(world, "web")
    world.live(340, "node-2", "node-3")
    assert "deletionTimestamp" not in world.get(POD, "web")["metadata"]
    world.live(20, "node-2", "node-3")
    assert "deletionTimestamp" in world.get(POD, "web")["metadata"]
    found = condition(world, POD, "web", "DisruptionTarget")
    assert (found["status"], found["reason"], found["message"]) == (
        "True",
        "DeletionByTaintManager",
        "Taint manager: deleting due to NoExecute taint",
    )
    assert world.events("web", "TaintManagerEviction") == ["Marking for deletion Pod default/web"]


def test_a_node_that_comes_back_under_its_name_calls_evictions_off(world):
    """Its Node is deleted with its taints and made again without: Pods that were to go in 300 s stay."""
    add_nodes(world)
    add_pod(world, "web")
    world.live(100, "node-2", "node-3")
    world.delete(NODE, "node-1")
    world.live(5, "node-2", "node-3")
    world.add_node("node-1", {})
    world.live(400, *NAMES)

    assert "deletionTimestamp" not in world.get(POD, "web")["metadata"]
    assert world.events("web", "TaintManagerEviction") == ["Cancelling deletion of Pod default/web"]


def test_an_unready_kubelet_is_another_taint(world):
    """A kubelet that says itself that it is not ready is not-ready, not unreachable; going silent swaps them."""
    add_nodes(world)
    world.post_status("node-1", "False")
    world.live(10, *NAMES)
    assert taints(world, "node-1") == [("not-ready", "NoExecute"), ("not-ready", "NoSchedule")]
    world.live(70, "node-2", "node-3")
    assert taints(world, "node-1") == [("unreachable", "NoExecute"), ("unreachable", "NoSchedule")]


@pytest.mark.parametrize(
    "kind, status, key",
    [
        ("MemoryPressure", "True", "memory-pressure"),
        ("DiskPressure", "True", "disk-pressure"),
        ("PIDPressure", "True", "pid-pressure"),
        ("NetworkUnavailable", "True", "network-unavailable"),
    ],
)
def test_conditions_become_taints_at_once(world, kind, status, key):
    """Without waiting for the next look, and away again with the condition."""
    add_nodes(world)
    world.post_status("node-1", **{kind: status})
    world.run(0.1)
    assert taints(world, "node-1") == [(key, "NoSchedule")]
    assert "timeAdded" in world.get(NODE, "node-1")["spec"]["taints"][0]
    world.post_status("node-1", **{kind: "False"})
    world.run(0.1)
    assert taints(world, "node-1") == []


def test_a_cordon_is_a_taint(world):
    """spec.unschedulable and the taint of the same name go together."""
    add_nodes(world)
    world.patch(NODE, "node-1", {"spec": {"unschedulable": True}})
    world.run(0.1)
    assert taints(world, "node-1") == [("unschedulable", "NoSchedule")]
    world.patch(NODE, "node-1", {"spec": {"unschedulable": None}})
    world.run(0.1)
    assert taints(world, "node-1") == []


def test_a_pod_that_comes_to_a_silent_node_is_not_ready(world):
    """A Pod bound after the node was given up is marked as well."""
    add_nodes(world)
    world.live(70, "node-2", "node-3")
    spec = {"containers": [{"name": "main", "image": "nginx:1"}]}
    world.create(POD, {"metadata": {"name": "late"}, "spec": spec})
    world.set_ready("late")
    world.bind("late")
    world.run(0.1)
    assert condition(world, POD, "late")["status"] == "False"


def test_when_all_are_silent_nobody_is_evicted(world):
    """All nodes unknown at once: the taints of NoExecute are not given, and the clock starts anew after it."""
    add_nodes(world)
    add_pod(world, "web")
    world.run(600)
    assert [taints(world, name) for name in NAMES] == [[("unreachable", "NoSchedule")]] * 3
    assert "deletionTimestamp" not in world.get(POD, "web")["metadata"]
    for name in NAMES[1:]:
        world.post_status(name)
    world.live(30, *NAMES[1:])
    assert taints(world, "node-1") == [("unreachable", "NoExecute"), ("unreachable", "NoSchedule")]


def no_execute(world, names):
    """How many of the nodes have a NoExecute taint."""
    return sum(("unreachable", "NoExecute") in taints(world, name) for name in names)


def test_nodes_are_given_up_one_in_ten_seconds(world):
    """Three of eight nodes fail together: their NoExecute taints come at 0.1 a second."""
    names = [f"node-{number}" for number in range(1, 9)]
    add_nodes(world, names)
    world.live(50, *names[3:])
    world.renew(*names[3:])
    world.run(6)
    counts = []
    for _ in range(3):
        counts.append(no_execute(world, names))
        world.live(10, *names[3:])
    assert counts == [1, 2, 3]


def test_a_mostly_broken_small_zone_is_left_alone(world):
    """55% and more of a zone of up to 50 nodes: no NoExecute taints there, while the other zone goes on."""
    bad = [f"bad-{number}" for number in range(5)]
    good = [f"good-{number}" for number in range(5)]
    for name in bad:
        world.add_node(name, {"topology.kubernetes.io/zone": "a"})
    for name in good:
        world.add_node(name, {"topology.kubernetes.io/zone": "b"})
    world.live(10, *bad, *good)
    alive = [*bad[:2], *good]
    world.live(120, *alive)
    assert no_execute(world, bad) <= 1
    world.live(120, *alive[:-1])
    assert no_execute(world, good) == 1


@pytest.mark.parametrize(
    "ready, not_ready, state",
    [
        (0, 1, FULL),
        (1, 2, NORMAL),
        (2, 3, PARTIAL),
        (4, 3, NORMAL),
        (9, 11, PARTIAL),
        (10, 0, NORMAL),
    ],
)
def test_the_state_of_a_zone(ready, not_ready, state):
    """None ready is full; more than two and 55% not ready is partial. Upstream: ComputeZoneState."""
    assert compute_zone_state(ready, not_ready) == state


@pytest.mark.parametrize(
    "state, nodes, interval_ns",
    [(NORMAL, 5, PRIMARY_NS), (FULL, 5, PRIMARY_NS), (PARTIAL, 50, NEVER_NS), (PARTIAL, 51, SECONDARY_NS)],
)
def test_the_rate_of_a_zone(state, nodes, interval_ns):
    """A partly broken zone is slow if it is large and stands still if not. Upstream: setLimiterInZone."""
    assert eviction_interval_ns(state, nodes) == interval_ns


TAINT = {"key": "maintenance", "value": "yes", "effect": "NoExecute"}


@pytest.mark.parametrize(
    "tolerations, seconds",
    [
        pytest.param([], 0, id="no toleration"),
        pytest.param([{"key": "maintenance", "operator": "Equal", "value": "no"}], 0, id="another value"),
        pytest.param([{"key": "maintenance", "operator": "Exists"}], None, id="for ever"),
        pytest.param(
            [{"operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 20}], 20, id="everything for a time"
        ),
        pytest.param(
            [{"key": "maintenance", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": -1}],
            0,
            id="less than no time",
        ),
        pytest.param(
            [{"key": "maintenance", "value": "yes", "effect": "NoSchedule"}], 0, id="tolerates another effect"
        ),
    ],
)
def test_how_long_a_pod_stays_under_a_users_taint(world, tolerations, seconds):
    """Not at all, for tolerationSeconds, or for ever."""
    add_nodes(world)
    add_pod(world, "web", tolerations=tolerations)
    world.patch(NODE, "node-1", {"spec": {"taints": [TAINT]}})
    world.live(10, *NAMES)
    assert ("deletionTimestamp" in world.get(POD, "web")["metadata"]) == (seconds == 0)
    world.live(20, *NAMES)
    assert ("deletionTimestamp" in world.get(POD, "web")["metadata"]) == (seconds is not None)


def test_a_pod_that_comes_to_a_tainted_node_is_judged_too(world):
    """Binding by hand to a tainted node ends in an eviction."""
    add_nodes(world)
    world.patch(NODE, "node-1", {"spec": {"taints": [TAINT]}})
    world.run(1)
    add_pod(world, "web", tolerations=[])
    world.run(1)
    assert "deletionTimestamp" in world.get(POD, "web")["metadata"]


def test_a_removed_node_is_forgotten(world):
    """The event names it, and its zone no longer counts it."""
    add_nodes(world)
    world.delete(NODE, "node-1")
    world.live(10, "node-2", "node-3")
    assert world.events("node-1", "RemovingNode") == ["Node node-1 event: Removing Node node-1 from Controller"]
    assert world.errors == []

"""Faults of what a kubelet lives on: what the Node says, which Pods go and with which words, and how it ends.

Texts and constants are upstream's: pkg/kubelet/eviction/{eviction_manager,helpers}.go, pkg/kubelet/{kubelet,runtime}.go,
pkg/kubelet/pleg/generic.go, pkg/kubelet/nodestatus/setters.go @v1.36.
"""

from __future__ import annotations

import pytest
from fault_world import SECOND, seconds, strike

from kubesim.api.conditions import find_condition
from kubesim.cluster import Cluster, ready
from kubesim.faults.arguments import Amount, Duration, NodeName, NodeTarget, Shortage, Skew
from kubesim.testing.builders import pod

NODE = "node-1"
TARGET = NodeTarget(node=NodeName(NODE))


def using(name, request="", priority=None):
    """A Pod of the image of its name, which asks for so much memory."""
    made = pod(name, image=f"{name}:1")
    made["spec"]["terminationGracePeriodSeconds"] = 30
    made["spec"]["containers"][0]["resources"] = {"requests": {"memory": request}} if request else {}
    if priority is not None:
        made["spec"]["priorityClassName"] = priority
    return made


PROGRAMS = {f"{name}:1": {"memory": "64Mi"} for name in ("modest", "greedy", "greedier", "vital")}
PROGRAMS["greedier:1"] = {"memory": "200Mi"}


@pytest.fixture
def world():
    """One node with Pods that use more or less than they ask for."""
    with Cluster(nodes=1, programs=PROGRAMS) as made:
        for name, request in (("modest", "64Mi"), ("greedy", "16Mi"), ("greedier", "16Mi")):
            made.create(using(name, request))
        made.create(using("vital", "16Mi", "system-node-critical"))
        for name in ("modest", "greedy", "greedier", "vital"):
            made.until(ready(f"pod/{name}"))
        made.run(20)
        yield made


def condition(cluster, kind):
    """A condition of the Node: its status, reason and message."""
    found = find_condition(cluster.get(f"node/{NODE}")["status"]["conditions"], kind)
    return found["status"], found["reason"], found["message"]


def taints(cluster):
    """The keys and effects of the Node's taints."""
    found = cluster.get(f"node/{NODE}")["spec"].get("taints") or ()
    return {(each["key"].removeprefix("node.kubernetes.io/"), each["effect"]) for each in found}


def said(cluster, kind, name):
    """The Events about an object: their reasons and messages, in the order of their first time."""
    about = [
        each
        for each in cluster.events()
        if (each["involvedObject"]["kind"], each["involvedObject"]["name"]) == (kind, name)
    ]
    return [(each["reason"], each["message"]) for each in sorted(about, key=lambda each: each["firstTimestamp"])]


def evicted(cluster):
    """The Pods that the node has evicted, by name."""
    return [
        each["metadata"]["name"]
        for each in cluster.list("pods")
        if (each["status"]["phase"], each["status"].get("reason")) == ("Failed", "Evicted")
    ]


@pytest.mark.parametrize(
    "missing, gone",
    [
        ("1Mi", ["greedier"]),
        ("200Mi", ["greedier"]),
        ("201Mi", ["greedier", "greedy"]),
        ("300Mi", ["greedier", "greedy", "modest"]),
        ("4Gi", ["greedier", "greedy", "modest"]),
    ],
)
def test_memory_is_reclaimed_pod_by_pod(world, missing, gone):
    """Who uses most above its request goes first, who keeps to it last, a critical Pod never; no more than needed."""
    strike(world, "memoryPressure", Shortage(node=NodeName(NODE), missing=Amount(missing)))
    world.run(60)

    assert sorted(evicted(world)) == sorted(gone)
    assert world.get("pod/vital")["status"]["phase"] == "Running"


def test_what_an_evicted_pod_says(world):
    """Its status, its condition and its Events, in upstream's words, after a grace of a second at most."""
    strike(world, "memoryPressure", Shortage(node=NodeName(NODE), missing=Amount("1Mi")))
    world.run(40)
    status = world.get("pod/greedier")["status"]
    message = (
        "The node was low on resource: memory. Threshold quantity: 100Mi, available: 99Mi. "
        "Container main was using 200Mi, request is 16Mi, has larger consumption of memory. "
    )
    target = find_condition(status["conditions"], "DisruptionTarget")

    assert (status["phase"], status["reason"], status["message"]) == ("Failed", "Evicted", message)
    assert (target["status"], target["reason"], target["message"]) == ("True", "TerminationByKubelet", message)
    assert ("Evicted", message) in said(world, "Pod", "greedier")
    assert ("EvictionThresholdMet", "Attempting to reclaim memory") in said(world, "Node", NODE)


@pytest.mark.parametrize(
    "fault, kind, pressed, well, taint, events",
    [
        (
            "memoryPressure",
            "MemoryPressure",
            ("True", "KubeletHasInsufficientMemory", "kubelet has insufficient memory available"),
            ("False", "KubeletHasSufficientMemory", "kubelet has sufficient memory available"),
            ("memory-pressure", "NoSchedule"),
            ["NodeHasInsufficientMemory", "NodeHasSufficientMemory"],
        ),
        (
            "diskPressure",
            "DiskPressure",
            ("True", "KubeletHasDiskPressure", "kubelet has disk pressure"),
            ("False", "KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
            ("disk-pressure", "NoSchedule"),
            ["NodeHasDiskPressure", "NodeHasNoDiskPressure"],
        ),
    ],
)
def test_the_node_says_what_is_short(world, fault, kind, pressed, well, taint, events):
    """A condition and a taint, which stay for five minutes after there is enough again."""
    armed = strike(world, fault, Shortage(node=NodeName(NODE), missing=Amount("4Gi")))
    world.run(60)
    states = [(condition(world, kind), taints(world))]
    armed.heal_all()
    world.run(280)
    states.append((condition(world, kind), taints(world)))
    world.run(60)
    states.append((condition(world, kind), taints(world)))

    assert states == [(pressed, {taint}), (pressed, {taint}), (well, set())]
    assert set(events) <= {reason for reason, _ in said(world, "Node", NODE)}


@pytest.mark.parametrize(
    "fault, request_, priority, is_taken",
    [
        ("memoryPressure", "", None, False),
        ("memoryPressure", "16Mi", None, True),
        ("memoryPressure", "", "system-node-critical", True),
        ("diskPressure", "16Mi", None, False),
        ("diskPressure", "", "system-node-critical", True),
    ],
)
def test_whom_a_node_takes_on_while_something_is_short(world, fault, request_, priority, is_taken):
    """Put there past the scheduler: for memory whoever asks for some, else only what is critical."""
    strike(world, fault, Shortage(node=NodeName(NODE), missing=Amount("1Mi")))
    world.run(20)
    late = using("late", request_, priority)
    late["spec"]["nodeName"] = NODE
    world.create(late)
    world.run(0.5)
    status = world.get("pod/late")["status"]

    if is_taken:
        assert status["phase"] in ("Pending", "Running")
    else:
        kind = {"memoryPressure": "MemoryPressure", "diskPressure": "DiskPressure"}[fault]
        assert status["message"] == f"Pod was rejected: The node had condition: [{kind}]. "


def test_images_that_nobody_uses_go_before_pods(world):
    """60 MB of one that was pulled are enough where less is missing."""
    world.create(using("pulled", "16Mi"))
    world.until(ready("pod/pulled"))
    runtime = world.data_plane.node(NODE).runtime
    world.delete("pod/pulled", grace_period_s=0)
    world.run(5)
    before = len(runtime.images())
    strike(world, "diskPressure", Shortage(node=NodeName(NODE), missing=Amount("32Mi")))
    world.run(60)

    assert len(runtime.images()) < before
    assert evicted(world) == []


def test_a_runtime_that_is_down_makes_its_node_not_ready(world):
    """After 30 s, in the kubelet's words; after three minutes of no listing in more of them; containers run on."""
    armed = strike(world, "stopRuntime", TARGET)
    world.run(25)
    states = [condition(world, "Ready")]
    world.run(20)
    states.append(condition(world, "Ready"))
    running = len(list(world.data_plane.node(NODE).runtime.processes()))
    world.run(160)
    _, _, late = condition(world, "Ready")
    armed.heal_all()
    world.until(ready(f"node/{NODE}"), within=15)

    assert states == [
        ("True", "KubeletReady", "kubelet is posting ready status"),
        ("False", "KubeletNotReady", "container runtime is down"),
    ]
    assert running == 4
    assert late.startswith("[container runtime is down, PLEG is not healthy: pleg was last seen active 3m")
    assert late.endswith(" ago; threshold is 3m0s]")
    assert {"NodeNotReady", "NodeReady"} <= {reason for reason, _ in said(world, "Node", NODE)}


def test_while_the_runtime_is_down_nothing_begins_or_ends(world):
    """A new Pod waits, a deleted one stays, and an end goes unnoticed; all of it is done once the runtime is back."""
    armed = strike(world, "stopRuntime", TARGET)
    world.crash("pod/modest")
    world.delete("pod/greedy")
    world.create(using("late", "16Mi"))
    world.run(25)
    states = [
        world.get("pod/modest")["status"]["containerStatuses"][0]["restartCount"],
        world.find("pod/greedy") is not None,
        world.get("pod/late")["status"]["phase"],
    ]
    armed.heal_all()
    world.until(ready("pod/late"), within=60)
    world.until(ready("pod/modest"), within=60)
    world.run(60)

    assert states == [0, True, "Pending"]
    assert world.find("pod/greedy") is None
    assert world.get("pod/modest")["status"]["containerStatuses"][0]["restartCount"] == 1


def test_a_restart_of_the_runtime_takes_its_containers_with_it(world):
    """Same Pods, new sandboxes, each container restarted once; the node does not become NotReady by it."""
    before = {each["metadata"]["name"]: each["status"]["podIP"] for each in world.list("pods")}
    strike(world, "restartRuntime", TARGET)
    world.run(60)
    after = {each["metadata"]["name"]: each["status"] for each in world.list("pods")}
    used = world.data_plane.node(NODE).kubelet.addresses

    assert {each["containerStatuses"][0]["restartCount"] for each in after.values()} == {1}
    assert all(after[name]["podIP"] != ip for name, ip in before.items())
    assert {used.take() for _ in range(250)} >= set(before.values())
    assert "NodeNotReady" not in {reason for reason, _ in said(world, "Node", NODE)}


@pytest.mark.parametrize(
    "by, behind, not_ready",
    [(seconds(3600), False, False), (seconds(45), True, False), (seconds(3600), True, True)],
)
def test_a_wrong_clock_evicts_nobody(world, by, behind, not_ready):
    """The control plane goes by when it has seen a renewal, not by what is written in it; only a clock that is set back
    by more than the 50 s of grace seems silent, until the Lease has been looked at anew."""
    armed = strike(world, "skewClock", Skew(node=NodeName(NODE), by=by, behind=behind))
    world.run(400)
    reasons = {reason for reason, _ in said(world, "Node", NODE)}
    is_ready = ready(f"node/{NODE}").holds(world)
    armed.heal_all()
    world.run(400)

    assert ("NodeNotReady" in reasons) is not_ready
    assert is_ready
    assert evicted(world) == []
    assert ready(f"node/{NODE}").holds(world)
    assert {each["status"]["phase"] for each in world.list("pods")} == {"Running"}


def test_what_a_node_with_a_wrong_clock_dates(world):
    """Its Lease, its heartbeat, its Events and its Pods' conditions are an hour ahead; what others date is not."""
    strike(world, "skewClock", Skew(node=NodeName(NODE), by=Duration(3600 * SECOND)))
    world.create(using("late", "16Mi"))
    world.run(500)
    late = world.get("pod/late")
    lease = world.get(f"lease/{NODE}", "kube-node-lease")
    heartbeat = find_condition(world.get(f"node/{NODE}")["status"]["conditions"], "Ready")["lastHeartbeatTime"]
    started = next(
        each for each in world.events() if (each["reason"], each["involvedObject"]["name"]) == ("Started", "late")
    )
    scheduled = find_condition(late["status"]["conditions"], "PodScheduled")["lastTransitionTime"]
    ahead = [
        lease["spec"]["renewTime"],
        heartbeat,
        started["firstTimestamp"],
        find_condition(late["status"]["conditions"], "Ready")["lastTransitionTime"],
        late["status"]["startTime"],
        late["status"]["containerStatuses"][0]["state"]["running"]["startedAt"],
    ]

    assert {each[:13] for each in ahead} == {"2026-01-01T01"}
    assert scheduled.startswith("2026-01-01T00")
    assert late["metadata"]["creationTimestamp"].startswith("2026-01-01T00")


def test_a_deadline_is_counted_by_the_nodes_own_clock(world):
    """A clock that is put forward ends a Pod of a deadline too early only if the kubelet looks again."""
    limited = using("limited", "16Mi")
    limited["spec"]["activeDeadlineSeconds"] = 600
    world.create(limited)
    world.until(ready("pod/limited"))
    strike(world, "skewClock", Skew(node=NodeName(NODE), by=Duration(3600 * SECOND)))
    world.run(30)
    phases = [world.get("pod/limited")["status"]["phase"]]
    kubelet = world.data_plane.node(NODE).kubelet
    kubelet.stop()
    kubelet.start()
    world.run(30)
    phases.append(world.get("pod/limited")["status"]["phase"])

    assert phases == ["Running", "Failed"]

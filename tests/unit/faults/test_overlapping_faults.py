"""Two disturbances of one kind at the same time: what the first one has taken is back once the second has ended, too."""

from __future__ import annotations

import pytest
from fault_world import seconds

from kubesim.cluster import Cluster, ready
from kubesim.errors import ApiError
from kubesim.faults import Disturbance, Injector, arm
from kubesim.faults.arguments import (
    CrashComponent,
    Drain,
    NodeTarget,
    Nothing,
    PodTarget,
    Reference,
    SlowStart,
    SlowVolume,
    Workload,
)

DATABASE = Reference("statefulset/postgres")
API = Reference("deployment/vehicle-api")
NODE = NodeTarget(node="node-1")


@pytest.fixture(scope="module")
def stack():
    """The vehicle stack; each fault is over before the next test."""
    with Cluster(nodes=3) as made:
        made.apply("specs/stack.yaml")
        made.until(ready("deployment/vehicle-api"))
        made.run(40)
        yield made


def volume(cluster):
    """The database's disk."""
    (disk,) = cluster.data_plane.caches.disks.values()
    return disk


def node_is_cordoned(cluster):
    """Whether no Pods may come to node-1."""
    return bool(cluster.get("node/node-1")["spec"].get("unschedulable"))


def has_power(cluster):
    """Whether node-1 runs."""
    return cluster.data_plane.node("node-1").has_power


def is_in_touch(cluster):
    """Whether node-1 reaches the API server."""
    return cluster.data_plane.node("node-1").is_in_touch


def container_of(cluster):
    """The record of the first API container."""
    pod = cluster.pods_of(API)[0]
    sandbox = cluster.data_plane.node_of(pod).runtime.pods()[pod["metadata"]["uid"]]
    return sandbox.containers["vehicle-api"]


def database(cluster):
    """The PostgreSQL that runs."""
    pod = cluster.get("pod/postgres-0")
    return cluster.data_plane.node_of(pod).runtime.process_of(pod["metadata"]["uid"], "postgres").program


FIRST = PodTarget(of=API, index=0)
ROWS = [
    ("stopDns", Nothing(), "stopDns", Nothing(), lambda each: each.data_plane.fabric.is_dns_silent),
    ("stopRegistry", Nothing(), "stopRegistry", Nothing(), lambda each: each.data_plane.images.is_unreachable),
    (
        "slowStart",
        SlowStart(of=API, added=seconds(30)),
        "slowStart",
        SlowStart(of=API, added=seconds(5)),
        lambda each: any(each.data_plane.images.start_delays_ns.values()),
    ),
    ("notReady", FIRST, "notReady", FIRST, lambda each: container_of(each).is_unready),
    ("fillVolume", PodTarget(of=DATABASE), "fillVolume", PodTarget(of=DATABASE), lambda each: volume(each).trouble),
    ("breakVolume", PodTarget(of=DATABASE), "fillVolume", PodTarget(of=DATABASE), lambda each: volume(each).trouble),
    ("slowVolume", SlowVolume(of=DATABASE), "slowVolume", SlowVolume(of=DATABASE), lambda each: volume(each).added_ns),
    (
        "crashInCommit",
        PodTarget(of=DATABASE),
        "crashInCommit",
        PodTarget(of=DATABASE),
        lambda each: database(each).crashes_at_commit,
    ),
    ("cordon", NODE, "cordon", NODE, node_is_cordoned),
    ("cordon", NODE, "drain", Drain(node="node-1"), node_is_cordoned),
    ("isolate", NODE, "isolate", NODE, lambda each: not is_in_touch(each)),
    ("cutOffApi", NODE, "isolate", NODE, lambda each: not is_in_touch(each)),
    ("cutOffApi", NODE, "cutOffApi", NODE, lambda each: not is_in_touch(each)),
    ("stopKubelet", NODE, "stopKubelet", NODE, lambda each: not each.data_plane.node("node-1").kubelet.is_running),
    ("losePower", NODE, "losePower", NODE, lambda each: not has_power(each)),
    ("losePower", NODE, "reboot", NODE, lambda each: not has_power(each)),
    ("stopApiServer", Nothing(), "stopApiServer", Nothing(), lambda each: each.plane.is_down),
    (
        "crashComponent",
        CrashComponent(of="kube-controller-manager"),
        "crashComponent",
        CrashComponent(of="kube-controller-manager"),
        lambda each: not each.controller_manager.controllers,
    ),
]


@pytest.mark.parametrize(
    "one, its, other, others, is_on", ROWS, ids=[f"{row[0]}-{row[2]}-{number}" for number, row in enumerate(ROWS)]
)
@pytest.mark.parametrize("order", [1, -1], ids=["first-first", "last-first"])
def test_the_first_end_does_not_end_the_other(stack, one, its, other, others, is_on, order):
    """Whichever of two ends first, the other is on until it has ended as well."""
    injector = Injector(stack)
    active = [injector.inject(one, its)[1], injector.inject(other, others)[1]][::order]
    states = [bool(is_on(stack))]
    for each in active:
        injector.heal(each)
        states.append(bool(is_on(stack)))
    if is_on(stack):
        stack.run(40)
        states[-1] = bool(is_on(stack))
    stack.run(40)

    assert states == [True, True, False]


def test_a_reboot_ends_no_loss_of_power(stack):
    """The machine boots when the power is back."""
    injector = Injector(stack)
    lost = injector.inject("losePower", NODE)[1]
    injector.inject("reboot", NODE)
    stack.run(60)
    was_off = not has_power(stack)
    injector.heal(lost)

    assert was_off
    assert has_power(stack)


def test_a_named_twin_ends_all(stack):
    """`restorePower` of a node is what a person does; nothing is left to be ended afterwards."""
    injector = Injector(stack)
    for _ in range(2):
        injector.inject("losePower", NODE)
    injector.inject("restorePower", NODE)
    was_on = has_power(stack)
    stack.data_plane.lose_power("node-1")
    injector.heal_all()
    is_off = not has_power(stack)
    stack.data_plane.restore_power("node-1")

    assert (was_on, is_off) == (True, True)


def test_a_healing_that_is_refused_is_said_and_tried_again(cluster):
    """At the end of a schedule, too: here nobody may write Nodes for a while."""
    armed = arm(cluster, (Disturbance(fault="cordon", argument=NODE, at=seconds(1)),))
    cluster.run(2)
    handle = cluster.plane.server.handle

    def refuse(request, identity, *rest):
        if request.kind.kind == "Node" and request.verb == "patch":
            raise ApiError(403, "Forbidden", "nodes is forbidden")
        return handle(request, identity, *rest)

    cluster.plane.server.handle = refuse
    armed.heal_all()
    cluster.run(3)
    cluster.plane.server.handle = handle
    cluster.run(3)
    said = [(each.is_healing, each.why_not) for each in armed.fired]

    assert said == [(False, ""), (True, "nodes is forbidden"), (True, "")]
    assert not node_is_cordoned(cluster)


def test_what_makes_no_pods_cannot_be_rolled_out(cluster):
    """It is said, and nothing is written."""
    service = Workload(of=Reference("service/kubernetes"))
    armed = arm(cluster, (Disturbance(fault="restartRollout", argument=service, at=seconds(0)),))
    before = cluster.get("service/kubernetes")
    cluster.run(1)

    assert [each.why_not for each in armed.fired] == [
        "service/kubernetes cannot be restarted; name one of Deployment, DaemonSet, StatefulSet"
    ]
    assert cluster.get("service/kubernetes") == before

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
    End,
    Impatience,
    Link,
    NodeName,
    NodeTarget,
    Nothing,
    Pair,
    PodTarget,
    Reference,
    ServiceReference,
    Shortage,
    Skew,
    SlowAttach,
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
    ("slowLink", Link(end=End("node-1"), peer=End("node-2"), loss=0.2)),
    ("cutLink", Pair(end=End("node-1"), peer=End("node-2"))),
    ("cutLink", Pair(end=End("node-2"), peer=End("users"), one_way=True)),
    ("resetConnections", PodTarget(of=DATABASE)),
    ("slowVolume", SlowVolume(of=DATABASE)),
    ("fillVolume", PodTarget(of=DATABASE)),
    ("breakVolume", PodTarget(of=DATABASE)),
    ("crashInCommit", PodTarget(of=DATABASE)),
    ("takeConnections", Crowd(of=DATABASE)),
    ("memoryPressure", Shortage(node=NodeName("node-1"))),
    ("diskPressure", Shortage(node=NodeName("node-1"))),
    ("skewClock", Skew(node=NodeName("node-1"))),
    ("stopRuntime", NODE),
    ("restartRuntime", NODE),
    ("slowAttach", SlowAttach()),
    ("slowLink", Link(end=End("users"), peer=End("service/vehicle-api"))),
    ("slowLink", Link(end=End("deployment/vehicle-api"), peer=End("service/postgres"), loss=0.3)),
    ("cutLink", Pair(end=End("deployment/vehicle-api"), peer=End("statefulset/postgres"))),
    ("retryStorm", Impatience(of=ServiceReference("service/vehicle-api"))),
    ("loadSpike", Spike(of=ServiceReference("service/vehicle-api"))),
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


def test_a_pod_may_be_deleted_before_its_late_program_begins(stack):
    """Nobody there handles the signal yet: the Pod ends by SIGKILL when its grace is over."""
    strike(stack, "slowStart", SlowStart(of=API, added=seconds(60)))
    stack.restart_rollout(API)
    stack.run(5)
    young = [pod for pod in stack.pods_of(API) if not ready_pod(pod)]
    stack.delete(f"pod/{young[0]['metadata']['name']}", "vehicles")
    grace_s = young[0]["spec"]["terminationGracePeriodSeconds"]
    stack.run(grace_s - 2)
    left = [pod["metadata"]["name"] for pod in stack.pods_of(API)]
    stack.run(5)

    assert len(young) == 1
    assert young[0]["metadata"]["name"] in left
    assert young[0]["metadata"]["name"] not in [pod["metadata"]["name"] for pod in stack.pods_of(API)]


def ready_pod(pod):
    """Whether it says that it is ready."""
    return any((each["type"], each["status"]) == ("Ready", "True") for each in pod["status"]["conditions"])


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
        ("loseVolume", PodTarget(of=DATABASE), 0, 0.7, 0.99),
        ("cutLink", Pair(end=End("users"), peer=End("service/vehicle-api")), 0, 0, 0.01),
        ("cutLink", Pair(end=End("users"), peer=End("service/postgres")), 0, 1, 1),
        ("cutLink", Pair(end=End("deployment/vehicle-api"), peer=End("service/postgres")), 0, 0, 0.1),
        ("cutLink", Pair(end=End("service/postgres"), peer=End("deployment/vehicle-api"), one_way=True), 0, 0, 0.1),
        ("cutLink", Pair(end=End("users"), peer=End("deployment/vehicle-api"), one_way=True), 0, 0, 0.01),
        ("slowLink", Link(end=End("users"), peer=End("deployment/vehicle-api"), added=seconds(1)), 0, 0, 0.01),
        ("slowLink", Link(end=End("users"), peer=End("deployment/vehicle-api"), added=seconds(0.2)), 0, 1, 1),
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


@pytest.mark.parametrize(
    "name",
    [kind.name for kind in FAULTS.values() if kind.area in ("storage", "database") and kind.name != "slowAttach"],
)
def test_what_has_no_volume_or_database_is_spared(stack, name):
    """The log says why."""
    argument = FAULTS[name].argument(of=API)
    armed = strike(stack, name, argument)

    assert armed.fired[0].why_not


def test_a_link_of_one_pod_spares_the_others(stack):
    """Users who meet that one wait for nothing, a third of them; the Pod itself stays Ready, as its node reaches it."""
    name = stack.pods_of(API)[0]["metadata"]["name"]
    pair = Pair(end=End("users"), peer=End(f"pod/{name}"))
    share = served(stack, pair, "cutLink")

    assert 0.4 < share < 0.9
    assert is_condition_true(stack.get(f"pod/{name}")["status"]["conditions"], "Ready")


def test_a_link_of_a_service_follows_its_pods(stack):
    """A new Pod behind it is met by the fault as well."""
    load = stack.load("vehicle-api", rate_per_second=20, write_percent=0)
    armed = strike(stack, "cutLink", Pair(end=End("users"), peer=End("service/vehicle-api")))
    for pod in stack.pods_of(API):
        stack.delete(f"pod/{pod['metadata']['name']}")
    stack.run(60)
    stack.until(all_ready, within=60)
    start_ns = stack.now_ns
    stack.run(20)
    while_cut = load.report.count(start_ns, stack.now_ns - 5 * SECOND)
    armed.heal_all()
    start_ns = stack.now_ns
    stack.run(20)
    after = load.report.count(start_ns, stack.now_ns - 5 * SECOND)

    assert while_cut.served == 0
    assert after.unserved == 0


@pytest.mark.parametrize("end", ["node-9", "service/nobody", "node-1"])
def test_ends_that_are_not_there(stack, end):
    """It is said, and nothing is disturbed."""
    armed = strike(stack, "cutLink", Pair(end=End("node-1"), peer=End(end)))

    assert armed.fired[0].why_not
    assert stack.data_plane.fabric.links.delay_ns(*hosts(stack)) is not None


def hosts(cluster):
    """Those of two Pods."""
    found = []
    for reference in (API, DATABASE):
        pod = cluster.pods_of(reference)[0]
        runtime = cluster.data_plane.node_of(pod).runtime
        found.append(runtime.process_of(pod["metadata"]["uid"], pod["spec"]["containers"][0]["name"]))
    return [process._sockets.host for process in found]


def test_impatient_users_repeat_what_is_not_served(stack):
    """Each failure costs as many more requests as are said, until it is served; afterwards none is repeated."""
    load = stack.load("vehicle-api", rate_per_second=10, write_percent=50)
    stack.run(2)
    armed = strike(stack, "retryStorm", Impatience(of=ServiceReference("service/vehicle-api"), retries=3))
    stack.scale("deployment/vehicle-api", 0)
    stack.run(40)
    start_ns = stack.now_ns
    stack.run(10)
    stormy = load.report.count(start_ns, stack.now_ns)
    armed.heal_all()
    start_ns = stack.now_ns
    stack.run(10)
    calm = load.report.count(start_ns, stack.now_ns)

    assert (stormy.total, stormy.served) == (400, 0)
    assert (calm.total, calm.served) == (100, 0)


def test_a_repeated_write_that_is_there_already_is_served(stack):
    """The answer to the first try was lost; the second is told of a conflict, and the vehicle is there once."""
    load = stack.load("vehicle-api", rate_per_second=5, write_percent=100)
    stack.run(3)
    strike(stack, "retryStorm", Impatience(of=ServiceReference("service/vehicle-api"), retries=10))
    strike(stack, "crashInCommit", PodTarget(of=DATABASE))
    stack.run(60)
    load.stop()
    stack.run(10)
    audit = stack.audit(load)

    assert audit.lost == ()
    assert "409" not in load.report.reasons
    assert load.report.count(stack.now_ns - 14 * SECOND, stack.now_ns).unserved == 0


def test_a_volume_that_is_lost_takes_its_data_with_it(stack):
    """The database begins anew, empty, and serves; what was acknowledged before is lost."""
    load = stack.load("vehicle-api", rate_per_second=5, write_percent=100)
    stack.run(10)
    strike(stack, "loseVolume", PodTarget(of=DATABASE))
    stack.run(60)
    load.stop()
    stack.run(10)
    audit = stack.audit(load)

    assert len(audit.lost) >= 40
    assert audit.kept > 100
    assert stack.get("pod/postgres-0")["status"]["containerStatuses"][0]["restartCount"] >= 1


def test_a_pod_waits_for_a_disk_that_is_attached_late():
    """It stays ContainerCreating for as long, and is told once it has waited two minutes."""
    with Cluster(nodes=2) as cluster:
        cluster.create(
            {
                "apiVersion": "storage.k8s.io/v1",
                "kind": "StorageClass",
                "metadata": {"name": "network"},
                "provisioner": "disks.example.com",
                "volumeBindingMode": "WaitForFirstConsumer",
            }
        )
        armed = strike(cluster, "slowAttach", SlowAttach(added=seconds(200)))
        cluster.create(CLAIM)
        cluster.create(READER)
        cluster.run(150)
        pod = cluster.get("pod/reader")
        waiting = pod["status"]["containerStatuses"][0]["state"]
        told = [each["message"] for each in cluster.events() if each["reason"] == "FailedMount"]
        took_ns = cluster.until(ready("pod/reader"), within=400)
        armed.heal_all()
        cluster.delete("pod/reader")
        cluster.run(60)
        cluster.create(READER)
        quick_ns = cluster.until(ready("pod/reader"), within=30)

    assert waiting == {"waiting": {"reason": "ContainerCreating"}}
    assert any("Unable to attach or mount volumes" in each for each in told)
    assert took_ns > 50 * SECOND
    assert quick_ns < 20 * SECOND


CLAIM = {
    "apiVersion": "v1",
    "kind": "PersistentVolumeClaim",
    "metadata": {"name": "data"},
    "spec": {
        "accessModes": ["ReadWriteOnce"],
        "storageClassName": "network",
        "resources": {"requests": {"storage": "1Gi"}},
    },
}
READER = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "reader"},
    "spec": {
        "terminationGracePeriodSeconds": 1,
        "containers": [{"name": "c", "image": "c", "volumeMounts": [{"name": "data", "mountPath": "/data"}]}],
        "volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": "data"}}],
    },
}

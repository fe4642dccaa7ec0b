"""Each invariant in a sound world, where it says nothing, and with its promise broken by hand, where it must."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import pytest

from kubesim.api.kinds import (
    CONFIG_MAP,
    ENDPOINT_SLICE,
    PERSISTENT_VOLUME_CLAIM,
    POD,
    POD_DISRUPTION_BUDGET,
    REPLICA_SET,
)
from kubesim.api.objects import key_of, owner_reference
from kubesim.api.requests import Options, create, create_subresource, delete, patch, update
from kubesim.apiserver.server import Identity
from kubesim.checks import INVARIANTS, Checks
from kubesim.cluster import Cluster, ready
from kubesim.faults import Disturbance, arm
from kubesim.faults.arguments import Duration, NodeName, Shortage
from kubesim.node import acting
from kubesim.testing.builders import container, deployment, pod, service, statefulset

PROGRAMS = {
    "app": {"readyAfterSeconds": 1, "terminateSeconds": 0.5},
    "stubborn": {"ignoreTerminate": True},
    "crash": {"exitAfterSeconds": 0.2, "exitCode": 1},
}


def controller(name):
    """What a controller of kube-controller-manager is called."""
    return Identity(f"system:serviceaccount:kube-system:{name}", is_trusted=True)


def kubelet(node):
    """What a kubelet is called."""
    return Identity(f"system:node:{node}", is_trusted=True)


# --- worlds ---


def web(cluster):
    """Two Pods behind a Service, with a budget."""
    probed = {"containers": [container(port=8080, ready_path="/readyz")]}
    cluster.create(deployment("web", replicas=2, pod_spec=probed))
    cluster.create(service("web", target_port=8080))
    budget = {"apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": {"name": "web"}}
    selector = {"matchLabels": {"app": "web"}}
    cluster.create({**budget, "spec": {"minAvailable": 1, "selector": selector}})
    cluster.until(ready("deployment/web"))
    cluster.run(10)


def database(cluster):
    """Two Pods of a StatefulSet that take their time to end."""
    pods = {"terminationGracePeriodSeconds": 20, "containers": [container("stubborn")]}
    cluster.create(statefulset("db", replicas=2, volume="1Gi", pod_spec=pods))
    cluster.until(ready("statefulset/db"))
    cluster.run(10)


def crashing(cluster):
    """A Pod whose container always ends."""
    cluster.create(pod("web", "crash"))
    cluster.run(30)


def users(cluster):
    """Requests to the Pods of `web`."""
    web(cluster)
    cluster.load("web", write_percent=0, rate_per_second=5)


def vehicles(cluster):
    """The reference stack with its users."""
    cluster.apply("specs/stack.yaml")
    cluster.until(ready("deployment/vehicle-api"))
    cluster.load("vehicle-api", rate_per_second=5)
    cluster.run(5)


# --- broken by hand ---


def first_pod(cluster):
    return cluster.pods_of("deployment/web")[0]


def replica_set_of(cluster):
    return cluster.list("replicasets")[0]


def removed_while_running(cluster):
    """A kubelet forgets a Pod that still runs; the next one of that name starts."""
    obj = cluster.get("pod/db-0")
    cluster.send(delete(POD, "default", "db-0", Options(grace_period_s=0)), kubelet(obj["spec"]["nodeName"]))
    cluster.run(10)


def out_of_turn(cluster):
    cluster.send(delete(POD, "default", "db-0"), controller("statefulset-controller"))


def too_large(cluster):
    key = key_of(replica_set_of(cluster))
    cluster.send(patch(REPLICA_SET, *key, {"spec": {"replicas": 9}}), controller("deployment-controller"))


def one_more(cluster):
    owner = replica_set_of(cluster)
    obj = pod("more")
    obj["metadata"]["ownerReferences"] = [owner_reference(owner)]
    cluster.send(create(POD, obj), controller("replicaset-controller"))


def wrong_victim(cluster):
    hung, well = cluster.pods_of("deployment/web")
    cluster.faults.hang(hung)
    cluster.run(15)
    cluster.send(delete(POD, *key_of(well)), controller("replicaset-controller"))
    cluster.run(6)


def generous_budget(cluster):
    status = {"status": {"disruptionsAllowed": 2}}
    request = patch(POD_DISRUPTION_BUDGET, "default", "web", status, "merge", "status")
    cluster.send(request, controller("disruption-controller"))


def deaf_proxy(cluster):
    cluster.data_plane.fabric.proxy.cut_off("users")
    cluster.faults.hang(first_pod(cluster))
    cluster.run(20)


def moved(cluster):
    obj = first_pod(cluster)
    there = "node-1" if obj["spec"]["nodeName"] != "node-1" else "node-2"
    changed = {**obj, "spec": {**obj["spec"], "nodeName": there}}
    cluster.plane.server.commit(POD, key_of(obj), changed, obj, controller("somebody"), "updated", "")


def too_heavy(cluster):
    heavy = container("app", resources={"requests": {"cpu": "5"}})
    cluster.create(pod("heavy", schedulerName="mine", containers=[heavy]))
    target = {"kind": "Node", "name": "node-1"}
    body = {"apiVersion": "v1", "kind": "Binding", "metadata": {"name": "heavy"}, "target": target}
    scheduler = Identity("system:kube-scheduler", is_trusted=True)
    cluster.send(create_subresource(POD, "default", "heavy", "binding", body), scheduler)


def unnoticed(cluster):
    cluster.controller_manager.controllers["node-controller"]._heartbeats.is_silent = lambda *_: False
    cluster.faults.lose_power("node-1")
    cluster.run(100)


def untimely(cluster):
    cluster.send(delete(POD, *key_of(first_pod(cluster))), controller("taint-eviction-controller"))


def miscounted(cluster):
    key = key_of(replica_set_of(cluster))
    request = patch(REPLICA_SET, *key, {"status": {"replicas": 5, "readyReplicas": 5}}, "merge", "status")
    cluster.send(request, controller("replicaset-controller"))


def not_ready_yet(cluster):
    cluster.create(pod("slow", containers=[container(port=8080, ready_path="/never", readinessProbe=NEVER)]))
    cluster.run(5)
    obj = cluster.get("pod/slow")
    condition = {"type": "Ready", "status": "True"}
    request = patch(POD, "default", "slow", {"status": {"conditions": [condition]}}, "strategic", "status")
    cluster.send(request, kubelet(obj["spec"]["nodeName"]))


NEVER = {"tcpSocket": {"port": 9}, "initialDelaySeconds": 600}


def listed_too_early(cluster):
    cluster.faults.hang(first_pod(cluster))
    cluster.run(20)
    piece = next(each for each in cluster.list("endpointslices") if each["metadata"]["name"].startswith("web-"))
    good = {"ready": True, "serving": True, "terminating": False}
    endpoints = [{**each, "conditions": good} for each in piece["endpoints"]]
    cluster.send(update(ENDPOINT_SLICE, {**piece, "endpoints": endpoints}), controller("endpointslice-controller"))


def bound_to_nothing(cluster):
    claim = {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "c"}}
    wanted = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
    cluster.create({**claim, "spec": wanted})
    request = patch(PERSISTENT_VOLUME_CLAIM, "default", "c", {"status": {"phase": "Bound"}}, "merge", "status")
    cluster.send(request, controller("persistent-volume-binder"))


def orphaned_from_birth(cluster):
    reference = {"apiVersion": "v1", "kind": "ConfigMap", "name": "ghost", "uid": "1"}
    metadata = {"name": "child", "namespace": "default", "ownerReferences": [reference]}
    cluster.create({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata})


def a_step_back(cluster):
    cluster.store.revision -= 10
    cluster.cordon("node-1")


def observed_the_future(cluster):
    change = {"status": {"observedGeneration": 99}}
    request = patch(REPLICA_SET, *key_of(replica_set_of(cluster)), change, "merge", "status")
    cluster.send(request, controller("replicaset-controller"))


def restless(cluster):
    metadata = {"name": "busy", "namespace": "default"}
    cluster.create({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata})
    for number in range(500):
        cluster.send(patch(CONFIG_MAP, "default", "busy", {"data": {"n": str(number)}}), controller("somebody"))


def forgotten(cluster):
    cluster.loads[0].ledger.acknowledge("ghost", cluster.now_ns)


class Row(NamedTuple):
    """An invariant, a world, how its promise is broken there, and what it then says."""

    invariant: str
    world: Callable[[Cluster], Any]
    plant: Callable[[Cluster], Any]
    says: str
    at_rest: bool = False


ROWS = (
    Row("oneIdentity", database, removed_while_running, "while another Pod of that name still runs on"),
    Row("endedBeforeGone", database, removed_while_running, "is removed by kubelet/"),
    Row("statefulOrder", database, out_of_turn, "is deleted although it is wanted"),
    Row("rolloutBounds", web, too_large, "grows to 9, which makes 9 Pods where 3 are allowed"),
    Row("noExtraPods", web, one_more, "is Pod number 3 of a ReplicaSet that wants 2"),
    Row("victimsRanked", web, wrong_victim, "which ranks before it"),
    Row("budgetsHonoured", web, generous_budget, "allows 2 disruptions with 2 healthy Pods of 1"),
    Row("routedToReady", users, deaf_proxy, "gets a new connection from users although it is not ready"),
    Row("boundOnce", web, moved, "moves from node-"),
    Row("nodesFit", web, too_heavy, "whose cpu is 4"),
    Row("silenceNoticed", web, unnoticed, "is called Ready after"),
    Row("tolerationsHonoured", web, untimely, "whose taints (none) it still tolerates"),
    Row("countsTrue", web, miscounted, "says replicas 5 where there are 2 at most"),
    Row("podsTrue", web, not_ready_yet, "is Ready while its containers are not: main"),
    Row("endpointsTrue", web, listed_too_early, "as ready, which is not"),
    Row("claimsTrue", web, bound_to_nothing, "is Bound to volume none, which is not bound to it"),
    Row("ownersExist", web, orphaned_from_birth, "has an owner that never existed: ConfigMap ghost"),
    Row("revisionsMoveForward", web, a_step_back, "is written as"),
    Row("generationsMoveForward", web, observed_the_future, "its status has observed generation 99 of 1"),
    Row("noHotLoop", web, restless, "is written 401 times within a minute by somebody"),
    Row("writesKept", vehicles, forgotten, "has lost 1 acknowledged writes", at_rest=True),
)


def watch(row):
    """A cluster in the row's world, watched by the row's invariant alone."""
    cluster = Cluster(records=False, programs=PROGRAMS)
    checks = Checks(cluster, [row.invariant])
    row.world(cluster)
    return cluster, checks


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.invariant)
def test_a_sound_world_is_left_alone_and_a_broken_promise_is_told(row):
    """Nothing is said until the promise is broken by hand; then what is said names it."""
    cluster, checks = watch(row)
    with cluster:
        cluster.run(12)
        before = list(checks.violations)
        row.plant(cluster)
        if row.at_rest:
            checks.converge()

    assert before == []
    assert checks.violation is not None, "the planted violation was not found"
    assert checks.violation.invariant == row.invariant
    assert row.says in checks.violation.text


def test_resizes_break_no_promise():
    """A Pod takes room that one gives back, one waits for room that is not there, and all of it counts as it is."""
    cluster = Cluster(records=False, programs=PROGRAMS)
    checks = Checks(cluster)

    def resize(name, cpu):
        change = {"spec": {"containers": [{"name": "main", "resources": {"requests": {"cpu": cpu}}}]}}
        cluster.send(patch(POD, "default", name, change, "strategic", "resize"))
        cluster.run(10)

    with cluster:
        for name in ("first", "second", "third"):
            asks = container("app", resources={"requests": {"cpu": "2"}})
            cluster.create(pod(name, nodeSelector={"kubernetes.io/hostname": "node-1"}, containers=[asks]))
            cluster.run(10)
        nowhere = cluster.get("pod/third")["spec"].get("nodeName")
        resize("second", "3")
        waiting = cluster.get("pod/second")["status"]["conditions"]
        resize("second", "1")
        resize("first", "1")
        there = cluster.get("pod/third")["status"]["phase"]
        checks.converge()

    assert (nowhere, there) == (None, "Running")
    assert [each["type"] for each in waiting if each.get("reason") == "Deferred"] == ["PodResizePending"]
    assert checks.violations == []


def test_a_container_that_is_started_without_waits_is_told(monkeypatch):
    """The kubelet's own back-off is sound; a kubelet without it is not."""
    row = Row("restartsBackOff", crashing, crashing, "is started")
    _, checks = watch(row)
    assert checks.violations == []

    monkeypatch.setattr(acting, "backoff_wait_ns", lambda *_: None)
    _, checks = watch(row)

    assert "container main is started 7 times in" in checks.violation.text


@pytest.mark.parametrize("tolerates", [(), [{"operator": "Exists"}]], ids=["nobody can know", "all know"])
def test_pods_that_a_kubelet_under_pressure_refuses(tolerates):
    """Until its Node is tainted they are replaced at once and nobody is to blame; who ignores the taint is."""
    with Cluster(nodes=1, records=False) as cluster:
        cluster.create(deployment("web", replicas=2, pod_spec={"tolerations": [*tolerates]}))
        cluster.until(ready("deployment/web"))
        checks = Checks(cluster, ["noHotLoop"])
        cluster.run(6)
        full = Disturbance(fault="diskPressure", argument=Shortage(node=NodeName("node-1")), at=Duration(0))
        arm(cluster, (full,))
        cluster.run(60)
        refused = [each for each in cluster.pods_of("deployment/web") if each["status"].get("reason") == "Evicted"]

        assert len(refused) > 62
        assert bool(checks.violations) == bool(tolerates)


def test_every_invariant_has_a_row():
    """A check that cannot fail proves nothing."""
    assert sorted({*(row.invariant for row in ROWS), "restartsBackOff"}) == sorted(INVARIANTS)

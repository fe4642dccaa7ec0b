"""The scheduler against the API server: what it writes and when."""

from __future__ import annotations

import pytest
from scheduler_world import make_node, make_pod

from kubesim.api.kinds import (
    EVENT,
    NAMESPACE,
    NODE,
    PERSISTENT_VOLUME,
    PERSISTENT_VOLUME_CLAIM,
    POD,
    PRIORITY_CLASS,
    SERVICE_ACCOUNT,
    STORAGE_CLASS,
)
from kubesim.api.requests import create, delete, get, list_all, patch, update
from kubesim.apiserver.server import ApiServer, Identity
from kubesim.client.informer import InformerFactory
from kubesim.client.inprocess import InProcessClient, Latency
from kubesim.client.recorder import Recorder
from kubesim.scheduler.scheduler import Scheduler
from kubesim.sim.chooser import Chooser
from kubesim.sim.loop import MINUTE, SECOND, Loop
from kubesim.store.log import Store


class Cluster:
    """An API server and a scheduler, and nothing else."""

    def __init__(self, *nodes) -> None:
        self.loop = Loop()
        chooser = Chooser(0)
        self.server = ApiServer(self.loop, Store(), chooser.stream("apiserver"))
        self.admin = Identity("admin")
        client = InProcessClient(self.loop, self.server, Identity("system:kube-scheduler"), Latency())
        informers = InformerFactory(self.loop, client)
        recorder = Recorder(self.loop, client, "default-scheduler")
        self.scheduler = Scheduler(self.loop, client, informers, recorder, chooser.stream("scheduler"))
        namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "default"}}
        self.do(create(NAMESPACE, namespace))
        account = {
            "apiVersion": "v1",
            "kind": "ServiceAccount",
            "metadata": {"namespace": "default", "name": "default"},
        }
        self.do(create(SERVICE_ACCOUNT, account))
        for node in nodes:
            self.add_node(node)
        informers.start()
        self.after(SECOND)

    def do(self, request):
        """A request of the administrator, answered at once."""
        return self.server.handle(request, self.admin)

    def after(self, ns):
        """Let time pass."""
        self.loop.run_until(self.loop.now_ns + ns)

    def add_node(self, node):
        """Create a node with its status."""
        full = {"apiVersion": "v1", "kind": "Node", **node}
        self.do(create(NODE, full))
        if node["spec"].get("taints") is None:
            self.do(patch(NODE, "", node["metadata"]["name"], {"spec": {"taints": None}}))
        self.do(patch(NODE, "", node["metadata"]["name"], {"status": node["status"]}, "merge", "status"))

    def add_pod(self, name, **wants):
        """Create a Pod."""
        pod = make_pod(name, **wants)
        del pod["status"], pod["metadata"]["uid"]
        return self.do(create(POD, pod))

    def pod(self, name):
        """The Pod as it is now."""
        return self.do(get(POD, "default", name))

    def condition(self, name, kind="PodScheduled"):
        """The Pod's condition of that type."""
        return next(c for c in self.pod(name)["status"]["conditions"] if c["type"] == kind)

    def events(self, name):
        """Type, reason and message of the Pod's events."""
        events = self.do(list_all(EVENT, "default"))["items"]
        return [(e["type"], e["reason"], e["message"]) for e in events if e["involvedObject"]["name"] == name]


def test_a_pod_is_bound_and_told_where() -> None:
    """The happy path: nodeName, condition and Event."""
    cluster = Cluster(make_node("n1"))
    cluster.add_pod("p")
    cluster.after(SECOND)

    assert cluster.pod("p")["spec"]["nodeName"] == "n1"
    assert cluster.condition("p")["status"] == "True"
    assert cluster.events("p") == [("Normal", "Scheduled", "Successfully assigned default/p to n1")]


def test_a_pod_without_room_is_marked_and_comes_back_with_a_node() -> None:
    """It fails with condition and Event, and a node that fits brings it back after its back-off at most."""
    cluster = Cluster(make_node("n1", cpu="1"))
    cluster.add_pod("p", cpu="2")
    cluster.after(SECOND)
    condition = cluster.condition("p")
    cluster.add_node(make_node("n2", cpu="4"))
    cluster.after(2 * SECOND)

    assert (condition["status"], condition["reason"]) == ("False", "Unschedulable")
    assert condition["message"].startswith("0/1 nodes are available: 1 Insufficient cpu. no new claims")
    assert [event[:2] for event in cluster.events("p")] == [("Warning", "FailedScheduling"), ("Normal", "Scheduled")]
    assert cluster.pod("p")["spec"]["nodeName"] == "n2"


def test_assumed_pods_count_before_their_binding_is_heard_of() -> None:
    """Two Pods that fit only one at a time never land on one node, though both are decided before the first is bound."""
    cluster = Cluster(make_node("n1", cpu="1"), make_node("n2", cpu="1"))
    for name in ("a", "b", "c"):
        cluster.add_pod(name, cpu="700m")
    cluster.after(SECOND)

    placed = [cluster.pod(name)["spec"].get("nodeName", "") for name in ("a", "b", "c")]

    assert sorted(placed) == ["", "n1", "n2"]


def test_a_deleted_pod_makes_room() -> None:
    """The deletion of a bound Pod brings one that was refused back."""
    cluster = Cluster(make_node("n1", cpu="1"))
    cluster.add_pod("first", cpu="700m")
    cluster.after(SECOND)
    cluster.add_pod("second", cpu="700m")
    cluster.after(SECOND)
    cluster.do(delete(POD, "default", "first"))
    cluster.do(patch(POD, "default", "first", {"status": {"phase": "Failed"}}, "merge", "status"))
    cluster.after(2 * SECOND)

    assert cluster.pod("second")["spec"]["nodeName"] == "n1"


def test_a_pod_counts_for_all_that_it_asks_for_and_has() -> None:
    """A resize takes room as soon as it is asked for, and gives room back when the node says that it is through.

    Upstream: component-helpers/resource/helpers.go:determineEffectiveRequests, noderesources/fit.go @v1.36
    """
    cluster = Cluster(make_node("n1", cpu="2"))
    cluster.add_pod("first", cpu="500m")
    cluster.after(SECOND)
    requests = {"spec": {"containers": [{"name": "main", "resources": {"requests": {"cpu": "1900m"}}}]}}
    cluster.do(patch(POD, "default", "first", requests, "strategic", "resize"))
    cluster.after(SECOND)
    cluster.add_pod("second", cpu="1")
    cluster.after(SECOND)
    refused = cluster.condition("second")["message"]

    requests = {"spec": {"containers": [{"name": "main", "resources": {"requests": {"cpu": "600m"}}}]}}
    has = {"name": "main", "resources": {"requests": {"cpu": "1500m"}}, "allocatedResources": {"cpu": "600m"}}
    has |= {"state": {"running": {"startedAt": None}}, "image": "i", "imageID": "", "ready": True, "restartCount": 0}
    cluster.do(patch(POD, "default", "first", {"status": {"containerStatuses": [has]}}, "merge", "status"))
    cluster.do(patch(POD, "default", "first", requests, "strategic", "resize"))
    cluster.after(20 * SECOND)
    before = cluster.pod("second")["spec"].get("nodeName")
    has["resources"] = {"requests": {"cpu": "600m"}}
    cluster.do(patch(POD, "default", "first", {"status": {"containerStatuses": [has]}}, "merge", "status"))
    cluster.after(20 * SECOND)

    assert refused.startswith("0/1 nodes are available: 1 Insufficient cpu.")
    assert (before, cluster.pod("second")["spec"].get("nodeName")) == (None, "n1")


def test_gated_pods_wait_for_their_gates() -> None:
    """A Pod with a scheduling gate is not considered until the gate is taken away."""
    cluster = Cluster(make_node("n1"))
    cluster.add_pod("p", schedulingGates=[{"name": "example.com/gate"}])
    cluster.after(SECOND)
    before = cluster.pod("p")["spec"].get("nodeName")
    cluster.do(patch(POD, "default", "p", {"spec": {"schedulingGates": []}}))
    cluster.after(SECOND)

    assert before is None
    assert cluster.pod("p")["spec"]["nodeName"] == "n1"


def test_without_nodes_a_pod_is_retried_by_back_off_alone() -> None:
    """No plugin has refused it, so that it comes back after 1 s, 2 s, 4 s and so on."""
    cluster = Cluster()
    cluster.add_pod("p")
    cluster.after(20 * SECOND)

    counts = [e["count"] for e in cluster.do(list_all(EVENT, "default"))["items"]]

    assert cluster.condition("p")["message"] == "no nodes available to schedule pods"
    assert 3 <= sum(counts) <= 6


def test_a_higher_priority_pod_takes_the_place_of_a_lower_one() -> None:
    """The victim is marked, deleted and told; the preemptor is nominated, and bound once the room is there."""
    cluster = Cluster(make_node("n1", cpu="1"))
    low = make_pod("low", cpu="700m")
    del low["status"], low["metadata"]["uid"]
    cluster.do(create(POD, low))
    cluster.after(SECOND)
    cluster.do(
        create(
            PRIORITY_CLASS,
            {
                "apiVersion": "scheduling.k8s.io/v1",
                "kind": "PriorityClass",
                "metadata": {"name": "high"},
                "value": 1000,
            },
        )
    )
    high = cluster.add_pod("high", cpu="700m", priorityClassName="high")
    cluster.after(SECOND)

    nominated = cluster.pod("high")
    condition = cluster.condition("low", "DisruptionTarget")
    assert nominated["status"]["nominatedNodeName"] == "n1"
    assert "deletionTimestamp" in cluster.pod("low")["metadata"]
    assert condition["reason"] == "PreemptionByScheduler"
    assert condition["message"] == "default-scheduler: preempting to accommodate a higher priority pod"
    text = f"Preempted by pod {high['metadata']['uid']} on node n1"
    assert cluster.events("low")[-1] == ("Normal", "Preempted", text)
    message = cluster.condition("high")["message"]
    assert message == "0/1 nodes are available: 1 Insufficient cpu."

    cluster.do(patch(POD, "default", "low", {"status": {"phase": "Failed"}}, "merge", "status"))
    cluster.after(2 * SECOND)
    assert cluster.pod("high")["spec"]["nodeName"] == "n1"


def test_a_claim_that_waits_for_a_consumer_gets_the_node_first() -> None:
    """The node is written into the claim, and the Pod is bound only when the claim is."""
    cluster = Cluster(make_node("n1"))
    cluster.do(
        create(
            STORAGE_CLASS,
            {
                "apiVersion": "storage.k8s.io/v1",
                "kind": "StorageClass",
                "metadata": {"name": "late"},
                "provisioner": "example.com/disk",
                "volumeBindingMode": "WaitForFirstConsumer",
            },
        )
    )
    claim = {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"namespace": "default", "name": "data"},
        "spec": {
            "storageClassName": "late",
            "accessModes": ["ReadWriteOnce"],
            "resources": {"requests": {"storage": "1Gi"}},
        },
    }
    cluster.do(create(PERSISTENT_VOLUME_CLAIM, claim))
    cluster.add_pod("p", volumes=[{"name": "v", "persistentVolumeClaim": {"claimName": "data"}}])
    cluster.after(2 * SECOND)
    waiting = cluster.do(get(PERSISTENT_VOLUME_CLAIM, "default", "data"))

    assert waiting["metadata"]["annotations"]["volume.kubernetes.io/selected-node"] == "n1"
    assert "nodeName" not in cluster.pod("p")["spec"]
    assert cluster.pod("p")["status"]["nominatedNodeName"] == "n1"

    volume = {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": "pv"},
        "spec": {
            "storageClassName": "late",
            "capacity": {"storage": "1Gi"},
            "accessModes": ["ReadWriteOnce"],
            "hostPath": {"path": "/data"},
        },
    }
    cluster.do(create(PERSISTENT_VOLUME, volume))
    annotations = {**waiting["metadata"]["annotations"], "pv.kubernetes.io/bind-completed": "yes"}
    bound = {**waiting, "metadata": {**waiting["metadata"], "annotations": annotations}}
    cluster.do(update(PERSISTENT_VOLUME_CLAIM, {**bound, "spec": {**waiting["spec"], "volumeName": "pv"}}))
    cluster.after(2 * SECOND)

    assert cluster.pod("p")["spec"]["nodeName"] == "n1"


@pytest.mark.parametrize("minutes, tries", [(4, 1), (6, 2)], ids=["not before five minutes", "after five minutes"])
def test_a_pod_that_nothing_wakes_is_tried_again_in_time(minutes, tries) -> None:
    """Upstream: scheduling_queue.go:flushUnschedulablePodsLeftover @v1.36"""
    cluster = Cluster(make_node("n1", cpu="1"))
    cluster.add_pod("p", cpu="2")
    cluster.after(minutes * MINUTE)

    assert sum(e["count"] for e in cluster.do(list_all(EVENT, "default"))["items"]) == tries


def test_a_stopped_scheduler_says_nothing_more() -> None:
    """The binding that was sent takes effect, but nobody is there to tell of it, and the next Pod stays as it is."""
    cluster = Cluster(make_node("n1"))
    cluster.add_pod("sent")
    while not cluster.scheduler.snapshot.nodes["n1"].pods:
        cluster.loop.run_until(cluster.loop.next_at_ns())
    cluster.scheduler.stop()
    cluster.add_pod("late")
    cluster.after(SECOND)

    assert cluster.pod("sent")["spec"]["nodeName"] == "n1"
    assert "nodeName" not in cluster.pod("late")["spec"]
    assert cluster.events("sent") == []


def test_a_pod_deleted_while_its_binding_is_under_way_frees_its_node() -> None:
    """The binding fails, the room is free again, and the Pod is not tried once more."""
    cluster = Cluster(make_node("n1", cpu="1"))
    cluster.add_pod("gone", cpu="1")
    while not cluster.scheduler.snapshot.nodes["n1"].pods:
        cluster.loop.run_until(cluster.loop.next_at_ns())
    cluster.do(delete(POD, "default", "gone"))
    cluster.add_pod("next", cpu="1")
    cluster.after(3 * SECOND)

    assert cluster.pod("next")["spec"]["nodeName"] == "n1"
    assert [entry.pod["metadata"]["name"] for entry in cluster.scheduler.snapshot.nodes["n1"].pods.values()] == ["next"]

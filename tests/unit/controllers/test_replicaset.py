"""ReplicaSets: how many Pods, in what steps, and what the status says. Upstream: replica_set_test.go @v1.36."""

from __future__ import annotations

import pytest
from rollout_world import RolloutWorld, create_pod, refuse

from kubesim.api.kinds import NAMESPACE, POD, REPLICA_SET
from kubesim.api.objects import controller_of
from kubesim.api.requests import delete, get, patch
from kubesim.errors import ApiError, Cause, forbidden

LABELS = {"app": "web"}
QUOTA = forbidden("pods", "", "web-", "exceeded quota: few, requested: pods=1, used: pods=2, limited: pods=2")


@pytest.fixture
def world():
    """A world with a kubelet of its own."""
    return RolloutWorld()


def web(world):
    return world.do(get(REPLICA_SET, "default", "web"))


def created_at(world):
    """The instants at which Pods were created, in ms since the ReplicaSet was, with how many."""
    start = next(write for write in world.stamps if write[1] == ("created", "ReplicaSet"))[0]
    counts = {}
    for at_ns, what in world.stamps:
        if what == ("created", "Pod"):
            at_ms = (at_ns - start) // 1_000_000
            counts[at_ms] = counts.get(at_ms, 0) + 1
    return counts


def stamped(world):
    """Note when things are written."""
    world.stamps = []
    before = world.plane.server.on_write

    def on_write(write):
        world.stamps.append((world.loop.now_ns, (write.verb, write.kind.kind)))
        before(write)

    world.plane.server.on_write = on_write
    return world


def test_pods_come_in_doubling_batches(world):
    """The first creation is a trial for all others: 1, 2, 4, 8, and what is left."""
    stamped(world).replica_set(20)
    world.run(1)

    assert list(created_at(world).values()) == [1, 2, 4, 8, 5]


def test_no_more_than_500_pods_come_in_one_sync(world):
    """Upstream: BurstReplicas. The rest follows when those have been seen."""
    stamped(world).replica_set(520)
    world.run(1)

    assert list(created_at(world).values()) == [1, 2, 4, 8, 16, 32, 64, 128, 245, 1, 2, 4, 8, 5]


def test_a_pod_is_made_of_the_template(world):
    """Its labels, annotations and spec, a generated name, and the ReplicaSet as its controller."""
    template = {
        "metadata": {"labels": LABELS, "annotations": {"note": "x"}, "finalizers": ["example.com/hold"]},
        "spec": {"containers": [{"name": "main", "image": "app"}], "nodeSelector": {"disk": "ssd"}},
    }
    owner = world.replica_set(1, template=template)
    world.run(0.1)

    (pod,) = world.pods()
    metadata = pod["metadata"]
    assert metadata["name"].startswith("web-")
    assert metadata["generateName"] == "web-"
    assert (metadata["labels"], metadata["annotations"], metadata["finalizers"]) == (
        LABELS,
        {"note": "x"},
        ["example.com/hold"],
    )
    assert metadata["ownerReferences"] == [
        {
            "apiVersion": "apps/v1",
            "kind": "ReplicaSet",
            "name": "web",
            "uid": owner["metadata"]["uid"],
            "controller": True,
            "blockOwnerDeletion": True,
        }
    ]
    assert pod["spec"]["nodeSelector"] == {"disk": "ssd"}


def test_a_refused_creation_is_told_and_tried_again(world):
    """One refusal ends the slow start; the status gets ReplicaFailure with the server's words; the back-off doubles."""
    refused = refuse(stamped(world), QUOTA, verb="create", kind=POD)
    world.replica_set(4)
    world.run(1)

    status = web(world)["status"]
    assert status["replicas"] == 0
    assert [{**each, "lastTransitionTime": ""} for each in status["conditions"]] == [
        {
            "type": "ReplicaFailure",
            "status": "True",
            "reason": "FailedCreate",
            "message": QUOTA.message,
            "lastTransitionTime": "",
        }
    ]
    assert f"Error creating: {QUOTA.message}" in world.events("web", "FailedCreate")
    # At once, when its own status came back, and after 5, 10, 20, 40, 80, 160, 320 ms and the time of the requests.
    assert 8 <= len(refused) <= 10


def test_the_failure_goes_when_creations_succeed(world):
    """The condition is removed with the first sync without a failure."""
    refuse(world, QUOTA, verb="create", kind=POD, times=3)
    world.replica_set(2)
    world.run(1)

    assert len(world.pods()) == 2
    assert "conditions" not in web(world)["status"]


def test_a_refused_deletion_is_told(world):
    """The status says FailedDelete and wraps the server's words, the Event does not."""
    world.replica_set(2)
    world.run(3)
    refuse(world, forbidden("pods", "", "x", "no"), verb="delete", kind=POD)
    world.patch(REPLICA_SET, "web", {"spec": {"replicas": 1}})
    world.run(0.5)

    (condition,) = web(world)["status"]["conditions"]
    assert condition["reason"] == "FailedDelete"
    assert condition["message"] == 'unable to delete pods: pods "x" is forbidden: no'
    assert 'Error deleting: pods "x" is forbidden: no' in world.events("web", "FailedDelete")


def test_a_pod_that_is_already_gone_is_as_good_as_deleted(world):
    """404 for a deletion is neither an Event nor a failure."""
    world.replica_set(2)
    world.run(3)
    refuse(world, ApiError(404, "NotFound", "gone"), verb="delete", kind=POD, times=1)
    world.patch(REPLICA_SET, "web", {"spec": {"replicas": 1}})
    world.run(1)

    assert world.events("web", "FailedDelete") == []
    assert "conditions" not in web(world)["status"]
    assert web(world)["status"]["replicas"] == 1


def test_in_a_terminating_namespace_nothing_is_tried_again(world):
    """The refusal counts as a success that is never seen: no Event, and nothing more for five minutes."""
    error = forbidden(
        "pods", "", "", "unable to create new content in namespace default because it is being terminated"
    )
    error.causes = (Cause("NamespaceTerminating", "metadata.namespace", "namespace default is being terminated"),)
    refused = refuse(world, error, verb="create", kind=POD)
    world.replica_set(3)
    world.run(290)

    assert len(refused) == 3
    assert world.events("web") == []
    assert world.get(NAMESPACE, "default")["status"]["phase"] == "Active"
    assert "conditions" not in web(world)["status"]


def test_a_lost_watch_event_holds_a_replica_set_back_for_five_minutes_at_most(world):
    """After that it acts on what it sees. Upstream: ExpectationsTimeout."""
    controller = world.manager.controllers["replicaset-controller"]
    world.add_node("node-1")
    world.replica_set(2)
    world.run(3)
    controller._expectations.expect_creations(("default", "web"), 1)
    world.patch(REPLICA_SET, "web", {"spec": {"replicas": 3}})
    world.live(300, "node-1")
    assert len(world.pods()) == 2
    world.run(1)
    world.patch(REPLICA_SET, "web", {"metadata": {"annotations": {"wake": "up"}}})
    world.run(0.1)

    assert len(world.pods()) == 3


def test_scaling_down_deletes_the_least_missed(world):
    """The Pods that are not ready go, before any that serves."""
    world.replica_set(4)
    world.run(4)
    bad = world.pods()[2]["metadata"]["name"]
    world.set_ready(bad, is_ready=False)
    world.run(0.1)
    world.patch(REPLICA_SET, "web", {"spec": {"replicas": 3}})
    world.run(0.1)

    assert world.events("web", "SuccessfulDelete") == [f"Deleted pod: {bad}"]


def test_copies_on_one_node_go_first(world):
    """Among equal Pods of Deployments, those whose node has most of the Deployment's Pods."""
    world.deployment(3)
    world.run(0.004)
    world._run_pod = lambda *_: None
    world.run(0.2)
    names = [pod["metadata"]["name"] for pod in world.pods()]
    for name, node in zip(names, ("one", "two", "two"), strict=True):
        world.bind(name, node)
        world.set_ready(name)
    world.run(1)
    world.scale(2)
    world.run(0.1)

    going = [pod["spec"]["nodeName"] for pod in world.pods() if "deletionTimestamp" in pod["metadata"]]
    assert going == ["two"]


def test_ended_pods_are_replaced_and_left(world):
    """A Failed Pod counts for nothing; the garbage collector for Pods may have it later."""
    world.replica_set(2)
    world.run(3)
    ended = world.pods()[0]["metadata"]["name"]
    world.patch(POD, ended, {"status": {"phase": "Failed"}}, "status")
    world.run(0.1)

    assert len(world.pods()) == 3
    assert web(world)["status"]["replicas"] == 2
    assert web(world)["status"]["terminatingReplicas"] == 0


def test_a_terminating_pod_is_replaced_at_once(world):
    """The new one does not wait for the old one to end."""
    world.replica_set(2)
    world.run(3)
    world.delete(POD, world.pods()[0]["metadata"]["name"])
    world.run(0.05)

    assert len(world.pods()) == 3
    status = web(world)["status"]
    assert (status["replicas"], status["terminatingReplicas"]) == (2, 1)


def test_fully_labeled_replicas_have_all_labels_of_the_template(world):
    """A Pod that the selector takes but that lacks one of the template's labels is a replica like the others."""
    template = {
        "metadata": {"labels": {**LABELS, "tier": "front"}},
        "spec": {"containers": [{"name": "main", "image": "app"}]},
    }
    create_pod(world, "lean", LABELS)
    world.replica_set(2, template=template)
    world.run(0.1)

    status = web(world)["status"]
    assert (status["replicas"], status["fullyLabeledReplicas"]) == (2, 1)


def test_a_pod_becomes_available_after_min_ready_seconds(world):
    """Recorded (c4): readyReplicas first, availableReplicas 3 s after the second in which the Pod became ready."""
    world.replica_set(1, minReadySeconds=3)
    world.run(2.5)
    status = web(world)["status"]
    assert (status["readyReplicas"], status.get("availableReplicas")) == (1, None)
    ready_ns = world.loop.now_ns
    while "availableReplicas" not in web(world)["status"] and world.loop.now_ns < ready_ns + 5_000_000_000:
        world.run(0.1)

    assert web(world)["status"]["availableReplicas"] == 1
    assert 1_000_000_000 <= world.loop.now_ns - ready_ns <= 3_000_000_000


def test_a_pod_that_flaps_starts_its_time_anew(world):
    """A Pod that stops being ready within minReadySeconds is not available in between."""
    world.replica_set(1, minReadySeconds=5)
    world.run(3)
    name = world.pods()[0]["metadata"]["name"]
    world.set_ready(name, is_ready=False)
    world.run(1)
    world.set_ready(name)
    world.run(4)
    assert "availableReplicas" not in web(world)["status"]
    world.run(3)

    assert web(world)["status"]["availableReplicas"] == 1


def test_matching_orphans_are_adopted_instead_of_creating(world):
    """A ReplicaSet over existing Pods takes them as they are."""
    for name in ("a", "b"):
        create_pod(world, name, LABELS)
    create_pod(world, "other", {"app": "db"})
    world.run(3)
    world.replica_set(2)
    world.run(0.1)

    owners = {pod["metadata"]["name"]: (controller_of(pod) or {}).get("name") for pod in world.pods()}
    assert owners == {"a": "web", "b": "web", "other": None}


def test_two_replica_sets_do_not_take_each_others_pods(world):
    """Only orphans can be adopted, even where both selectors match."""
    world.replica_set(1, name="one")
    world.replica_set(1, name="two")
    world.run(1)

    assert sorted(controller_of(pod)["name"] for pod in world.pods()) == ["one", "two"]


def test_relabelling_hands_a_pod_over(world):
    """Released by one ReplicaSet and adopted by the other, which then has one too many."""
    world.replica_set(1, name="one", labels={"app": "one"})
    world.replica_set(1, name="two", labels={"app": "two"})
    world.run(3)
    moved = next(pod for pod in world.pods() if controller_of(pod)["name"] == "one")["metadata"]["name"]
    world.do(patch(POD, "default", moved, {"metadata": {"labels": {"app": "two"}}}, "merge"))
    world.run(3)

    assert sorted(controller_of(pod)["name"] for pod in world.pods()) == ["one", "two"]
    assert len(world.events("two", "SuccessfulDelete")) == 1


def test_a_status_is_written_with_one_retry_on_a_fresh_object(world):
    """A change of the ReplicaSet between read and write costs a GET and a second PUT, no error."""
    world.replica_set(1)
    world.run(0.004)
    world.patch(REPLICA_SET, "web", {"metadata": {"annotations": {"touched": "true"}}})
    world.run(0.1)

    assert web(world)["status"]["replicas"] == 1
    assert web(world)["metadata"]["annotations"] == {"touched": "true"}


def test_a_new_replica_set_of_the_same_name_starts_clean(world):
    """What the deleted one still waited for does not hold the new one back."""
    world.replica_set(2)
    world.run(3)
    world.manager.controllers["replicaset-controller"]._expectations.expect_creations(("default", "web"), 5)
    world.do(delete(REPLICA_SET, "default", "web"))
    world.replica_set(3)
    world.run(3)

    assert web(world)["status"]["readyReplicas"] == 3


def test_a_settled_replica_set_is_quiet(world):
    """Nothing more is written once everything stands."""
    world.add_node("node-1")
    world.replica_set(3)
    world.live(20, "node-1")
    world.writes.clear()
    world.live(600, "node-1")

    assert {write.kind.kind for write in world.writes} == {"Lease"}

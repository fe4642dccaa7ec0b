"""StatefulSets, as the real 1.36.3 was recorded and as its source has it."""

from __future__ import annotations

import pytest

from kubesim.api.kinds import CONTROLLER_REVISION, PERSISTENT_VOLUME_CLAIM, POD, STATEFUL_SET
from kubesim.controllers.controller_history import hash_revision
from kubesim.controllers.registry import CONTROLLERS
from kubesim.controllers.statefulset import StatefulSetController


def stateful_set(image="nginx:1", **spec):
    """A set `db` of three, with one claim each."""
    return {
        "metadata": {"name": "db"},
        "spec": {
            "serviceName": "db",
            "replicas": 3,
            "selector": {"matchLabels": {"app": "db"}},
            "template": template(image),
            "volumeClaimTemplates": [
                {
                    "metadata": {"name": "data"},
                    "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
                }
            ],
            **spec,
        },
    }


def template(image):
    """The Pod template, told apart by the image."""
    return {"metadata": {"labels": {"app": "db"}}, "spec": {"containers": [{"name": "main", "image": image}]}}


def start(world, **spec):
    """Create the set and bring up all its Pods."""
    world.create(STATEFUL_SET, stateful_set(**spec))
    bring_up(world)


def bring_up(world, rounds=8):
    """Play the kubelet until nothing changes: bind, run, and let go of what is being deleted."""
    for _ in range(rounds):
        world.run(1)
        for name in world.names(POD):
            pod = world.get(POD, name)
            if "deletionTimestamp" in pod["metadata"]:
                world.delete(POD, name, grace_s=0)
            elif pod["status"]["phase"] == "Pending":
                if not pod["spec"].get("nodeName"):
                    world.bind(name)
                world.set_ready(name)


def status_of(world):
    """The set's status."""
    return world.get(STATEFUL_SET, "db")["status"]


def images(world):
    """The image of each Pod, by name."""
    return {name: world.get(POD, name)["spec"]["containers"][0]["image"] for name in sorted(world.names(POD))}


def test_the_first_writes_are_those_of_the_real_cluster(world):
    """Revision, claim, Pod, a status without it and one with it, in the order of recording d1."""
    world.create(STATEFUL_SET, stateful_set())
    world.run(0.5)
    ours = [write for write in world.writes if write.identity.user.endswith(":statefulset-controller")]
    assert [(write.verb, write.kind.kind, write.subresource) for write in ours if write.kind.kind != "Event"] == [
        ("created", "ControllerRevision", ""),
        ("created", "PersistentVolumeClaim", ""),
        ("created", "Pod", ""),
        ("updated", "StatefulSet", "status"),
        ("updated", "StatefulSet", "status"),
    ]
    first, second = (write.obj["status"] for write in ours if write.kind is STATEFUL_SET)
    (revision,) = world.names(CONTROLLER_REVISION)
    assert first == {
        "observedGeneration": 1,
        "replicas": 0,
        "currentRevision": revision,
        "updateRevision": revision,
        "collisionCount": 0,
        "availableReplicas": 0,
    }
    assert second == {**first, "replicas": 1, "currentReplicas": 1, "updatedReplicas": 1}
    assert world.errors == []


def test_a_pod_carries_its_identity(world):
    """Name, labels, host name and claim of recording d1's db-0."""
    world.create(STATEFUL_SET, stateful_set())
    world.run(0.5)
    pod, claim = world.get(POD, "db-0"), world.get(PERSISTENT_VOLUME_CLAIM, "data-db-0")
    (revision,) = world.names(CONTROLLER_REVISION)
    assert pod["metadata"]["labels"] == {
        "app": "db",
        "apps.kubernetes.io/pod-index": "0",
        "controller-revision-hash": revision,
        "statefulset.kubernetes.io/pod-name": "db-0",
    }
    assert pod["metadata"]["generateName"] == "db-"
    assert (pod["spec"]["hostname"], pod["spec"]["subdomain"]) == ("db-0", "db")
    assert pod["spec"]["volumes"][0] == {"name": "data", "persistentVolumeClaim": {"claimName": "data-db-0"}}
    assert claim["metadata"]["labels"] == {"app": "db"}
    assert "ownerReferences" not in claim["metadata"]
    assert world.events("db") == [
        "Create Claim data-db-0 Pod db-0 in StatefulSet db success",
        "Create Pod db-0 in StatefulSet db successful",
    ]


def test_a_revision_is_named_by_kubernetes_own_hash():
    """The name that recording s1-stack's first StatefulSet, and d1's, got from the real controller."""
    container = {
        "name": "main",
        "image": "python:3.11-slim",
        "imagePullPolicy": "IfNotPresent",
        "command": ["sh", "-c", 'trap "exit 0" TERM; sleep 1; touch /tmp/ready; sleep 9999 & wait'],
        "env": [{"name": "V", "value": "1"}],
        "readinessProbe": {
            "exec": {"command": ["cat", "/tmp/ready"]},  # noqa: S108 (as recorded)
            "failureThreshold": 3,
            "periodSeconds": 1,
            "successThreshold": 1,
            "timeoutSeconds": 1,
        },
        "resources": {},
        "terminationMessagePath": "/dev/termination-log",
        "terminationMessagePolicy": "File",
        "volumeMounts": [{"name": "data", "mountPath": "/data"}],
    }
    spec = {
        "containers": [container],
        "dnsPolicy": "ClusterFirst",
        "restartPolicy": "Always",
        "schedulerName": "default-scheduler",
        "securityContext": {},
        "terminationGracePeriodSeconds": 2,
    }
    pod_template = {"$patch": "replace", "metadata": {"labels": {"app": "db"}}, "spec": spec}
    assert hash_revision({"spec": {"template": pod_template}}, 0) == "86848d9445"


def test_ordered_ready_waits_for_each_pod(world):
    """The next ordinal is created only when the one before is ready."""
    world.create(STATEFUL_SET, stateful_set())
    world.run(1)
    assert world.names(POD) == ["db-0"]
    world.set_ready("db-0")
    world.run(1)
    assert world.names(POD) == ["db-0", "db-1"]
    world.run(20)
    assert world.names(POD) == ["db-0", "db-1"]


def test_parallel_creates_all_at_once(world):
    """Parallel waits for nobody."""
    world.create(STATEFUL_SET, stateful_set(podManagementPolicy="Parallel"))
    world.run(1)
    assert sorted(world.names(POD)) == ["db-0", "db-1", "db-2"]
    assert status_of(world)["replicas"] == 3


def test_ordinals_may_start_elsewhere(world):
    """`ordinals.start` moves names and indexes."""
    start(world, ordinals={"start": 5}, replicas=2)
    assert sorted(world.names(POD)) == ["db-5", "db-6"]
    assert world.get(POD, "db-6")["metadata"]["labels"]["apps.kubernetes.io/pod-index"] == "6"


def test_scaling_down_goes_one_by_one_from_the_top(world):
    """The next Pod is deleted when the one above is gone, and the claims stay."""
    start(world)
    world.patch(STATEFUL_SET, "db", {"spec": {"replicas": 1}})
    world.run(1)
    assert [name for name in world.names(POD) if "deletionTimestamp" in world.get(POD, name)["metadata"]] == ["db-2"]
    assert status_of(world)["currentReplicas"] == 2
    world.delete(POD, "db-2", grace_s=0)
    world.run(1)
    assert "deletionTimestamp" in world.get(POD, "db-1")["metadata"]
    world.delete(POD, "db-1", grace_s=0)
    world.run(1)
    assert world.names(POD) == ["db-0"]
    assert len(world.names(PERSISTENT_VOLUME_CLAIM)) == 3


def test_a_rolling_update_respects_the_partition(world):
    """Only ordinals from the partition on get the new revision; the status counts as in recording d1."""
    start(world)
    world.patch(
        STATEFUL_SET,
        "db",
        {"spec": {"template": template("nginx:2"), "updateStrategy": {"rollingUpdate": {"partition": 2}}}},
    )
    world.run(0.2)
    old, new = sorted(
        world.names(CONTROLLER_REVISION), key=lambda name: world.get(CONTROLLER_REVISION, name)["revision"]
    )
    assert status_of(world) == {
        "observedGeneration": 2,
        "replicas": 3,
        "readyReplicas": 3,
        "currentReplicas": 2,
        "currentRevision": old,
        "updateRevision": new,
        "collisionCount": 0,
        "availableReplicas": 3,
    }
    bring_up(world)
    assert images(world) == {"db-0": "nginx:1", "db-1": "nginx:1", "db-2": "nginx:2"}
    assert status_of(world)["updatedReplicas"] == 1
    world.patch(STATEFUL_SET, "db", {"spec": {"updateStrategy": {"rollingUpdate": {"partition": 0}}}})
    bring_up(world)
    assert set(images(world).values()) == {"nginx:2"}
    assert (status_of(world)["currentRevision"], status_of(world)["currentReplicas"]) == (new, 3)


def test_a_pod_below_the_partition_comes_back_as_it_was(world):
    """A Pod that is lost during a partitioned update is made of the current revision again."""
    start(world)
    world.patch(
        STATEFUL_SET,
        "db",
        {"spec": {"template": template("nginx:2"), "updateStrategy": {"rollingUpdate": {"partition": 3}}}},
    )
    world.run(1)
    world.delete(POD, "db-0", grace_s=0)
    bring_up(world)
    assert images(world)["db-0"] == "nginx:1"


def test_on_delete_updates_only_what_is_deleted(world):
    """OnDelete leaves Pods alone until somebody deletes them."""
    start(world, updateStrategy={"type": "OnDelete"})
    world.patch(STATEFUL_SET, "db", {"spec": {"template": template("nginx:2")}})
    bring_up(world)
    assert set(images(world).values()) == {"nginx:1"}
    world.delete(POD, "db-1", grace_s=0)
    bring_up(world)
    assert images(world) == {"db-0": "nginx:1", "db-1": "nginx:2", "db-2": "nginx:1"}


def test_a_repaired_template_does_not_replace_the_broken_pod(world):
    """The set is stuck on a Pod that never gets ready until it is deleted by hand (recording d3)."""
    start(world)
    world.patch(STATEFUL_SET, "db", {"spec": {"template": template("broken")}})
    world.run(1)
    world.delete(POD, "db-2", grace_s=0)
    world.run(1)
    world.patch(STATEFUL_SET, "db", {"spec": {"template": template("nginx:1")}})
    world.run(5)
    assert images(world)["db-2"] == "broken"
    world.delete(POD, "db-2", grace_s=0)
    bring_up(world)
    assert set(images(world).values()) == {"nginx:1"}


def test_going_back_renumbers_the_old_revision(world):
    """An equal revision is not made twice: its number becomes the highest."""
    start(world)
    first = world.names(CONTROLLER_REVISION)[0]
    world.patch(STATEFUL_SET, "db", {"spec": {"template": template("nginx:2")}})
    bring_up(world)
    world.patch(STATEFUL_SET, "db", {"spec": {"template": template("nginx:1")}})
    bring_up(world)
    numbers = {name: world.get(CONTROLLER_REVISION, name)["revision"] for name in world.names(CONTROLLER_REVISION)}
    assert len(numbers) == 2
    assert numbers[first] == 3
    assert status_of(world)["updateRevision"] == first


def test_old_revisions_are_dropped_beyond_the_limit(world):
    """Revisions that no Pod has go, oldest first, once there are more than `revisionHistoryLimit`."""
    start(world, replicas=1, revisionHistoryLimit=1)
    for number in range(2, 6):
        world.patch(STATEFUL_SET, "db", {"spec": {"template": template(f"nginx:{number}")}})
        bring_up(world, rounds=4)
    world.run(1)
    revisions = sorted(world.get(CONTROLLER_REVISION, name)["revision"] for name in world.names(CONTROLLER_REVISION))
    assert revisions == [4, 5]


def test_a_hash_collision_is_counted(world):
    """A foreign revision of the wanted name makes the controller take another name and count it."""
    probe = type(world)()
    probe.create(STATEFUL_SET, stateful_set())
    probe.run(0.5)
    (name,) = probe.names(CONTROLLER_REVISION)
    world.create(CONTROLLER_REVISION, {"metadata": {"name": name}, "data": {"other": 1}, "revision": 1})
    world.create(STATEFUL_SET, stateful_set())
    world.run(0.5)
    assert status_of(world)["collisionCount"] == 1
    assert status_of(world)["updateRevision"] != name


@pytest.mark.parametrize("phase", ["Failed", "Succeeded"])
def test_a_finished_pod_is_replaced(world, phase):
    """A Pod that has ended, however it ended, is deleted and made anew."""
    start(world)
    before = world.get(POD, "db-1")["metadata"]["uid"]
    world.patch(POD, "db-1", {"status": {"phase": phase}}, "status")
    bring_up(world)
    assert world.get(POD, "db-1")["metadata"]["uid"] != before
    assert "Delete Pod db-1 in StatefulSet db successful" in world.events("db")


def test_there_is_never_a_second_pod_of_one_name(world):
    """A Pod that is being deleted on a silent node keeps its place, for as long as it takes."""
    world.add_node("node-1")
    start(world)
    world.delete(POD, "db-1")
    before = world.get(POD, "db-1")["metadata"]["uid"]
    world.run(600)
    assert world.get(POD, "db-1")["metadata"]["uid"] == before
    world.delete(POD, "db-1", grace_s=0)
    world.set_ready("db-0")
    world.run(1)
    assert world.get(POD, "db-1")["metadata"]["uid"] != before


def test_a_pod_counts_as_available_after_min_ready_seconds(world):
    """The next Pod waits for availability, and the status follows without any other change."""
    world.create(STATEFUL_SET, stateful_set(minReadySeconds=10))
    world.run(1)
    world.set_ready("db-0")
    world.run(9)
    assert (status_of(world)["readyReplicas"], status_of(world)["availableReplicas"]) == (1, 0)
    assert world.names(POD) == ["db-0"]
    world.run(2)
    assert status_of(world)["availableReplicas"] == 1
    assert world.names(POD) == ["db-0", "db-1"]


def owners(world, claim):
    """Kind and name of the claim's owners."""
    found = world.get(PERSISTENT_VOLUME_CLAIM, claim)
    return [(each["kind"], each["name"]) for each in found["metadata"].get("ownerReferences", [])]


def test_the_retention_policy_moves_claims_between_owners(world):
    """Delete/Delete: owned by the set, by the Pod once it is scaled down, and gone with it (recording d2)."""
    start(world, persistentVolumeClaimRetentionPolicy={"whenDeleted": "Delete", "whenScaled": "Delete"})
    assert owners(world, "data-db-2") == [("StatefulSet", "db")]
    world.patch(STATEFUL_SET, "db", {"spec": {"replicas": 2}})
    world.run(0.5)
    assert owners(world, "data-db-2") == [("Pod", "db-2")]
    assert owners(world, "data-db-1") == [("StatefulSet", "db")]
    world.delete(POD, "db-2", grace_s=0)
    world.run(5)
    going = world.get(PERSISTENT_VOLUME_CLAIM, "data-db-2")
    assert going is None or "deletionTimestamp" in going["metadata"]


def test_claims_are_handed_over_when_the_policy_changes(world):
    """Retain to Delete on a running set adds the owner, and says so of the Pod."""
    start(world)
    world.patch(STATEFUL_SET, "db", {"spec": {"persistentVolumeClaimRetentionPolicy": {"whenDeleted": "Delete"}}})
    world.run(2)
    assert owners(world, "data-db-0") == [("StatefulSet", "db")]
    assert "Update Pod db-0 in StatefulSet db successful" in world.events("db", "SuccessfulUpdate")


def test_an_orphan_of_the_right_name_is_adopted(world):
    """A Pod without controller whose name and labels fit becomes the set's; one of another name does not."""
    for name in ("db-0", "stranger"):
        labels = {"app": "db", "statefulset.kubernetes.io/pod-name": name}
        spec = {"containers": [{"name": "main", "image": "nginx:1"}]}
        world.create(POD, {"metadata": {"name": name, "labels": labels}, "spec": spec})
    world.create(STATEFUL_SET, stateful_set(replicas=1, volumeClaimTemplates=[]))
    world.run(1)
    assert world.get(POD, "db-0")["metadata"]["ownerReferences"][0]["name"] == "db"
    assert "ownerReferences" not in world.get(POD, "stranger")["metadata"]


def test_a_refused_pod_is_reported_and_tried_again(world):
    """The event carries the server's answer; claims are there already."""
    set_ = stateful_set()
    set_["spec"]["template"]["spec"]["serviceAccountName"] = "missing"
    world.create(STATEFUL_SET, set_)
    world.run(2)
    assert world.names(POD) == []
    assert world.events("db", "FailedCreate")[0] == (
        'Create Pod db-0 in StatefulSet db failed error: pods "db-0" is forbidden: error looking up service account '
        'default/missing: serviceaccount "missing" not found'
    )


def test_max_unavailable_counts_only_behind_its_gate(world, monkeypatch):
    """With MaxUnavailableStatefulSet on, as many Pods as allowed are deleted at once, highest first."""
    monkeypatch.setitem(
        CONTROLLERS,
        StatefulSetController.name,
        lambda context: StatefulSetController(context, honours_max_unavailable=True),
    )
    gated = type(world)()
    for each in (world, gated):
        start(each, updateStrategy={"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 2}})
        each.patch(STATEFUL_SET, "db", {"spec": {"template": template("nginx:2")}})
        each.run(1)
    going = [
        sorted(name for name in each.names(POD) if "deletionTimestamp" in each.get(POD, name)["metadata"])
        for each in (world, gated)
    ]
    assert going == [["db-2"], ["db-1", "db-2"]]

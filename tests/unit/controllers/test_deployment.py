"""Deployments beyond what was recorded: worked through from upstream's sync.go, rolling.go, progress.go, rollback.go @v1.36."""

from __future__ import annotations

import pytest
from rollout_world import BROKEN_IMAGE, RolloutWorld, refuse

from kubesim.api.kinds import DEPLOYMENT, POD, REPLICA_SET
from kubesim.api.objects import annotations_of, controller_of
from kubesim.api.requests import delete, get
from kubesim.errors import Cause, forbidden

PREFIX = "deployment.kubernetes.io/"
ROLLING = {"type": "RollingUpdate"}


@pytest.fixture
def world():
    """A world with a kubelet of its own."""
    return RolloutWorld()


def rolling(surge, unavailable):
    return {**ROLLING, "rollingUpdate": {"maxSurge": surge, "maxUnavailable": unavailable}}


def roll_back(world, revision):
    """What the API of extensions/v1beta1 left behind for rollbacks by the controller itself."""
    world.patch(DEPLOYMENT, "web", {"metadata": {"annotations": {"deprecated.deployment.rollback.to": revision}}})
    world.run(0.2)


def image_of(world):
    return world.web()["spec"]["template"]["spec"]["containers"][0]["env"][0]["value"]


# --- conditions ---


def test_conditions_speak_of_the_replica_set(world):
    """The messages name the Deployment's new ReplicaSet."""
    world.deployment()
    world.run(0.02)
    name = world.sets()[1]["metadata"]["name"]
    assert world.condition("Progressing") == ("True", "NewReplicaSetCreated", f'Created new replica set "{name}"')
    world.run(1)
    assert world.condition("Progressing") == ("True", "ReplicaSetUpdated", f'ReplicaSet "{name}" is progressing.')
    assert world.condition("Available") == (
        "False", "MinimumReplicasUnavailable", "Deployment does not have minimum availability.",
    )  # fmt: skip
    world.run(3)
    message = f'ReplicaSet "{name}" has successfully progressed.'
    assert world.condition("Progressing") == ("True", "NewReplicaSetAvailable", message)
    assert world.condition("Available") == ("True", "MinimumReplicasAvailable", "Deployment has minimum availability.")


def test_progress_moves_the_update_time_and_keeps_the_transition_time(world):
    """lastUpdateTime is what the deadline counts from; lastTransitionTime changes with the status only."""
    world.deployment()
    world.run(4)
    (progress,) = [each for each in world.web()["status"]["conditions"] if each["type"] == "Progressing"]

    assert progress["lastTransitionTime"] < progress["lastUpdateTime"]


def test_the_deadline_passes_and_a_repair_makes_progress_again(world):
    """Progressing False ProgressDeadlineExceeded; nothing is rolled back by itself."""
    world.deployment(image=BROKEN_IMAGE, progressDeadlineSeconds=10)
    world.run(10)
    assert world.condition("Progressing")[1] == "ReplicaSetUpdated"
    world.run(2.5)
    name = world.sets()[1]["metadata"]["name"]
    assert world.condition("Progressing") == (
        "False", "ProgressDeadlineExceeded", f'ReplicaSet "{name}" has timed out progressing.',
    )  # fmt: skip
    world.run(30)
    assert world.sizes() == {1: 3}
    world.set_template(image="app")
    world.run(8)
    assert world.condition("Progressing")[:2] == ("True", "NewReplicaSetAvailable")


def test_a_deadline_of_the_largest_number_means_none(world):
    """Then there is no Progressing condition at all."""
    world.deployment(progressDeadlineSeconds=2**31 - 1)
    world.run(4)

    assert world.condition("Progressing") is None
    assert world.condition("Available")[0] == "True"


def test_the_clock_of_the_deadline_stands_while_paused(world):
    """A pause longer than the deadline is no failure; resuming starts the clock anew."""
    world.deployment(image=BROKEN_IMAGE, progressDeadlineSeconds=10)
    world.run(5)
    world.change(paused=True)
    world.run(60)
    assert world.condition("Progressing") == ("Unknown", "DeploymentPaused", "Deployment is paused")
    world.change(paused=None)
    world.run(8)
    assert world.condition("Progressing") == ("Unknown", "DeploymentResumed", "Deployment is resumed")
    world.run(5)
    assert world.condition("Progressing")[1] == "ProgressDeadlineExceeded"


def test_a_pause_does_not_hide_that_the_deadline_passed(world):
    """Upstream: checkPausedConditions leaves ProgressDeadlineExceeded alone."""
    world.deployment(image=BROKEN_IMAGE, progressDeadlineSeconds=5)
    world.run(10)
    world.change(paused=True)
    world.run(1)

    assert world.condition("Progressing")[1] == "ProgressDeadlineExceeded"


def test_pods_that_cannot_be_created_show_in_the_deployment(world):
    """ReplicaFailure is the new ReplicaSet's own, and goes with it."""
    quota = forbidden("pods", "", "web-", "exceeded quota")
    refused = refuse(world, quota, verb="create", kind=POD, times=6)
    world.deployment(2)
    world.run(0.1)
    assert world.condition("ReplicaFailure") == ("True", "FailedCreate", quota.message)
    world.run(4)

    assert len(refused) == 6
    assert world.condition("ReplicaFailure") is None
    assert world.condition("Progressing")[1] == "NewReplicaSetAvailable"


def test_a_replica_set_that_cannot_be_created_is_told(world):
    """Progressing False ReplicaSetCreateError and a Warning; tried again with a growing back-off."""
    no = forbidden("replicasets", "apps", "web", "no")
    refused = refuse(world, no, verb="create", kind=REPLICA_SET, times=4)
    world.deployment()
    world.run(0.03)
    status, reason, message = world.condition("Progressing")
    assert (status, reason) == ("False", "ReplicaSetCreateError")
    assert message.startswith('Failed to create new replica set "web-')
    assert message.endswith(f'": {no.message}')
    world.run(4)
    assert set(world.events("web", "ReplicaSetCreateError")) == {message}
    assert len(refused) == 4
    assert world.condition("Progressing")[1] == "NewReplicaSetAvailable"


def test_a_deployment_is_dropped_after_fifteen_failures(world):
    """Upstream: maxRetries; the next event of the Deployment brings it back."""
    no = forbidden("replicasets", "apps", "web", "no")
    refused = refuse(world, no, verb="create", kind=REPLICA_SET)
    world.deployment(progressDeadlineSeconds=2**31 - 1)
    world.run(1000)
    assert len(refused) == 16
    world.change(minReadySeconds=1)
    world.run(0.01)

    assert len(refused) == 17


def test_in_a_terminating_namespace_the_deployment_is_forgotten(world):
    """A create that no retry can help is tried once."""
    error = forbidden("replicasets", "apps", "web", "because it is being terminated")
    error.causes = (Cause("NamespaceTerminating", "metadata.namespace", "namespace default is being terminated"),)
    refused = refuse(world, error, verb="create", kind=REPLICA_SET)
    world.deployment()
    world.run(30)

    assert len(refused) == 1
    assert world.events("web") == []


# --- rolling update ---


def test_a_rollout_keeps_within_its_bounds(world):
    """With 10 replicas, surge 3 and 2 unavailable: never over 13, never under 8 available."""
    world.deployment(10, strategy=rolling(3, 2))
    world.run(8)
    world.set_template(value="2")
    totals, available = set(), set()
    for _ in range(300):
        world.run(0.05)
        pods = [pod for pod in world.pods() if "deletionTimestamp" not in pod["metadata"]]
        totals.add(len(pods))
        available.add(
            sum(bool(pod["status"].get("conditions")) and pod["status"]["phase"] == "Running" for pod in pods)
        )

    assert max(totals) == 13
    assert min(available) == 8
    assert world.sizes() == {1: 0, 2: 10}


def test_unhealthy_old_replicas_go_first_and_separately(world):
    """One sync gives up the one that is not available, and then, in a second write, one that availability can spare."""
    world.deployment(4, strategy=rolling(0, 2))
    world.run(5)
    world.set_ready(world.pods()[0]["metadata"]["name"], is_ready=False)
    world.run(1)
    world.story()
    world.set_template(value="2", image=BROKEN_IMAGE)
    world.run(1)

    assert world.sizes() == {1: 2, 2: 2}
    assert world.story()["deployment events"] == [
        "Normal ScalingReplicaSet x1: Scaled down replica set rs1 from 4 to 3",
        "Normal ScalingReplicaSet x1: Scaled down replica set rs1 from 3 to 2",
        "Normal ScalingReplicaSet x1: Scaled up replica set rs2 from 0 to 2",
    ]


def test_a_third_template_rolls_over(world):
    """A change in the middle of a rollout makes one more ReplicaSet; both others go down."""
    world.deployment(4, strategy=rolling(1, 1))
    world.run(5)
    world.set_template(value="2")
    world.run(2.2)
    assert sorted(world.sizes()) == [1, 2]
    world.set_template(value="3")
    world.run(15)

    assert world.sizes() == {1: 0, 2: 0, 3: 4}


def test_scaling_in_the_middle_of_a_rollout_is_shared(world):
    """Old and new grow by their shares, and the annotations note the new size."""
    world.deployment(8, strategy=rolling(2, 2))
    world.run(6)
    world.set_template(value="2", image=BROKEN_IMAGE)
    world.run(3)
    assert world.sizes() == {1: 6, 2: 4}
    world.scale(16)
    world.run(0.05)
    assert world.sizes() == {1: 11, 2: 7}
    notes = [annotations_of(each) for each in world.sets().values()]

    assert {(note[PREFIX + "desired-replicas"], note[PREFIX + "max-replicas"]) for note in notes} == {("16", "18")}


def test_scaling_to_nothing_and_back(world):
    """Zero replicas are complete; the ReplicaSet stays and grows again."""
    world.deployment()
    world.run(4)
    world.scale(0)
    world.run(2)
    status = world.web()["status"]
    assert world.pods() == []
    assert {field for field in status if field.endswith("eplicas")} == {"terminatingReplicas"}
    assert world.condition("Available")[0] == "True"
    world.scale(2)
    world.run(4)

    assert world.sizes() == {1: 2}
    assert world.web()["status"]["availableReplicas"] == 2


def test_min_ready_seconds_reach_the_replica_set(world):
    """Changing them is no new template."""
    world.deployment()
    world.run(4)
    world.change(minReadySeconds=7)
    world.run(0.1)
    assert world.sets()[1]["spec"]["minReadySeconds"] == 7
    world.change(minReadySeconds=None)
    world.run(0.1)

    assert "minReadySeconds" not in world.sets()[1]["spec"]
    assert world.sizes() == {1: 3}


def test_annotations_go_to_the_new_replica_set(world):
    """All but kubectl's own copy of the manifest and the controller's book-keeping."""
    notes = {"owner": "me", "kubectl.kubernetes.io/last-applied-configuration": "{}"}
    world.deployment()
    world.run(1)
    world.patch(DEPLOYMENT, "web", {"metadata": {"annotations": notes}})
    world.run(0.1)

    assert annotations_of(world.sets()[1]) == {
        PREFIX + "desired-replicas": "3",
        PREFIX + "max-replicas": "4",
        PREFIX + "revision": "1",
        "owner": "me",
    }


def test_a_malformed_revision_is_left_as_it_is(world):
    """Somebody's text in the annotation stops the controller from writing revisions there."""
    world.deployment()
    world.run(1)
    name = world.sets()[1]["metadata"]["name"]
    world.patch(REPLICA_SET, name, {"metadata": {"annotations": {PREFIX + "revision": "one"}}})
    world.run(1)

    assert annotations_of(world.get(REPLICA_SET, name))[PREFIX + "revision"] == "one"


# --- names and revisions ---


def test_a_new_replica_set_has_the_hash_in_name_labels_and_selector(world):
    """The label keeps apart the Pods of a Deployment's ReplicaSets."""
    world.deployment()
    world.run(0.1)
    (replica_set,) = world.sets().values()
    digest = replica_set["metadata"]["labels"]["pod-template-hash"]

    assert replica_set["metadata"]["name"] == f"web-{digest}"
    assert replica_set["metadata"]["labels"] == {"app": "web", "pod-template-hash": digest}
    assert replica_set["spec"]["selector"] == {"matchLabels": {"app": "web", "pod-template-hash": digest}}
    assert replica_set["spec"]["template"]["metadata"]["labels"] == {"app": "web", "pod-template-hash": digest}


def test_the_name_of_a_replica_set_fits(world):
    """Upstream: generateReplicaSetName cuts the Deployment's name at 253 characters in all."""
    world.deployment(name="a" * 253, labels={"app": "web"})
    world.run(0.1)
    (name,) = [each["metadata"]["name"] for each in world._all(REPLICA_SET)]

    assert len(name) == 253
    assert name.startswith("a" * 200)


def test_a_name_taken_by_a_stranger_is_a_collision(world):
    """collisionCount goes up and with it the hash becomes another one."""
    world.deployment(0, name="probe")
    world.run(0.1)
    (probe,) = world.sets("probe").values()
    labels = {"app": "stranger"}
    taken = probe["metadata"]["name"].replace("probe-", "twin-")
    world.do(delete(DEPLOYMENT, "default", "probe"))
    world.run(1)
    world.replica_set(0, name=taken, labels=labels)
    world.run(0.1)
    world.deployment(1, name="twin", labels={"app": "probe"})
    world.run(4)

    twin = world.do(get(DEPLOYMENT, "default", "twin"))
    (own,) = world.sets("twin").values()
    assert twin["status"]["collisionCount"] == 1
    assert own["metadata"]["name"] != taken
    assert twin["status"]["availableReplicas"] == 1


def test_old_replica_sets_beyond_the_history_go(world):
    """The oldest revisions go first, once a rollout is complete."""
    world.deployment(1, revisionHistoryLimit=1)
    world.run(3)
    for value in ("2", "3", "4"):
        world.set_template(value=value)
        world.run(5)

    assert world.sizes() == {3: 0, 4: 1}


def test_no_history_at_all(world):
    """revisionHistoryLimit 0 leaves nothing to roll back to."""
    world.deployment(1, revisionHistoryLimit=0)
    world.run(3)
    world.set_template(value="2")
    world.run(5)

    assert world.sizes() == {2: 1}


def test_going_back_and_forth_keeps_a_history_of_revisions(world):
    """Each return moves the revision up and notes the old number."""
    world.deployment(1)
    world.run(3)
    for value in ("2", "1", "2", "1"):
        world.set_template(value=value)
        world.run(5)

    notes = {each["spec"]["replicas"]: annotations_of(each) for each in world.sets().values()}
    assert (notes[1][PREFIX + "revision"], notes[1][PREFIX + "revision-history"]) == ("5", "1,3")
    assert (notes[0][PREFIX + "revision"], notes[0][PREFIX + "revision-history"]) == ("4", "2")
    assert annotations_of(world.web())[PREFIX + "revision"] == "5"


# --- the deprecated rollback by annotation: rollback.go ---


def test_rolling_back_takes_template_and_annotations(world):
    """Revision 0 means the one before; the annotation goes."""
    world.deployment(1)
    world.patch(DEPLOYMENT, "web", {"metadata": {"annotations": {"cause": "first"}}})
    world.run(3)
    world.set_template(value="2")
    world.patch(DEPLOYMENT, "web", {"metadata": {"annotations": {"cause": "second"}}})
    world.run(5)
    roll_back(world, "0")

    assert image_of(world) == "1"
    assert annotations_of(world.web())["cause"] == "first"
    assert "deprecated.deployment.rollback.to" not in annotations_of(world.web())
    assert world.events("web", "DeploymentRollback") == ['Rolled back deployment "web" to revision 1']
    assert "pod-template-hash" not in world.web()["spec"]["template"]["metadata"]["labels"]


REFUSED_ROLLBACKS = [
    ("no revision before", "0", "DeploymentRollbackRevisionNotFound", "Unable to find last revision."),
    ("no such revision", "7", "DeploymentRollbackRevisionNotFound", "Unable to find the revision to rollback to."),
    ("the present revision", "1", "DeploymentRollbackTemplateUnchanged",
     'The rollback revision contains the same template as current deployment "web"'),
]  # fmt: skip


@pytest.mark.parametrize(
    "to, reason, text", [row[1:] for row in REFUSED_ROLLBACKS], ids=[row[0] for row in REFUSED_ROLLBACKS]
)
def test_a_rollback_to_nowhere_is_told(world, to, reason, text):
    """A Warning says why nothing changes, and the annotation goes."""
    world.deployment(1)
    world.run(3)
    roll_back(world, to)

    assert world.events("web", reason) == [text]
    assert "deprecated.deployment.rollback.to" not in annotations_of(world.web())


def test_a_malformed_rollback_is_ignored(world):
    """The annotation stays, and the Deployment goes on as if it were not there."""
    world.deployment(1)
    world.run(3)
    roll_back(world, "first")
    world.scale(2)
    world.run(3)

    assert annotations_of(world.web())["deprecated.deployment.rollback.to"] == "first"
    assert world.sizes() == {1: 2}


# --- ownership ---


def test_a_replica_set_of_other_labels_is_released(world):
    """A new one takes its place, as no ReplicaSet of the Deployment has the template any more."""
    world.deployment(1)
    world.run(3)
    (old,) = world.sets().values()
    world.patch(REPLICA_SET, old["metadata"]["name"], {"metadata": {"labels": {"app": "other"}}})
    world.run(1)

    assert controller_of(world.get(REPLICA_SET, old["metadata"]["name"])) is None
    assert world.web()["status"]["collisionCount"] == 1
    assert len(world.sets()) == 1


def test_deleting_in_the_background_takes_everything_along(world):
    """The Deployment is gone at once, its ReplicaSets and Pods follow."""
    world.deployment()
    world.run(4)
    world.drop(DEPLOYMENT, "web", "Background")
    assert world.get(DEPLOYMENT, "web") is None
    world.run(2)

    assert (world._all(REPLICA_SET), world.pods()) == ([], [])


def test_recreate_never_runs_two_templates(world):
    """Old and new Pods are never there at the same time, unless the old ones have ended."""
    world.deployment(2, strategy={"type": "Recreate"})
    world.run(4)
    world.set_template(value="2")
    for _ in range(100):
        world.run(0.05)
        unfinished = [pod for pod in world.pods() if pod["status"]["phase"] not in ("Succeeded", "Failed")]
        assert len({pod["metadata"]["labels"]["pod-template-hash"] for pod in unfinished}) <= 1

    assert world.sizes() == {1: 0, 2: 2}
    assert world.web()["status"]["availableReplicas"] == 2


def test_a_settled_deployment_is_quiet(world):
    """Nothing more is written once everything stands."""
    world.add_node("node-1")
    world.deployment()
    world.live(30, "node-1")
    world.writes.clear()
    world.live(600, "node-1")

    assert {write.kind.kind for write in world.writes} == {"Lease"}

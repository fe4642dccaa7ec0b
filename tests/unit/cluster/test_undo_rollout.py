"""Going back to an earlier revision, as `kubectl rollout undo` does. Upstream: kubectl rollback_test.go @v1.36."""

from __future__ import annotations

import pytest

from kubesim.cluster import Cluster, ready, rolled_out
from kubesim.errors import UserError
from kubesim.testing.builders import deployment, statefulset


@pytest.fixture
def cluster():
    """A Deployment at its second revision: image app:2 after app:1."""
    with Cluster(nodes=1, limits=None) as cluster:
        cluster.create(deployment("web", "app:1"))
        cluster.until(ready("deployment/web"))
        cluster.patch("deployment/web", {"metadata": {"annotations": {"cause": "first"}}})
        cluster.run(1)
        cluster.patch("deployment/web", {"metadata": {"annotations": {"cause": "second"}}})
        cluster.set_image("deployment/web", "app:2")
        cluster.until(rolled_out("deployment/web"))
        yield cluster


def state(cluster):
    web = cluster.get("deployment/web")
    notes = web["metadata"]["annotations"]
    return web["spec"]["template"]["spec"]["containers"][0]["image"], notes["deployment.kubernetes.io/revision"]


def test_the_one_before_comes_back(cluster):
    """As a new revision, with the annotations that its ReplicaSet has, and without the hash in the template."""
    cluster.undo_rollout("deployment/web")
    cluster.until(rolled_out("deployment/web"))

    assert state(cluster) == ("app:1", "3")
    assert cluster.get("deployment/web")["metadata"]["annotations"]["cause"] == "first"
    assert cluster.get("deployment/web")["spec"]["template"]["metadata"]["labels"] == {"app": "web"}
    assert [event for event in cluster.events() if "ollback" in event["reason"]] == []


def test_a_revision_by_number_comes_back(cluster):
    """Any that is still in the history."""
    cluster.set_image("deployment/web", "app:3")
    cluster.until(rolled_out("deployment/web"))
    cluster.undo_rollout("deployment/web", revision=1)
    cluster.until(rolled_out("deployment/web"))

    assert state(cluster) == ("app:1", "4")


def test_the_present_revision_changes_nothing(cluster):
    """kubectl says that it is skipped."""
    before = cluster.get("deployment/web")["metadata"]["resourceVersion"]
    cluster.undo_rollout("deployment/web", revision=2)

    assert cluster.get("deployment/web")["metadata"]["resourceVersion"] == before


def test_what_cannot_be_undone_is_told(cluster):
    """One line each, saying what is wrong."""
    with pytest.raises(UserError, match="deployment/web has no revision 9"):
        cluster.undo_rollout("deployment/web", revision=9)
    cluster.create(deployment("young"))
    cluster.run(1)
    with pytest.raises(UserError, match="deployment/young has no revision before the present one"):
        cluster.undo_rollout("deployment/young")
    cluster.create(statefulset("db"))
    with pytest.raises(UserError, match="only a Deployment can be rolled back, not a StatefulSet"):
        cluster.undo_rollout("statefulset/db")
    cluster.patch("deployment/web", {"spec": {"paused": True}})
    with pytest.raises(UserError, match="deployment/web is paused; resume it before going back"):
        cluster.undo_rollout("deployment/web")

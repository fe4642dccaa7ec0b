"""The checks of this folder find planted mistakes: a check that cannot fail proves nothing."""

from __future__ import annotations

import pytest
from rollout_checks import Watchman, assert_converged, assert_quiet
from test_rollouts import new_cluster, set_template, web

from kubesim.cluster import ready, rolled_out
from kubesim.controllers import deployment as deployment_module
from kubesim.controllers import deployment_revisions, replicaset


@pytest.fixture
def watchman():
    """Watches a Deployment of three; one more Pod and no missing one are allowed from now on."""
    with new_cluster() as cluster:
        watchman = Watchman(cluster)
        cluster.create(web(3, {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}))
        cluster.until(ready("deployment/web"))
        watchman.bounds = (3, 4)
        yield watchman


@pytest.fixture
def cluster(watchman):
    """The cluster that is watched."""
    return watchman.cluster


def update(cluster):
    set_template(cluster, 1)
    cluster.until(rolled_out("deployment/web"), within=60)


def test_a_sound_rollout_passes(cluster):
    """Without a planted mistake nothing is found."""
    update(cluster)
    cluster.run(60)

    assert_converged(cluster)
    assert_quiet(cluster, 60)


def test_a_new_replica_set_that_starts_whole_is_found(cluster, monkeypatch):
    """Three new Pods beside three old ones are two more than maxSurge allows."""
    monkeypatch.setattr(
        deployment_revisions, "new_replica_count", lambda deployment, *_: deployment["spec"]["replicas"]
    )

    with pytest.raises(AssertionError, match=r"rolloutBounds: .* makes 6 Pods where 4 are allowed"):
        update(cluster)


def test_an_old_replica_set_that_goes_at_once_is_found(cluster, monkeypatch):
    """Its Pods must wait for new ones to be ready."""
    monkeypatch.setattr(deployment_module, "scale_down_budget", lambda *_: 3)
    monkeypatch.setattr(deployment_module, "plan_scale_down", lambda *_: [(0, 0)])

    with pytest.raises(AssertionError, match=r"rolloutBounds: .* leaves 0 available Pods of 3"):
        update(cluster)


def test_a_status_that_never_settles_is_found(watchman, cluster, monkeypatch):
    """Each write wakes the controller that made it."""
    compute = replicaset.compute_status

    def restless(replica_set, counts, error, now_ns):
        flip = now_ns // 1_000_000 % 2
        return {**compute(replica_set, counts, error, now_ns), "fullyLabeledReplicas": flip}

    cluster.run(60)
    monkeypatch.setattr(replicaset, "compute_status", restless)
    watchman.bounds = None

    cluster.delete(f"pod/{cluster.pods_of('deployment/web')[0]['metadata']['name']}")
    with pytest.raises(AssertionError, match=r"noHotLoop: .* is written 401 times"):
        cluster.run(10)


def test_pods_that_are_missing_are_found(watchman, cluster, monkeypatch):
    """A ReplicaSet that creates one Pod too few does not converge."""
    monkeypatch.setattr(replicaset, "BURST_REPLICAS", 0)
    watchman.bounds = None
    cluster.scale("deployment/web", 4)
    cluster.run(60)

    with pytest.raises(AssertionError, match=r"web-.* wants 4 Pods and has 3"):
        assert_converged(cluster)

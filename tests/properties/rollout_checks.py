"""What must hold at every write of a cluster with Deployments, and what in the end."""

from __future__ import annotations

from kubesim.api.conditions import is_condition_true
from kubesim.api.kinds import POD
from kubesim.checks import Checks, await_convergence, find_divergence
from kubesim.cluster import Cluster
from kubesim.sim.loop import SECOND


def replicas_of(cluster, name="web"):
    return cluster.get(f"deployment/{name}")["spec"]["replicas"]


def is_ready(pod):
    return is_condition_true(pod["status"].get("conditions"), "Ready")


def live_pods(cluster):
    """The Pods of all Deployments that are neither finished nor being deleted."""
    return [
        pod
        for pod in cluster.store.table("pods").objects.values()
        if "deletionTimestamp" not in pod["metadata"] and pod["status"].get("phase") not in ("Succeeded", "Failed")
    ]


class Watchman:
    """Holds all invariants against every write to a cluster, and the bounds of one Deployment; objects at once."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self.bounds: tuple[int, int] | None = None
        self._checks = Checks(cluster)
        cluster.listen(self._look)

    def _look(self, write):
        violation = self._checks.violation
        assert violation is None, f"{violation.invariant}: {violation.subject} {violation.text}"
        if self.bounds is not None and write.kind is POD:
            self._check_bounds(write)

    def _check_bounds(self, write):
        """What a rollout that nothing disturbs promises by what is there, not only by what is asked for."""
        fewest, most = self.bounds
        pods = live_pods(self.cluster)
        what = f"{write.verb} pod/{write.obj['metadata']['name']}"
        assert len(pods) <= most, f"{len(pods)} Pods, {most} are allowed: {what}"
        ready = sum(map(is_ready, pods))
        assert ready >= fewest, f"{ready} ready Pods, {fewest} are promised: {what}"


def assert_converged(cluster):
    """Everything is as its object says."""
    divergence = find_divergence(cluster)
    assert divergence is None, f"{divergence.subject} {divergence.text}"


def assert_quiet(cluster, seconds=600):
    """Nothing is written any more but heartbeats: no two controllers undo each other's work."""
    violation = await_convergence(cluster, 60 * SECOND, seconds * SECOND)
    assert violation is None, f"{violation.subject} {violation.text}"

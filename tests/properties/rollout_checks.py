"""What must hold at every write of a cluster with Deployments, and what in the end."""

from __future__ import annotations

from kubesim.api.conditions import is_condition_true
from kubesim.cluster import Cluster

# A kubelet reports its node's status every five minutes and renews its Lease every ten seconds, whatever happens.
HEARTBEATS = ("lease/", "node/")


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
    """Looks at every write to a cluster and says what is wrong with it, at once."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self._revision = cluster.store.revision
        self._generations: dict[str, int] = {}
        self.bounds: tuple[int, int] | None = None
        cluster.trace.listeners.append(self._look)

    def _look(self, record):
        if record.data is None or "object" not in record.data:
            return
        obj = record.data["object"]
        self._check_revision(record, obj)
        self._check_generation(obj)
        if record.verb == "created":
            self._check_owner(obj)
        if self.bounds is not None and obj["kind"] == "Pod":
            self._check_bounds(record)

    def _check_revision(self, record, obj):
        revision = int(obj["metadata"]["resourceVersion"])
        assert revision > self._revision, f"revision {revision} comes after {self._revision}: {record}"
        self._revision = revision

    def _check_generation(self, obj):
        metadata = obj["metadata"]
        generation = metadata.get("generation", 0)
        assert generation >= self._generations.get(metadata["uid"], 0), f"{obj['kind']} {metadata['name']} goes back"
        self._generations[metadata["uid"]] = generation
        observed = (obj.get("status") or {}).get("observedGeneration", 0)
        assert observed <= generation, f"{obj['kind']} {metadata['name']} has observed {observed} of {generation}"

    def _check_owner(self, obj):
        references = obj["metadata"].get("ownerReferences", ())
        assert sum(bool(each.get("controller")) for each in references) <= 1
        for reference in references:
            if reference["kind"] in ("Deployment", "ReplicaSet"):
                owner = self.cluster.find(f"{reference['kind'].lower()}/{reference['name']}")
                assert owner is not None, f"{obj['metadata']['name']} is made for {reference['name']}, which is gone"
                assert owner["metadata"]["uid"] == reference["uid"]
                assert "deletionTimestamp" not in owner["metadata"]

    def _check_bounds(self, record):
        fewest, most = self.bounds
        pods = live_pods(self.cluster)
        assert len(pods) <= most, f"{len(pods)} Pods, {most} are allowed: {record.verb} {record.subject}"
        ready = sum(map(is_ready, pods))
        assert ready >= fewest, f"{ready} ready Pods, {fewest} are promised: {record.verb} {record.subject}"


def assert_converged(cluster):
    """Every Deployment has what it wants and says so; whatever has a controller has one that exists."""
    for deployment in cluster.list("deployments"):
        status, wanted = deployment["status"], deployment["spec"]["replicas"]
        counts = {field: status.get(field, 0) for field in ("replicas", "updatedReplicas", "availableReplicas")}
        assert set(counts.values()) == {wanted}, f"{deployment['metadata']['name']} wants {wanted}: {status}"
        assert status["observedGeneration"] == deployment["metadata"]["generation"]
    uids = {obj["metadata"]["uid"] for kind in ("deployments", "replicasets") for obj in cluster.list(kind)}
    for obj in [*cluster.list("pods"), *cluster.list("replicasets")]:
        owners = [each for each in obj["metadata"].get("ownerReferences", ()) if each.get("controller")]
        assert [each["uid"] for each in owners if each["uid"] not in uids] == [], obj["metadata"]["name"]


def assert_quiet(cluster, seconds=600):
    """Nothing is written in ten minutes but heartbeats: no two controllers undo each other's work."""
    first = len(cluster.trace.records)
    cluster.run(seconds)
    written = [record for record in cluster.trace.records[first:] if not record.subject.startswith(HEARTBEATS)]
    assert written == [], f"{len(written)} writes while nothing happens, first {written[0][:5]}"

"""A new version replaces the old one Pod by Pod, and no request is lost; a broken version stops, and is undone.

Run it from the project's root: `python examples/02_rolling_update.py`.
"""

from kubesim import Cluster, ready, rolled_out


def revisions(cluster):
    """How many Pods each ReplicaSet of the Deployment has, oldest revision first."""
    counts = {}
    for replica_set in cluster.list("replicasets", "vehicles"):
        revision = int(replica_set["metadata"]["annotations"]["deployment.kubernetes.io/revision"])
        counts[revision] = replica_set["status"]["replicas"]
    return ", ".join(f"revision {revision}: {counts[revision]}" for revision in sorted(counts))


with Cluster(nodes=3) as cluster:
    cluster.apply("specs/stack.yaml")
    cluster.until(ready("deployment/vehicle-api"))
    users = cluster.load("vehicle-api", rate_per_second=50)

    cluster.set_image("deployment/vehicle-api", "vehicle-api:v2")
    took_ns = cluster.until(rolled_out("deployment/vehicle-api"))
    print(f"rolled out in {took_ns / 1e9:.1f} s; {revisions(cluster)}")

    cluster.set_image("deployment/vehicle-api", "vehicle-api:mistyped@nowhere")
    cluster.run(60)
    pending = [pod for pod in cluster.pods_of("deployment/vehicle-api") if pod["status"]["phase"] == "Pending"]
    waiting = pending[0]["status"]["containerStatuses"][0]["state"]["waiting"]
    print(f"a broken image: {waiting['reason']}; {revisions(cluster)}")

    cluster.undo_rollout("deployment/vehicle-api")
    cluster.until(rolled_out("deployment/vehicle-api"))
    print(f"undone; {revisions(cluster)}")

    users.stop()
    cluster.run(5)
    counts = users.report.overall()
    print(f"{counts.total} requests, availability {counts.availability:.4%}")

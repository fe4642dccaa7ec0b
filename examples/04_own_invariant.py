"""A promise of one's own, held against every state that the cluster passes through.

An invariant is asked after every write, so a state that lasts a millisecond is seen, too.
Run it from the project's root: `python examples/04_own_invariant.py`.
"""

from kubesim import Cluster, ready
from kubesim.checks import Checks, invariant


def ready_endpoints(cluster):
    """How many addresses the Service gives out."""
    slices = [each for each in cluster.list("endpointslices", "vehicles") if "vehicle-api" in each["metadata"]["name"]]
    return sum(endpoint["conditions"]["ready"] for each in slices for endpoint in each["endpoints"] or ())


@invariant("threeServe", "three Pods take requests at all times")
def three_serve(cluster):
    """What is wrong, or nothing."""
    count = ready_endpoints(cluster)
    return f"only {count} do" if count < 3 else None


def verdict(title, change):
    """Make a change in a fresh cluster, and look for a broken promise for two minutes."""
    with Cluster(nodes=3) as cluster:
        cluster.apply("specs/stack.yaml")
        cluster.until(ready("deployment/vehicle-api"))
        cluster.wait(lambda each: ready_endpoints(each) == 3, within=10)
        checks = Checks(cluster, [three_serve])
        start_ns = cluster.now_ns
        change(cluster)
        cluster.run(120)
        broken = checks.violation
        print(f"{title}: {f'after {(broken.at_ns - start_ns) / 1e9:.2f} s {broken.text}' if broken else 'holds'}")


def delete_one(cluster):
    """Delete the first Pod of the Deployment."""
    cluster.delete(f"pod/{cluster.pods_of('deployment/vehicle-api')[0]['metadata']['name']}")


verdict("a new image", lambda cluster: cluster.set_image("deployment/vehicle-api", "vehicle-api:v2"))
verdict("rollout restart", lambda cluster: cluster.restart_rollout("deployment/vehicle-api"))
verdict("a Pod is deleted", delete_one)

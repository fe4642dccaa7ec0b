"""The node under the database loses power. Nobody is told: Kubernetes waits, gives up the node, and then must not act.

Run it from the project's root: `python examples/03_node_loss.py`.
"""

from kubesim import Cluster, ready


def report(cluster, node, at_ns):
    """What the API says of the node and of the database's Pod."""
    conditions = cluster.get(f"node/{node}")["status"]["conditions"]
    node_ready = next(each["status"] for each in conditions if each["type"] == "Ready")
    pod = cluster.find("pod/postgres-0")
    going = "going" if "deletionTimestamp" in pod["metadata"] else "staying"
    seconds = (cluster.now_ns - at_ns) / 1e9
    print(f"{seconds:4.0f} s: node ready: {node_ready}, postgres-0: {pod['status']['phase']}, {going}")


with Cluster(nodes=3) as cluster:
    cluster.apply("specs/stack.yaml")
    cluster.until(ready("deployment/vehicle-api"))
    node = cluster.get("pod/postgres-0")["spec"]["nodeName"]

    lost_ns = cluster.now_ns
    cluster.faults.lose_power(node)
    for seconds in (30, 30, 300, 40):
        cluster.run(seconds)
        report(cluster, node, lost_ns)
    print("its volume is on that node, and only one postgres-0 may exist: it waits for the node")

    cluster.faults.restore_power(node)
    took_ns = cluster.until(ready("pod/postgres-0"))
    print(f"the node is back; the database serves again after {took_ns / 1e9:.0f} s")

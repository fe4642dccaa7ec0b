"""A controller of one's own, and the search for what breaks its promise.

It marks one Ready Pod of a Deployment as leader, and another one when the leader is not Ready any more. It forgets that
the old leader may come back. Run it from the project's root: `python examples/05_own_controller.py`.
"""

from kubesim.api.conditions import is_condition_true
from kubesim.api.kinds import POD
from kubesim.api.requests import patch
from kubesim.checks import invariant
from kubesim.client.workqueue import WorkQueue
from kubesim.controllers.base import Worker
from kubesim.search import explain, search


class Leaders:
    """Reads the Pods labelled `app: vehicle-api`, writes their label `role`."""

    name = "leaders"

    def __init__(self, context):
        self.queue = WorkQueue(context.loop)
        self.pods = context.informers.lister(POD)
        context.informers.informer(POD).add_handler(self.wake, lambda _, pod: self.wake(pod), self.wake)
        self.workers = [Worker(self.queue, self.reconcile, concurrency=1)]

    def wake(self, pod):
        if pod["metadata"].get("labels", {}).get("app") == "vehicle-api":
            self.queue.add(pod["metadata"]["namespace"])

    def reconcile(self, namespace):
        pods = [
            pod
            for pod in self.pods.in_namespace(namespace)
            if pod["metadata"].get("labels", {}).get("app") == "vehicle-api"
        ]
        usable = [pod for pod in pods if is_condition_true(pod["status"].get("conditions"), "Ready")]
        if usable and not any(is_leader(pod) for pod in usable):
            change = {"metadata": {"labels": {"role": "leader"}}}
            yield patch(POD, namespace, usable[0]["metadata"]["name"], change)


def is_leader(pod):
    return pod["metadata"]["labels"].get("role") == "leader"


@invariant("oneLeader", "Never are two Ready Pods leader.")
def one_leader(cluster):
    ready = [pod for pod in cluster.list("pods") if is_condition_true(pod["status"].get("conditions"), "Ready")]
    leaders = [pod for pod in ready if is_leader(pod)]
    return f"{len(leaders)} Pods are" if len(leaders) > 1 else None


finding = search(
    "specs/stack.yaml",
    prepare=lambda cluster: cluster.add_controller("leaders", Leaders),
    invariants=[one_leader],
    faults=["crash", "node"],
    examples=100,
    nodes=3,
)
print("never two leaders" if finding is None else explain(finding))

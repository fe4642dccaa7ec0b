"""Which Pod or node an argument means, chosen from what the cluster shows then; always the same in equal runs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from kubesim.api.conditions import is_condition_true
from kubesim.api.objects import Object
from kubesim.errors import UserError
from kubesim.faults.arguments import Delete, Drain, NodeTarget, Reference, Shortage, Skew


class Readable(Protocol):
    """A cluster that can be looked at."""

    def find(self, reference: str, namespace: str = "") -> Object | None:
        """An object, or None."""
        ...

    def list(self, kind: str, namespace: str = "") -> Sequence[Object]:
        """All objects of a kind, by namespace and name."""
        ...

    def pods_of(self, reference: str, namespace: str = "") -> Sequence[Object]:
        """The Pods of a workload by name, or the Pod itself."""
        ...


def split_reference(reference: str, namespace: str) -> tuple[str, str]:
    """The KIND/NAME of a reference and its namespace: its own, or the one given."""
    own, _, rest = reference.partition("/")
    return (rest, own) if "/" in rest else (reference, namespace)


def choose_pod(cluster: Readable, reference: Reference, namespace: str, index: int | None = None) -> Object:
    """The Pod itself, or of a workload's Pods the one with this index, else the first Ready one, else the first one.

    Raises:
        UserError: there is no such object, or it has no Pod.
    """
    own, space = split_reference(reference, namespace)
    if cluster.find(own, space) is None:
        raise UserError(f"there is no {reference} at this moment")
    pods = cluster.pods_of(own, space)
    if not pods:
        raise UserError(f"{reference} has no Pod at this moment; wait until it has one")
    if index is not None:
        return pods[index % len(pods)]
    usable = [pod for pod in pods if "deletionTimestamp" not in pod["metadata"]]
    ready = [pod for pod in usable if is_condition_true(pod["status"].get("conditions"), "Ready")]
    return (ready or usable or pods)[0]


def choose_pod_to_delete(cluster: Readable, target: Delete, namespace: str) -> Object | None:
    """The Pod that a deletion means, or None where it means the object that it names.

    Raises:
        UserError: there is no such object, or it has no Pod.
    """
    if not target.oldest:
        is_pod = target.pod or target.index is not None
        return choose_pod(cluster, target.of, namespace, target.index) if is_pod else None
    chosen = choose_pod(cluster, target.of, namespace)
    pods = cluster.pods_of(*split_reference(target.of, namespace))
    usable = [pod for pod in pods if "deletionTimestamp" not in pod["metadata"]]
    return min(usable or [chosen], key=lambda pod: str(pod["metadata"]["creationTimestamp"]))


def choose_node(cluster: Readable, target: NodeTarget | Drain | Shortage | Skew, namespace: str) -> str:
    """The node that is named, or the first by name that runs a Pod of one workload and none of another.

    Raises:
        UserError: there is no such node.
    """
    if target.node:
        if cluster.find(f"node/{target.node}") is None:
            raise UserError(f"there is no node {target.node}")
        return target.node
    wanted = _nodes_of(cluster, target.runs, namespace)
    unwanted = _nodes_of(cluster, target.runs_not, namespace) or set()
    for node in cluster.list("nodes"):
        name: str = node["metadata"]["name"]
        if (wanted is None or name in wanted) and name not in unwanted:
            return name
    words = [f"runs {target.runs}"] if target.runs else []
    words += [f"does not run {target.runs_not}"] if target.runs_not else []
    raise UserError(f"no node {' and '.join(words)} at this moment; give the cluster more nodes")


def _nodes_of(cluster: Readable, reference: Reference | None, namespace: str) -> set[str] | None:
    if reference is None:
        return None
    pods = cluster.pods_of(*split_reference(reference, namespace))
    return {pod["spec"]["nodeName"] for pod in pods if pod["spec"].get("nodeName")}


def name_of(pod: Object) -> str:
    """A Pod as a subject of the trace: `pod/vehicles/postgres-0`."""
    return f"pod/{pod['metadata']['namespace']}/{pod['metadata']['name']}"

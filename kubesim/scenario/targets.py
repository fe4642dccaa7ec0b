"""Which Pod or node a step means, chosen from what the cluster shows at that moment; always the same in equal runs."""

from __future__ import annotations

from kubesim.api.conditions import is_condition_true
from kubesim.api.objects import Object
from kubesim.errors import UserError
from kubesim.scenario.model import Drain, NodeTarget, Reference
from kubesim.scenario.port import Port


def choose_pod(port: Port, reference: Reference, namespace: str) -> Object:
    """The Pod itself, or the first Ready Pod by name of a workload, else its first one.

    Raises:
        UserError: there is no such object, or it has no Pod.
    """
    if port.find(reference, namespace) is None:
        raise UserError(f"there is no {reference} at this moment")
    pods = port.pods_of(reference, namespace)
    if not pods:
        raise UserError(f"{reference} has no Pod at this moment; wait until it has one")
    usable = [pod for pod in pods if "deletionTimestamp" not in pod["metadata"]]
    ready = [pod for pod in usable if is_condition_true(pod["status"].get("conditions"), "Ready")]
    return (ready or usable or pods)[0]


def choose_node(port: Port, target: NodeTarget | Drain, namespace: str) -> str:
    """The node that is named, or the first by name that runs a Pod of one workload and none of another.

    Raises:
        UserError: there is no such node.
    """
    if target.node:
        if port.find(f"node/{target.node}") is None:
            raise UserError(f"there is no node {target.node}")
        return target.node
    wanted = _nodes_of(port, target.runs, namespace)
    unwanted = _nodes_of(port, target.runs_not, namespace) or set()
    for node in port.list("nodes"):
        name: str = node["metadata"]["name"]
        if (wanted is None or name in wanted) and name not in unwanted:
            return name
    words = [f"runs {target.runs}"] if target.runs else []
    words += [f"does not run {target.runs_not}"] if target.runs_not else []
    raise UserError(f"no node {' and '.join(words)} at this moment; give the cluster more nodes")


def _nodes_of(port: Port, reference: Reference | None, namespace: str) -> set[str] | None:
    if reference is None:
        return None
    pods = port.pods_of(reference, namespace)
    return {pod["spec"]["nodeName"] for pod in pods if pod["spec"].get("nodeName")}

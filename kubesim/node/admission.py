"""Whether the node takes a Pod that has been bound to it.

Upstream: pkg/kubelet/lifecycle/predicate.go, pkg/scheduler/framework/plugins/noderesources/fit.go:Fits @v1.36
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, final

from kubesim.api import quantity
from kubesim.api.memo import IdentityMemo
from kubesim.api.selectors import matches_node_selector
from kubesim.api.tolerations import tolerates
from kubesim.node.facts import pod_resources

if TYPE_CHECKING:
    from collections.abc import Mapping

    from kubesim.api.objects import Object


class Rejection(NamedTuple):
    """Why a Pod is not taken: the reason of its status and Event, and the message."""

    reason: str
    message: str


class Claimed(NamedTuple):
    """What a Pod takes of the node: amounts by resource, host ports as (address, protocol, port)."""

    amounts: tuple[tuple[str, int], ...]
    ports: tuple[tuple[str, str, int], ...]


def amount_of(resource: str, text: str) -> int:
    """Thousandths of a core for cpu, whole units for the rest."""
    return quantity.milli(text) if resource == "cpu" else quantity.value(text)


def _amounts(requests: Object) -> tuple[tuple[str, int], ...]:
    return tuple((name, amount) for name, text in requests.items() if (amount := amount_of(name, text)))


_amounts_of = IdentityMemo(_amounts, 512)


def claimed_by(spec: Object) -> Claimed:
    """What a Pod with this spec takes."""
    requests, _ = pod_resources(spec)
    ports = [
        (port.get("hostIP") or "0.0.0.0", port.get("protocol", "TCP"), port["hostPort"])  # noqa: S104
        for container in spec["containers"]
        for port in container.get("ports") or ()
        if port.get("hostPort")
    ]
    return Claimed(_amounts_of(requests), tuple(ports))


@final
class NodeResources:
    """What of the node's allocatable is taken, kept as Pods come and go."""

    __slots__ = ("_allocatable", "_pods", "_ports", "_used")

    def __init__(self, allocatable: Mapping[str, Any]) -> None:
        self._allocatable = {name: amount_of(name, text) for name, text in allocatable.items()}
        self._used: dict[str, int] = {}
        self._ports: dict[tuple[str, str, int], None] = {}
        self._pods = 0

    def take(self, claimed: Claimed) -> None:
        """A Pod is there."""
        self._pods += 1
        for name, amount in claimed.amounts:
            self._used[name] = self._used.get(name, 0) + amount
        self._ports.update(dict.fromkeys(claimed.ports))

    def give_back(self, claimed: Claimed) -> None:
        """A Pod that was taken has ended."""
        self._pods -= 1
        for name, amount in claimed.amounts:
            self._used[name] -= amount
        for port in claimed.ports:
            self._ports.pop(port, None)

    def check(self, claimed: Claimed) -> Rejection | None:
        """The first thing that there is not enough of."""
        capacity = self._allocatable.get("pods", 0)
        if self._pods + 1 > capacity:
            return _insufficient("pods", 1, self._pods, capacity)
        for name, amount in claimed.amounts:
            used = self._used.get(name, 0)
            if name not in self._allocatable:
                continue  # a resource that the node doesn't know is none of its business
            if used + amount > self._allocatable[name]:
                return _insufficient(name, amount, used, self._allocatable[name])
        for port in claimed.ports:
            if any(_collide(port, other) for other in self._ports):
                return Rejection(
                    "NodePorts",
                    "Predicate NodePorts failed: node(s) didn't have free ports for the requested pod ports",
                )
        return None


def _insufficient(resource: str, requested: int, used: int, capacity: int) -> Rejection:
    return Rejection(
        f"OutOf{resource}",
        f"Node didn't have enough resource: {resource}, requested: {requested}, used: {used}, capacity: {capacity}",
    )


def _collide(port: tuple[str, str, int], other: tuple[str, str, int]) -> bool:
    if port[1:] != other[1:]:
        return False
    return port[0] == other[0] or "0.0.0.0" in {port[0], other[0]}  # noqa: S104


def check_node(spec: Object, node: Object) -> Rejection | None:
    """Whether the Pod's node selector, affinity, name and NoExecute tolerations allow the node as it is now."""
    metadata = node["metadata"]
    labels = metadata.get("labels") or {}
    name = metadata["name"]
    selector = spec.get("nodeSelector")
    fits = not selector or all(labels.get(key) == value for key, value in selector.items())
    affinity = ((spec.get("affinity") or {}).get("nodeAffinity") or {}).get(
        "requiredDuringSchedulingIgnoredDuringExecution"
    )
    if fits and affinity:
        fits = matches_node_selector(affinity, labels, name)
    if not fits:
        return Rejection(
            "NodeAffinity", "Predicate NodeAffinity failed: node(s) didn't match Pod's node affinity/selector"
        )
    for taint in node["spec"].get("taints") or () if "spec" in node else ():
        if taint.get("effect") == "NoExecute" and not any(
            tolerates(toleration, taint) for toleration in spec.get("tolerations") or ()
        ):
            return Rejection(
                "TaintToleration", "Predicate TaintToleration failed: node(s) had taints that the pod didn't tolerate"
            )
    return None

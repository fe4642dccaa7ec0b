"""Faults of the network between named ends: nodes, Pods, workloads, Services, and the host of the users."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple, final

from kubesim.api.kinds import SERVICE
from kubesim.api.objects import labels_of
from kubesim.api.selectors import compile_selector
from kubesim.cluster import Cluster
from kubesim.cluster.references import parse_reference
from kubesim.errors import UserError
from kubesim.faults.arguments import End, Link, Pair, PodTarget
from kubesim.faults.kinds import FaultKind, Injection
from kubesim.faults.targets import choose_pod, name_of, split_reference
from kubesim.network.links import Between, Covers, LinkFault, Place
from kubesim.users.load import USERS_NODE


@final
class _Pods:
    """The addresses of the Pods that a reference means, whichever these are when a packet is sent."""

    def __init__(self, cluster: Cluster, reference: str, namespace: str) -> None:
        self._cluster = cluster
        self._own, self._space = split_reference(reference, namespace)
        self._kind, _ = parse_reference(self._own)
        self._revision = -1
        self._addresses: dict[str, None] = {}
        if cluster.find(self._own, self._space) is None:
            raise UserError(f"there is no {reference} at this moment")

    def __call__(self, place: Place) -> bool:
        revision = self._cluster.store.revision
        if revision != self._revision:
            self._revision = revision
            self._addresses = dict.fromkeys(self._find())
        return place.ip in self._addresses

    def _find(self) -> list[str]:
        cluster = self._cluster
        if self._kind is not SERVICE:
            pods = cluster.pods_of(self._own, self._space) if cluster.find(self._own, self._space) else []
        else:
            service = cluster.find(self._own, self._space)
            selector = service["spec"].get("selector") if service is not None else None
            if service is None or not selector:
                return []
            selects = compile_selector({"matchLabels": selector})
            pods = [pod for pod in cluster.list("pods", service["metadata"]["namespace"]) if selects(labels_of(pod))]
        return [pod["status"]["podIP"] for pod in pods if (pod.get("status") or {}).get("podIP")]


class _Way(NamedTuple):
    """What a fault of a link does at its start and at its end."""

    begin: Callable[[], None]
    end: Callable[[], None]


def _is_host(cluster: Cluster, end: str) -> bool:
    return end == USERS_NODE or end in cluster.data_plane.nodes


def _covers(cluster: Cluster, end: str, namespace: str) -> Covers:
    if _is_host(cluster, end):
        return lambda place: place.node_name == end
    if "/" not in end:
        raise UserError(f"there is no node {end}; name a node, {USERS_NODE}, or KIND/NAME of Pods or a Service")
    return _Pods(cluster, end, namespace)


def _ways(cluster: Cluster, pair: Link | Pair, fault: LinkFault, namespace: str) -> list[_Way]:
    """One way for each direction that the fault is of."""
    if pair.end == pair.peer:
        raise UserError(f"{pair.end} cannot be cut off from itself; name two ends")
    fabric, directions = cluster.data_plane.fabric, [(pair.end, pair.peer), (pair.peer, pair.end)]
    ends = {end: _covers(cluster, end, namespace) for end in (pair.end, pair.peer)}
    is_of_hosts = all(_is_host(cluster, end) for end in ends)

    def way(source: End, target: End) -> _Way:
        if is_of_hosts:
            return _Way(
                lambda: fabric.add_link_fault(source, target, fault),
                lambda: fabric.remove_link_fault(source, target, fault),
            )
        between = Between(ends[source], ends[target], fault)
        return _Way(lambda: fabric.add_fault_between(between), lambda: fabric.remove_fault_between(between))

    return [way(*each) for each in directions[: 1 if pair.one_way else 2]]


def _disturb(
    cluster: Cluster, verb: str, pair: Link | Pair, fault: LinkFault, detail: str, namespace: str
) -> Injection:
    ways = _ways(cluster, pair, fault, namespace)
    subject = f"link/{pair.end}-{pair.peer}"
    for way in ways:
        way.begin()
    cluster.faults.note(verb, subject, detail)

    def undo() -> None:
        for way in ways:
            way.end()
        cluster.faults.note("heal", subject, f"{verb} is over")

    return Injection(subject, undo)


def _slow_link(cluster: Cluster, link: Link, namespace: str) -> Injection:
    loss = f", and {link.loss:.0%} are lost" if link.loss else ""
    detail = f"packets take {link.added / 1e6:g} ms longer{loss}"
    return _disturb(cluster, "slowLink", link, LinkFault(link.added, link.loss), detail, namespace)


def _cut_link(cluster: Cluster, pair: Pair, namespace: str) -> Injection:
    return _disturb(cluster, "cutLink", pair, LinkFault(is_cut=True), "no packet arrives", namespace)


def _reset_connections(cluster: Cluster, target: PodTarget, namespace: str) -> Injection:
    pod = choose_pod(cluster, target.of, namespace, target.index)
    number = cluster.data_plane.fabric.reset_connections((pod.get("status") or {}).get("podIP", ""))
    cluster.faults.note("resetConnections", name_of(pod), f"{number} connections from and to it are reset")
    return Injection(name_of(pod))


_AREA: Final = "network"
NETWORK_FAULTS: Final = (
    FaultKind("slowLink", Link, _AREA, "packets between two ends take longer or are lost", _slow_link, "heal"),
    FaultKind("cutLink", Pair, _AREA, "no packet arrives between two ends, or in one direction", _cut_link, "heal"),
    FaultKind("resetConnections", PodTarget, _AREA, "every connection from and to a Pod is reset", _reset_connections),
)

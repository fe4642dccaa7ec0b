"""Faults of the network between named ends: nodes, and the host of the users."""

from __future__ import annotations

from typing import Final

from kubesim.cluster import Cluster
from kubesim.errors import UserError
from kubesim.faults.arguments import Link, Pair, PodTarget
from kubesim.faults.kinds import FaultKind, Injection
from kubesim.faults.targets import choose_pod, name_of
from kubesim.network.links import LinkFault
from kubesim.users.load import USERS_NODE


def _between(cluster: Cluster, verb: str, ends: tuple[str, str], fault: LinkFault, detail: str) -> Injection:
    """`ends` has the direction; what is to hold for both is asked for twice."""
    fabric = cluster.data_plane.fabric
    fabric.add_link_fault(*ends, fault)
    subject = f"link/{ends[0]}-{ends[1]}"
    cluster.faults.note(verb, subject, detail)

    def undo() -> None:
        fabric.remove_link_fault(*ends, fault)
        cluster.faults.note("heal", subject, f"{verb} is over")

    return Injection(subject, undo)


def _directions(cluster: Cluster, pair: Link | Pair) -> list[tuple[str, str]]:
    for end in (pair.node, pair.peer):
        if end != USERS_NODE and end not in cluster.data_plane.nodes:
            raise UserError(f"there is no node {end}; name a node, or {USERS_NODE}")
    if pair.node == pair.peer:
        raise UserError(f"{pair.node} cannot be cut off from itself; name two ends")
    there = (str(pair.node), pair.peer)
    return [there] if pair.one_way else [there, there[::-1]]


def _all(cluster: Cluster, verb: str, pair: Link | Pair, fault: LinkFault, detail: str) -> Injection:
    begun = [_between(cluster, verb, ends, fault, detail) for ends in _directions(cluster, pair)]

    def undo() -> None:
        for each in begun:
            if each.undo is not None:
                each.undo()

    return Injection(begun[0].subject, undo)


def _slow_link(cluster: Cluster, link: Link, _namespace: str) -> Injection:
    loss = f", and {link.loss:.0%} are lost" if link.loss else ""
    detail = f"packets take {link.added / 1e6:g} ms longer{loss}"
    return _all(cluster, "slowLink", link, LinkFault(link.added, link.loss), detail)


def _cut_link(cluster: Cluster, pair: Pair, _namespace: str) -> Injection:
    return _all(cluster, "cutLink", pair, LinkFault(is_cut=True), "no packet arrives")


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

"""What happens to users and to everything else when parts fail.

A Service works while one of its Pods does. A Pod works while its node, its volumes and every Service that it calls do.
That is a worst case: a program may do without one of them for a while.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, NamedTuple

from kubesim.graph.model import USERS, Graph, Vertex

_CAN_FAIL: Final = ("node", "pod", "volume")
_SINK: Final = "data"


class Failure(NamedTuple):
    """The loss of one part: the Pods and Services that do not work without it, and the entrances that users lose."""

    part: Vertex
    pods: tuple[Vertex, ...]
    services: tuple[Vertex, ...]
    entrances: tuple[Vertex, ...]

    @property
    def is_single_point(self) -> bool:
        """Whether users notice."""
        return bool(self.entrances)


def find_failures(graph: Graph) -> list[Failure]:
    """The loss of each node, Pod and volume by itself; those that users notice first, then by how much is lost."""
    healthy = working_parts(graph, ())
    failures = []
    for part in graph.of_kind(*_CAN_FAIL):
        working = working_parts(graph, (part.id,))
        lost = [graph.vertices[each] for each in healthy if each not in working and each != part.id]
        entrances = tuple(each for each in graph.out(USERS, "enters") if each.id in healthy and each.id not in working)
        pods = tuple(each for each in lost if each.kind == "pod")
        failures.append(Failure(part, pods, tuple(each for each in lost if each.kind == "service"), entrances))
    order = {kind: number for number, kind in enumerate(_CAN_FAIL)}
    return sorted(
        failures, key=lambda each: (not each.entrances, -len(each.services), -len(each.pods), order[each.part.kind])
    )


def working_parts(graph: Graph, failed: Iterable[str]) -> dict[str, None]:
    """The ids of what works while these parts do not, in the graph's order."""
    lost = set(failed)
    working = {each: None for each in graph.vertices if each not in lost}
    while True:
        broken = [each for each in working if not _works(graph, graph.vertices[each], working)]
        if not broken:
            return working
        for each in broken:
            del working[each]


def _works(graph: Graph, vertex: Vertex, working: dict[str, None]) -> bool:
    if vertex.kind == "service":
        return any(pod.id in working for pod in graph.out(vertex.id, "selects"))
    if vertex.kind == "pod":
        return bool(vertex.node) and all(part.id in working for part in graph.out(vertex.id))
    return True


def find_minimum_cut(graph: Graph, entrance: Vertex) -> tuple[Vertex, ...]:
    """A smallest set of parts whose loss cuts users off from an entrance's last Pods and their data.

    A minimum vertex cut: Services cannot fail, everything else counts one. A node that carries Pods of several layers
    is counted in each, so the true number can be smaller; `find_failures` is exact for one part.
    """
    import networkx as nx

    network: nx.DiGraph[str] = nx.DiGraph()
    seen: set[str] = set()

    def enter(service: Vertex, source: str) -> None:
        network.add_edge(source, service.id)
        if service.id in seen:
            return
        seen.add(service.id)
        for pod in graph.out(service.id, "selects"):
            network.add_edge(service.id, f"{pod.id}<")
            network.add_edge(f"{pod.id}<", f"{pod.id}>", capacity=1)
            carrier = f"node//{pod.node}@{service.id}"
            network.add_edge(f"{pod.id}>", f"{carrier}<")
            network.add_edge(f"{carrier}<", f"{carrier}>", capacity=1)
            last = f"{carrier}>"
            for volume in graph.out(pod.id, "mounts"):
                network.add_edge(last, f"{volume.id}<")
                network.add_edge(f"{volume.id}<", f"{volume.id}>", capacity=1)
                last = f"{volume.id}>"
            called = list(graph.out(pod.id, "calls"))
            for each in called:
                enter(each, last)
            if not called:
                network.add_edge(last, _SINK)

    enter(entrance, USERS)
    if _SINK not in network or not nx.has_path(network, USERS, _SINK):
        return ()
    _, (reached, _) = nx.minimum_cut(network, USERS, _SINK)
    cut = {
        inside[:-1].partition("@")[0]
        for inside, outside, data in network.edges(data=True)
        if "capacity" in data and inside in reached and outside not in reached
    }
    return tuple(vertex for vertex in graph.vertices.values() if vertex.id in cut)

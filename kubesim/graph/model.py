"""The parts of a stack and how they depend on each other, as plain values in a stable order."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple, final

USERS: Final = "users"


class Vertex(NamedTuple):
    """A part: the `users`, a `service`, `pod`, `volume` or `node`. `id` is KIND/NAMESPACE/NAME."""

    id: str
    kind: str
    name: str
    namespace: str = ""
    # A Pod's workload and node, a volume's claim.
    workload: str = ""
    node: str = ""
    claim: str = ""


class Edge(NamedTuple):
    """From a part to one that it needs. `why` is `enters`, `selects`, `calls`, `mounts` or `runs on`."""

    source: str
    target: str
    why: str
    detail: str = ""


@final
class Graph:
    """Vertices by id, and edges by their source, each in the order in which they were added."""

    def __init__(self) -> None:
        self.vertices: dict[str, Vertex] = {}
        self.edges: list[Edge] = []
        self._out: dict[str, list[Edge]] = {}

    def add(self, vertex: Vertex) -> None:
        """Add a part."""
        self.vertices[vertex.id] = vertex

    def connect(self, source: str, target: str, why: str, detail: str = "") -> None:
        """Say that one part needs another; once for each pair and reason."""
        edge = Edge(source, target, why, detail)
        edges = self._out.setdefault(source, [])
        if all((each.target, each.why) != (target, why) for each in edges):
            edges.append(edge)
            self.edges.append(edge)

    def out(self, source: str, why: str = "") -> Iterator[Vertex]:
        """The parts that one needs, for one reason or for any."""
        for edge in self._out.get(source, ()):
            if not why or edge.why == why:
                yield self.vertices[edge.target]

    def of_kind(self, *kinds: str) -> list[Vertex]:
        """All parts of these kinds."""
        return [vertex for vertex in self.vertices.values() if vertex.kind in kinds]

    def pods_on(self, node: str) -> list[Vertex]:
        """The Pods on the node of this name; those on no node for the empty one."""
        return [pod for pod in self.of_kind("pod") if pod.node == node]


def identify(kind: str, namespace: str, name: str) -> str:
    """A vertex's id."""
    return f"{kind}/{namespace}/{name}"

"""The graph as Mermaid and as Graphviz DOT: Pods inside their nodes, single points of failure marked."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from kubesim.graph.failure import find_failures
from kubesim.graph.model import Graph, Vertex

_MERMAID_SHAPES: Final = {"users": ("([", "])"), "service": ("{{", "}}"), "pod": ("[", "]"), "volume": ("[(", ")]")}
_DOT_SHAPES: Final = {"users": "oval", "service": "hexagon", "pod": "box", "volume": "cylinder"}
_RUNS_ON: Final = "runs on"


def to_mermaid(graph: Graph) -> Iterator[str]:
    """A Mermaid flowchart."""
    names = {each: f"n{number}" for number, each in enumerate(graph.vertices)}
    yield "flowchart LR"
    for vertex in graph.of_kind("users", "service", "volume"):
        yield f"  {_mermaid(vertex, names)}"
    for node in graph.of_kind("node"):
        pods = graph.pods_on(node.name)
        if pods:
            yield f'  subgraph {names[node.id]}["{node.name}"]'
            for pod in pods:
                yield f"    {_mermaid(pod, names)}"
            yield "  end"
    for pod in graph.pods_on(""):
        yield f"  {_mermaid(pod, names)}"
    for edge in graph.edges:
        if edge.why != _RUNS_ON:
            label = f"|{edge.why}|" if edge.why in ("calls", "mounts") else ""
            yield f"  {names[edge.source]} -->{label} {names[edge.target]}"
    points = [names[each] for each in single_points(graph)]
    if points:
        yield "  classDef singlePoint stroke:#c62828,stroke-width:3px"
        yield f"  class {','.join(points)} singlePoint"


def _mermaid(vertex: Vertex, names: dict[str, str]) -> str:
    start, end = _MERMAID_SHAPES[vertex.kind]
    return f'{names[vertex.id]}{start}"{label_of(vertex)}"{end}'


def to_dot(graph: Graph) -> Iterator[str]:
    """A Graphviz digraph."""
    points = set(single_points(graph))
    yield "digraph kubesim {"
    yield "  rankdir=LR"
    yield '  node [fontname="sans-serif"]'
    for vertex in graph.of_kind("users", "service", "volume"):
        yield f"  {_dot(vertex, points)}"
    for node in graph.of_kind("node"):
        pods = graph.pods_on(node.name)
        if pods:
            yield f"  subgraph {_quoted(f'cluster_{node.name}')} {{"
            yield f"    label={_quoted(node.name)}"
            if node.id in points:
                yield '    color="#c62828" penwidth=3'
            for pod in pods:
                yield f"    {_dot(pod, points)}"
            yield "  }"
    for pod in graph.pods_on(""):
        yield f"  {_dot(pod, points)}"
    for edge in graph.edges:
        if edge.why != _RUNS_ON:
            yield f"  {_quoted(edge.source)} -> {_quoted(edge.target)} [label={_quoted(edge.why)}]"
    yield "}"


def _dot(vertex: Vertex, points: set[str]) -> str:
    mark = ' color="#c62828" penwidth=3' if vertex.id in points else ""
    return f"{_quoted(vertex.id)} [label={_quoted(label_of(vertex))} shape={_DOT_SHAPES[vertex.kind]}{mark}]"


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def label_of(vertex: Vertex) -> str:
    """What a box says."""
    if vertex.kind == "service":
        return f"Service {vertex.name}"
    return vertex.claim if vertex.kind == "volume" else vertex.name


def single_points(graph: Graph) -> list[str]:
    """The ids of the parts that users cannot do without."""
    return [failure.part.id for failure in find_failures(graph) if failure.is_single_point]

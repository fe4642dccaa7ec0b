"""The graph as an SVG picture, in columns from users to data; needs nothing but a browser to be seen."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from html import escape
from typing import Final, NamedTuple

from kubesim.graph.drawings import label_of, single_points
from kubesim.graph.model import USERS, Graph, Vertex

_CHARACTER_WIDTH: Final = 7.6
_PADDING: Final = 14
_BOX_HEIGHT: Final = 44
_ROW_GAP: Final = 22
_COLUMN_GAP: Final = 90
_MARGIN: Final = 30
_TITLE_HEIGHT: Final = 26
_COLOURS: Final = {
    "users": ("#eceff1", "#546e7a"),
    "service": ("#e3f2fd", "#1565c0"),
    "pod": ("#e8f5e9", "#2e7d32"),
    "volume": ("#fff8e1", "#b26a00"),
}
_ALARM: Final = "#c62828"


class _Box(NamedTuple):
    x: float
    y: float
    width: float

    @property
    def left(self) -> tuple[float, float]:
        return self.x, self.y + _BOX_HEIGHT / 2

    @property
    def right(self) -> tuple[float, float]:
        return self.x + self.width, self.y + _BOX_HEIGHT / 2


def to_svg(graph: Graph) -> Iterator[str]:
    """The picture, line by line."""
    points = set(single_points(graph))
    columns = _columns(graph)
    boxes = _places(columns)
    width = max((box.x + box.width for box in boxes.values()), default=0) + _MARGIN
    height = max((box.y + _BOX_HEIGHT for box in boxes.values()), default=0) + _MARGIN + _TITLE_HEIGHT
    yield (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height:.0f}" '
        f'viewBox="0 0 {width:.0f} {height:.0f}" font-family="Helvetica, Arial, sans-serif" font-size="13">'
    )
    yield '<rect width="100%" height="100%" fill="#ffffff"/>'
    yield (
        '<defs><marker id="arrow" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
        '<path d="M0 0 L8 4 L0 8 z" fill="#78909c"/></marker></defs>'
    )
    for edge in graph.edges:
        if edge.source in boxes and edge.target in boxes:
            yield _arrow(boxes[edge.source], boxes[edge.target])
    for vertex in graph.vertices.values():
        if vertex.id in boxes:
            yield from _drawn(vertex, boxes[vertex.id], vertex.id in points)
    nodes = ", ".join(node.name for node in graph.of_kind("node") if node.id in points)
    legend = "red: users are cut off when this one part is lost" + (
        f"; so they are without {escape(nodes)}" if nodes else ""
    )
    yield f'<text x="{_MARGIN}" y="{height - 14:.0f}" fill="{_ALARM}" font-size="12">{legend}</text>'
    yield "</svg>"


def _columns(graph: Graph) -> list[list[Vertex]]:
    """The parts by their longest distance from users; what users do not reach comes first of its kind."""
    depth: dict[str, int] = {USERS: 0}

    def visit(source: str, at: int, path: tuple[str, ...]) -> None:
        for target in graph.out(source):
            if target.kind == "node" or target.id in path or depth.get(target.id, -1) >= at + 1:
                continue
            depth[target.id] = at + 1
            visit(target.id, at + 1, (*path, target.id))

    visit(USERS, 0, (USERS,))
    for vertex in graph.of_kind("service", "pod", "volume"):
        depth.setdefault(vertex.id, {"service": 1, "pod": 2, "volume": 3}[vertex.kind])
    columns: list[list[Vertex]] = [[] for _ in range(max(depth.values()) + 1)]
    for vertex in graph.vertices.values():
        if vertex.id in depth:
            columns[depth[vertex.id]].append(vertex)
    return [column for column in columns if column]


def _places(columns: list[list[Vertex]]) -> Mapping[str, _Box]:
    tallest = max((len(column) for column in columns), default=0)
    total = tallest * (_BOX_HEIGHT + _ROW_GAP) - _ROW_GAP
    boxes: dict[str, _Box] = {}
    x: float = _MARGIN
    for column in columns:
        width = max(max(len(label_of(each)), len(_below(each))) for each in column) * _CHARACTER_WIDTH + 2 * _PADDING
        y = _MARGIN + (total - (len(column) * (_BOX_HEIGHT + _ROW_GAP) - _ROW_GAP)) / 2
        for vertex in column:
            boxes[vertex.id] = _Box(x, y, width)
            y += _BOX_HEIGHT + _ROW_GAP
        x += width + _COLUMN_GAP
    return boxes


def _below(vertex: Vertex) -> str:
    """The second, smaller line of a box."""
    if vertex.kind == "pod":
        return f"on {vertex.node}" if vertex.node else "on no node"
    return {"volume": "volume", "service": vertex.namespace}.get(vertex.kind, "")


def _arrow(source: _Box, target: _Box) -> str:
    (x1, y1), (x2, y2) = source.right, target.left
    bend = max(30.0, (x2 - x1) / 2)
    path = f"M{x1:.1f} {y1:.1f} C{x1 + bend:.1f} {y1:.1f} {x2 - bend:.1f} {y2:.1f} {x2:.1f} {y2:.1f}"
    return f'<path d="{path}" fill="none" stroke="#78909c" stroke-width="1.4" marker-end="url(#arrow)"/>'


def _drawn(vertex: Vertex, box: _Box, is_alarming: bool) -> Iterator[str]:
    fill, stroke = _COLOURS[vertex.kind]
    width = 3 if is_alarming else 1.4
    stroke = _ALARM if is_alarming else stroke
    radius = {"users": _BOX_HEIGHT / 2, "service": 4, "volume": 14}.get(vertex.kind, 4)
    yield (
        f'<rect x="{box.x:.1f}" y="{box.y:.1f}" width="{box.width:.1f}" height="{_BOX_HEIGHT}" rx="{radius:.0f}" '
        f'fill="{fill}" stroke="{stroke}" stroke-width="{width}"/>'
    )
    middle, below = box.x + box.width / 2, _below(vertex)
    y = box.y + (20 if below else 27)
    yield f'<text x="{middle:.1f}" y="{y:.1f}" text-anchor="middle" fill="#212121">{escape(label_of(vertex))}</text>'
    if below:
        small = 'text-anchor="middle" fill="#616161" font-size="11"'
        yield f'<text x="{middle:.1f}" y="{box.y + 36:.1f}" {small}>{escape(below)}</text>'

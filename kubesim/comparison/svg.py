"""Both availabilities over time as an SVG picture: a panel for each side, with the faults and what a person did."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from typing import Final, NamedTuple

from kubesim.comparison.outcome import Comparison, Row, Side, Total
from kubesim.scenario.judge import percent
from kubesim.sim.loop import MINUTE

_WIDTH: Final = 1120
_LEFT, _RIGHT = 64, 24
_PANEL_HEIGHT: Final = 150
_PANEL_GAP: Final = 84
_TOP: Final = 104
_LINE_HEIGHT: Final = 20
_TICKS_MAX: Final = 14
_COLOURS: Final = ("#1565c0", "#b26a00")
_FAULT: Final = "#c62828"
_HAND: Final = "#6a1b9a"
_GREY: Final = "#78909c"


class _Panel(NamedTuple):
    """One side's place and what is drawn there."""

    top: float
    name: str
    colour: str
    total: Total
    sides: tuple[Side, ...]

    def y(self, share: float) -> float:
        """How far down a share of served requests is."""
        return self.top + _PANEL_HEIGHT * (1 - share)


def to_svg(found: Comparison) -> Iterator[str]:
    """The picture, line by line."""
    second = _TOP + _PANEL_HEIGHT + _PANEL_GAP
    panels = (
        _Panel(_TOP, "Kubernetes", _COLOURS[0], found.kubernetes, tuple(row.kubernetes for row in found.rows)),
        _Panel(second, "Docker Compose", _COLOURS[1], found.compose, tuple(row.compose for row in found.rows)),
    )
    legend = second + _PANEL_HEIGHT + 58
    height = legend + _LINE_HEIGHT * (len(found.rows) + 1) + 20
    yield (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{height}" viewBox="0 0 {_WIDTH} {height}" '
        'font-family="Helvetica, Arial, sans-serif" font-size="13" fill="#263238">'
    )
    yield '<rect width="100%" height="100%" fill="#ffffff"/>'
    yield _text(_LEFT, 30, "Requests served while the same things break", size=18, weight="bold")
    load = f"{found.rate_per_second:g} requests a second, seed {found.seed}"
    minutes = f"{found.operator_after_ns / MINUTE:g} min"
    yield _text(_LEFT, 50, f"{load}; what is left to a person they do {minutes} after the fault", colour=_GREY)
    for panel in panels:
        yield from _drawn(panel, found)
    yield from _legend(found.rows, legend)
    yield "</svg>"


def _text(
    x: float, y: float, text: str, *, size: int = 13, weight: str = "normal", colour: str = "", anchor: str = "start"
) -> str:
    fill = f' fill="{colour}"' if colour else ""
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" font-weight="{weight}" text-anchor="{anchor}"{fill}>'
        f"{escape(text)}</text>"
    )


def _x(found: Comparison, at_ns: int) -> float:
    return _LEFT + (_WIDTH - _LEFT - _RIGHT) * at_ns / max(1, found.end_ns)


def _drawn(panel: _Panel, found: Comparison) -> Iterator[str]:
    right = _WIDTH - _RIGHT
    share = percent(panel.total.counts.availability)
    lost = panel.total.lost_writes
    words = (
        f"{share} served, {lost} acknowledged writes lost" if lost else f"{share} served, no acknowledged write lost"
    )
    yield _text(_LEFT, panel.top - 22, panel.name, size=15, weight="bold", colour=panel.colour)
    yield _text(right, panel.top - 22, words, anchor="end")
    for level in (0, 0.5, 1):
        y = panel.y(level)
        yield f'<line x1="{_LEFT}" y1="{y:.1f}" x2="{right}" y2="{y:.1f}" stroke="#cfd8dc"/>'
        yield _text(_LEFT - 8, y + 4, f"{level * 100:.0f} %", size=11, colour=_GREY, anchor="end")
    yield from _curve(panel, found)
    yield from _axis(panel, found)
    yield from _marks(panel, found)


def _curve(panel: _Panel, found: Comparison) -> Iterator[str]:
    """The share served in each span, as steps over a filled ground; gaps where nobody asked."""
    bottom = panel.y(0)
    line: list[str] = []
    for index, share in enumerate(panel.total.series):
        if share is None:
            continue
        left = _x(found, index * found.bucket_ns)
        right = _x(found, min(found.end_ns, (index + 1) * found.bucket_ns))
        line.append(f"{left:.1f},{panel.y(share):.1f} {right:.1f},{panel.y(share):.1f}")
    if not line:
        return
    first, last = line[0].partition(",")[0], line[-1].split()[-1].partition(",")[0]
    points = " ".join(line)
    ground = f"{first},{bottom:.1f} {points} {last},{bottom:.1f}"
    yield f'<polygon points="{ground}" fill="{panel.colour}" fill-opacity="0.12"/>'
    yield f'<polyline points="{points}" fill="none" stroke="{panel.colour}" stroke-width="1.6"/>'


def _axis(panel: _Panel, found: Comparison) -> Iterator[str]:
    minutes = max(1, -(-found.end_ns // MINUTE))
    step = next(each for each in (1, 2, 5, 10, 20, 60, 120, 600, minutes) if minutes / each <= _TICKS_MAX)
    for minute in range(0, minutes + 1, step):
        if minute * MINUTE <= found.end_ns:
            x = _x(found, minute * MINUTE)
            label = f"{minute} min" if minute == 0 else str(minute)
            yield f'<line x1="{x:.1f}" y1="{panel.y(0):.1f}" x2="{x:.1f}" y2="{panel.y(0) + 4:.1f}" stroke="{_GREY}"/>'
            yield _text(x, panel.y(0) + 17, label, size=11, colour=_GREY, anchor="middle")


def _marks(panel: _Panel, found: Comparison) -> Iterator[str]:
    """A numbered line at each fault, a triangle under the axis wherever a person did something."""
    for number, (row, side) in enumerate(zip(found.rows, panel.sides, strict=True), 1):
        x = _x(found, row.start_ns)
        yield (
            f'<line x1="{x:.1f}" y1="{panel.top - 4}" x2="{x:.1f}" y2="{panel.y(0):.1f}" stroke="{_FAULT}" '
            'stroke-dasharray="3 3"/>'
        )
        yield f'<circle cx="{x:.1f}" cy="{panel.top - 10}" r="8" fill="{_FAULT}"/>'
        yield _text(x, panel.top - 6, str(number), size=10, weight="bold", colour="#ffffff", anchor="middle")
        for deed in side.by_hand:
            at, low = _x(found, min(found.end_ns, row.start_ns + deed.after_ns)), panel.y(0) + 22
            what = escape(deed.text)
            points = f"{at:.1f},{low} {at - 6:.1f},{low + 11} {at + 6:.1f},{low + 11}"
            yield f'<polygon points="{points}" fill="{_HAND}"><title>{what}</title></polygon>'


def _legend(rows: tuple[Row, ...], top: float) -> Iterator[str]:
    columns = (_LEFT, 560, 690, 820, 950)
    heads = ("", "Kubernetes", "", "Docker Compose", "")
    for x, text in zip(columns, heads, strict=True):
        yield _text(x, top - 4, text, size=12, weight="bold")
    for number, row in enumerate(rows, 1):
        y = top + _LINE_HEIGHT * number
        yield f'<circle cx="{_LEFT + 8}" cy="{y - 4}" r="8" fill="{_FAULT}"/>'
        yield _text(_LEFT + 8, y, str(number), size=10, weight="bold", colour="#ffffff", anchor="middle")
        yield _text(_LEFT + 26, y, row.title)
        for x, side in ((columns[1], row.kubernetes), (columns[3], row.compose)):
            yield _text(x, y, percent(side.counts.availability) if not side.without else "no counterpart")
            words = [f"{side.lost_writes} writes lost"] if side.lost_writes else []
            words += ["by hand"] if side.by_hand else []
            yield _text(x + 70, y, ", ".join(words), size=12, colour=_HAND)
    x, y = _LEFT + 8, top - 4
    yield f'<polygon points="{x},{y - 10} {x - 6},{y + 1} {x + 6},{y + 1}" fill="{_HAND}"/>'
    yield _text(x + 18, y, "a person does something", size=12, colour=_HAND)

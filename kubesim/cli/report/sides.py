"""A comparison for people: one row a fault with both sides, then what a person had to do."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from kubesim.cli.commands.version import KUBERNETES, VERSION
from kubesim.cli.terminal import Paint, wrapped
from kubesim.comparison.outcome import Comparison, Side, Total
from kubesim.scenario.judge import percent, seconds
from kubesim.sim.loop import SECOND

_COLUMNS: Final = ("SERVED", "FAILED", "BACK AFTER", "LOST")
_SIDES: Final = ("KUBERNETES", "DOCKER COMPOSE")


def comparison_lines(found: Comparison, names: tuple[str, str], paint: Paint, width: int) -> Iterator[str]:
    """The whole report."""
    nodes = "1 node" if found.nodes == 1 else f"{found.nodes} nodes"
    yield paint(f"kubesim {VERSION}: {found.name}, seed {found.seed}", "bold")
    yield f"{names[0]} on Kubernetes {KUBERNETES} with {nodes}, {names[1]} on Docker Compose with one host"
    load = f"{found.rate_per_second:g} requests a second, {found.write_percent} % of them writes"
    yield f"{load}; what is left to a person they do {seconds(found.operator_after_ns)} after the fault"
    yield ""
    yield from _table(found, paint)
    yield ""
    yield paint("What a person had to do", "bold")
    yield from _deeds(found, width)
    if found.notes:
        yield ""
        yield paint("Notes", "bold")
        for note in found.notes:
            yield from wrapped(f"- {note}", width)


def _table(found: Comparison, paint: Paint) -> Iterator[str]:
    rows: list[tuple[str, ...]] = [("AT", "FAULT", *_COLUMNS, *_COLUMNS)]
    rows += [(_clock(row.start_ns), row.title, *_cells(row.kubernetes), *_cells(row.compose)) for row in found.rows]
    totals = (*_total_cells(found.kubernetes), *_total_cells(found.compose))
    rows.append((_clock(found.end_ns), "the whole time", *totals))
    widths = [max(len(row[index]) for row in rows) for index in range(len(rows[0]))]
    left = sum(widths[:2]) + 2
    middle = sum(widths[2:6]) + 3 * 2
    heads = f"{'':{left}}   {_SIDES[0]:<{middle}}   {_SIDES[1]}"
    yield paint(heads, "bold")
    for number, row in enumerate(rows):
        cells = [cell.ljust(widths[i]) if i == 1 else cell.rjust(widths[i]) for i, cell in enumerate(row)]
        text = "   ".join("  ".join(cells[first:last]) for first, last in ((0, 2), (2, 6), (6, 10))).rstrip()
        yield paint(text, "bold") if number in (0, len(rows) - 1) else text


def _cells(side: Side) -> Sequence[str]:
    if side.without:
        return ("-", "-", "-", "-")
    recovery = "not yet" if side.recovery_ns is None else seconds(side.recovery_ns) if side.unserved else "-"
    return (percent(side.counts.availability), str(side.unserved), recovery, str(side.lost_writes))


def _total_cells(total: Total) -> Sequence[str]:
    return (percent(total.counts.availability), str(total.counts.unserved), "", str(total.lost_writes))


def _deeds(found: Comparison, width: int) -> Iterator[str]:
    for name, sides in (
        ("Kubernetes", [row.kubernetes for row in found.rows]),
        ("Docker Compose", [row.compose for row in found.rows]),
    ):
        lines = [
            f"{row.title}: {deed.text}, after {seconds(deed.after_ns)}"
            for row, side in zip(found.rows, sides, strict=True)
            for deed in side.by_hand
        ]
        lines += [
            f"{row.title}: not done, {side.without}"
            for row, side in zip(found.rows, sides, strict=True)
            if side.without
        ]
        yield f"{name}: nothing" if not lines else f"{name}:"
        for line in lines:
            yield from wrapped(f"  - {line}", width, "    ")


def _clock(at_ns: int) -> str:
    """An instant as `12:30`: minutes and seconds from the first request."""
    return f"{at_ns // (60 * SECOND)}:{at_ns // SECOND % 60:02d}"

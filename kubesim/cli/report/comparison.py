"""What the simulated runtime predicts beside what was measured for the same scenario, with processes or a cluster."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from statistics import median_low
from typing import Any

from kubesim.cli.terminal import Paint
from kubesim.scenario.judge import percent, seconds
from kubesim.scenario.outcome import Outcome, StepOutcome

Row = tuple[str, ...]

_NOT_YET = float("inf")


def comparison_lines(
    predicted: Sequence[Outcome], measured: Outcome, measured_with: str, paint: Paint
) -> Iterator[str]:
    """The table: one row a step, then the whole run and the writes. Of several predictions the middle and the range.

    `measured_with` names what was measured.
    """
    yield ""
    yield paint(f"Predicted by the simulated runtime, and measured with {measured_with}", "bold")
    rows: list[Row] = [("", "HEALED IN", "MEASURED", "SERVED AGAIN AFTER", "MEASURED", "AVAILABILITY", "MEASURED")]
    for after, *before in zip(measured.steps, *(each.steps for each in predicted), strict=False):
        rows.append((after.title, *_cells(before, after)))
    if measured.requests is not None:
        shares = [each.requests.counts.availability for each in predicted if each.requests is not None]
        share = percent(measured.requests.counts.availability)
        rows.append(("the whole run", "", "", "", "", _range(shares, percent), share))
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    for index, row in enumerate(rows):
        cells = [cell.ljust(widths[i]) if not i else cell.rjust(widths[i]) for i, cell in enumerate(row)]
        text = "   ".join(cells).rstrip()
        yield paint(text, "bold") if not index else text
    yield f"acknowledged writes lost: {_lost(predicted)} predicted, {_lost([measured])} measured"
    if len(predicted) > 1:
        yield (
            f"predicted: the middle and the range of {len(predicted)} runs, "
            "for a fault may come at any moment between two probes"
        )


def _cells(before: Sequence[StepOutcome], after: StepOutcome) -> Row:
    healed, served, share = (
        (lambda step: step.healed_ns, seconds),
        (_served_again, _served_text),
        (lambda step: None if step.counts is None else step.counts.availability, percent),
    )
    found = []
    for ask, tell in (healed, served, share):
        found += [_range([ask(each) for each in before], tell), _range([ask(after)], tell)]
    return tuple(found)


def _served_again(step: StepOutcome) -> float | None:
    """How long until users were served again: 0 if nobody noticed, None without users."""
    if step.counts is None:
        return None
    if not step.counts.unserved:
        return 0
    return _NOT_YET if step.recovery_ns is None else step.recovery_ns


def _served_text(span_ns: float) -> str:
    if not span_ns:
        return "nobody noticed"
    return "not yet" if span_ns == _NOT_YET else seconds(int(span_ns))


def _range(values: Sequence[Any], tell: Callable[[Any], str]) -> str:
    known = sorted(value for value in values if value is not None)
    if not known:
        return "-"
    middle, least, most = texts = tell(median_low(known)), tell(known[0]), tell(known[-1])
    if least == most:
        return middle
    units = {text.partition(" ")[2] for text in texts}
    if len(units) == 1:  # said once
        middle, least, most = (text.partition(" ")[0] for text in texts)
    return f"{middle} ({least} to {most}) {units.pop()}" if len(units) == 1 else f"{middle} ({least} to {most})"


def _lost(outcomes: Sequence[Outcome]) -> str:
    writes = [each.writes for each in outcomes if each.writes is not None]
    if not writes:
        return "none written"
    worst = max(writes, key=lambda each: len(each.lost))
    return f"{len(worst.lost)} of {worst.kept + len(worst.lost)}"

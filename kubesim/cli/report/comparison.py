"""What the simulated runtime predicts beside what real processes did, for one scenario."""

from __future__ import annotations

from collections.abc import Iterator

from kubesim.cli.terminal import Paint
from kubesim.scenario.judge import percent, seconds
from kubesim.scenario.outcome import Outcome, StepOutcome

Row = tuple[str, ...]


def comparison_lines(predicted: Outcome, measured: Outcome, paint: Paint) -> Iterator[str]:
    """The table: one row a step, then the whole run and the writes."""
    yield ""
    yield paint("Predicted by the simulated runtime, and measured with real processes", "bold")
    rows: list[Row] = [("", "HEALED IN", "MEASURED", "SERVED AGAIN AFTER", "MEASURED", "AVAILABILITY", "MEASURED")]
    for before, after in zip(predicted.steps, measured.steps, strict=False):
        rows.append((after.title, *_pair(before, after)))
    if predicted.requests is not None and measured.requests is not None:
        shares = [percent(each.requests.counts.availability) for each in (predicted, measured) if each.requests]
        rows.append(("the whole run", "", "", "", "", *shares))
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    for index, row in enumerate(rows):
        cells = [cell.ljust(widths[i]) if not i else cell.rjust(widths[i]) for i, cell in enumerate(row)]
        text = "   ".join(cells).rstrip()
        yield paint(text, "bold") if not index else text
    writes = [_lost(each) for each in (predicted, measured)]
    yield f"acknowledged writes lost: {writes[0]} predicted, {writes[1]} measured"


def _pair(before: StepOutcome, after: StepOutcome) -> Row:
    healed = [seconds(each.healed_ns) if each.healed_ns is not None else "-" for each in (before, after)]
    served, shares = [], []
    for each in (before, after):
        if each.counts is None:
            served.append("-")
            shares.append("-")
            continue
        unserved = each.counts.refused + each.counts.failed
        again = "not yet" if each.recovery_ns is None else seconds(each.recovery_ns)
        served.append(again if unserved else "nobody noticed")
        shares.append(percent(each.counts.availability))
    return (*healed, *served, *shares)


def _lost(outcome: Outcome) -> str:
    if outcome.writes is None:
        return "none written"
    return f"{len(outcome.writes.lost)} of {outcome.writes.kept + len(outcome.writes.lost)}"

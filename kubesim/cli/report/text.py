"""The report for people: the timeline by steps, the objects at the end, the users' side, the verdict."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, TextIO

from kubesim.cli.commands.version import KUBERNETES, VERSION
from kubesim.cli.printing import print_tables
from kubesim.cli.report.finding import Finding
from kubesim.cli.terminal import Paint, width_of, wrapped
from kubesim.cli.timeline import Line, Narrator, together
from kubesim.scenario.judge import percent, seconds
from kubesim.scenario.outcome import Check, Outcome, StepOutcome
from kubesim.sim.loop import MILLISECOND, SECOND

_ACTOR_WIDTH: Final = 15
_STYLES: Final = {"fault": ("red", "bold"), "user": ("yellow",), "users": ("magenta",)}
_TEXT_MIN: Final = 40
# Of a step with more lines than this, the first and the last ones are shown.
_LINES_MAX, _LINES_FIRST, _LINES_LAST = 70, 40, 15
_REASONS: Final = {
    "timeout": "no answer within 2 s",
    "refused": "connection refused",
    "reset": "connection reset",
    "unreachable": "the Service has no ready Pod",
    "unresolved": "the Service's name does not resolve",
    "503": "the answer is 503, service unavailable",
    "500": "the answer is 500, internal server error",
}


def report_lines(finding: Finding, paint: Paint, stream: TextIO) -> Iterator[str]:
    """The whole report."""
    width = width_of(stream)
    outcome = finding.outcome
    options = finding.cluster.options
    nodes = "1 node" if options.nodes == 1 else f"{options.nodes} nodes"
    yield paint(f"kubesim {VERSION}, Kubernetes {KUBERNETES}, {nodes}, seed {options.seed}: {outcome.name}", "bold")
    yield outcome.promise
    yield from _timeline(finding, paint, width)
    yield ""
    yield _heading(f"What is there after {clock(outcome.end_ns)[:-4].strip()} of virtual time", paint, width)
    yield from print_tables(finding.objects(), finding.cluster.now_ns)
    if outcome.requests is not None:
        yield ""
        yield _heading("What users saw", paint, width)
        yield from requests_lines(outcome, paint)
    notes = [*finding.notes, *outcome.notes]
    if notes:
        yield ""
        yield _heading("Notes", paint, width)
        for note in notes:
            yield from wrapped(f"- {note}", width)
    yield ""
    yield from verdict_lines(outcome, paint)


def clock(at_ns: int) -> str:
    """An instant as `  1:03.296`: minutes, seconds and milliseconds since the cluster came to be."""
    minutes, rest = divmod(at_ns, 60 * SECOND)
    return f"{minutes:4d}:{rest // SECOND:02d}.{rest % SECOND // MILLISECOND:03d}"


def _heading(text: str, paint: Paint, width: int) -> str:
    rule = "─" * max(3, min(width, 100) - len(text) - 4)
    return paint(f"── {text} {rule}", "bold", "cyan")


def _timeline(finding: Finding, paint: Paint, width: int) -> Iterator[str]:
    records = finding.cluster.trace.records
    narrator = Narrator()
    bounds = [*finding.bounds, len(records)]
    for number, step in enumerate(finding.outcome.steps):
        yield ""
        yield _heading(step.title, paint, width)
        first = 0 if number == 0 else bounds[number]
        lines = together(narrator.tell(records[first : bounds[number + 1]]))
        shown = _with_users(lines, step)
        for index, line in enumerate(shown):
            if len(shown) <= _LINES_MAX or not _LINES_FIRST <= index < len(shown) - _LINES_LAST:
                yield from timeline_line(line, paint, width)
            elif index == _LINES_FIRST:
                yield paint(
                    f"{'':12}… {len(shown) - _LINES_FIRST - _LINES_LAST} more lines like these; --trace has everything",
                    "dim",
                )
        yield from step_lines(step, paint)


def _with_users(lines: list[Line], step: StepOutcome) -> list[Line]:
    """The lines of a step with what its users noticed, in their places."""
    if step.counts is None or step.unserved_after_ns is None:
        return lines
    text = f"the first request is not served: {_REASONS.get(step.unserved_because, step.unserved_because)}"
    noticed = [Line(step.start_ns + step.unserved_after_ns, "users", text)]
    if step.recovery_ns:
        noticed.append(Line(step.start_ns + step.recovery_ns, "users", "from here on every request is served"))
    # The sort is stable: what users notice comes after what caused it at the same instant.
    return sorted([*lines, *noticed], key=lambda line: line.at_ns)


def timeline_line(line: Line, paint: Paint, width: int) -> Iterator[str]:
    """One line of the timeline, wrapped to the width."""
    styles = _STYLES.get(line.actor, ())
    actor = paint(line.actor.ljust(_ACTOR_WIDTH), *(styles or ("cyan",)))
    room = max(_TEXT_MIN, width - 10 - 2 - _ACTOR_WIDTH - 1)
    first, *more = list(wrapped(line.text, room))
    yield f"{paint(clock(line.at_ns), 'dim')}  {actor} {paint(first, *styles) if styles else first}".rstrip()
    for rest in more:
        yield " " * (12 + _ACTOR_WIDTH + 1) + rest


def step_lines(step: StepOutcome, paint: Paint) -> Iterator[str]:
    """The measured line under a step, and each expectation of it that did not hold."""
    parts = []
    if step.healed_ns is not None and step.is_healing:
        parts.append(f"healed in {seconds(step.healed_ns)}" if step.healed_ns else "nothing was disturbed")
    elif step.healed_ns is not None:
        parts.append(f"done after {seconds(step.healed_ns)}")
    if step.counts is not None and step.counts.total:
        unserved = step.counts.unserved
        parts.append(
            f"availability {percent(step.counts.availability)} ({unserved} of {step.counts.total} requests not served)"
        )
        if unserved and step.recovery_ns:
            parts.append(f"users served again after {seconds(step.recovery_ns)}")
    failed = [check for check in step.checks if not check.is_met]
    if parts:
        mark = paint("✗", "red", "bold") if failed else paint("✓", "green", "bold")
        yield f"{'':10}  {mark} {paint(', '.join(parts), 'bold')}"
    for check in step.checks:
        if not check.is_met:
            yield f"{'':10}  {_check(check, paint)}"


def _check(check: Check, paint: Paint) -> str:
    mark = paint("✓", "green", "bold") if check.is_met else paint("✗", "red", "bold")
    return f"{mark} {check.text} — {check.found}"


def requests_lines(outcome: Outcome, paint: Paint) -> Iterator[str]:
    """What users saw of the run, step by step and as a whole."""
    requests = outcome.requests
    if requests is None:
        return
    counts = requests.counts
    yield f"{counts.total} requests to Service {requests.service}, {requests.rate_per_second:g} a second"
    rows = [("", "REQUESTS", "NOT SERVED", "AVAILABILITY", "HEALED IN", "USERS SERVED AGAIN AFTER")]
    for step in outcome.steps:
        if step.counts is None or not step.action:
            continue
        unserved = step.counts.unserved
        recovery = (
            "not yet" if step.recovery_ns is None else seconds(step.recovery_ns) if unserved else "nobody noticed"
        )
        healed = seconds(step.healed_ns) if step.is_healing and step.healed_ns is not None else "-"
        rows.append(
            (step.title, str(step.counts.total), str(unserved), percent(step.counts.availability), healed, recovery)
        )
    unserved = counts.unserved
    rows.append(("the whole run", str(counts.total), str(unserved), percent(counts.availability), "", ""))
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    for index, row in enumerate(rows):
        text = "   ".join(
            cell.ljust(widths[i]) if i in (0, 5) else cell.rjust(widths[i]) for i, cell in enumerate(row)
        ).rstrip()
        yield paint(text, "bold") if index in (0, len(rows) - 1) else text
    if requests.reasons:
        yield "not served because: " + ", ".join(f"{reason} {count}" for reason, count in requests.reasons.items())
    if requests.p50_ns is not None and requests.p99_ns is not None:
        slow = f", {counts.slow} slower than 500 ms" if counts.slow else ""
        yield f"half were served within {_fine(requests.p50_ns)}, 99 % within {_fine(requests.p99_ns)}{slow}"
    writes = outcome.writes
    if writes is not None:
        total = writes.kept + len(writes.lost)
        text = f"acknowledged writes: {total}, of which {writes.kept} are still there and {len(writes.lost)} are lost"
        yield paint(text, "red", "bold") if writes.lost else text
        if writes.unknown:
            yield f"writes without a clear answer: {writes.unknown}, of which {writes.unknown_kept} were stored"


def _fine(span_ns: int) -> str:
    return f"{span_ns / MILLISECOND:.1f} ms" if span_ns < SECOND else seconds(span_ns)


def verdict_lines(outcome: Outcome, paint: Paint) -> Iterator[str]:
    """The last lines: what was expected and did not come true, or that all did."""
    if outcome.not_run:
        yield f"{outcome.stopped}; not run: {'; '.join(outcome.not_run)}"
    failed = outcome.failed
    met = sum(check.is_met for step in outcome.steps for check in step.checks) + sum(
        check.is_met for check in outcome.checks
    )
    if failed:
        yield paint(f"✗ FAILED: {len(failed)} of {len(failed) + met} expectations did not hold", "red", "bold")
        for title, check in failed:
            yield f"  {_check(check, paint)}{f' ({title})' if title else ''}"
        return
    yield paint(f"✓ HEALTHY: {', '.join(_achievements(outcome, met))}", "green", "bold")


def _achievements(outcome: Outcome, met: int) -> list[str]:
    healed = sum(step.healed_ns is not None and step.is_healing for step in outcome.steps)
    parts = [f"{met} expectations held" if met != 1 else "1 expectation held"]
    if healed:
        parts.append(f"healed from {healed} disturbance{'s' if healed != 1 else ''}")
    if outcome.requests is not None:
        parts.append(f"availability {percent(outcome.requests.counts.availability)}")
    if outcome.writes is not None:
        lost = f"{len(outcome.writes.lost)} lost" if outcome.writes.lost else "none lost"
        parts.append(f"{outcome.writes.kept} acknowledged writes kept, {lost}")
    return parts

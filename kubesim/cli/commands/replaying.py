"""`kubesim replay`: a kept schedule in, its timeline and the promise that it breaks out."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from kubesim.cli.report.text import clock, timeline_line
from kubesim.cli.terminal import Paint, width_of
from kubesim.cli.timeline import Line, Narrator, together
from kubesim.errors import UserError
from kubesim.faults import Schedule, describe
from kubesim.search.replay_file import pytest_of, read_replay
from kubesim.search.replaying import Replay, find_parting, replay
from kubesim.search.running import Setting
from kubesim.sim.trace import Record

EXIT_KEPT: Final = 0
EXIT_BROKEN: Final = 1
_LINES_MAX, _LINES_FIRST, _LINES_LAST = 60, 25, 30


def replay_file(arguments: argparse.Namespace) -> int:
    """Play and report; returns the exit code: 1 where a promise is broken.

    Raises:
        UserError: something is wrong with the file.
    """
    path = Path(arguments.file)
    given = read_replay(path)
    if arguments.as_pytest:
        return _write_test(path, given.name, given.breaks)
    found = replay(given.setting, given.schedule)
    if arguments.trace is not None:
        from kubesim.cli.commands.run import write_trace

        write_trace(Path(arguments.trace), found.cluster)
    out, paint = sys.stdout, Paint(sys.stdout, is_off=arguments.no_color)
    out.write(paint(f"{given.name}: {given.promise}", "bold") + "\n")
    out.writelines(f"{line}\n" for line in tell(given.setting, given.schedule, found, paint, arguments.quiet))
    out.write(f"\ntrace {found.digest}\n")
    if given.digest and found.digest != given.digest:
        out.write(f"the file expects the trace {given.digest}: it was made by another version, or of other manifests\n")
    if found.violation is None:
        out.write("Every promise was kept.\n")
        return EXIT_KEPT
    return EXIT_BROKEN


def _write_test(path: Path, name: str, breaks: str) -> int:
    words = path.stem.replace("-", "_")
    test = path.with_name(f"test_{words}.py")
    try:
        test.write_text(pytest_of(name, path.name, breaks), encoding="utf-8")
    except OSError as error:
        raise UserError(f"{test}: cannot be written: {(error.strerror or 'unknown').lower()}") from error
    sys.stdout.write(f"{test} plays {path.name}; run it with: pytest {test}\n")
    return EXIT_KEPT


def tell(setting: Setting, schedule: Schedule, found: Replay, paint: Paint, is_quiet: bool) -> Iterator[str]:
    """What was done, what happened, where it parts from a run without faults, and what is broken."""
    yield ""
    yield from _faults(schedule, found)
    if not is_quiet:
        yield ""
        yield from _timeline(found, paint)
    violation = found.violation
    if violation is not None:
        yield ""
        text = f"{clock(violation.at_ns)}  {violation.invariant} is broken: {violation.subject} {violation.text}"
        yield paint(text, "red", "bold")
    parting = find_parting(setting, found) if schedule and not is_quiet else None
    if parting is not None:
        yield ""
        yield "Without the faults the run first differs here:"
        yield f"  with them     {_shown(parting.with_faults)}"
        yield f"  without them  {_shown(parting.without)}"


def _faults(schedule: Schedule, found: Replay) -> Iterator[str]:
    if not schedule:
        yield "No fault is needed."
        return
    for number, disturbance in enumerate(schedule):
        struck = [fired for fired in found.fired if fired.number == number]
        when = ", ".join(
            f"{'healed' if fired.is_healing else 'strikes'} {clock(fired.at_ns).strip()}"
            + (f" in vain: {fired.why_not}" if fired.why_not else "")
            for fired in struck
        )
        yield f"  {_words(describe(disturbance))}  ({when or 'never strikes'})"


def _words(value: object) -> str:
    """A disturbance on one line, as YAML would have it."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {_words(each)}" for key, each in value.items()) + "}"
    return str(value)


def _timeline(found: Replay, paint: Paint) -> Iterator[str]:
    narrator = Narrator()
    for _ in narrator.tell(found.cluster.trace.records[: found.start]):
        pass
    end_ns = found.violation.at_ns if found.violation is not None else found.played.end_ns
    lines = together(line for line in narrator.tell(found.records) if line.at_ns <= end_ns)
    width = width_of(sys.stdout)
    for line in _cut(lines):
        if line is None:
            yield paint(f"{'':12}… {len(lines) - _LINES_FIRST - _LINES_LAST} more lines", "dim")
        else:
            yield from timeline_line(line, paint, width)


def _cut(lines: list[Line]) -> list[Line | None]:
    if len(lines) <= _LINES_MAX:
        return list(lines)
    return [*lines[:_LINES_FIRST], None, *lines[-_LINES_LAST:]]


def _shown(record: Record | None) -> str:
    if record is None:
        return "nothing more happens"
    return f"{clock(record.at_ns)}  {record.actor} {record.verb} {record.subject} {record.detail}".rstrip()

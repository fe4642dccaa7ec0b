"""`kubesim run`: manifests and a story in, a timeline, tables and a verdict out."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from kubesim.cli.inputs import Input, read_input
from kubesim.cli.report.finding import Finding
from kubesim.cli.terminal import Paint, Progress
from kubesim.cluster import Cluster
from kubesim.errors import UserError
from kubesim.scenario.fields import parse_duration
from kubesim.scenario.runner import Runner
from kubesim.scenario.simulated import SimulatedPort

EXIT_HEALTHY = 0
EXIT_NOT_MET = 1


def run(arguments: argparse.Namespace) -> int:
    """Run and report; returns the exit code.

    Raises:
        UserError: something is wrong with the input.
    """
    until_ns = _until(arguments.until)
    given = read_input(arguments)
    with _trace_file(arguments.trace) as trace_file:
        finding = _simulate(given, arguments, until_ns)
        if trace_file is not None:
            trace_file.writelines(finding.cluster.trace.lines())
    _report(finding, arguments)
    return EXIT_HEALTHY if finding.outcome.is_met else EXIT_NOT_MET


def _until(text: str | None) -> int | None:
    if text is None:
        return None
    until_ns = parse_duration(text)
    if not until_ns:
        raise UserError(f"--until: {text!r} is no time; write it as in 90s, 5m or 1h30m")
    return until_ns


@contextmanager
def _trace_file(name: str | None) -> Iterator[BinaryIO | None]:
    """The file for the trace, opened before the run, so that nothing is run in vain."""
    if name is None:
        yield None
        return
    try:
        file = Path(name).open("wb")  # noqa: SIM115 - closed below
    except OSError as error:
        raise UserError(
            f"{name}: cannot be written: {(error.strerror or 'unknown').lower()}; name another file"
        ) from error
    with file:
        yield file


def _simulate(given: Input, arguments: argparse.Namespace, until_ns: int | None) -> Finding:
    progress = Progress(sys.stderr, is_on=not arguments.quiet)
    with Cluster(given.options) as cluster:
        applied = cluster.apply_loaded(given.manifests)

        def on_step(title: str) -> None:
            progress.show(f"{cluster.now_ns // 1_000_000_000:5d} s  {title} …")

        try:
            port = SimulatedPort(cluster)
            outcome = Runner(port, given.scenario, given.resolve, applied, on_step, until_ns).run()
        finally:
            progress.clear()
        return Finding(cluster, outcome, applied, given.notes)


def _report(finding: Finding, arguments: argparse.Namespace) -> None:
    out = sys.stdout
    if arguments.output == "jsonl":
        out.writelines(line.decode() for line in finding.cluster.trace.lines())
        return
    if arguments.output in ("json", "yaml"):
        from kubesim.cli.report.document import write_document

        write_document(finding, arguments.output, out)
        return
    from kubesim.cli.report.text import report_lines, verdict_lines

    paint = Paint(out, is_off=arguments.no_color)
    lines = verdict_lines(finding, paint) if arguments.quiet else report_lines(finding, paint, out)
    for line in lines:
        out.write(line + "\n")

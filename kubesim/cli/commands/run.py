"""`kubesim run`: manifests and a story in, a timeline, tables and a verdict out."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from kubesim.cli.durations import read_duration
from kubesim.cli.inputs import Input, read_input
from kubesim.cli.report.finding import Finding
from kubesim.cli.terminal import Paint, Progress
from kubesim.cluster import Cluster
from kubesim.cluster.collector import calm_collector
from kubesim.errors import UserError
from kubesim.scenario.runner import Runner
from kubesim.scenario.simulated import SimulatedPort
from kubesim.sim.loop import SECOND
from kubesim.sim.trace import Record

EXIT_HEALTHY = 0
EXIT_NOT_MET = 1
_RECORDS_A_LINE = 500


def run(arguments: argparse.Namespace) -> int:
    """Run and report; returns the exit code.

    Raises:
        UserError: something is wrong with the input.
    """
    until_ns = None if arguments.until is None else read_duration("--until", arguments.until)
    given = read_input(arguments)
    check_writable(arguments.trace)
    if arguments.images and arguments.runtime != "process":
        raise UserError("--images is for --runtime process; the simulator runs programs of its own")
    if arguments.runtime == "process":
        from kubesim.cli.commands.run_processes import run_processes

        return run_processes(given, arguments, until_ns)
    finding = _simulate(given, arguments, until_ns)
    if arguments.trace is not None:
        write_trace(Path(arguments.trace), finding.cluster)
    report(finding, arguments)
    return EXIT_HEALTHY if finding.outcome.is_met else EXIT_NOT_MET


def check_writable(name: str | None) -> None:
    """Refuses a file that cannot be written before anything is run in vain; nothing is written yet."""
    if name is None:
        return
    path = Path(name)
    if path.is_dir():
        raise UserError(f"{name}: cannot be written: it is a folder; name a file")
    if not path.parent.is_dir():
        raise UserError(f"{name}: cannot be written: there is no folder {path.parent}; name another file")
    if not os.access(path if path.exists() else path.parent, os.W_OK):
        raise UserError(f"{name}: cannot be written: permission denied; name another file")


def write_trace(path: Path, cluster: Cluster) -> None:
    """Write the trace of a run, one JSON array a line."""
    try:
        with path.open("wb") as file:
            file.writelines(cluster.trace.lines())
    except OSError as error:
        why = (error.strerror or "unknown").lower()
        raise UserError(f"{path}: cannot be written: {why}; name another file") from error


def _simulate(given: Input, arguments: argparse.Namespace, until_ns: int | None) -> Finding:
    progress = Progress(sys.stderr, is_on=not arguments.quiet)
    with calm_collector(), Cluster(given.options) as cluster:
        applied = cluster.apply_loaded(given.manifests)

        telling = Telling(progress, cluster)
        if progress.is_on:
            cluster.trace.listeners.append(telling.on_record)
        try:
            port = SimulatedPort(cluster)
            outcome = Runner(
                port, given.scenario, given.resolve, applied, telling.on_step, telling.on_act, until_ns
            ).run()
        finally:
            progress.clear()
        return Finding(cluster, outcome, applied, given.notes, telling.bounds)


class Telling:
    """Keeps the progress line, and where in the trace each step's action stands."""

    def __init__(self, progress: Progress, cluster: Cluster) -> None:
        self._progress = progress
        self._cluster = cluster
        self._title = ""
        self._records = 0
        self.bounds: list[int] = []

    def on_step(self, title: str) -> None:
        """A step begins."""
        self._title = title
        self._show()

    def on_act(self) -> None:
        """A step's action comes next."""
        self.bounds.append(len(self._cluster.trace.records))

    def on_record(self, _: Record) -> None:
        """Something has happened; a line for each would cost more than the run."""
        self._records += 1
        if self._records % _RECORDS_A_LINE == 0:
            self._show()

    def _show(self) -> None:
        self._progress.show(f"{self._cluster.now_ns // SECOND:5d} s  {self._title} …")


def report(finding: Finding, arguments: argparse.Namespace) -> None:
    """Print the finding as the words ask for it."""
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
    lines = verdict_lines(finding.outcome, paint) if arguments.quiet else report_lines(finding, paint, out)
    for line in lines:
        out.write(line + "\n")

"""`kubesim run --runtime process`: the stack as real processes, until Ctrl-C or through a scenario.

Without a scenario the stack comes up, users send requests, and the timeline is told as it happens. With one, its steps
are done, and what was measured is printed beside what the simulated runtime predicts for the same file.
"""

from __future__ import annotations

import argparse
import contextlib
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple, final

from kubesim.api.objects import Object
from kubesim.cli.commands.run import EXIT_HEALTHY, EXIT_NOT_MET, Telling, report, write_trace
from kubesim.cli.inputs import Input
from kubesim.cli.report.comparison import comparison_lines
from kubesim.cli.report.finding import Finding
from kubesim.cli.report.prediction import predict
from kubesim.cli.report.text import timeline_line
from kubesim.cli.terminal import Paint, Progress, width_of
from kubesim.cli.timeline import Line, Narrator
from kubesim.cluster import ready
from kubesim.errors import UserError
from kubesim.faults import FAULTS
from kubesim.processes.control import ControlServer
from kubesim.processes.port import ProcessPort
from kubesim.processes.stack import ProcessStack
from kubesim.processes.users import RealUsers, path_for
from kubesim.scenario.judge import percent, seconds
from kubesim.scenario.model import Scenario
from kubesim.scenario.port import API_FAULTS
from kubesim.scenario.runner import Runner
from kubesim.sim.loop import SECOND
from kubesim.sim.trace import Record

_COMES_UP_NS: Final = 120 * SECOND
_SELF_STARTING: Final = ("Deployment", "StatefulSet", "ReplicaSet", "Pod")


class _Run(NamedTuple):
    stack: ProcessStack
    given: Input
    applied: Sequence[Object]
    start_ns: int
    end_ns: int | None


def run_processes(given: Input, arguments: argparse.Namespace, until_ns: int | None) -> int:
    """Run and report; returns the exit code.

    Raises:
        UserError: something is wrong with the input, or this machine lacks something.
    """
    if arguments.scenario:
        _refuse_impossible(given.scenario)
    images = Path(arguments.images) if arguments.images else None
    objects = [manifest.object for manifest in given.manifests]
    with ProcessStack(given.options, images, objects) as stack:
        stack.pacer.catch_signals()
        ControlServer(stack)
        start_ns = stack.cluster.now_ns
        live = _LiveTimeline(stack, start_ns, Paint(sys.stdout, is_off=arguments.no_color), is_on=not arguments.quiet)
        if not arguments.scenario:
            stack.cluster.trace.listeners.append(live.on_record)
        stack.tell_notes(live.note)
        applied = stack.cluster.apply_loaded(given.manifests)
        end_ns = None if until_ns is None else start_ns + until_ns
        run = _Run(stack, given, applied, start_ns, end_ns)
        code = _run_scenario(run, arguments) if arguments.scenario else _run_open(run, live)
        if arguments.trace is not None:
            write_trace(Path(arguments.trace), stack.cluster)
        return code


def _refuse_impossible(scenario: Scenario) -> None:
    for name in (*(step.action for step in scenario.steps), *(each.fault for each in scenario.faults)):
        if name in FAULTS and name not in API_FAULTS and name not in ProcessPort.disturbances:
            can = ", ".join((*API_FAULTS, *ProcessPort.disturbances))
            raise UserError(f"the process runtime cannot do {name}; it can do {can}")


# --- with a scenario ---


def _run_scenario(run: _Run, arguments: argparse.Namespace) -> int:
    stack, given = run.stack, run.given
    progress = Progress(sys.stderr, is_on=not arguments.quiet)
    telling = Telling(progress, stack.cluster)
    try:
        outcome = Runner(
            ProcessPort(stack), given.scenario, given.resolve, run.applied, telling.on_step, telling.on_act, run.end_ns
        ).run()
    finally:
        progress.clear()
    notes = [*given.notes, *stack.machine.notes, *_address_notes(stack), stack.addresses.describe()]
    report(Finding(stack.cluster, outcome, run.applied, notes, telling.bounds), arguments)
    if arguments.output == "text":
        paint = Paint(sys.stdout, is_off=arguments.no_color)
        lines = comparison_lines(predict(given), outcome, "real processes", paint)
        sys.stdout.writelines(f"{line}\n" for line in lines)
    return EXIT_HEALTHY if outcome.is_met else EXIT_NOT_MET


def _address_notes(stack: ProcessStack) -> list[str]:
    return [f"Service {namespace}/{name} was at {ip}:{port}" for namespace, name, ip, port in stack.proxies.addresses()]


# --- without one ---


def _run_open(run: _Run, live: _LiveTimeline) -> int:
    stack, load = run.stack, run.given.scenario.load
    users: RealUsers | None = None
    with contextlib.suppress(KeyboardInterrupt):
        wanted = [
            ready(f"{obj['kind'].lower()}/{obj['metadata']['name']}")
            for obj in run.applied
            if obj["kind"] in _SELF_STARTING
        ]
        end_ns = min(run.start_ns + _COMES_UP_NS, run.end_ns or sys.maxsize)
        is_up = stack.pacer.run(end_ns, lambda: all(each.holds(stack.cluster) for each in wanted))
        live.say("everything is ready" if is_up else "not everything is ready yet; going on")
        for namespace, name, ip, port in stack.proxies.addresses():
            live.say(
                f"Service {namespace}/{name} is at http://{ip}:{port}/"
                if port in (80, 8080)
                else f"Service {namespace}/{name} is at {ip}:{port}"
            )
        if load is not None:
            path = path_for(load.write_percent)
            users = stack.start_users(load.service, "", load.rate_per_second, load.write_percent, path=path)
            live.say(f"users send {load.rate_per_second:g} requests a second to Service {load.service}")
        live.say("Ctrl-C ends it; from another terminal: kubesim get pods, kubesim crash POD, kubesim logs POD")
        stack.pacer.run(run.end_ns)
    if users is None:
        return EXIT_HEALTHY
    return _judge_users(stack, users, live)


def _judge_users(stack: ProcessStack, users: RealUsers, live: _LiveTimeline) -> int:
    """Say how users were served, and whether all that they were told is stored can still be found."""
    users.stop()
    end_ns = stack.pacer.wall_ns() + 3 * SECOND
    while users.is_waiting and stack.pacer.wall_ns() < end_ns:
        stack.pacer.run(stack.pacer.wall_ns() + SECOND // 50)
    counts = users.report.overall()
    unserved = counts.unserved
    live.conclude(f"{counts.total} requests, availability {percent(counts.availability)}, {unserved} not served")
    half, most = users.duration_ns(0.5), users.duration_ns(0.99)
    if half is not None and most is not None:
        live.conclude(f"half were served within {seconds(half)}, 99 % within {seconds(most)}")
    try:
        audit = users.audit()
    except UserError as error:
        live.conclude(str(error))
        return EXIT_NOT_MET
    if audit.kept or audit.lost:
        live.conclude(f"acknowledged writes: {audit.kept + len(audit.lost)}, of which {len(audit.lost)} are lost")
    return EXIT_NOT_MET if audit.lost else EXIT_HEALTHY


@final
class _LiveTimeline:
    """Prints the timeline's lines as they come."""

    def __init__(self, stack: ProcessStack, start_ns: int, paint: Paint, *, is_on: bool) -> None:
        self._stack = stack
        self._start_ns = start_ns
        self._paint = paint
        self._is_on = is_on
        self._width = width_of(sys.stdout)
        self._narrator = Narrator()
        for _ in self._narrator.tell(stack.cluster.trace.records):
            pass  # what was before the stack is known, and not told

    def on_record(self, record: Record) -> None:
        """Tell what has happened."""
        for line in self._narrator.tell([record]) if self._is_on else ():
            self._print(line)

    def say(self, text: str) -> None:
        """A line of our own."""
        if self._is_on:
            self.conclude(text)

    def conclude(self, text: str) -> None:
        """A line of the result, which is also for those who want no more."""
        self._print(Line(self._stack.pacer.wall_ns(), "kubesim", text))

    def note(self, text: str) -> None:
        """Something about this machine."""
        sys.stderr.write(f"note: {text}\n")

    def _print(self, line: Line) -> None:
        shown = line._replace(at_ns=max(0, line.at_ns - self._start_ns))
        sys.stdout.writelines(f"{each}\n" for each in timeline_line(shown, self._paint, self._width))
        sys.stdout.flush()

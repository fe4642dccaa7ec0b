"""`run` and `verify`: a scenario on a real cluster, and beside it what the simulator says of the same files."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from adapters.contexts import choose_target
from adapters.real import RealPort
from adapters.replaying import as_scenario
from adapters.simulation import predict_for
from kubesim.api.objects import Object
from kubesim.cli.report.comparison import comparison_lines
from kubesim.cli.report.text import requests_lines, step_lines, verdict_lines
from kubesim.cli.terminal import Paint, Progress
from kubesim.errors import UserError
from kubesim.faults import FAULTS
from kubesim.manifests import load
from kubesim.scenario.file import ScenarioFile, read_scenario
from kubesim.scenario.outcome import Outcome
from kubesim.scenario.port import API_FAULTS
from kubesim.scenario.runner import Runner
from kubesim.sim.loop import SECOND

_MET: Final = 0
_NOT_MET: Final = 1


def run(arguments: argparse.Namespace) -> int:
    """Run a scenario on the cluster and report what was measured; returns the exit code.

    Raises:
        UserError: the scenario cannot be run there.
    """
    file = read_scenario(arguments.spec)
    sources = [file.resolve(name) for name in file.scenario.manifests]
    file, remarks = _with_checks(file, sources)
    outcome, notes, _ = _measure(arguments, file, sources)
    paint = Paint(sys.stdout)
    _print(_report(outcome, [*notes, *remarks], paint))
    return _MET if outcome.is_met else _NOT_MET


def verify(arguments: argparse.Namespace) -> int:
    """Run a scenario in both and compare; returns the exit code.

    Raises:
        UserError: the scenario cannot be run there.
    """
    sources = [Path(arguments.spec)]
    file, remarks = _with_checks(read_scenario(arguments.scenario), sources)
    measured, notes, nodes = _measure(arguments, file, sources)
    predicted = predict_for(file, sources, nodes)
    paint = Paint(sys.stdout)
    _print(_report(measured, [*notes, *remarks], paint))
    _print(comparison_lines(predicted, measured, f"context {arguments.context or 'of the settings'}", paint))
    differences = differences_of(predicted, measured)
    _print([f"✗ differs: {line}" for line in differences] or ["✓ the simulator and the cluster agree"])
    return _NOT_MET if differences else _MET


def _with_checks(file: ScenarioFile, sources: Sequence[Path]) -> tuple[ScenarioFile, list[str]]:
    """The file with its checks, where it is a replay, as a step and expectations; and remarks on what is not judged."""
    objects = [manifest.object for source in sources for manifest in load(source)]
    scenario, remarks = as_scenario(file.scenario, objects)
    return file.with_scenario(scenario), remarks


def differences_of(predicted: Sequence[Outcome], measured: Outcome) -> list[str]:
    """Where the measured verdict is none of those predicted, a line each."""
    found = []
    for title, after, *before in _checks_beside(measured, predicted):
        if all(one.is_met != after.is_met for one in before):
            shown = before[0].found if before else "nothing"
            found.append(f"{title}{after.text}: predicted {shown}, measured {after.found}")
    if all(each.not_run != measured.not_run for each in predicted):
        found.append(f"not run: predicted {predicted[0].not_run}, measured {measured.not_run}")
    lost = [len(each.writes.lost) if each.writes is not None else 0 for each in (measured, *predicted)]
    if lost[0] not in lost[1:]:
        found.append(f"acknowledged writes lost: predicted {lost[1]}, measured {lost[0]}")
    return found


def _checks_beside(measured: Outcome, predicted: Sequence[Outcome]) -> Iterator[tuple[Any, ...]]:
    """Each check of the measured run with its step's title and the same check of each prediction."""
    for index, step in enumerate(measured.steps):
        for number, check in enumerate(step.checks):
            same = [each.steps[index].checks[number : number + 1] for each in predicted if index < len(each.steps)]
            yield f"{step.title}: ", check, *(one for found in same for one in found)
    for number, check in enumerate(measured.checks):
        yield "", check, *(one for each in predicted for one in each.checks[number : number + 1])


def _measure(
    arguments: argparse.Namespace, file: ScenarioFile, sources: Sequence[Path]
) -> tuple[Outcome, list[str], list[Object]]:
    """The outcome on the cluster, notes, and its nodes. What was not there before is deleted again at the end."""
    target = choose_target(arguments.context, arguments.namespace, arguments.kubeconfig, Path())
    progress = Progress(sys.stderr, is_on=True)
    with RealPort(target) as port:
        _refuse_impossible(file, port)
        nodes = list(port.list("nodes"))
        wanted = file.scenario.cluster.nodes
        if wanted is not None and wanted > len(nodes):
            place = file.locate("cluster", "nodes")
            raise UserError(f"{place}: the scenario wants {wanted} nodes; context {target.context} has {len(nodes)}")
        try:
            applied = [obj for source in sources for obj in port.apply(source)]

            def show(title: str) -> None:
                progress.show(f"{port.now_ns // SECOND:5d} s  {title} …")

            outcome = Runner(port, file.scenario, file.resolve, applied, show).run()
        finally:
            progress.clear()
            if not arguments.keep:
                port.delete_created()
        return outcome, port.notes, nodes


def _refuse_impossible(file: ScenarioFile, port: RealPort) -> None:
    can = (*API_FAULTS, *port.disturbances)
    named = [("steps", index, step.action) for index, step in enumerate(file.scenario.steps)]
    named += [("faults", index, each.fault) for index, each in enumerate(file.scenario.faults)]
    for field, index, name in named:
        if name in FAULTS and name not in can:
            place, possible = file.locate(field, index), ", ".join(can)
            raise UserError(f"{place}: {name} cannot be done to this cluster from here; it can do {possible}")


def _report(outcome: Outcome, notes: Sequence[str], paint: Paint) -> list[str]:
    lines = [paint(outcome.name, "bold"), outcome.promise]
    for step in outcome.steps:
        lines += ["", paint(f"{step.title}{f' ({step.subject})' if step.subject else ''}", "bold", "cyan")]
        lines += step_lines(step, paint)
    if outcome.requests is not None:
        lines += ["", *requests_lines(outcome, paint)]
    lines += [f"note: {note}" for note in notes]
    return [*lines, "", *verdict_lines(outcome, paint)]


def _print(lines: Iterable[str]) -> None:
    sys.stdout.writelines(f"{line}\n" for line in lines)
    sys.stdout.flush()


COMMANDS: Final = {"run": run, "verify": verify}

"""`kubesim compare`: manifests, a Compose file and faults in, two sides of one table out."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

import msgspec

from kubesim.api.objects import Object
from kubesim.cli.commands.run import check_writable
from kubesim.cli.durations import read_duration
from kubesim.cli.inputs import Input, read_input
from kubesim.cli.report.sides import comparison_lines
from kubesim.cli.terminal import Paint, width_of
from kubesim.cluster.collector import calm_collector
from kubesim.comparison.acting import service_of
from kubesim.comparison.outcome import Comparison
from kubesim.comparison.run import Given
from kubesim.comparison.run import compare as run_both
from kubesim.comparison.story import plan_comparison
from kubesim.compose.file import read_project
from kubesim.compose.model import Project
from kubesim.errors import UserError
from kubesim.faults.arguments import Crash, PodTarget, Scale, SetImage, Undo, Workload
from kubesim.programs.catalog import PROGRAM_ANNOTATION as LABEL
from kubesim.programs.catalog import Catalog
from kubesim.programs.plain import find_command
from kubesim.scenario.model import Scenario, Users
from kubesim.scenario.story import find_parts


def compare(arguments: argparse.Namespace) -> int:
    """Run both sides and report; returns the exit code.

    Raises:
        UserError: something is wrong with the input.
    """
    after_ns = read_duration("--operator-after", arguments.operator_after)
    given = _read(arguments, after_ns)
    check_writable(arguments.svg)
    with calm_collector():
        found = run_both(given)
    if arguments.svg is not None:
        _write_svg(Path(arguments.svg), found)
    if arguments.json:
        from kubesim.cli.report.sides_document import write_sides

        write_sides(found, sys.stdout)
        return 0
    paint = Paint(sys.stdout, is_off=arguments.no_color)
    names = (" ".join(arguments.spec), arguments.compose)
    for line in comparison_lines(found, names, paint, width_of(sys.stdout)):
        sys.stdout.write(line + "\n")
    return 0


def _read(arguments: argparse.Namespace, after_ns: int) -> Given:
    project = read_project(arguments.compose, os.environ)
    given = read_input(arguments)
    parts = find_parts([manifest.object for manifest in given.manifests])
    planned = plan_comparison(parts, project, after_ns, given.options.nodes)
    scenario = given.scenario if arguments.scenario else planned
    load = scenario.load or planned.load
    if load is not None and arguments.rate:
        load = msgspec.structs.replace(load, rate_per_second=float(arguments.rate))
    scenario = msgspec.structs.replace(scenario, load=load)
    _check_services(project, scenario)
    notes = (
        *given.notes,
        *_unknown_programs(project, given),
        *_notes(arguments.compose, project, load, None if arguments.scenario else parts.back),
    )
    return Given(given.manifests, project, scenario, given.options, given.resolve, after_ns, notes)


def _check_services(project: Project, scenario: Scenario) -> None:
    """Every workload that a fault names has a service; found out before anything runs."""
    for step in scenario.steps:
        if isinstance(step.argument, (Crash, PodTarget, Scale, SetImage, Workload, Undo)) and step.action != "evict":
            service_of(project, step.argument.of)
    if scenario.faults:
        raise UserError("faults beside the steps strike by Kubernetes' writes; to compare, write them as steps")


def _unknown_programs(project: Project, given: Input) -> list[str]:
    """Images of the Compose file that nobody has described, and that the manifests do not have, too."""
    catalog = Catalog(given.options.programs)
    unknown = [
        each.image
        for each in project.services.values()
        if not catalog.find_program(each.image, each.notes, each.name).is_known
        and find_command(each.command) is None
        and not any(each.image in note for note in given.notes)
    ]
    if not unknown:
        return []
    return [f"no program is known for {', '.join(unknown)}: a plain one runs; describe it with the label {LABEL}"]


def _notes(path: str, project: Project, load: Users | None, back: Object | None) -> list[str]:
    """What the comparison leaves out or assumes."""
    notes = []
    if project.ignored:
        notes.append(f"{path}: read, and without effect here: {', '.join(project.ignored)}")
    if project.unset:
        notes.append(f"{path}: variables without a value, taken as empty: {', '.join(project.unset)}")
    if load is not None:
        notes.append("users of Compose take the published ports of the host in turn: nothing stands before them")
    if back is not None:
        notes.append(
            f"the machine that the cluster loses for good is one without {back['metadata']['name']}, whose "
            "volume is tied to its machine there, too; Compose has one machine for all"
        )
    return notes


def _write_svg(path: Path, found: Comparison) -> None:
    from kubesim.comparison.svg import to_svg

    try:
        path.write_text("\n".join(to_svg(found)) + "\n", encoding="utf-8")
    except OSError as error:
        why = (error.strerror or "unknown").lower()
        raise UserError(f"--svg: {path}: cannot be written: {why}; name another file") from error

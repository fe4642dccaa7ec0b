"""From a user's words to what can be run: manifests and scenario, read and checked, before anything is done."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from kubesim.api.objects import Object
from kubesim.api.quantity import QuantityError, parse
from kubesim.cli.timeline.world import short_image
from kubesim.client.inprocess import Latency
from kubesim.cluster import ClusterOptions
from kubesim.cluster.bootstrap import node_name
from kubesim.errors import UserError
from kubesim.manifests import Manifest, ManifestErrors, load
from kubesim.programs.catalog import Catalog
from kubesim.programs.plain import find_command
from kubesim.scenario.file import ScenarioFile, read_scenario
from kubesim.scenario.model import Scenario
from kubesim.scenario.references import created_by, find_missing
from kubesim.scenario.story import plan_story


class Input(NamedTuple):
    """All that a run is made from. `resolve` finds the files that a scenario names; `notes` are for the report."""

    manifests: list[Manifest]
    scenario: Scenario
    options: ClusterOptions
    resolve: Callable[[str], Path]
    notes: tuple[str, ...]


def read_input(arguments: argparse.Namespace) -> Input:
    """Read everything that the words name.

    Raises:
        UserError: something is missing or wrong; `ManifestErrors` lists several mistakes.
    """
    file = read_scenario(arguments.scenario) if arguments.scenario else None
    sources: list[str | Path] = list(arguments.spec)
    if file is not None and not sources:
        sources = [file.resolve(name) for name in file.scenario.manifests]
    if not sources and file is None:
        raise UserError("there is nothing to run; name a manifest, such as: kubesim run specs/stack.yaml")
    if sources.count("-") > 1:
        raise UserError("-: standard input can be read once; name it once")
    manifests = load(*sources, stdin=sys.stdin) if sources else []
    options = _options(arguments, file)
    applied = [*manifests, *(_applied_later(file) if file is not None else [])]
    notes = list(_notes(applied, options))
    if file is not None:
        _check_references(file, applied, options)
        return Input(manifests, file.scenario, options, file.resolve, tuple(notes))
    story = plan_story([manifest.object for manifest in manifests], options.nodes)
    return Input(manifests, story.scenario, options, Path, (*story.notes, *notes))


def _options(arguments: argparse.Namespace, file: ScenarioFile | None) -> ClusterOptions:
    changes: dict[str, Any] = {}
    if file is not None:
        wanted = file.scenario.cluster
        changes |= {"node_labels": wanted.labels, "missing_images": tuple(wanted.missing_images)}
        changes["present_images"] = tuple(wanted.present_images)
        changes |= {name: value for name, value in _sizes(wanted.nodes, wanted.cpu, wanted.memory) if value}
        changes |= {"latency": Latency(wanted.latency.read, wanted.latency.write, wanted.latency.watch)}
        changes |= {"seed": wanted.seed} if not arguments.seed else {}
        changes["programs"] = file.scenario.programs
    options = cluster_options(arguments, **changes)
    if file is not None:
        names = [node_name(index) for index in range(options.nodes)]
        for label in options.node_labels:
            if label not in names:
                place = file.locate("cluster", "labels", label)
                raise UserError(f"{place}: there is no node {label}; there are {', '.join(names[:5])}")
        try:
            Catalog(options.programs)
        except UserError as error:
            raise UserError(f"{file.locate('programs')}: {error}") from error
    return options


def cluster_options(arguments: argparse.Namespace, **changes: Any) -> ClusterOptions:
    """The cluster that the words ask for; `changes` are those of a file, which the words override.

    Raises:
        UserError: one is out of range, or no quantity.
    """
    changes["seed"] = arguments.seed
    changes |= {
        name: value for name, value in _sizes(arguments.nodes, arguments.node_cpu, arguments.node_memory) if value
    }
    for flag, name in (("--node-cpu", "node_cpu"), ("--node-memory", "node_memory")):
        given = getattr(arguments, name)
        if given is not None and not _is_quantity(given):
            raise UserError(f"{flag}: {given!r} is no quantity; write it as in 4, 500m or 8Gi")
    return ClusterOptions().with_changes(changes)


def _is_quantity(text: str) -> bool:
    try:
        parse(text)
    except QuantityError:
        return False
    return True


def _sizes(nodes: int | None, cpu: str | None, memory: str | None) -> tuple[tuple[str, Any], ...]:
    return ("nodes", nodes), ("node_cpu", cpu), ("node_memory", memory)


def _applied_later(file: ScenarioFile) -> list[Manifest]:
    """What the scenario's own steps apply: read now, so that a mistake in it is found before the run."""
    return [
        manifest
        for step in file.scenario.steps
        if step.action == "apply"
        for manifest in load(file.resolve(step.argument))
    ]


def _check_references(file: ScenarioFile, manifests: Sequence[Manifest], options: ClusterOptions) -> None:
    nodes = [node_name(index) for index in range(options.nodes)]
    objects = [(manifest.kind, manifest.object) for manifest in manifests]
    objects += created_by(file.scenario)
    errors = [f"{file.locate(*path)}: {text}" for path, text in find_missing(file.scenario, objects, nodes)]
    if errors:
        raise ManifestErrors(UserError(text) for text in errors)


def _notes(manifests: Sequence[Manifest], options: ClusterOptions) -> list[str]:
    """What the run does not do as the user's cluster would.

    Raises:
        ManifestErrors: annotations that describe programs have mistakes.
    """
    notes = []
    stored = [manifest for manifest in manifests if not manifest.kind.modelled]
    if stored:
        names = ", ".join(f"{each.kind.kind} {each.object['metadata'].get('name', '')}" for each in stored[:5])
        more = f" and {len(stored) - 5} more" if len(stored) > 5 else ""
        notes.append(f"checked and stored, but nothing acts on them here: {names}{more}")
    unknown = _unknown_images(manifests, Catalog(options.programs))
    if unknown:
        names = ", ".join(short_image(image) for image in unknown[:5])
        more = f" and {len(unknown) - 5} more" if len(unknown) > 5 else ""
        notes.append(
            f"no program is known for {names}{more}: a plain one runs that is healthy at once and answers every "
            "request; describe it with the annotation kubesim.dev/program"
        )
    return notes


def _unknown_images(manifests: Sequence[Manifest], catalog: Catalog) -> list[str]:
    unknown: dict[str, None] = {}
    errors: dict[str, None] = {}
    for manifest in manifests:
        for container, path, notes in _containers(manifest.object):
            image = container.get("image", "")
            try:
                found = catalog.find_program(image, notes, container.get("name", ""))
            except UserError as error:
                named = f"{manifest.kind.kind} {manifest.object['metadata'].get('name', '')}"
                errors[f"{manifest.locate(path + '.annotations')}: {named}: {error}"] = None
                continue
            words = (*(container.get("command") or ()), *(container.get("args") or ()))
            if image and not found.is_known and find_command(words) is None:
                unknown[image] = None
    if errors:
        raise ManifestErrors(UserError(text) for text in errors)
    return list(unknown)


def _containers(obj: Object) -> list[tuple[Object, str, dict[str, str]]]:
    """The containers in an object's Pod or Pod template, with the path of that Pod's metadata, and its annotations."""
    pod, path = obj, "metadata"
    if obj["kind"] != "Pod":
        spec = obj.get("spec")
        pod, path = (spec.get("template") if isinstance(spec, dict) else None) or {}, "spec.template.metadata"
    if not isinstance(pod.get("spec"), dict):
        return []
    annotations = (pod.get("metadata") or {}).get("annotations") or {}
    containers = [*(pod["spec"].get("initContainers") or ()), *(pod["spec"].get("containers") or ())]
    return [(container, path, annotations) for container in containers if isinstance(container, dict)]

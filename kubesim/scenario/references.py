"""Before a scenario runs: does everything that it names exist, in its manifests, its cluster or by its own steps?

What comes to be while it runs has a name that can be foretold: a StatefulSet's Pods and claims by number, other Pods by
their workload's name.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any, Final, NamedTuple

from kubesim.api.kinds import SERVICE_ACCOUNT, find_kind
from kubesim.api.objects import Object
from kubesim.api.scheme import Kind
from kubesim.cluster.references import parse_reference
from kubesim.errors import UserError
from kubesim.faults.arguments import NodeName, Reference
from kubesim.faults.targets import split_reference
from kubesim.scenario.fields import near
from kubesim.scenario.model import EVERY, Scenario, chosen_of, file_name_of

Path = tuple[str | int, ...]
# Made by controllers under names of their own, or by the cluster.
_UNFORESEEN: Final = ("replicasets", "persistentvolumes", "endpointslices", "events", "leases", "controllerrevisions")


class Named(NamedTuple):
    """A reference in a scenario, with the keys and indices that lead to it in the file."""

    reference: str
    path: Path


def find_missing(
    scenario: Scenario, objects: Sequence[tuple[Kind, Object]], nodes: Sequence[str]
) -> Iterator[tuple[Path, str]]:
    """The mistakes: each with its place in the file, and what is wrong and what to do in one line."""
    known = _known_names(objects)
    known["nodes"] = {*nodes, *(_names(objects, "Node"))}
    for named in references_in(scenario):
        own, _ = split_reference(named.reference, "")
        try:
            kind, name = parse_reference(own)
        except UserError as error:
            yield named.path, str(error)
            continue
        if name == EVERY or kind.plural in _UNFORESEEN or _is_foretold(kind.plural, name, objects):
            continue
        names = known.get(kind.plural, set())
        if name not in names:
            # One number is as near as another.
            nearest = "" if kind.plural == "nodes" else near(name, tuple(sorted(names)))
            word = own.partition("/")[0]
            hint = f"did you mean {word}/{nearest}?" if nearest else _what_there_is(word, names)
            yield named.path, f"there is no {named.reference} in the manifests or the cluster; {hint}"


def created_by(scenario: Scenario) -> list[tuple[Kind, Object]]:
    """What the scenario's own steps create, as far as it is of a known kind and has a name."""
    objects: list[tuple[Kind, Object]] = []
    for step in scenario.steps:
        for obj in step.argument if step.action == "create" else ():
            kind = find_kind(str(obj.get("apiVersion")), str(obj.get("kind")))
            if kind is not None and isinstance((obj.get("metadata") or {}).get("name"), str):
                objects.append((kind, obj))
                if kind.kind == "Namespace":
                    objects.append((SERVICE_ACCOUNT, {"metadata": {"name": "default"}}))
    return objects


def _what_there_is(word: str, names: set[str]) -> str:
    if not names:
        return "add it to the manifests, or name another object"
    shown = sorted(names)[:5]
    return f"there are {', '.join(f'{word}/{name}' for name in shown)}{', …' if len(names) > 5 else ''}"


def references_in(scenario: Scenario) -> Iterator[Named]:
    """Every object that a scenario names."""
    if scenario.load is not None:
        yield Named(f"service/{scenario.load.service}", ("load", "service"))
    for index, step in enumerate(scenario.steps):
        for reference, path in _in_part(step):
            yield Named(reference, ("steps", index, *path))
    for index, disturbance in enumerate(scenario.faults):
        for reference, path in _in_part(disturbance):
            yield Named(reference, ("faults", index, *path))
    for index, expectation in enumerate(scenario.expect):
        for reference, path in _in_part(expectation):
            yield Named(reference, ("expect", index, *path))


def _in_part(part: Any) -> Iterator[tuple[str, Path]]:
    for field in part.__struct_fields__:
        value = getattr(part, field)
        key = chosen_of(part) if field == "argument" else file_name_of(field, type(part))
        if isinstance(value, Reference):
            yield value, (key,)
        elif isinstance(value, NodeName) and value:
            yield f"node/{value}", (key,)
        elif isinstance(value, list):
            for index, item in enumerate(value):
                if hasattr(item, "__struct_fields__"):
                    for reference, path in _in_part(item):
                        yield reference, (key, index, *path)
        elif hasattr(value, "__struct_fields__"):
            for reference, path in _in_part(value):
                yield reference, (key, *path)


def _names(objects: Sequence[tuple[Kind, Object]], kind: str) -> Iterator[str]:
    return (obj["metadata"].get("name", "") for each, obj in objects if each.kind == kind)


def _known_names(objects: Sequence[tuple[Kind, Object]]) -> dict[str, set[str]]:
    known: dict[str, set[str]] = {}
    for kind, obj in objects:
        known.setdefault(kind.plural, set()).add(obj["metadata"].get("name", ""))
    return known


def _is_foretold(plural: str, name: str, objects: Sequence[tuple[Kind, Object]]) -> bool:
    """Whether a controller will make a Pod or claim of that name."""
    for kind, obj in objects:
        owner = obj["metadata"].get("name", "")
        if plural == "pods":
            if kind.kind == "StatefulSet" and re.fullmatch(re.escape(owner) + r"-\d+", name):
                return True
            if kind.kind in ("Deployment", "ReplicaSet", "DaemonSet", "Job") and name.startswith(f"{owner}-"):
                return True
        if plural == "persistentvolumeclaims" and kind.kind == "StatefulSet":
            for template in obj["spec"].get("volumeClaimTemplates") or ():
                claim = (template.get("metadata") or {}).get("name", "")
                if re.fullmatch(re.escape(f"{claim}-{owner}") + r"-\d+", name):
                    return True
    return False

"""A run of a scenario as it was observed: its cluster, its watch events, its calls; kept as a compressed text file.

A recording is a JSON object a line: first the cluster, then events with `t` seconds, `type`, `res` and `obj`, and
calls with `t`, `step` and how they were answered.
"""

from __future__ import annotations

import gzip
import io
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple

from adapters.parity.summary import RECORDED, Entry, is_of_namespace
from kubesim.api.objects import Object

# What is kept of a node: its size and what the scheduler looks at.
_OF_NODES: Final = ("capacity", "allocatable")
# Fields that grow files and that no summary looks at.
_DROPPED: Final = ("managedFields",)


class Call(NamedTuple):
    """What a step asked the API server for, and its refusal's code, reason and message; empty where it was done."""

    step: str
    answer: str


class Recording(NamedTuple):
    """`cluster` has the version, nodes and storage classes; `namespace` is the scenario's."""

    scenario: str
    namespace: str
    cluster: dict[str, Any]
    entries: list[Entry]
    calls: list[Call]


def write_recording(path: Path, recording: Recording) -> None:
    """Write the file, the same bytes for the same recording."""
    head = {"scenario": recording.scenario, "namespace": recording.namespace, "cluster": recording.cluster}
    lines = [head, *_lines(recording)]
    with io.BytesIO() as buffer:
        with gzip.GzipFile(fileobj=buffer, mode="wb", mtime=0, compresslevel=9) as file:
            file.writelines(json.dumps(line, separators=(",", ":")).encode() + b"\n" for line in lines)
        path.write_bytes(buffer.getvalue())


def read_recording(path: Path) -> Recording:
    """Read a file that `write_recording` has written."""
    with gzip.open(path, "rt") as file:
        head, *lines = (json.loads(line) for line in file)
    entries = [Entry(line["t"], line["type"], line["res"], line["obj"]) for line in lines if "res" in line]
    calls = [Call(line["step"], line["answer"]) for line in lines if "step" in line]
    return Recording(head["scenario"], head["namespace"], head["cluster"], entries, calls)


def _lines(recording: Recording) -> Iterator[dict[str, Any]]:
    for entry in recording.entries:
        yield {"t": entry.seconds, "type": entry.type, "res": entry.resource, "obj": _slim(entry.object)}
    for call in recording.calls:
        yield call._asdict()


def _slim(obj: Object) -> Object:
    metadata = {field: value for field, value in obj["metadata"].items() if field not in _DROPPED}
    return {**obj, "metadata": metadata}


def describe_cluster(version: str, nodes: Iterable[Object], classes: Iterable[Object]) -> dict[str, Any]:
    """What a simulated twin must share with a cluster."""
    return {
        "version": version,
        "nodes": [
            {
                "name": node["metadata"]["name"],
                "labels": node["metadata"].get("labels", {}),
                **{field: node["status"][field] for field in _OF_NODES},
            }
            for node in nodes
        ],
        "storageClasses": [_class(each) for each in classes],
    }


def _class(obj: Object) -> Object:
    metadata = obj["metadata"]
    notes = {name: text for name, text in (metadata.get("annotations") or {}).items() if "last-applied" not in name}
    fields = {field: value for field, value in obj.items() if field != "metadata"}
    return {**fields, "metadata": {"name": metadata["name"], "annotations": notes}}


def relevant(entries: Iterable[Entry], namespace: str) -> list[Entry]:
    """The events that a scenario in a namespace has caused, in order; volumes that were there before are others'."""
    found = [
        entry
        for entry in sorted(entries, key=lambda entry: entry.seconds)
        if entry.resource in (*RECORDED, "events") and is_of_namespace(entry.resource, entry.object, namespace)
    ]
    volumes = [each for each in found if each.resource == "persistentvolumes"]
    own = {each.object["metadata"]["name"] for each in volumes if each.type != "INITIAL"}
    return [each for each in found if each.resource != "persistentvolumes" or each.object["metadata"]["name"] in own]

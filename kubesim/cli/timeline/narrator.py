"""From the trace of a run to the lines that a reader can follow: what changed, who changed it, and why.

Of some thirty writes that a crash causes, five carry the story. Each kind has a function that compares an object with
what it was and tells what a reader would ask about; status bookkeeping, leases and repeated events tell nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final, final

from kubesim.api.objects import Object
from kubesim.cli.timeline.line import Line
from kubesim.cli.timeline.objects import (
    tell_claim,
    tell_event,
    tell_node,
    tell_replica_set,
    tell_slice,
    tell_workload,
)
from kubesim.cli.timeline.pods import tell_pod
from kubesim.cli.timeline.world import World
from kubesim.sim.trace import Record

_SILENT: Final = ("lease", "endpoints", "controllerrevision", "serviceaccount", "poddisruptionbudget")


@final
class Narrator:
    """Tells a trace in one go or piece by piece: it remembers the objects from one piece to the next."""

    def __init__(self) -> None:
        self._world = World()

    def tell(self, records: Iterable[Record]) -> Iterator[Line]:
        """The lines of the records, in order, none joined yet."""
        for record in records:
            if record.data is None or "object" not in record.data:
                yield Line(record.at_ns, record.actor, f"{_last_part(record.subject)}: {record.detail}")
                continue
            kind = record.subject.partition("/")[0]
            for line in _tell(self._world, record, kind, record.data["object"]):
                yield line._replace(actor=_role(line.actor))


def _tell(world: World, record: Record, kind: str, obj: Object) -> Iterator[Line]:
    if kind == "event":
        yield from tell_event(world, record, obj)
        return
    old = world.objects.get(record.subject) if record.verb == "deleted" else world.put(record.subject, obj)
    if old is None and record.actor == "user" and record.verb == "created":
        name = f"{obj['kind']} {obj['metadata']['name']}"
        yield Line(record.at_ns, "user", f"applies {name}", "apply", name, "applies {n} objects: {items}")
    if kind in _SILENT:
        return
    if kind == "pod":
        yield from tell_pod(world, record, old, obj)
    elif kind == "node":
        yield from tell_node(record, old, obj)
    elif kind == "replicaset":
        yield from tell_replica_set(world, record, old, obj)
    elif kind in ("deployment", "statefulset", "daemonset"):
        yield from tell_workload(record, old, obj)
    elif kind == "persistentvolumeclaim":
        yield from tell_claim(record, old, obj)
    elif kind == "endpointslice":
        yield from tell_slice(world, record, old, obj)
    if kind != "pod" and record.verb in ("marked", "deleted"):
        yield from _tell_deletion(record, old, obj)
    if record.verb == "deleted":
        world.remove(record.subject)


def _tell_deletion(record: Record, old: Object | None, obj: Object) -> Iterator[Line]:
    name = f"{obj['kind']} {obj['metadata']['name']}"
    if record.verb == "deleted" and old is not None and "deletionTimestamp" in old["metadata"]:
        yield Line(record.at_ns, record.actor, f"{name} is gone")
    elif record.actor == "user":
        yield Line(record.at_ns, "user", f"deletes {name}{_held_by(obj)}")


def _held_by(obj: Object) -> str:
    """Why a deleted object is still there."""
    finalizers = obj["metadata"].get("finalizers") or (obj.get("spec") or {}).get("finalizers") or ()
    if not finalizers or "deletionTimestamp" not in obj["metadata"]:
        return ""
    known = [_FINALIZERS[each] for each in finalizers if each in _FINALIZERS]
    return f": {known[0]}" if known else f": it stays for its finalizers {', '.join(finalizers)}"


# What an object waits for while it has one of these. Upstream: pkg/apis/core/types.go, apimachinery meta/v1 @v1.36
_FINALIZERS: Final = {
    "foregroundDeletion": "it goes when all that belongs to it is gone",
    "orphan": "what belongs to it is to stay",
    "kubernetes": "it goes when everything in it is gone",
    "kubernetes.io/pvc-protection": "it goes when no Pod uses it",
    "kubernetes.io/pv-protection": "it goes when no claim is bound to it",
}


# Actors whose own names would not help a reader.
_ROLES: Final = {
    "node-controller": "node lifecycle",
    "persistent-volume-binder": "volume binder",
    "taint-eviction-controller": "taint eviction",
    "pod-garbage-collector-controller": "pod gc",
    "garbage-collector-controller": "gc",
}


def _role(actor: str) -> str:
    """The actor as a column shows it: `replicaset`, `scheduler`, `kubelet/node-1`."""
    return _ROLES.get(actor) or actor.removesuffix("-controller").removeprefix("kube-")


def _last_part(subject: str) -> str:
    return subject.rpartition("/")[2]

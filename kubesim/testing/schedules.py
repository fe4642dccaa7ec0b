"""Drawing schedules: from a stream of choices to disturbances of what there is in a cluster.

One body serves a seed and Hypothesis alike, since both are a `kubesim.sim.chooser.Stream`: the first alternative is
always the calm one, so smaller choices mean fewer faults, earlier and rounder times and plainer arguments.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from typing import Any, Final, NamedTuple

import msgspec

from kubesim.api.kinds import DEPLOYMENT, STATEFUL_SET
from kubesim.api.objects import Object
from kubesim.cluster import Cluster
from kubesim.errors import UserError
from kubesim.faults import FAULTS, Disturbance, FaultKind, Schedule, WriteEvent
from kubesim.faults.arguments import Argument, Duration, Reference
from kubesim.sim.chooser import Stream
from kubesim.sim.loop import MILLISECOND, SECOND

SPAN_NS: Final = 300 * SECOND
MOST: Final = 6
_LASTS_S: Final = (10, 30, 60, 120, 5, 45, 90)
_SOON_MS: Final = 2000
_NUMBERS: Final = 4
# What a user wants otherwise from then on is nothing to recover from.
_CHANGES_OF_MIND: Final = ("setImage", "undoRollout")
_EXIT_CODES: Final = (1, 137, 0, 143)
# Writes after which a fault meets a controller in the middle of something.
_WRITES: Final = (
    ("replicaset-controller", "created", "pod"),
    ("statefulset-controller", "created", "pod"),
    ("kube-scheduler", "", "pod"),
    ("", "marked", "pod"),
    ("", "deleted", "pod"),
    ("deployment-controller", "", "replicaset"),
    ("deployment-controller", "", "deployment"),
    ("statefulset-controller", "", "statefulset"),
    ("endpointslice-controller", "", "endpointslice"),
    ("node-controller", "", "node"),
)


class WorkloadTarget(NamedTuple):
    """A workload that can be disturbed: its reference, its kind, how many Pods it wants, and its containers."""

    reference: Reference
    kind: str
    replicas: int
    containers: tuple[str, ...]


class Targets(NamedTuple):
    """What schedules are drawn over."""

    nodes: tuple[str, ...]
    workloads: tuple[WorkloadTarget, ...]


def targets_of(cluster: Cluster) -> Targets:
    """What there is to be disturbed in a cluster at this moment: its nodes, Deployments and StatefulSets."""
    nodes = tuple(node["metadata"]["name"] for node in cluster.list("nodes"))
    objects = [obj for kind in (DEPLOYMENT, STATEFUL_SET) for obj in cluster.list(kind.plural)]
    return Targets(nodes, tuple(_workload(obj, objects) for obj in objects))


def _workload(obj: Object, others: Sequence[Object]) -> WorkloadTarget:
    metadata, kind = obj["metadata"], obj["kind"]
    reference = f"{kind.lower()}/{metadata['name']}"
    if sum(each["kind"] == kind and each["metadata"]["name"] == metadata["name"] for each in others) > 1:
        reference = f"{metadata['namespace']}/{reference}"
    containers = tuple(each["name"] for each in obj["spec"]["template"]["spec"]["containers"])
    return WorkloadTarget(Reference(reference), kind, obj["spec"].get("replicas", 1), containers)


def find_faults(names: Sequence[str] = ()) -> tuple[FaultKind, ...]:
    """The faults by these names or areas, or all, that begin something and can be drawn.

    Raises:
        UserError: there is no such fault or area; the nearest name is given.
    """
    drawable = tuple(kind for kind in FAULTS.values() if is_drawable(kind))
    if not names:
        return drawable
    areas = dict.fromkeys(kind.area for kind in drawable)
    for name in names:
        if name not in areas and all(kind.name != name for kind in drawable):
            raise UserError(_no_fault(name, [*areas, *(kind.name for kind in drawable)]))
    return tuple(kind for kind in drawable if kind.name in names or kind.area in names)


def _no_fault(name: str, known: Sequence[str]) -> str:
    from difflib import get_close_matches

    if name in FAULTS:
        heals = FAULTS[name].heals
        why = f"it only ends {heals}" if heals else "it changes what is wanted, so nothing would be healed"
        return f"the fault {name} cannot be drawn: {why}; name another"
    near = get_close_matches(name, known, 1, 0.4)
    return f'there is no fault "{name}"; ' + (f"did you mean {near[0]}?" if near else f"there are {', '.join(known)}")


@lru_cache(maxsize=256)
def _fields_of(argument: type[Argument]) -> dict[str, bool]:
    """The names of an argument's fields, and whether each must be given."""
    return {field.name: field.required for field in msgspec.structs.fields(argument)}


def is_drawable(kind: FaultKind) -> bool:
    """Whether schedules may have this fault: it begins something, and all that its argument must say can be drawn."""
    if kind.heals or kind.name in _CHANGES_OF_MIND:
        return False
    return all(name in _FIELDS for name, is_required in _fields_of(kind.argument).items() if is_required)


class Choice(NamedTuple):
    """What an argument's fields are drawn from: the choices so far, the targets and the workload that was chosen."""

    stream: Stream
    targets: Targets
    kind: FaultKind
    workload: WorkloadTarget | None


def draw_schedule(
    stream: Stream, targets: Targets, kinds: Sequence[FaultKind], span_ns: int = SPAN_NS, most: int = MOST
) -> Schedule:
    """A schedule of one to `most` disturbances within `span_ns`, of these kinds."""
    drawn: list[Disturbance] = []
    while len(drawn) < most and (not drawn or stream.below(3)):
        disturbance = draw_disturbance(stream, targets, kinds, span_ns, drawn[-1] if drawn else None)
        if disturbance is not None:
            drawn.append(disturbance)
        elif not drawn:
            break
    return tuple(drawn)


def every_disturbance(targets: Targets, kinds: Sequence[FaultKind]) -> tuple[Disturbance, ...]:
    """Each fault once for everything that it can be done to, striking at once and lasting until all is healed."""
    every: dict[Disturbance, None] = {}
    for kind in kinds:
        names = _fields_of(kind.argument)
        if "of" not in names:
            choices: Iterable[dict[str, Any]] = ({"node": node} for node in targets.nodes) if "node" in names else ({},)
        else:
            choices = (
                {"of": workload.reference, "index": index, "replicas": workload.replicas + 1}
                for workload in targets.workloads
                if _fits(kind, workload)
                for index in range(workload.replicas if "index" in names else 1)
            )
        for choice in choices:
            argument = kind.argument(**{name: value for name, value in choice.items() if name in names})
            every[Disturbance(fault=kind.name, argument=argument, at=Duration(0))] = None
    return tuple(every)


def draw_disturbance(
    stream: Stream, targets: Targets, kinds: Sequence[FaultKind], span_ns: int, before: Disturbance | None
) -> Disturbance | None:
    """One disturbance, maybe soon after the one `before`; None where there is nothing for it in the cluster."""
    usable = [kind for kind in kinds if _has_target(kind, targets)]
    if not usable:
        return None
    kind = usable[stream.below(len(usable))]
    argument = _draw_argument(stream, targets, kind)
    lasts = None
    if kind.healed_by:
        choice = stream.below(len(_LASTS_S) + 1)
        lasts = Duration(_LASTS_S[choice - 1] * SECOND) if choice else None
    at, after_write = _draw_start(stream, span_ns, before)
    return Disturbance(fault=kind.name, argument=argument, at=at, after_write=after_write, lasts=lasts)


def _draw_start(stream: Stream, span_ns: int, before: Disturbance | None) -> tuple[Duration | None, WriteEvent | None]:
    how = stream.below(4)
    if how == 3:
        by, verb, of = _WRITES[stream.below(len(_WRITES))]
        return None, WriteEvent(by=by, verb=verb, of=of, number=1 + stream.below(_NUMBERS))
    if how == 2 and before is not None and before.at is not None:
        return Duration(min(before.at + stream.below(_SOON_MS) * MILLISECOND, span_ns)), None
    return Duration(stream.below(span_ns // SECOND) * SECOND), None


def _has_target(kind: FaultKind, targets: Targets) -> bool:
    if "of" in _fields_of(kind.argument):
        return any(_fits(kind, workload) for workload in targets.workloads)
    return bool(targets.nodes)


def _fits(kind: FaultKind, workload: WorkloadTarget) -> bool:
    """Whether a fault of a workload is one that this kind of workload can have and recover from."""
    return workload.kind == DEPLOYMENT.kind if kind.name == "scale" else workload.replicas > 0


def _draw_argument(stream: Stream, targets: Targets, kind: FaultKind) -> Any:
    names = _fields_of(kind.argument)
    workload = None
    if "of" in names:
        usable = [each for each in targets.workloads if _fits(kind, each)]
        workload = usable[stream.below(len(usable))]
    choice = Choice(stream, targets, kind, workload)
    given = {name: draw(choice) for name in names if (draw := _FIELDS.get(name)) is not None}
    return kind.argument(**given)


def _of(choice: Choice) -> Any:
    return choice.workload.reference if choice.workload is not None else Reference("")


def _index(choice: Choice) -> int:
    return choice.stream.below(max(1, choice.workload.replicas)) if choice.workload is not None else 0


def _container(choice: Choice) -> str:
    """The first container goes without saying."""
    containers = choice.workload.containers if choice.workload is not None else ()
    number = choice.stream.below(len(containers)) if len(containers) > 1 else 0
    return containers[number] if number else ""


# How each field of an argument is drawn, by its name; fields that are missing here stay as they are by default.
_FIELDS: Final[dict[str, Callable[[Choice], Any]]] = {
    "of": _of,
    "index": _index,
    "container": _container,
    "node": lambda choice: choice.stream.pick(choice.targets.nodes),
    "exit_code": lambda choice: choice.stream.pick(_EXIT_CODES),
    "replicas": lambda choice: 1 + choice.stream.below(1 + (choice.workload.replicas if choice.workload else 1)),
    "grace_seconds": lambda choice: (None, 1, 5, 60)[choice.stream.below(4)],
}

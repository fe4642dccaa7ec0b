"""Drawing schedules: from a stream of choices to disturbances of what there is in a cluster.

One body serves a seed and Hypothesis alike, since both are a `kubesim.sim.chooser.Stream`: the first alternative is
always the calm one, so smaller choices mean fewer faults, earlier and rounder times and plainer arguments.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from itertools import combinations
from typing import Any, Final, NamedTuple

import msgspec

from kubesim.api.kinds import DEPLOYMENT, SERVICE, STATEFUL_SET
from kubesim.api.objects import Object
from kubesim.cluster import Cluster
from kubesim.errors import UserError
from kubesim.faults import FAULTS, Disturbance, FaultKind, Schedule, WriteEvent
from kubesim.faults.arguments import (
    Amount,
    Argument,
    Component,
    Duration,
    End,
    KindName,
    Leader,
    NodeName,
    Overload,
    PriorityLevel,
    Reference,
    ServiceReference,
)
from kubesim.scenario.model import reference_to
from kubesim.sim.chooser import Stream
from kubesim.sim.loop import MILLISECOND, SECOND
from kubesim.users.load import USERS_NODE

SPAN_NS: Final = 300 * SECOND
MOST: Final = 6
_LASTS_S: Final = (10, 30, 60, 120, 5, 45, 90)
_SOON_MS: Final = 2000
_NUMBERS: Final = 4
# What a user wants otherwise from then on is nothing to recover from.
_CHANGES_OF_MIND: Final = ("setImage", "undoRollout")
_EXIT_CODES: Final = (1, 137, 0, 143)
_SKEWS_S: Final = (300, 2, 45, 90, 3600)
_LATE_MS: Final = (2000, 500, 100, 5000, 10_000)
_COMPONENTS: Final = (
    "kube-controller-manager",
    "kube-scheduler",
    "deployment-controller",
    "replicaset-controller",
    "statefulset-controller",
    "endpointslice-controller",
    "node-controller",
)
_KINDS: Final = ("", "pod", "replicaset", "deployment", "statefulset", "endpointslice", "node")
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
    services: tuple[ServiceReference, ...] = ()


def targets_of(cluster: Cluster) -> Targets:
    """What there is to be disturbed in a cluster at this moment: its nodes, Deployments and StatefulSets, and the
    Services that users can have, which are those with an address and Pods."""
    nodes = tuple(node["metadata"]["name"] for node in cluster.list("nodes"))
    objects = [obj for kind in (DEPLOYMENT, STATEFUL_SET) for obj in cluster.list(kind.plural)]
    services = [obj for obj in cluster.list(SERVICE.plural) if _has_users(obj["spec"])]
    return Targets(
        nodes,
        tuple(_workload(obj, objects) for obj in objects),
        tuple(ServiceReference(reference_to(obj, services)) for obj in services),
    )


def _has_users(service: Object) -> bool:
    return bool(service.get("selector")) and service.get("clusterIP") != "None"


def _workload(obj: Object, others: Sequence[Object]) -> WorkloadTarget:
    containers = tuple(each["name"] for each in obj["spec"]["template"]["spec"]["containers"])
    replicas = obj["spec"].get("replicas", 1)
    return WorkloadTarget(reference_to(obj, others), obj["kind"], replicas, containers)


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


class Field(NamedTuple):
    """A field of an argument, how it is drawn if it is drawn at all, and whether it must be given."""

    name: str
    draw: Callable[[Choice], Any] | None
    is_required: bool


@lru_cache(maxsize=256)
def _fields_of(argument: type[Argument]) -> tuple[Field, ...]:
    """An argument's fields: what a field's own type does not say, its name does."""
    return tuple(
        Field(field.name, _TYPES.get(field.type) or _NAMES.get(field.name), field.required)
        for field in msgspec.structs.fields(argument)
        if not (argument is Overload and field.name == "by")  # levels say whose requests these are
    )


def _names_of(kind: FaultKind) -> list[str]:
    return [field.name for field in _fields_of(kind.argument)]


def _is_of_workload(kind: FaultKind) -> bool:
    return any(field.draw is _of for field in _fields_of(kind.argument))


def _is_of_service(kind: FaultKind) -> bool:
    return any(field.draw is _service for field in _fields_of(kind.argument))


def _is_of_node(kind: FaultKind) -> bool:
    return any(field.draw is _node for field in _fields_of(kind.argument))


def _is_of_ends(kind: FaultKind) -> bool:
    return any(field.draw is _end for field in _fields_of(kind.argument))


def _ends_of(targets: Targets) -> tuple[str, ...]:
    """What a link can be between: nodes, the users, and the Pods of workloads."""
    return (*targets.nodes, USERS_NODE, *(workload.reference for workload in targets.workloads))


def is_drawable(kind: FaultKind) -> bool:
    """Whether schedules may have this fault: it begins something, and all that its argument must say can be drawn."""
    if kind.heals or kind.name in _CHANGES_OF_MIND:
        return False
    return all(field.draw is not None for field in _fields_of(kind.argument) if field.is_required)


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
        names = _names_of(kind)
        choices: Iterable[dict[str, Any]] = ({},)
        if _is_of_workload(kind):
            choices = (
                {"of": workload.reference, "index": index, "replicas": workload.replicas + 1}
                for workload in targets.workloads
                if _fits(kind, workload)
                for index in range(workload.replicas if "index" in names else 1)
            )
        elif _is_of_service(kind):
            choices = ({"of": service} for service in targets.services)
        elif _is_of_node(kind):
            choices = ({"node": node} for node in targets.nodes)
        elif _is_of_ends(kind):
            choices = ({"end": End(one), "peer": End(other)} for one, other in combinations(_ends_of(targets), 2))
        elif any(field.is_required for field in _fields_of(kind.argument)):
            choices = ({"of": component} for component in _COMPONENTS)
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
    if _is_of_workload(kind):
        return any(_fits(kind, workload) for workload in targets.workloads)
    if _is_of_service(kind):
        return bool(targets.services)
    return bool(targets.nodes) or not (_is_of_node(kind) or _is_of_ends(kind))


def _fits(kind: FaultKind, workload: WorkloadTarget) -> bool:
    """Whether a fault of a workload is one that this kind of workload can have and recover from."""
    return workload.kind == DEPLOYMENT.kind if kind.name == "scale" else workload.replicas > 0


def _draw_argument(stream: Stream, targets: Targets, kind: FaultKind) -> Any:
    workload = None
    if _is_of_workload(kind):
        usable = [each for each in targets.workloads if _fits(kind, each)]
        workload = usable[stream.below(len(usable))]
    choice = Choice(stream, targets, kind, workload)
    drawn = {field.name: field.draw(choice) for field in _fields_of(kind.argument) if field.draw is not None}
    return kind.argument(**drawn)


def _of(choice: Choice) -> Any:
    return choice.workload.reference if choice.workload is not None else Reference("")


def _service(choice: Choice) -> ServiceReference:
    return choice.stream.pick(choice.targets.services)


def _index(choice: Choice) -> int:
    return choice.stream.below(max(1, choice.workload.replicas)) if choice.workload is not None else 0


def _container(choice: Choice) -> str:
    """The first container goes without saying."""
    containers = choice.workload.containers if choice.workload is not None else ()
    number = choice.stream.below(len(containers)) if len(containers) > 1 else 0
    return containers[number] if number else ""


def _node(choice: Choice) -> NodeName:
    return NodeName(choice.stream.pick(choice.targets.nodes))


def _end(choice: Choice) -> End:
    return End(choice.stream.pick(_ends_of(choice.targets)))


def _component(choice: Choice) -> Component:
    """One of those that matter to workloads, or a kubelet; an argument that may leave it open often does."""
    stream = choice.stream
    names: tuple[str, ...] = _COMPONENTS
    if all(not field.is_required for field in _fields_of(choice.kind.argument)):
        names = ("", *names)
        number = stream.below(len(names) + len(choice.targets.nodes))
        if number >= len(names):
            return Component(f"kubelet/{choice.targets.nodes[number - len(names)]}")
        return Component(names[number])
    return Component(stream.pick(names))


# How each field of an argument is drawn, by its type and else by its name; others stay as they are by default.
_TYPES: Final[dict[Any, Callable[[Choice], Any]]] = {
    Reference: _of,
    ServiceReference: _service,
    NodeName: _node,
    End: _end,
    Component: _component,
    KindName: lambda choice: KindName(choice.stream.pick(_KINDS)),
    PriorityLevel: lambda choice: PriorityLevel(choice.stream.pick(PriorityLevel.known)),
    Leader: lambda choice: Leader(choice.stream.pick(Leader.known)),
}
_NAMES: Final[dict[str, Callable[[Choice], Any]]] = {
    "index": _index,
    "container": _container,
    "loss": lambda choice: choice.stream.pick((0.0, 0.2, 0.5)),
    "one_way": lambda choice: bool(choice.stream.below(2)),
    "exit_code": lambda choice: choice.stream.pick(_EXIT_CODES),
    "replicas": lambda choice: 1 + choice.stream.below(1 + (choice.workload.replicas if choice.workload else 1)),
    "grace_seconds": lambda choice: (None, 1, 5, 60)[choice.stream.below(4)],
    "number": lambda choice: 1 + choice.stream.below(_NUMBERS),
    "added": lambda choice: Duration(choice.stream.pick(_LATE_MS) * MILLISECOND),
    "delay": lambda choice: Duration(choice.stream.pick(_LATE_MS) * MILLISECOND),
    "share": lambda choice: choice.stream.pick((0.5, 0.2, 0.9)),
    "missing": lambda choice: Amount(choice.stream.pick(("64Mi", "1Mi", "1Gi"))),
    "by": lambda choice: Duration(choice.stream.pick(_SKEWS_S) * SECOND),
    "rate_per_second": lambda choice: float(choice.stream.pick((20, 50, 200))),
    "retries": lambda choice: choice.stream.pick((3, 1, 10)),
    "behind": lambda choice: bool(choice.stream.below(2)),
}

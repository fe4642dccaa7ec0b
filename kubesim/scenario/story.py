"""The story that is told when no scenario is given: the usual accidents of the objects that are there, one by one.

A container crashes, a Pod is deleted, the database's process is killed, a node is lost and comes back, a new version is
rolled out; all while users send requests. What a stack has none of is left out.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from kubesim.api.objects import Object, labels_of
from kubesim.api.selectors import compile_match_labels
from kubesim.programs.catalog import PROGRAM_ANNOTATION, image_name
from kubesim.scenario.model import (
    Bound,
    Condition,
    Crash,
    Delete,
    Duration,
    Expectation,
    NodeTarget,
    Reference,
    Scenario,
    SetImage,
    Step,
    Users,
)

_SECOND: Final = 1_000_000_000
_PAUSE: Final = Duration(5 * _SECOND)
_LASTS: Final = Duration(20 * _SECOND)
_NODE_LOST: Final = Duration(900 * _SECOND)
_RATE: Final = 10.0
_NOT_HTTP: Final = ("postgres", "mysql", "mariadb", "redis", "mongo", "rabbitmq", "kafka", "memcached")
# The wait for a volume of a lost node has no end: only steps that leave those alone may want everything healed.
_WORKLOADS: Final = ("Deployment", "StatefulSet", "ReplicaSet")


class Story(NamedTuple):
    """A scenario made for some objects, and what was left out of it and why."""

    scenario: Scenario
    notes: tuple[str, ...]


def plan_story(objects: Sequence[Object], nodes: int) -> Story:
    """The default story for these objects on so many nodes."""
    workloads = [obj for obj in objects if obj["kind"] in _WORKLOADS and _replicas(obj) > 0]
    stateless = [obj for obj in workloads if obj["kind"] == "Deployment" and not _claims(obj)]
    stateful = [obj for obj in workloads if obj["kind"] == "StatefulSet"]
    service, served = _service_with_users(objects, workloads)
    front = served if served in stateless else next(iter(stateless), None)
    back = next((obj for obj in stateful if obj is not front), None)
    writes = served is not None and _image(served)[0] == "vehicle-api"
    notes: list[str] = []
    load = None
    if service is None:
        notes.append("no Service here leads to Pods that answer HTTP requests: the story has no users")
    else:
        load = Users(service=service["metadata"]["name"], rate_per_second=_RATE, write_percent=20 if writes else 0)
    steps = [*_crashes(front, back), *_node_loss(front, back, workloads, nodes, notes), *_rollout(front or back)]
    if not workloads:
        notes.append("no Deployment, StatefulSet or ReplicaSet is here: nothing to disturb")
    scenario = Scenario(
        name="the default story",
        promise="Whatever breaks, the stack is back as it was declared, and no acknowledged write is lost."
        if writes
        else "Whatever breaks, the stack is back as it was declared.",
        steps=steps,
        load=load,
        expect=[Expectation(lost_writes=Bound(equals=0))] if writes else [],
    )
    return Story(scenario, tuple(notes))


def _crashes(front: Object | None, back: Object | None) -> Iterator[Step]:
    if front is not None:
        name = _name(front)
        until = [_ready(front)]
        yield Step(step=f"A container of {name} crashes", after=_PAUSE, crash=Crash(of=_ref(front)), until=until, lasts=_LASTS)
        delete = Delete(of=_ref(front), pod=True)
        yield Step(step=f"A Pod of {name} is deleted", after=_PAUSE, delete=delete, until=until, lasts=_LASTS)
    if back is not None:
        crash = Crash(of=_ref(back), exit_code=137)
        until = [_ready(back), *([_ready(front)] if front is not None else [])]
        yield Step(step=f"{_name(back)} is killed", after=_PAUSE, crash=crash, until=until, lasts=_LASTS)


def _node_loss(
    front: Object | None, back: Object | None, workloads: Sequence[Object], nodes: int, notes: list[str]
) -> Iterator[Step]:
    if front is None or nodes < 2:
        if workloads:
            notes.append("no node is lost: that needs a second node and a Deployment that can move")
        return
    spared = next((obj for obj in (back, *workloads) if obj is not None and obj is not front and _claims(obj)), back)
    target = NodeTarget(runs=_ref(front), runs_not=None if spared is None else _ref(spared))
    yield Step(
        step=f"A node with a Pod of {_name(front)} loses power",
        after=_PAUSE,
        lose_power=target,
        until=[_ready(front)],
        within=_NODE_LOST,
    )
    until = [Condition(object=Reference("node/*"), is_="ready")]
    yield Step(step="The node comes back", after=_PAUSE, restore_power=NodeTarget(), until=until, lasts=_LASTS)


def _rollout(workload: Object | None) -> Iterator[Step]:
    if workload is None:
        return
    name = _name(workload)
    annotations = workload["spec"]["template"].get("metadata", {}).get("annotations") or {}
    image, _ = _image(workload)
    title = f"A new version of {name} is rolled out"
    if any(key.startswith(PROGRAM_ANNOTATION) for key in annotations) or image in _NOT_HTTP:
        # Another tag could be another program, or one that does not exist: only the Pods are new.
        yield Step(step=title, after=_PAUSE, restart_rollout=_ref(workload), until=[_ready(workload)], lasts=_LASTS)
        return
    repository = workload["spec"]["template"]["spec"]["containers"][0]["image"].partition("@")[0]
    head, slash, tail = repository.rpartition("/")
    new = f"{head}{slash}{tail.partition(':')[0]}:next"
    change = SetImage(of=_ref(workload), image=new)
    yield Step(step=title, after=_PAUSE, set_image=change, until=[_ready(workload)], lasts=_LASTS)


def _service_with_users(
    objects: Sequence[Object], workloads: Sequence[Object]
) -> tuple[Object | None, Object | None]:
    """The Service that gets the users, and the workload behind it."""
    found: list[tuple[int, Object, Object]] = []
    for service in (obj for obj in objects if obj["kind"] == "Service"):
        spec = service["spec"]
        selector = spec.get("selector")
        if not selector or spec.get("type") == "ExternalName" or spec.get("clusterIP") == "None" or not spec.get("ports"):
            continue
        matches = compile_match_labels(selector)
        for workload in workloads:
            if _space(workload) != _space(service) or _image(workload)[0] in _NOT_HTTP:
                continue
            if matches(labels_of(workload["spec"]["template"])):
                rank = (_image(workload)[0] != "vehicle-api") * 2 + (workload["kind"] != "Deployment")
                found.append((rank, service, workload))
    if not found:
        return None, None
    _, service, workload = min(found, key=lambda each: each[0])
    return service, workload


def _ready(obj: Object) -> Condition:
    return Condition(object=_ref(obj), is_="ready")


def _ref(obj: Object) -> Reference:
    return Reference(f"{obj['kind'].lower()}/{obj['metadata']['name']}")


def _name(obj: Object) -> str:
    return str(obj["metadata"]["name"])


def _space(obj: Object) -> str:
    return str(obj["metadata"].get("namespace", ""))


def _replicas(obj: Object) -> int:
    return int(obj["spec"].get("replicas", 1))


def _image(obj: Object) -> tuple[str, str]:
    return image_name(obj["spec"]["template"]["spec"]["containers"][0]["image"])


def _claims(obj: Object) -> bool:
    """Whether its Pods hold volumes that may be tied to a node."""
    volumes = obj["spec"]["template"]["spec"].get("volumes") or ()
    return bool(obj["spec"].get("volumeClaimTemplates")) or any("persistentVolumeClaim" in each for each in volumes)

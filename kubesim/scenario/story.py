"""The story that is told when no scenario is given: the usual accidents of the objects that are there, one by one.

A container crashes, a Pod is deleted, the database's process is killed, a node is lost and comes back, a new version is
rolled out; all while users send requests. What a stack has none of is left out.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from kubesim.api.objects import Object, labels_of
from kubesim.api.selectors import compile_match_labels
from kubesim.faults.arguments import Crash, Delete, Duration, NodeTarget, Reference, SetImage, Workload
from kubesim.programs.catalog import PROGRAM_ANNOTATION, image_name
from kubesim.scenario.model import EVERY, Bound, Condition, Expectation, Scenario, Step, Users, reference_to

_SECOND: Final = 1_000_000_000
_PAUSE: Final = Duration(5 * _SECOND)
_STAYS: Final = Duration(10 * _SECOND)
_LASTS: Final = Duration(20 * _SECOND)
_PROMISE: Final = "Whatever breaks, the stack is back as it was declared{}."
_NODE_LOST: Final = Duration(900 * _SECOND)
_RATE: Final = 10.0
_NOT_HTTP: Final = ("postgres", "mysql", "mariadb", "redis", "mongo", "rabbitmq", "kafka", "memcached")
_WORKLOADS: Final = ("Deployment", "StatefulSet", "ReplicaSet")


class Parts(NamedTuple):
    """Which objects a story is about: users reach `front` through `service`; `back` keeps its state."""

    service: Object | None
    front: Object | None
    back: Object | None
    has_writes: bool


class Story(NamedTuple):
    """A scenario made for some objects, and what was left out of it and why."""

    scenario: Scenario
    notes: tuple[str, ...]


def find_parts(objects: Sequence[Object]) -> Parts:
    """The objects that a story of these would be about."""
    return _find_parts(objects, _Planner(objects))


def _find_parts(objects: Sequence[Object], planner: _Planner) -> Parts:
    service, served = _service_with_users(objects, planner.workloads)
    planner.choose(served)
    writes = served is not None and _image(served)[0] == "vehicle-api"
    return Parts(service, planner.front, planner.back, writes)


def plan_story(objects: Sequence[Object], nodes: int) -> Story:
    """The default story for these objects on so many nodes."""
    planner = _Planner(objects)
    service, _, _, writes = _find_parts(objects, planner)
    notes: list[str] = []
    load = None
    if service is None:
        notes.append("no Service here leads to Pods that answer HTTP requests: the story has no users")
    else:
        load = Users(
            service=_name(service),
            namespace=_space(service),
            rate_per_second=_RATE,
            write_percent=20 if writes else 0,
        )
    steps = [*planner.crashes(), *planner.node_loss(nodes, notes), *planner.rollout()]
    if not planner.workloads:
        notes.append("no Deployment, StatefulSet or ReplicaSet is here: nothing to disturb")
    scenario = Scenario(
        name="the default story",
        promise=_PROMISE.format(" and no acknowledged write is lost" if writes else ""),
        steps=steps,
        load=load,
        expect=[Expectation(lost_writes=Bound(equals=0))] if writes else [],
    )
    return Story(scenario, tuple(notes))


class _Planner:
    """The steps for some objects. `front` is the workload that users reach or that can move, `back` keeps its state."""

    def __init__(self, objects: Sequence[Object]) -> None:
        self._objects = objects
        self.workloads = [obj for obj in objects if obj["kind"] in _WORKLOADS and _is_whole(obj) and _replicas(obj) > 0]
        self.front: Object | None = None
        self.back: Object | None = None

    def choose(self, served: Object | None) -> None:
        """Decide what is front and what is back; `served` is the workload behind the users' Service."""
        movable = [obj for obj in self.workloads if obj["kind"] == "Deployment" and not _claims(obj)]
        self.front = served if served in movable else next(iter(movable), None)
        others = [obj for obj in self.workloads if obj is not self.front]
        stateful = [obj for obj in others if obj["kind"] == "StatefulSet"]
        databases = [obj for obj in others if _image(obj)[0] in _NOT_HTTP]
        self.back = next(iter(stateful + databases), None)

    def _ref(self, obj: Object) -> Reference:
        return reference_to(obj, self._objects)

    def _ready(self, obj: Object) -> Condition:
        return Condition(object=self._ref(obj), is_="ready")

    def crashes(self) -> Iterator[Step]:
        """A crash and a deletion in front, a crash at the back."""
        front, back = self.front, self.back
        if front is not None:
            name, of, until = _name(front), self._ref(front), [self._ready(front)]
            crash = Crash(of=of)
            title = f"A container of {name} crashes"
            yield Step(step=title, after=_PAUSE, action="crash", argument=crash, until=until, lasts=_LASTS)
            delete = Delete(of=of, pod=True)
            yield Step(
                step=f"A Pod of {name} is deleted",
                after=_PAUSE,
                action="delete",
                argument=delete,
                until=until,
                lasts=_LASTS,
            )
        if back is not None:
            crash = Crash(of=self._ref(back), exit_code=137)
            until = [self._ready(each) for each in (back, front) if each is not None]
            yield Step(
                step=f"{_name(back)} is killed", after=_PAUSE, action="crash", argument=crash, until=until, lasts=_LASTS
            )

    def node_loss(self, nodes: int, notes: list[str]) -> Iterator[Step]:
        """A node is lost that has what can move, and not what cannot; then it comes back."""
        front, back = self.front, self.back
        if front is None or nodes < 2:
            if self.workloads:
                notes.append("no node is lost: that needs a second node and a Deployment that can move")
            return
        others = (obj for obj in (back, *self.workloads) if obj is not None and obj is not front and _claims(obj))
        spared = next(others, back)
        target = NodeTarget(runs=self._ref(front), runs_not=None if spared is None else self._ref(spared))
        yield Step(
            step=f"A node with a Pod of {_name(front)} loses power",
            after=_PAUSE,
            action="losePower",
            argument=target,
            until=[self._ready(front)],
            within=_NODE_LOST,
            stays=_STAYS,
        )
        until = [Condition(object=Reference(f"node/{EVERY}"), is_="ready")]
        yield Step(
            step="The node comes back",
            after=_PAUSE,
            action="restorePower",
            argument=NodeTarget(),
            until=until,
            lasts=_LASTS,
        )

    def rollout(self) -> Iterator[Step]:
        """A new image; where another tag could be another program or none at all, only new Pods."""
        workload = self.front or self.back
        if workload is None:
            return
        of, until = self._ref(workload), [self._ready(workload)]
        title = f"A new version of {_name(workload)} is rolled out"
        annotations = workload["spec"]["template"].get("metadata", {}).get("annotations") or {}
        if any(key.startswith(PROGRAM_ANNOTATION) for key in annotations) or _image(workload)[0] in _NOT_HTTP:
            yield Step(
                step=title, after=_PAUSE, action="restartRollout", argument=Workload(of=of), until=until, lasts=_LASTS
            )
            return
        image = workload["spec"]["template"]["spec"]["containers"][0]["image"].partition("@")[0]
        head, slash, tail = image.rpartition("/")
        change = SetImage(of=of, image=f"{head}{slash}{tail.partition(':')[0]}:next")
        yield Step(step=title, after=_PAUSE, action="setImage", argument=change, until=until, lasts=_LASTS)


def _service_with_users(objects: Sequence[Object], workloads: Sequence[Object]) -> tuple[Object | None, Object | None]:
    """The Service that gets the users, and the workload behind it."""
    found: list[tuple[int, Object, Object]] = []
    for service in (obj for obj in objects if obj["kind"] == "Service" and "name" in obj["metadata"]):
        spec = service.get("spec") or {}
        selector = spec.get("selector")
        if (
            not selector
            or spec.get("type") == "ExternalName"
            or spec.get("clusterIP") == "None"
            or not spec.get("ports")
        ):
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


def _is_whole(obj: Object) -> bool:
    """Whether a step can name it and its image; what it lacks otherwise is for the API server to say."""
    pod = ((obj.get("spec") or {}).get("template") or {}).get("spec") or {}
    containers: list[Object] = pod.get("containers") or []
    return "name" in obj["metadata"] and bool(containers) and "image" in containers[0]


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

"""Whether a condition of a scenario holds now, asked of a port."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

import msgspec

from kubesim.api.conditions import is_condition_true
from kubesim.api.objects import Object, controller_of, labels_of
from kubesim.cluster.waiting import available, bound, ready
from kubesim.faults.arguments import Reference
from kubesim.scenario.model import EVERY, Condition, Restarts, is_within, question_of
from kubesim.scenario.port import Port

_STATES: Final = {"ready": ready, "available": available, "bound": bound}
ABSENT: Final = "(absent)"
# What tells Pods of a workload's new version from those of earlier ones.
_VERSION_LABELS: Final = ("pod-template-hash", "controller-revision-hash")


def holds(port: Port, condition: Condition, namespace: str) -> bool:
    """Whether it is so."""
    question = question_of(condition)
    if question == "is_":
        return _is_in_state(port, condition, namespace)
    value = value_of(port, condition, namespace)
    has_bound = condition.equals is not msgspec.UNSET or condition.at_least is not None or condition.at_most is not None
    return is_within(condition, value) if has_bound else bool(value)


def why_not(port: Port, condition: Condition, namespace: str) -> str:
    """What is instead of what the condition wants."""
    if question_of(condition) != "is_":
        return f"{condition.object}: {value_of(port, condition, namespace)}"
    if _is_of_every(condition):
        each = _each(port, condition, namespace)
        return next(why_not(port, one, namespace) for one in each if not holds(port, one, namespace))
    if condition.is_ in _STATES:
        return _STATES[condition.is_](condition.object, namespace).why_not(port)
    return f"{condition.object} is not"


def value_of(port: Port, condition: Condition, namespace: str) -> Any:
    """What the condition's bound is compared with: a field's value, a number of Pods or of Events, or the state."""
    obj = port.find(condition.object, namespace)
    question = question_of(condition)
    if question == "is_":
        return "there" if obj is not None else ABSENT
    if question == "pods":
        return _count_pods(port, condition, namespace) if obj is not None else 0
    if obj is None:
        return ABSENT if question == "field" else 0
    if question == "event":
        return sum(
            event.get("count", 1)
            for event in port.events_about(obj)
            if event["reason"] == condition.event and condition.message in event["message"]
        )
    return field_of(obj, condition.field)


def field_of(obj: Object, path: str) -> Any:
    """The value at a path such as `status.conditions[Progressing].reason` or `spec.containers[0].image`.

    In brackets stands an index, a key, or the `type` or `name` of an entry of a list. Where there is nothing, a text
    that says so.
    """
    value: Any = obj
    for name in _steps(path):
        if isinstance(value, dict):
            value = value.get(name, ABSENT)
        elif isinstance(value, list):
            value = _entry(value, name)
        else:
            return ABSENT
    return value


def _steps(path: str) -> Iterator[str]:
    """The names along a path; what stands in brackets is one name, whatever it holds."""
    for index, part in enumerate(path.replace("]", "[").split("[")):
        if index % 2:
            yield part
        else:
            yield from (step for step in part.split(".") if step)


def _entry(items: Sequence[Any], name: str) -> Any:
    if name.isdigit():
        return items[int(name)] if int(name) < len(items) else ABSENT
    for item in items:
        if isinstance(item, dict) and name in (item.get("type"), item.get("name")):
            return item
    return ABSENT


def _is_in_state(port: Port, condition: Condition, namespace: str) -> bool:
    state = condition.is_
    if _is_of_every(condition):
        return all(_is_in_state(port, one, namespace) for one in _each(port, condition, namespace))
    if state in _STATES:
        return _STATES[state](condition.object, namespace).holds(port)
    obj = port.find(condition.object, namespace)
    if state == "cordoned":
        return obj is not None and bool(obj["spec"].get("unschedulable"))
    return (obj is None) == (state == "gone")


def _is_of_every(condition: Condition) -> bool:
    return condition.object.rpartition("/")[2] == EVERY


def _each(port: Port, condition: Condition, namespace: str) -> list[Condition]:
    """The condition on every object of the kind, one by one."""
    kind = condition.object.rpartition("/")[0]
    names = [obj["metadata"]["name"] for obj in port.list(kind, namespace)]
    return [msgspec.structs.replace(condition, object=Reference(f"{kind}/{name}")) for name in names]


def _count_pods(port: Port, condition: Condition, namespace: str) -> int:
    pods = port.pods_of(condition.object, namespace)
    wanted = condition.pods
    if wanted == "all":
        return len(pods)
    if wanted == "running":
        return sum(is_running(pod) for pod in pods)
    if wanted == "newReady" and pods:
        if not is_observed(port.find(condition.object, namespace)):
            return 0
        version = newest_version(port, condition.object, namespace)
        pods = [pod for pod in pods if version and version_of(pod) == version]
    return sum(is_condition_true(pod["status"].get("conditions"), "Ready") for pod in pods)


def is_running(pod: Object) -> bool:
    """Whether a container of the Pod runs, as its status says."""
    return any("running" in each.get("state", {}) for each in pod["status"].get("containerStatuses") or ())


def version_of(pod: Object) -> str:
    """The version of its workload that a Pod runs."""
    labels = labels_of(pod)
    return next((labels[name] for name in _VERSION_LABELS if name in labels), "")


def is_observed(obj: Object | None) -> bool:
    """Whether its controller has seen the object's present spec."""
    if obj is None:
        return False
    return bool((obj.get("status") or {}).get("observedGeneration", 0) >= obj["metadata"].get("generation", 0))


def newest_version(port: Port, reference: str, namespace: str) -> str:
    """The version that a workload is going to: its update revision, or its ReplicaSet of the present template.

    An empty text while there is none, as in a paused rollout.
    """
    obj = port.find(reference, namespace) or {}
    revision = (obj.get("status") or {}).get("updateRevision")
    if revision:
        return str(revision)
    metadata = obj.get("metadata") or {}
    for each in port.list("replicasets", metadata.get("namespace", "")):
        owner = controller_of(each)
        if owner is not None and owner["uid"] == metadata["uid"] and _template_of(each) == obj["spec"]["template"]:
            return version_of(each)
    return ""


def _template_of(replica_set: Object) -> Object:
    """Its Pod template as its Deployment has it, without the label that the controller adds."""
    template: Object = replica_set["spec"]["template"]
    metadata = template.get("metadata") or {}
    labels = {name: value for name, value in (metadata.get("labels") or {}).items() if name not in _VERSION_LABELS}
    return {**template, "metadata": {**metadata, "labels": labels}}


def count_restarts(port: Port, wanted: Restarts, namespace: str) -> int:
    """The restarts of all containers of the Pods meant, as their statuses count them."""
    return sum(
        status.get("restartCount", 0)
        for pod in port.pods_of(wanted.of, namespace)
        for status in pod["status"].get("containerStatuses") or ()
    )

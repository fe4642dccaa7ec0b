"""Conditions to wait for: small predicates over a cluster, each with a name that a failed wait can show."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

from kubesim.api.conditions import is_condition_true
from kubesim.api.objects import Object
from kubesim.cluster.unreadiness import why_unready


class Readable(Protocol):
    """What a condition looks at."""

    def find(self, reference: str, namespace: str = "") -> Object | None:
        """The object that a reference such as `pod/postgres-0` names, or None."""
        ...

    def pods_of(self, reference: str, namespace: str = "") -> Sequence[Object]:
        """The Pods of the workload that the reference names."""
        ...


class Condition(NamedTuple):
    """Something that can come true. `text` completes "waited for …"; `why_not` is a sentence for when it is not."""

    text: str
    holds: Callable[[Readable], bool]
    why_not: Callable[[Readable], str]


def ready(reference: str, namespace: str = "") -> Condition:
    """A Pod or Node is Ready; a workload has all its wanted replicas updated, ready and available."""
    text = f"{reference} to be ready"
    return Condition(text, lambda cluster: is_ready(cluster.find(reference, namespace)), _unready(reference, namespace))


def available(reference: str, namespace: str = "") -> Condition:
    """A Deployment's Available condition is True."""

    def holds(cluster: Readable) -> bool:
        obj = cluster.find(reference, namespace)
        return obj is not None and is_condition_true((obj.get("status") or {}).get("conditions"), "Available")

    return Condition(f"{reference} to be available", holds, _unready(reference, namespace))


def rolled_out(reference: str, namespace: str = "") -> Condition:
    """A workload runs nothing but its present template, as `kubectl rollout status` means it."""
    return ready(reference, namespace)._replace(text=f"{reference} to be rolled out")


def gone(reference: str, namespace: str = "") -> Condition:
    """The object does not exist."""

    def why_not(cluster: Readable) -> str:
        obj = cluster.find(reference, namespace)
        held = ", ".join((obj or {}).get("metadata", {}).get("finalizers") or ())
        return f"{reference} is there{f', held by {held}' if held else ''}"

    text = f"{reference} to be gone"
    return Condition(text, lambda cluster: cluster.find(reference, namespace) is None, why_not)


def bound(reference: str, namespace: str = "") -> Condition:
    """A PersistentVolumeClaim is Bound."""

    def holds(cluster: Readable) -> bool:
        obj = cluster.find(reference, namespace)
        return obj is not None and (obj.get("status") or {}).get("phase") == "Bound"

    return Condition(f"{reference} to be bound", holds, _unready(reference, namespace))


def _unready(reference: str, namespace: str) -> Callable[[Readable], str]:
    def why_not(cluster: Readable) -> str:
        obj = cluster.find(reference, namespace)
        has_pods = obj is not None and obj["kind"] in ("Deployment", "ReplicaSet", "StatefulSet")
        return f"{reference} {why_unready(obj, cluster.pods_of(reference, namespace) if has_pods else ())}"

    return why_not


def is_ready(obj: Object | None) -> bool:
    """Whether a Pod or Node is Ready, or a workload has all its wanted replicas updated, ready and available."""
    if obj is None:
        return False
    status = obj.get("status") or {}
    if obj["kind"] in ("Pod", "Node"):
        return is_condition_true(status.get("conditions"), "Ready")
    if status.get("observedGeneration", 0) < obj["metadata"].get("generation", 0):
        return False
    wanted = obj["spec"].get("replicas", 1)
    if obj["kind"] == "StatefulSet":
        if obj["spec"].get("updateStrategy", {}).get("type") == "OnDelete":
            return bool(status.get("readyReplicas", 0) == wanted)
        partition = (obj["spec"].get("updateStrategy", {}).get("rollingUpdate") or {}).get("partition", 0)
        updated = status.get("updatedReplicas", 0) >= wanted - partition
        return bool(status.get("readyReplicas", 0) == wanted and updated)
    if obj["kind"] == "ReplicaSet":
        return bool(status.get("readyReplicas", 0) == wanted)
    return all(status.get(field, 0) == wanted for field in ("updatedReplicas", "replicas", "availableReplicas"))

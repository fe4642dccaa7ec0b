"""Conditions to wait for: small predicates over a cluster, each with a name that a failed wait can show."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, Protocol

from kubesim.api.conditions import is_condition_true
from kubesim.api.objects import Object


class Readable(Protocol):
    """What a condition looks at."""

    def find(self, reference: str, namespace: str = "") -> Object | None:
        """The object that a reference such as `pod/postgres-0` names, or None."""
        ...


class Condition(NamedTuple):
    """Something that can come true. `text` completes "waited for …"."""

    text: str
    holds: Callable[[Readable], bool]


def ready(reference: str, namespace: str = "") -> Condition:
    """A Pod or Node is Ready; a workload has all its wanted replicas updated, ready and available."""
    return Condition(f"{reference} to be ready", lambda cluster: is_ready(cluster.find(reference, namespace)))


def available(reference: str, namespace: str = "") -> Condition:
    """A Deployment's Available condition is True."""

    def holds(cluster: Readable) -> bool:
        obj = cluster.find(reference, namespace)
        return obj is not None and is_condition_true((obj.get("status") or {}).get("conditions"), "Available")

    return Condition(f"{reference} to be available", holds)


def rolled_out(reference: str, namespace: str = "") -> Condition:
    """A workload runs nothing but its present template, as `kubectl rollout status` means it."""
    return Condition(f"{reference} to be rolled out", lambda cluster: is_ready(cluster.find(reference, namespace)))


def gone(reference: str, namespace: str = "") -> Condition:
    """The object does not exist."""
    return Condition(f"{reference} to be gone", lambda cluster: cluster.find(reference, namespace) is None)


def bound(reference: str, namespace: str = "") -> Condition:
    """A PersistentVolumeClaim is Bound."""

    def holds(cluster: Readable) -> bool:
        obj = cluster.find(reference, namespace)
        return obj is not None and (obj.get("status") or {}).get("phase") == "Bound"

    return Condition(f"{reference} to be bound", holds)


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

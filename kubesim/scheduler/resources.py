"""What a Pod asks for and what a node offers, as integers.

Upstream: component-helpers/resource/helpers.go:PodRequests, pkg/scheduler/framework/types.go:CalculateResource @v1.36
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

from kubesim.api.objects import Object
from kubesim.api.quantity import milli, value

# What a container without a request counts for when nodes are scored (not when they are filtered).
# Upstream: pkg/scheduler/util/pod_resources.go @v1.36
DEFAULT_MILLI_CPU: Final = 100
DEFAULT_MEMORY_BYTES: Final = 200 * 1024 * 1024

Amounts = dict[str, int]


class Requests(NamedTuple):
    """The requests of one Pod. `scalars` are extended resources and huge pages, by name, without zeros."""

    milli_cpu: int
    memory: int
    ephemeral_storage: int
    scalars: tuple[tuple[str, int], ...]
    non_zero_milli_cpu: int
    non_zero_memory: int


class Allocatable(NamedTuple):
    """What a node offers to Pods."""

    milli_cpu: int
    memory: int
    ephemeral_storage: int
    pods: int
    scalars: tuple[tuple[str, int], ...]


def amounts_of(resources: Mapping[str, str] | None) -> Amounts:
    """A ResourceList in thousandths of a core for cpu and whole units for the rest."""
    return {name: milli(text) if name == "cpu" else value(text) for name, text in (resources or {}).items()}


def is_scalar(name: str) -> bool:
    """Whether the scheduler counts the resource by name. Upstream: pkg/scheduler/util/utils.go:IsScalarResourceName"""
    return "/" in name or name.startswith(("hugepages-", "attachable-volumes-"))


def _add(total: Amounts, more: Amounts) -> None:
    for name, amount in more.items():
        total[name] = total.get(name, 0) + amount


def _aggregate(spec: Object, floor: Amounts) -> Amounts:
    """Containers at once plus sidecars, or the greediest moment of the init containers if that is more."""
    total: Amounts = {}
    for container in spec["containers"]:
        _add(total, {**floor, **amounts_of((container.get("resources") or {}).get("requests"))})
    sidecars: Amounts = {}
    greediest: Amounts = {}
    for container in spec.get("initContainers") or ():
        requests = {**floor, **amounts_of((container.get("resources") or {}).get("requests"))}
        if container.get("restartPolicy") == "Always":
            _add(total, requests)
            _add(sidecars, requests)
            moment = sidecars
        else:
            moment = dict(sidecars)
            _add(moment, requests)
        for name, amount in moment.items():
            greediest[name] = max(greediest.get(name, 0), amount)
    for name, amount in greediest.items():
        total[name] = max(total.get(name, 0), amount)
    return total


def _total(spec: Object, floor: Amounts) -> Amounts:
    total = _aggregate(spec, floor)
    pod_level = (spec.get("resources") or {}).get("requests")
    for name, amount in amounts_of(pod_level).items():
        if name in {"cpu", "memory"} or name.startswith("hugepages-"):
            total[name] = amount
    _add(total, amounts_of(spec.get("overhead")))
    return total


def compute_requests(spec: Object) -> Requests:
    """The requests of a Pod with this spec."""
    exact = _total(spec, {})
    padded = _total(spec, {"cpu": DEFAULT_MILLI_CPU, "memory": DEFAULT_MEMORY_BYTES})
    return Requests(
        exact.get("cpu", 0),
        exact.get("memory", 0),
        exact.get("ephemeral-storage", 0),
        tuple(sorted((name, amount) for name, amount in exact.items() if amount and is_scalar(name))),
        padded.get("cpu", 0),
        padded.get("memory", 0),
    )


def compute_allocatable(node: Object) -> Allocatable:
    """What the node's status offers."""
    amounts = amounts_of((node.get("status") or {}).get("allocatable"))
    return Allocatable(
        amounts.get("cpu", 0),
        amounts.get("memory", 0),
        amounts.get("ephemeral-storage", 0),
        amounts.get("pods", 0),
        tuple(sorted((name, amount) for name, amount in amounts.items() if is_scalar(name))),
    )

"""Which Pods a ReplicaSet gives up first when it has too many.

Upstream: pkg/controller/controller_utils.go:ActivePodsWithRanks @v1.36
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cmp_to_key

from kubesim.api.objects import Object, annotations_of
from kubesim.api.timestamps import from_time
from kubesim.controllers.pods import is_active, ready_condition

_PHASES = {"Pending": 0, "Unknown": 1, "Running": 2}
_DELETION_COST = "controller.kubernetes.io/pod-deletion-cost"
_FUTURE_NS = 1 << 62


def plan_victims(active: Sequence[Object], related: Iterable[Object], count: int, now_ns: int) -> list[Object]:
    """The `count` Pods that are least missed; `related` are those whose nodes should not be emptied of copies."""
    if count >= len(active):
        return list(active)
    on_node: dict[str, int] = {}
    for pod in related:
        if is_active(pod):
            node = pod["spec"].get("nodeName", "")
            on_node[node] = on_node.get(node, 0) + 1
    facts = [_facts(pod, on_node) for pod in active]

    def compare(one: int, other: int) -> int:
        return _compare(facts[one], facts[other], now_ns)

    ranked = sorted(range(len(active)), key=cmp_to_key(compare))
    return [active[at] for at in ranked[:count]]


_Facts = tuple[tuple[bool, int, bool, int, int], int, tuple[int, int], int, str]


def _facts(pod: Object, on_node: dict[str, int]) -> _Facts:
    ready = ready_condition(pod)
    node = pod["spec"].get("nodeName", "")
    try:
        cost = int(annotations_of(pod).get(_DELETION_COST, "0"))
    except ValueError:
        cost = 0
    order = (
        bool(node),
        _PHASES.get(pod["status"].get("phase", ""), 0),
        ready is not None,
        cost,
        -on_node.get(node, 0),
    )
    ready_ns = -1
    if ready is not None:
        # Ready since nobody knows when counts as since just now.
        since = ready.get("lastTransitionTime")
        ready_ns = from_time(since) if since else _FUTURE_NS
    return order, ready_ns, _restarts(pod), from_time(pod["metadata"]["creationTimestamp"]), pod["metadata"]["uid"]


def _restarts(pod: Object) -> tuple[int, int]:
    """The most restarts of a container and of a sidecar, negated: more restarts come first."""
    containers = pod["status"].get("containerStatuses") or ()
    sidecars = [
        status
        for container, status in zip(
            pod["spec"].get("initContainers") or (), pod["status"].get("initContainerStatuses") or (), strict=False
        )
        if container.get("restartPolicy") == "Always"
    ]
    return (
        -max((status.get("restartCount", 0) for status in containers), default=0),
        -max((status.get("restartCount", 0) for status in sidecars), default=0),
    )


def _age_rank(since_ns: int, now_ns: int) -> int:
    """Ages count by their binary magnitude, so that victims are spread over Pods of about one age."""
    return (now_ns - since_ns).bit_length() - 1 if now_ns > since_ns else -1


def _compare(one: _Facts, other: _Facts, now_ns: int) -> int:
    order, ready_ns, restarts, created_ns, uid = one
    order_2, ready_ns_2, restarts_2, created_ns_2, uid_2 = other
    if order != order_2:
        return -1 if order < order_2 else 1
    by_uid = -1 if uid < uid_2 else 1
    if ready_ns >= 0 and ready_ns != ready_ns_2:
        return (_age_rank(ready_ns, now_ns) - _age_rank(ready_ns_2, now_ns)) or by_uid
    if restarts != restarts_2:
        return -1 if restarts < restarts_2 else 1
    if created_ns != created_ns_2:
        return (_age_rank(created_ns, now_ns) - _age_rank(created_ns_2, now_ns)) or by_uid
    return 0

"""Taints that the control plane puts on nodes: which a node's conditions call for, and how they are written.

Upstream: pkg/controller/nodelifecycle/node_lifecycle_controller.go:doNoScheduleTaintingPass,
pkg/controller/util/node/controller_utils.go:SwapNodeControllerTaint, pkg/controller/controller_utils.go @v1.36
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Sequence
from typing import Any

from kubesim.api.kinds import NODE
from kubesim.api.objects import Object
from kubesim.api.requests import Request, get, patch
from kubesim.api.timestamps import to_time
from kubesim.controllers.base import Wait
from kubesim.errors import ApiError
from kubesim.sim.loop import MILLISECOND

Taint = tuple[str, str]
"""Key and effect, by which taints are told apart."""

NOT_READY = ("node.kubernetes.io/not-ready", "NoExecute")
UNREACHABLE = ("node.kubernetes.io/unreachable", "NoExecute")
_UNSCHEDULABLE = "node.kubernetes.io/unschedulable"
_KEY_BY_CONDITION = {
    ("Ready", "False"): "node.kubernetes.io/not-ready",
    ("Ready", "Unknown"): "node.kubernetes.io/unreachable",
    ("MemoryPressure", "True"): "node.kubernetes.io/memory-pressure",
    ("DiskPressure", "True"): "node.kubernetes.io/disk-pressure",
    ("NetworkUnavailable", "True"): "node.kubernetes.io/network-unavailable",
    ("PIDPressure", "True"): "node.kubernetes.io/pid-pressure",
}
_OURS = frozenset((*_KEY_BY_CONDITION.values(), _UNSCHEDULABLE))
# Upstream: controller_utils.go:UpdateTaintBackoff, without its jitter
_CONFLICT_WAITS_NS = tuple(100 * MILLISECOND for _ in range(4))


def taints_of(node: Object) -> Sequence[Object]:
    """The node's taints, empty where it has none."""
    taints: Sequence[Object] = node["spec"].get("taints") or ()
    return taints


def has_taint(node: Object, taint: Taint) -> bool:
    """Whether the node has a taint of this key and effect."""
    return any((each["key"], each["effect"]) == taint for each in taints_of(node))


def plan_no_schedule(node: Object) -> tuple[list[Taint], list[Taint]]:
    """The NoSchedule taints to add and to remove so that they tell the node's conditions and cordon."""
    wanted: list[Taint] = []
    for condition in (node.get("status") or {}).get("conditions") or ():
        key = _KEY_BY_CONDITION.get((condition["type"], condition["status"]))
        if key is not None:
            wanted.append((key, "NoSchedule"))
    if node["spec"].get("unschedulable"):
        wanted.append((_UNSCHEDULABLE, "NoSchedule"))
    present = [
        (taint["key"], taint["effect"])
        for taint in taints_of(node)
        if taint["effect"] == "NoSchedule" and taint["key"] in _OURS
    ]
    return [taint for taint in wanted if taint not in present], [taint for taint in present if taint not in wanted]


def with_taints(taints: Sequence[Object], added: Iterable[Taint], now_ns: int) -> list[Object]:
    """The list with these taints, as of now: in place of those of the same key and effect, or at the end."""
    result = list(taints)
    for key, effect in added:
        taint = {"key": key, "effect": effect, "timeAdded": to_time(now_ns)}
        for position, each in enumerate(result):
            if (each["key"], each["effect"]) == (key, effect):
                result[position] = taint
                break
        else:
            result.append(taint)
    return result


def without_taints(taints: Sequence[Object], removed: Iterable[Taint]) -> list[Object]:
    """The list without taints of these keys and effects."""
    removed = set(removed)
    return [taint for taint in taints if (taint["key"], taint["effect"]) not in removed]


Requests = Generator[Request | Wait, Any, None]


def swap_taints(node: Object, added: Sequence[Taint], removed: Sequence[Taint], now_ns: int) -> Requests:
    """Add taints, then remove others, each on a freshly read node.

    Raises:
        ApiError: the node is gone, or was changed by others five times in a row.
    """
    if added:
        yield from _rewrite(node, lambda taints: with_taints(taints, added, now_ns))
    yield from remove_taints(node, removed)


def remove_taints(node: Object, removed: Sequence[Taint]) -> Requests:
    """Remove taints, asking the server only if the node as given has one of them."""
    if any(has_taint(node, taint) for taint in removed):
        yield from _rewrite(node, lambda taints: without_taints(taints, removed))


def _rewrite(node: Object, change: Any) -> Requests:
    name = node["metadata"]["name"]
    for wait_ns in (*_CONFLICT_WAITS_NS, None):
        fresh = yield get(NODE, "", name)
        before = list(taints_of(fresh))
        after = change(before)
        if after == before:
            return
        body = {
            "metadata": {"resourceVersion": fresh["metadata"]["resourceVersion"]},
            "spec": {"taints": after or None},
        }
        try:
            yield patch(NODE, "", name, body)
        except ApiError as error:
            if error.reason != "Conflict" or wait_ns is None:
                raise
            yield Wait(wait_ns)
        else:
            return

"""NodeResourcesFit: the node must have what the Pod asks for, and the emptier it is the better.

Upstream: pkg/scheduler/framework/plugins/noderesources/{fit,least_allocated}.go @v1.36
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from kubesim.scheduler.framework import MAX_NODE_SCORE, UNRESOLVABLE, UNSCHEDULABLE, Status
from kubesim.scheduler.profile import PodProfile
from kubesim.scheduler.resources import Requests
from kubesim.scheduler.snapshot import NodeInfo, Snapshot

NAME: Final = "NodeResourcesFit"

_statuses: dict[tuple[str, tuple[str, ...]], Status] = {}


def _refused(reasons: Sequence[str], *, unresolvable: bool) -> Status:
    """One shared object per verdict: thousands of nodes tend to refuse for the same reason."""
    key = (UNRESOLVABLE if unresolvable else UNSCHEDULABLE, tuple(reasons))
    status = _statuses.get(key)
    if status is None:
        status = _statuses[key] = Status(key[0], NAME, *reasons)
    return status


class NodeResourcesFit:
    """State: the requests. Scores with the LeastAllocated strategy over cpu and memory."""

    name = NAME
    weight = 1

    def pre_filter(self, profile: PodProfile, _snapshot: Snapshot) -> Requests:
        return profile.requests

    def filter(self, state: Requests, node: NodeInfo) -> Status | None:
        offer = node.allocatable
        wanted = (
            ("cpu", state.milli_cpu, node.milli_cpu, offer.milli_cpu),
            ("memory", state.memory, node.memory, offer.memory),
            ("ephemeral-storage", state.ephemeral_storage, node.ephemeral_storage, offer.ephemeral_storage),
        )
        reasons: list[str] = []
        unresolvable = False
        if len(node.pods) + 1 > offer.pods:
            reasons.append("Too many pods")
        for name, request, used, capacity in wanted:
            if request > 0 and request > capacity - used:
                reasons.append(f"Insufficient {name}")
                unresolvable |= request > capacity
        if state.scalars:
            capacities = dict(offer.scalars)
            for name, request in state.scalars:
                capacity = capacities.get(name, 0)
                if request > capacity - node.scalars.get(name, 0):
                    reasons.append(f"Insufficient {name}")
                    unresolvable |= request > capacity
        return _refused(reasons, unresolvable=unresolvable) if reasons else None

    def pre_score(self, profile: PodProfile, _snapshot: Snapshot, _nodes: Sequence[NodeInfo]) -> Requests:
        return profile.requests

    def score(self, state: Requests, node: NodeInfo) -> int:
        total = count = 0
        for capacity, requested in (
            (node.allocatable.milli_cpu, node.non_zero_milli_cpu + state.non_zero_milli_cpu),
            (node.allocatable.memory, node.non_zero_memory + state.non_zero_memory),
        ):
            if capacity:
                count += 1
                if requested <= capacity:
                    total += (capacity - requested) * MAX_NODE_SCORE // capacity
        return total // count if count else 0

    def normalize(self, scores: Sequence[int]) -> Sequence[int]:
        return scores

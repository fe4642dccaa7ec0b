"""NodeResourcesFit and NodeResourcesBalancedAllocation: does the Pod fit, is the node empty, is its use in balance.

Upstream: pkg/scheduler/framework/plugins/noderesources/{fit,least_allocated,balanced_allocation}.go @v1.36
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from kubesim.scheduler.framework import MAX_NODE_SCORE, SKIP, UNRESOLVABLE, UNSCHEDULABLE, Status
from kubesim.scheduler.profile import PodProfile
from kubesim.scheduler.resources import Requests
from kubesim.scheduler.snapshot import NodeInfo, Snapshot

FIT: Final = "NodeResourcesFit"
BALANCED: Final = "NodeResourcesBalancedAllocation"

_statuses: dict[tuple[str, tuple[str, ...]], Status] = {}


def _refused(reasons: Sequence[str], *, unresolvable: bool) -> Status:
    """One shared object per verdict: thousands of nodes tend to refuse for the same reason."""
    key = (UNRESOLVABLE if unresolvable else UNSCHEDULABLE, tuple(reasons))
    status = _statuses.get(key)
    if status is None:
        status = _statuses[key] = Status(key[0], FIT, *reasons)
    return status


class NodeResourcesFit:
    """State: the requests. Scores with the LeastAllocated strategy over cpu and memory."""

    name = FIT
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


class NodeResourcesBalancedAllocation:
    """State: the requests; Pods that ask for nothing are not scored, so that they do not pile up on one node."""

    name = BALANCED
    weight = 1

    def pre_score(self, profile: PodProfile, _snapshot: Snapshot, _nodes: Sequence[NodeInfo]) -> Any:
        requests = profile.requests
        return requests if requests.milli_cpu or requests.memory else SKIP

    def score(self, state: Requests, node: NodeInfo) -> int:
        offer = node.allocatable
        before = _balance(node.milli_cpu, offer.milli_cpu, node.memory, offer.memory)
        after = _balance(
            node.milli_cpu + state.milli_cpu, offer.milli_cpu, node.memory + state.memory, offer.memory
        )
        half = MAX_NODE_SCORE // 2
        # Go divides towards zero; half + after - before is never negative, so // is the same.
        return half + (half + after - before) // 2

    def normalize(self, scores: Sequence[int]) -> Sequence[int]:
        return scores


def _balance(milli_cpu: int, cpu_capacity: int, memory: int, memory_capacity: int) -> int:
    """100 when cpu and memory are used to the same fraction, 50 when one is full and the other empty."""
    if not cpu_capacity or not memory_capacity:
        return MAX_NODE_SCORE
    cpu_fraction = min(milli_cpu / cpu_capacity, 1.0)
    memory_fraction = min(memory / memory_capacity, 1.0)
    return int((1 - abs((cpu_fraction - memory_fraction) / 2)) * MAX_NODE_SCORE)

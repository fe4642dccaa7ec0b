"""NodeResourcesBalancedAllocation: a node whose cpu and memory are used to the same fraction is better.

Upstream: pkg/scheduler/framework/plugins/noderesources/balanced_allocation.go @v1.36
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from kubesim.scheduler.framework import MAX_NODE_SCORE, SKIP
from kubesim.scheduler.profile import PodProfile
from kubesim.scheduler.resources import Requests
from kubesim.scheduler.snapshot import NodeInfo, Snapshot

NAME: Final = "NodeResourcesBalancedAllocation"


class NodeResourcesBalancedAllocation:
    """State: the requests; Pods that ask for nothing are not scored, so that they do not pile up on one node."""

    name = NAME
    weight = 1

    def pre_score(self, profile: PodProfile, _snapshot: Snapshot, _nodes: Sequence[NodeInfo]) -> Any:
        requests = profile.requests
        return requests if requests.milli_cpu or requests.memory else SKIP

    def score(self, state: Requests, node: NodeInfo) -> int:
        offer = node.allocatable
        before = _balance(node.milli_cpu, offer.milli_cpu, node.memory, offer.memory)
        after = _balance(node.milli_cpu + state.milli_cpu, offer.milli_cpu, node.memory + state.memory, offer.memory)
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

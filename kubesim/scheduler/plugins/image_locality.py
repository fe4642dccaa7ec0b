"""ImageLocality: a node that has the Pod's images already is better, more so the larger they are.

Upstream: pkg/scheduler/framework/plugins/imagelocality/image_locality.go @v1.36
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from kubesim.scheduler.framework import MAX_NODE_SCORE
from kubesim.scheduler.profile import PodProfile
from kubesim.scheduler.snapshot import NodeInfo, Snapshot

NAME: Final = "ImageLocality"
_MEBIBYTE: Final = 1024 * 1024
_MIN_BYTES: Final = 23 * _MEBIBYTE
_MAX_BYTES_PER_CONTAINER: Final = 1000 * _MEBIBYTE


class Wanted(NamedTuple):
    """The Pod's images that some node has, each with its worth, and the number of containers."""

    worth: tuple[tuple[str, int], ...]
    container_count: int


class ImageLocality:
    """State: what each image of the Pod is worth. An image is worth less while few nodes have it."""

    name = NAME
    weight = 1

    def pre_score(self, profile: PodProfile, snapshot: Snapshot, _nodes: Sequence[NodeInfo]) -> Wanted:
        known, total = snapshot.images, len(snapshot.nodes)
        worth = []
        for name in profile.images:
            if name in known:
                size, node_count = known[name]
                worth.append((name, int(float(size) * (node_count / total))))
        return Wanted(tuple(worth), profile.container_count)

    def score(self, state: Wanted, node: NodeInfo) -> int:
        total = sum(worth for name, worth in state.worth if name in node.images) if state.worth else 0
        greatest = _MAX_BYTES_PER_CONTAINER * state.container_count
        total = max(_MIN_BYTES, min(total, greatest))
        return MAX_NODE_SCORE * (total - _MIN_BYTES) // (greatest - _MIN_BYTES)

    def normalize(self, scores: Sequence[int]) -> Sequence[int]:
        return scores

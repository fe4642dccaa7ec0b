"""NodeAffinity: the Pod's nodeSelector and node affinity against the node's labels and name.

Upstream: pkg/scheduler/framework/plugins/nodeaffinity/node_affinity.go @v1.36
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from kubesim.scheduler.framework import SKIP, UNRESOLVABLE, Status, default_normalize
from kubesim.scheduler.profile import PodProfile
from kubesim.scheduler.snapshot import NodeInfo, Snapshot

NAME: Final = "NodeAffinity"
_REFUSED: Final = Status(UNRESOLVABLE, NAME, "node(s) didn't match Pod's node affinity/selector")
_CONFLICT: Final = Status(UNRESOLVABLE, NAME, "pod affinity terms conflict")


def matches_required(profile: PodProfile, node: NodeInfo) -> bool:
    """Whether the node satisfies nodeSelector and required affinity.

    Upstream: component-helpers/scheduling/corev1/nodeaffinity/nodeaffinity.go:RequiredNodeAffinity.Match @v1.36
    """
    if profile.node_selector is not None and not profile.node_selector(node.labels):
        return False
    terms = profile.node_terms
    return terms is None or any(term(node.labels, node.name) for term in terms)


class NodeAffinity:
    """State: the profile itself. Where affinity names single nodes, the cycle looks at no others."""

    name = NAME
    weight = 2

    def pre_filter(self, profile: PodProfile, _snapshot: Snapshot) -> Any:
        if profile.node_selector is None and profile.node_terms is None:
            return SKIP
        if profile.node_names is not None and not profile.node_names:
            return _CONFLICT
        return profile

    def filter(self, state: PodProfile, node: NodeInfo) -> Status | None:
        return None if matches_required(state, node) else _REFUSED

    def pre_score(self, profile: PodProfile, _snapshot: Snapshot, _nodes: Sequence[NodeInfo]) -> Any:
        return profile if profile.preferred_node_terms else SKIP

    def score(self, state: PodProfile, node: NodeInfo) -> int:
        terms = state.preferred_node_terms
        return sum(weight for term, weight in terms if term(node.labels, node.name))

    def normalize(self, scores: Sequence[int]) -> Sequence[int]:
        return default_normalize(scores, reverse=False)

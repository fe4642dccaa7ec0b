"""TaintToleration: a node's NoSchedule and NoExecute taints must be tolerated, PreferNoSchedule ones cost score.

Upstream: pkg/scheduler/framework/plugins/tainttoleration/taint_toleration.go @v1.36
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from kubesim.api.objects import Object
from kubesim.scheduler.framework import UNRESOLVABLE, Status, default_normalize
from kubesim.scheduler.profile import PodProfile
from kubesim.scheduler.snapshot import NodeInfo, Snapshot
from kubesim.scheduler.terms import has_untolerated_taint, is_tolerated

NAME: Final = "TaintToleration"
_REFUSED: Final = Status(UNRESOLVABLE, NAME, "node(s) had untolerated taint(s)")
_SOFT: Final = "PreferNoSchedule"

Tolerations = Sequence[Object]


class TaintToleration:
    """Filter state: the tolerations; score state: those among them that can cover PreferNoSchedule."""

    name = NAME
    weight = 3

    def pre_filter(self, profile: PodProfile, _snapshot: Snapshot) -> Tolerations:
        return profile.tolerations

    def filter(self, state: Tolerations, node: NodeInfo) -> Status | None:
        return _REFUSED if node.taints and has_untolerated_taint(node.taints, state) else None

    def pre_score(self, profile: PodProfile, _snapshot: Snapshot, _nodes: Sequence[NodeInfo]) -> Tolerations:
        return [t for t in profile.tolerations if t.get("effect", "") in {"", _SOFT}]

    def score(self, state: Tolerations, node: NodeInfo) -> int:
        return sum(1 for taint in node.taints if taint["effect"] == _SOFT and not is_tolerated(taint, state))

    def normalize(self, scores: Sequence[int]) -> Sequence[int]:
        return default_normalize(scores, reverse=True)

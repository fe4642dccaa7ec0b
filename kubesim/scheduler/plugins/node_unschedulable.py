"""NodeUnschedulable: a cordoned node takes only Pods that tolerate that.

Upstream: pkg/scheduler/framework/plugins/nodeunschedulable/node_unschedulable.go @v1.36
"""

from __future__ import annotations

from typing import Final

from kubesim.scheduler.framework import UNRESOLVABLE, Status
from kubesim.scheduler.profile import PodProfile
from kubesim.scheduler.snapshot import NodeInfo, Snapshot
from kubesim.scheduler.terms import is_tolerated

NAME: Final = "NodeUnschedulable"
_TAINT: Final = {"key": "node.kubernetes.io/unschedulable", "effect": "NoSchedule"}
_REFUSED: Final = Status(UNRESOLVABLE, NAME, "node(s) were unschedulable")


class NodeUnschedulable:
    """State: whether the Pod tolerates the mark."""

    name = NAME

    def pre_filter(self, profile: PodProfile, _snapshot: Snapshot) -> bool:
        return is_tolerated(_TAINT, profile.tolerations)

    def filter(self, state: bool, node: NodeInfo) -> Status | None:
        return _REFUSED if node.unschedulable and not state else None

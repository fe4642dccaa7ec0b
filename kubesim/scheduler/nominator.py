"""Pods that preemption has promised a node: until their victims are gone they count there against equal and lower ones.

Upstream: pkg/scheduler/backend/queue/nominator.go @v1.36
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, final

from kubesim.scheduler.profile import PodProfile

_NOBODY: Final[Mapping[str, PodProfile]] = {}


@final
class Nominator:
    """Who is nominated where. `version` moves with every change."""

    __slots__ = ("_by_node", "_node_of", "version")

    def __init__(self) -> None:
        self.version = 0
        self._by_node: dict[str, dict[str, PodProfile]] = {}
        self._node_of: dict[str, str] = {}

    def add(self, uid: str, profile: PodProfile, node_name: str) -> None:
        """Nominate the Pod for the node, and for no other; no node's name takes the nomination away."""
        self.remove(uid)
        if node_name:
            self.version += 1
            self._node_of[uid] = node_name
            self._by_node.setdefault(node_name, {})[uid] = profile

    def remove(self, uid: str) -> None:
        """The Pod is nominated no longer; nothing happens where it was not."""
        node_name = self._node_of.pop(uid, None)
        if node_name is not None:
            self.version += 1
            nominated = self._by_node[node_name]
            del nominated[uid]
            if not nominated:
                del self._by_node[node_name]

    def on_node(self, node_name: str) -> Mapping[str, PodProfile]:
        """The Pods nominated for the node, by uid."""
        return self._by_node.get(node_name, _NOBODY)

    def is_empty_but_for(self, uid: str) -> bool:
        """Whether nobody else is nominated anywhere."""
        return not self._node_of or (len(self._node_of) == 1 and uid in self._node_of)

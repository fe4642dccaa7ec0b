"""Whether anything happens in a cluster but its heart beating: leases, reports of nodes that have nothing to report."""

from __future__ import annotations

from typing import Any, Final, final

from kubesim.api.objects import Object
from kubesim.store.log import Store
from kubesim.store.watch import Change

_HEARTBEATS: Final = ("leases.coordination.k8s.io", "events")


@final
class Activity:
    """The revision of the last write that was more than a heartbeat."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._looked = 0
        self._active = 0

    def __call__(self) -> int:
        """That revision; it grows with every such write."""
        looked = self._looked
        if self._store.revision == looked:
            return self._active
        for resource, table in self._store.tables.items():
            if resource in _HEARTBEATS:
                continue
            for change in reversed(table.history):
                if change.revision <= max(looked, self._active):
                    break
                if resource != "nodes" or not _is_heartbeat(change):
                    self._active = change.revision
                    break
        self._looked = self._store.revision
        return self._active


def _is_heartbeat(change: Change) -> bool:
    before, after = change.previous, change.obj
    return before is not None and before["spec"] == after["spec"] and _said(before) == _said(after)


def _said(node: Object) -> Any:
    """What a node says of itself, without when."""
    status = node.get("status") or {}
    conditions = [
        {name: value for name, value in condition.items() if name != "lastHeartbeatTime"}
        for condition in status.get("conditions") or ()
    ]
    return {**status, "conditions": conditions}, node["metadata"].get("labels"), node["metadata"].get("annotations")

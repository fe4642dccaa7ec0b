"""VolumeRestrictions: a ReadWriteOncePod claim serves one Pod at a time, wherever that runs.

Upstream: pkg/scheduler/framework/plugins/volumerestrictions/volume_restrictions.go @v1.36
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from kubesim.scheduler.framework import SKIP, UNRESOLVABLE, UNSCHEDULABLE, Status
from kubesim.scheduler.plugins.claims import not_found_text
from kubesim.scheduler.profile import PodProfile
from kubesim.scheduler.snapshot import NodeInfo, Snapshot

NAME: Final = "VolumeRestrictions"
_IN_USE: Final = Status(
    UNSCHEDULABLE,
    NAME,
    "node(s) unavailable due to PersistentVolumeClaim with ReadWriteOncePod access mode already in-use by another pod",
)


class Conflicts(NamedTuple):
    """How many of the Pod's exclusive claims other Pods use now."""

    namespace: str
    claims: frozenset[str]
    users: int


class VolumeRestrictions:
    """Refuses every node while another Pod has the claim."""

    name = NAME

    def pre_filter(self, profile: PodProfile, snapshot: Snapshot) -> Any:
        exclusive = []
        for name, is_ephemeral in profile.claims:
            if is_ephemeral:
                continue
            claim = snapshot.listers.claims.get(profile.namespace, name)
            if claim is None:
                return Status(UNRESOLVABLE, NAME, not_found_text("persistentvolumeclaim", name))
            if "ReadWriteOncePod" in (claim["spec"].get("accessModes") or ()):
                exclusive.append(name)
        used = sum(1 for name in exclusive if (profile.namespace, name) in snapshot.claims_in_use)
        return Conflicts(profile.namespace, frozenset(exclusive), used) if used else SKIP

    def filter(self, state: Conflicts, _node: NodeInfo) -> Status | None:
        return _IN_USE if state.users > 0 else None

    def with_pod(self, state: Conflicts, pod: PodProfile, _node: NodeInfo, delta: int) -> Conflicts:
        if pod.namespace != state.namespace:
            return state
        shared = sum(1 for claim in pod.claims if claim.name in state.claims)
        return state._replace(users=state.users + delta * shared) if shared else state

"""NodeVolumeLimits: a node attaches only so many volumes of one CSI driver.

Upstream: pkg/scheduler/framework/plugins/nodevolumelimits/csi.go @v1.36
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from kubesim.scheduler.framework import SKIP, UNSCHEDULABLE, Status
from kubesim.scheduler.plugins.claims import driver_of
from kubesim.scheduler.profile import PodProfile
from kubesim.scheduler.snapshot import Listers, NodeInfo, Snapshot
from kubesim.scheduler.terms import field

NAME: Final = "NodeVolumeLimits"
_EXCEEDED: Final = Status(UNSCHEDULABLE, NAME, "node(s) exceed max volume count")

Volume = tuple[str, str]


class Wanted(NamedTuple):
    """The CSI volumes of the incoming Pod, each as its driver and handle."""

    volumes: frozenset[Volume]
    listers: Listers


def _csi_volumes(profile: PodProfile, listers: Listers) -> set[Volume]:
    claims = (listers.claims.get(profile.namespace, claim.name) for claim in profile.claims)
    volumes = (driver_of(claim, listers) for claim in claims if claim is not None)
    return {volume for volume in volumes if volume is not None}


class NodeVolumeLimits:
    """Counts each volume once, however many Pods of the node use it."""

    name = NAME

    def pre_filter(self, profile: PodProfile, snapshot: Snapshot) -> Any:
        wanted = _csi_volumes(profile, snapshot.listers)
        return Wanted(frozenset(wanted), snapshot.listers) if wanted else SKIP

    def filter(self, state: Wanted, node: NodeInfo) -> Status | None:
        drivers = field(state.listers.csi_nodes.get("", node.name), "spec", "drivers") or ()
        limits = {driver["name"]: field(driver, "allocatable", "count") for driver in drivers}
        attached: set[Volume] = set()
        for profile in node.profiles:
            attached |= _csi_volumes(profile, state.listers)
        new, old = _per_driver(state.volumes - attached), _per_driver(attached)
        for driver, count in new.items():
            limit = limits.get(driver)
            if limit is not None and old.get(driver, 0) + count > limit:
                return _EXCEEDED
        return None


def _per_driver(volumes: set[Volume] | frozenset[Volume]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for driver, _ in sorted(volumes):
        counts[driver] = counts.get(driver, 0) + 1
    return counts

"""VolumeZone: a Pod goes only where the zone labels of its bound volumes allow.

Upstream: pkg/scheduler/framework/plugins/volumezone/volume_zone.go @v1.36
"""

from __future__ import annotations

from typing import Any, Final

from kubesim.api.objects import labels_of
from kubesim.api.volume_binding import class_name_of
from kubesim.scheduler.framework import SKIP, UNRESOLVABLE, Status
from kubesim.scheduler.plugins.claims import not_found_text
from kubesim.scheduler.profile import PodProfile
from kubesim.scheduler.snapshot import REGION_LABEL, ZONE_LABEL, NodeInfo, Snapshot

NAME: Final = "VolumeZone"
_REFUSED: Final = Status(UNRESOLVABLE, NAME, "node(s) had no available volume zone")
# Each label with the one that has replaced it.
_TOPOLOGY_LABELS: Final = {
    "failure-domain.beta.kubernetes.io/zone": ZONE_LABEL,
    "failure-domain.beta.kubernetes.io/region": REGION_LABEL,
    ZONE_LABEL: ZONE_LABEL,
    REGION_LABEL: REGION_LABEL,
}
# Several zones in one label are joined so. Upstream: component-helpers/cloud-provider volume helpers @v1.36
_SEPARATOR: Final = "__"

Topology = tuple[tuple[str, frozenset[str]], ...]


class VolumeZone:
    """State: the zones and regions that the volumes are in."""

    name = NAME

    def pre_filter(self, profile: PodProfile, snapshot: Snapshot) -> Any:
        topology: list[tuple[str, frozenset[str]]] = []
        listers = snapshot.listers
        for name, is_ephemeral in profile.claims:
            if is_ephemeral:
                continue
            claim = listers.claims.get(profile.namespace, name)
            if claim is None:
                return Status(UNRESOLVABLE, NAME, not_found_text("persistentvolumeclaim", name))
            volume_name = claim["spec"].get("volumeName")
            if not volume_name:
                refused = _unbound(class_name_of(claim), snapshot)
                if refused is not None:
                    return refused
                continue
            volume = listers.volumes.get("", volume_name)
            if volume is None:
                return Status(UNRESOLVABLE, NAME, not_found_text("persistentvolume", volume_name))
            labels = labels_of(volume)
            topology += [(k, frozenset(labels[k].split(_SEPARATOR))) for k in _TOPOLOGY_LABELS if k in labels]
        return tuple(topology) or SKIP

    def filter(self, state: Topology, node: NodeInfo) -> Status | None:
        labels = node.labels
        if not any(key in labels for key in _TOPOLOGY_LABELS):
            return None
        for key, zones in state:
            if (labels.get(key) or labels.get(_TOPOLOGY_LABELS[key])) not in zones:
                return _REFUSED
        return None


def _unbound(class_name: str, snapshot: Snapshot) -> Status | None:
    """The verdict on a claim without a volume: fine only where the volume waits for the node."""
    if not class_name:
        return Status(UNRESOLVABLE, NAME, "PersistentVolumeClaim had no pv name and storageClass name")
    storage_class = snapshot.listers.storage_classes.get("", class_name)
    if storage_class is None:
        return Status(UNRESOLVABLE, NAME, not_found_text("storageclass.storage.k8s.io", class_name))
    if storage_class.get("volumeBindingMode") == "WaitForFirstConsumer":
        return None
    return Status(UNRESOLVABLE, NAME, "PersistentVolume had no name")

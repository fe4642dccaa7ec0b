"""VolumeBinding: the node must reach the Pod's bound volumes, and unbound ones are chosen together with the node.

Upstream: pkg/scheduler/framework/plugins/volumebinding/{volume_binding,binder}.go @v1.36,
component-helpers/storage/volume/pv_helpers.go:FindMatchingVolume @v0.36
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from kubesim.api.objects import Object, annotations_of, labels_of
from kubesim.api.quantity import value
from kubesim.api.selectors import compile_selector, matches_node_selector
from kubesim.api.volume_binding import SELECTED_NODE, class_name_of, is_bound_to, volume_mode_of, waits_for_consumer
from kubesim.scheduler.framework import SKIP, UNRESOLVABLE, Status
from kubesim.scheduler.plugins.claims import NO_PROVISIONER, is_fully_bound, not_found_text
from kubesim.scheduler.profile import PodProfile
from kubesim.scheduler.snapshot import Listers, NodeInfo, Snapshot
from kubesim.scheduler.terms import field

NAME: Final = "VolumeBinding"
_CONFLICT: Final = "node(s) didn't match PersistentVolume's node affinity"
_NO_VOLUME: Final = "node(s) didn't find available persistent volumes to bind"
_NOT_EXIST: Final = "node(s) unavailable due to one or more pvc(s) bound to non-existent pv(s)"
_IMMEDIATE: Final = Status(UNRESOLVABLE, NAME, "pod has unbound immediate PersistentVolumeClaims")


class ClaimState(NamedTuple):
    """The Pod's claims: those that have their volume, and those that wait for a node."""

    bound: tuple[Object, ...]
    waiting: tuple[Object, ...]
    listers: Listers
    assumed: dict[str, Object]


class Plan(NamedTuple):
    """What binding the Pod to one node means for its volumes."""

    bindings: tuple[tuple[Object, Object], ...] = ()
    provisions: tuple[Object, ...] = ()


class VolumeBinding:
    """Filters by volumes; `plan` tells what is to be written once the node is chosen.

    `assumed` holds the volumes promised to claims whose binding has not come back through the informers, by name.
    """

    name = NAME

    def __init__(self) -> None:
        self.assumed: dict[str, Object] = {}

    def pre_filter(self, profile: PodProfile, snapshot: Snapshot) -> Any:
        if not profile.claims:
            return SKIP
        listers = snapshot.listers
        bound, waiting = [], []
        immediate = False
        for name, is_ephemeral in profile.claims:
            claim = listers.claims.get(profile.namespace, name)
            problem = _problem(claim, name, is_ephemeral=is_ephemeral)
            if problem or claim is None:
                return Status(UNRESOLVABLE, NAME, problem)
            if is_fully_bound(claim):
                bound.append(claim)
            elif not claim["spec"].get("volumeName") and waits_for_consumer(
                listers.storage_classes.get("", class_name_of(claim))
            ):
                waiting.append(claim)
            else:
                immediate = True
        if immediate:
            return _IMMEDIATE
        return ClaimState(tuple(bound), tuple(waiting), listers, self.assumed)

    def filter(self, state: ClaimState, node: NodeInfo) -> Status | None:
        reasons = []
        for claim in state.bound:
            volume = state.listers.volumes.get("", claim["spec"]["volumeName"])
            if volume is None:
                reasons.append(_NOT_EXIST)
                break
            if not reaches(volume, node):
                reasons.append(_CONFLICT)
                break
        if state.waiting and self.plan(state, node) is None:
            reasons.append(_NO_VOLUME)
        return Status(UNRESOLVABLE, NAME, *reasons) if reasons else None

    def plan(self, state: ClaimState, node: NodeInfo) -> Plan | None:
        """The volumes to bind and the claims to have provisioned on this node, or None where that cannot be."""
        to_match, to_provision = [], []
        for claim in state.waiting:
            selected = annotations_of(claim).get(SELECTED_NODE)
            if selected is None:
                to_match.append(claim)
            elif selected != node.name:
                return None
            else:
                to_provision.append(claim)
        bindings: list[tuple[Object, Object]] = []
        taken = dict(state.assumed)
        for claim in sorted(to_match, key=_requested_bytes):
            volume = find_matching_volume(claim, state.listers, node, taken)
            if volume is None:
                to_provision.append(claim)
            else:
                taken[volume["metadata"]["name"]] = claim
                bindings.append((volume, claim))
        if not all(_can_provision(claim, state.listers, node) for claim in to_provision):
            return None
        return Plan(tuple(bindings), tuple(to_provision))


def _problem(claim: Object | None, name: str, *, is_ephemeral: bool) -> str:
    """What keeps the claim from being used at all, or nothing."""
    if claim is None:
        if is_ephemeral:
            return f'waiting for ephemeral volume controller to create the persistentvolumeclaim "{name}"'
        return not_found_text("persistentvolumeclaim", name)
    if field(claim, "status", "phase") == "Lost":
        volume_name = claim["spec"].get("volumeName", "")
        return f'persistentvolumeclaim "{name}" bound to non-existent persistentvolume "{volume_name}"'
    if "deletionTimestamp" in claim["metadata"]:
        return f'persistentvolumeclaim "{name}" is being deleted'
    return ""


def reaches(volume: Object, node: NodeInfo) -> bool:
    """Whether the volume can be used from the node."""
    required = field(volume, "spec", "nodeAffinity", "required")
    return required is None or matches_node_selector(required, node.labels, node.name)


def _requested_bytes(claim: Object) -> int:
    return value((field(claim, "spec", "resources", "requests") or {}).get("storage", 0))


def find_matching_volume(claim: Object, listers: Listers, node: NodeInfo, taken: dict[str, Object]) -> Object | None:
    """The volume that is the claim's already, else the smallest free one that suits it and the node."""
    spec = claim["spec"]
    wanted_bytes = _requested_bytes(claim)
    class_name = class_name_of(claim)
    selects = compile_selector(spec["selector"]) if spec.get("selector") is not None else None
    modes = frozenset(spec.get("accessModes") or ())
    best: Object | None = None
    best_bytes = 0
    for volume in listers.volumes.all():
        offer = volume["spec"]
        if volume["metadata"]["name"] in taken or "deletionTimestamp" in volume["metadata"]:
            continue
        capacity_bytes = value((offer.get("capacity") or {}).get("storage", 0))
        if capacity_bytes < wanted_bytes or volume_mode_of(volume) != volume_mode_of(claim):
            continue
        if offer.get("claimRef") is not None:
            if class_name_of(volume) == class_name and is_bound_to(volume, claim):
                return volume if reaches(volume, node) else None
            continue
        fits = (
            field(volume, "status", "phase") == "Available"
            and class_name_of(volume) == class_name
            and (selects is None or selects(labels_of(volume)))
            and modes.issubset(offer.get("accessModes") or ())
            and reaches(volume, node)
        )
        if fits and (best is None or capacity_bytes < best_bytes):
            best, best_bytes = volume, capacity_bytes
    return best


def _can_provision(claim: Object, listers: Listers, node: NodeInfo) -> bool:
    """Upstream: binder.go:checkVolumeProvisions, without CSIStorageCapacity @v1.36"""
    storage_class = listers.storage_classes.get("", class_name_of(claim))
    if storage_class is None or storage_class.get("provisioner", "") in {"", NO_PROVISIONER}:
        return False
    topologies = storage_class.get("allowedTopologies") or ()
    return not topologies or any(
        all(node.labels.get(e["key"]) in e["values"] for e in term.get("matchLabelExpressions") or ())
        for term in topologies
    )

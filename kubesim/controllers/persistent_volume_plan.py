"""Which volume a claim gets, and what both look like once they are bound, unbound or lost. Pure functions.

Upstream: pkg/controller/volume/persistentvolume/{pv_controller,index}.go,
component-helpers/storage/volume/pv_helpers.go @v1.36
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from kubesim.api.objects import Object, annotations_of, labels_of, with_metadata, with_status
from kubesim.api.quantity import compare, value
from kubesim.api.selectors import compile_selector
from kubesim.api.volume_binding import BIND_COMPLETED, BOUND_BY_CONTROLLER, class_name_of, is_bound_to, volume_mode_of
from kubesim.controllers.volume_claims import (
    BETA_STORAGE_PROVISIONER,
    PROVISIONED_BY,
    STORAGE_PROVISIONER,
    claim_reference,
)

# What keeps a volume of an in-tree plugin until its contents are deleted.
IN_TREE_FINALIZER: Final = "kubernetes.io/pv-controller"
IN_TREE_PREFIX: Final = "kubernetes.io/"

# In-tree plugins whose work the CSI drivers of the clouds do.
# Upstream: csi-translation-lib/plugins @v1.36, all migrated for good
_MIGRATED: Final = {
    "kubernetes.io/aws-ebs": "ebs.csi.aws.com",
    "kubernetes.io/azure-disk": "disk.csi.azure.com",
    "kubernetes.io/azure-file": "file.csi.azure.com",
    "kubernetes.io/cinder": "cinder.csi.openstack.org",
    "kubernetes.io/gce-pd": "pd.csi.storage.gke.io",
    "kubernetes.io/portworx-volume": "pxd.portworx.com",
    "kubernetes.io/vsphere-volume": "csi.vsphere.vmware.com",
}
_MODE_ORDER: Final = ("ReadWriteOnce", "ReadOnlyMany", "ReadWriteMany", "ReadWriteOncePod")


def csi_name(provisioner: str) -> str:
    """The provisioner itself, or the CSI driver that an in-tree plugin has been migrated to."""
    return _MIGRATED.get(provisioner, provisioner)


def phase_of(obj: Object) -> str:
    """The phase in the status of a claim or a volume."""
    phase: str = (obj.get("status") or {}).get("phase", "")
    return phase


def _capacity(volume: Object) -> str | int:
    capacity: str | int = (volume["spec"].get("capacity") or {}).get("storage", 0)
    return capacity


def requested_storage(claim: Object) -> str | int:
    """How much the claim asks for, as it says it."""
    requests = (claim["spec"].get("resources") or {}).get("requests") or {}
    storage: str | int = requests.get("storage", 0)
    return storage


def _attributes_class(obj: Object) -> str:
    name: str = obj["spec"].get("volumeAttributesClassName") or ""
    return name


def explain_mismatch(volume: Object, claim: Object) -> str:
    """Why a volume that the claim names cannot be its own, or nothing. Upstream: checkVolumeSatisfyClaim @v1.36"""
    metadata = volume["metadata"]
    if "deletionTimestamp" in metadata:
        return f'the volume is marked for deletion "{metadata["name"]}"'
    if value(_capacity(volume)) < value(requested_storage(claim)):
        return "requested PV is too small"
    if class_name_of(volume) != class_name_of(claim):
        return "storageClassName does not match"
    if _attributes_class(volume) != _attributes_class(claim):
        return "volumeAttributesClassName does not match"
    if volume_mode_of(volume) != volume_mode_of(claim):
        return "incompatible volumeMode"
    if not set(claim["spec"].get("accessModes") or ()).issubset(volume["spec"].get("accessModes") or ()):
        return "incompatible accessMode"
    return ""


def find_matching_volume(claim: Object, volumes: Iterable[Object], *, is_delayed: bool) -> Object | None:
    """The volume that is reserved for the claim, else the smallest free one, of those with the fewest access modes.

    `is_delayed` says that the scheduler chooses: then no free one counts. Node affinity is the scheduler's alone.
    Upstream: index.go:findByClaim, pv_helpers.go:FindMatchingVolume @v1.36
    """
    wanted = set(claim["spec"].get("accessModes") or ())
    by_modes: dict[tuple[int, ...], list[Object]] = {}
    for volume in volumes:
        offered = volume["spec"].get("accessModes") or ()
        if wanted.issubset(offered):
            modes = tuple(position for position, mode in enumerate(_MODE_ORDER) if mode in offered)
            by_modes.setdefault(modes, []).append(volume)
    for modes in sorted(by_modes, key=lambda modes: (len(modes), modes)):
        found = _find_among(claim, by_modes[modes], is_delayed=is_delayed)
        if found is not None:
            return found
    return None


def _find_among(claim: Object, volumes: list[Object], *, is_delayed: bool) -> Object | None:
    spec = claim["spec"]
    selects = compile_selector(spec["selector"]) if spec.get("selector") is not None else None
    requested, class_name = requested_storage(claim), class_name_of(claim)
    smallest: Object | None = None
    for volume in volumes:
        is_reserved = is_bound_to(volume, claim)
        if (
            (volume["spec"].get("claimRef") is not None and not is_reserved)
            or "deletionTimestamp" in volume["metadata"]
            or volume_mode_of(volume) != volume_mode_of(claim)
            or _attributes_class(volume) != _attributes_class(claim)
            or compare(_capacity(volume), requested) < 0
        ):
            continue
        if is_reserved:
            return volume
        if (
            not is_delayed
            and phase_of(volume) == "Available"
            and (selects is None or selects(labels_of(volume)))
            and class_name_of(volume) == class_name
            and (smallest is None or compare(_capacity(volume), _capacity(smallest)) < 0)
        ):
            smallest = volume
    return smallest


def _annotated(obj: Object, **annotations: str) -> Object:
    return with_metadata(obj, annotations={**annotations_of(obj), **annotations})


def with_claim(volume: Object, claim: Object) -> Object:
    """The volume bound to the claim; itself if it is. Upstream: pv_helpers.go:GetBindVolumeToClaim @v1.36"""
    was_reserved = is_bound_to(volume, claim)
    reference = volume["spec"].get("claimRef")
    if not was_reserved or reference.get("uid") != claim["metadata"]["uid"]:
        volume = {**volume, "spec": {**volume["spec"], "claimRef": claim_reference(claim)}}
    if not was_reserved and BOUND_BY_CONTROLLER not in annotations_of(volume):
        volume = _annotated(volume, **{BOUND_BY_CONTROLLER: "yes"})
    return volume


def without_claim(volume: Object) -> Object:
    """The volume unbound again: free, or still reserved by name where a user did that. Upstream: unbindVolume @v1.36"""
    spec = {**volume["spec"]}
    if BOUND_BY_CONTROLLER not in annotations_of(volume):
        spec["claimRef"] = {name: item for name, item in spec["claimRef"].items() if name != "uid"}
        return {**volume, "spec": spec}
    del spec["claimRef"]
    left = {name: text for name, text in annotations_of(volume).items() if name != BOUND_BY_CONTROLLER}
    return with_metadata({**volume, "spec": spec}, annotations=left or None)


def with_volume(claim: Object, volume: Object) -> Object:
    """The claim bound to the volume; itself if it is. Upstream: bindClaimToVolume @v1.36"""
    name = volume["metadata"]["name"]
    if claim["spec"].get("volumeName") != name:
        claim = _annotated({**claim, "spec": {**claim["spec"], "volumeName": name}}, **{BOUND_BY_CONTROLLER: "yes"})
    return claim if BIND_COMPLETED in annotations_of(claim) else _annotated(claim, **{BIND_COMPLETED: "yes"})


def with_provisioner(claim: Object, provisioner: str) -> Object:
    """The claim as given to the provisioner; itself if it is. Upstream: setClaimProvisioner @v1.36"""
    if annotations_of(claim).get(STORAGE_PROVISIONER) == provisioner:
        return claim
    return _annotated(claim, **{BETA_STORAGE_PROVISIONER: provisioner, STORAGE_PROVISIONER: provisioner})


def with_claim_phase(claim: Object, phase: str, volume: Object | None) -> Object:
    """The claim in this phase, with what the volume offers; itself if nothing differs.

    The capacity follows the volume's only when the phase changes: later ones are those of a file system's growth.
    Upstream: updateClaimStatus @v1.36
    """
    status = claim.get("status") or {}
    changed = {**status, "phase": phase}
    if volume is None:
        for field in ("accessModes", "capacity", "currentVolumeAttributesClassName"):
            changed.pop(field, None)
    else:
        changed["accessModes"] = volume["spec"].get("accessModes") or []
        if status.get("phase") != phase:
            changed["capacity"] = volume["spec"].get("capacity") or {}
        name = volume["spec"].get("volumeAttributesClassName")
        if name is not None and status.get("phase") == "Pending" and phase == "Bound":
            changed["currentVolumeAttributesClassName"] = name
    return claim if changed == status else {**claim, "status": changed}


def with_volume_phase(volume: Object, phase: str, message: str = "") -> Object:
    """The volume in this phase; itself if it is."""
    return volume if phase_of(volume) == phase else with_status(volume, phase=phase, message=message or None)


def with_deletion_finalizer(volume: Object) -> Object:
    """A volume of an in-tree plugin with or without the finalizer that its policy asks for; itself if it is right.

    Upstream: pv_controller_base.go:modifyDeletionFinalizers @v1.36
    """
    provisioner = annotations_of(volume).get(PROVISIONED_BY, "")
    if not provisioner.startswith(IN_TREE_PREFIX) or provisioner in _MIGRATED:
        return volume
    finalizers = volume["metadata"].get("finalizers") or []
    is_wanted = volume["spec"].get("persistentVolumeReclaimPolicy") == "Delete"
    if is_wanted == (IN_TREE_FINALIZER in finalizers):
        return volume
    if is_wanted:
        return with_metadata(volume, finalizers=[*finalizers, IN_TREE_FINALIZER])
    return without_finalizer(volume, IN_TREE_FINALIZER)


def without_finalizer(obj: Object, finalizer: str) -> Object:
    """The object without the finalizer; itself if it has none such."""
    finalizers = obj["metadata"].get("finalizers") or ()
    if finalizer not in finalizers:
        return obj
    return with_metadata(obj, finalizers=[name for name in finalizers if name != finalizer] or None)


def is_released(volume: Object, claim: Object | None) -> bool:
    """Whether the volume's claim is gone, or has another volume. `claim` is the one of the name that it refers to.

    Upstream: isVolumeReleased @v1.36
    """
    reference = volume["spec"].get("claimRef") or {}
    if not reference.get("uid"):
        return False
    if claim is None or claim["metadata"]["uid"] != reference["uid"]:
        return True
    return claim["spec"].get("volumeName", "") not in ("", volume["metadata"]["name"])


def is_provisioned(volume: Object) -> bool:
    """Whether the volume was made for a claim."""
    return PROVISIONED_BY in annotations_of(volume)

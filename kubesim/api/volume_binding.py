"""How claims and volumes name each other: what the volume controllers and the scheduler both read and write.

Upstream: component-helpers/storage/volume/{helpers,pv_helpers}.go @v1.36
"""

from __future__ import annotations

from typing import Final

from kubesim.api.objects import Object, annotations_of

SELECTED_NODE: Final = "volume.kubernetes.io/selected-node"
BIND_COMPLETED: Final = "pv.kubernetes.io/bind-completed"
BOUND_BY_CONTROLLER: Final = "pv.kubernetes.io/bound-by-controller"
CLASS_ANNOTATION: Final = "volume.beta.kubernetes.io/storage-class"


def class_name_of(obj: Object) -> str:
    """The storage class that a claim or a volume names, or nothing."""
    annotated = annotations_of(obj).get(CLASS_ANNOTATION)
    name: str = annotated if annotated is not None else obj["spec"].get("storageClassName") or ""
    return name


def volume_mode_of(obj: Object) -> str:
    """Filesystem or Block, of a claim or a volume."""
    mode: str = obj["spec"].get("volumeMode", "Filesystem")
    return mode


def waits_for_consumer(storage_class: Object | None) -> bool:
    """Whether the class leaves the choice of a volume to the scheduler."""
    return storage_class is not None and storage_class.get("volumeBindingMode") == "WaitForFirstConsumer"


def is_bound_to(volume: Object, claim: Object) -> bool:
    """Whether the volume is reserved for the claim, by name, and by uid if it says one."""
    reference = volume["spec"].get("claimRef")
    if reference is None:
        return False
    metadata = claim["metadata"]
    if (reference.get("namespace"), reference.get("name")) != (metadata["namespace"], metadata["name"]):
        return False
    return not reference.get("uid") or reference["uid"] == metadata["uid"]

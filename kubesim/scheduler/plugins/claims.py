"""The claims of a Pod as the volume plugins see them.

Upstream: pkg/scheduler/framework/plugins/volumebinding/{volume_binding,binder}.go,
component-helpers/storage/volume/helpers.go @v1.36
"""

from __future__ import annotations

from typing import Final

from kubesim.api.objects import Object, annotations_of
from kubesim.scheduler.snapshot import Listers
from kubesim.scheduler.terms import field

SELECTED_NODE: Final = "volume.kubernetes.io/selected-node"
BIND_COMPLETED: Final = "pv.kubernetes.io/bind-completed"
BOUND_BY_CONTROLLER: Final = "pv.kubernetes.io/bound-by-controller"
CLASS_ANNOTATION: Final = "volume.beta.kubernetes.io/storage-class"
NO_PROVISIONER: Final = "kubernetes.io/no-provisioner"


def not_found_text(kind: str, name: str) -> str:
    """What a lister says of an object that is not there."""
    return f'{kind} "{name}" not found'


def class_name_of(obj: Object) -> str:
    """The storage class that a claim or a volume names."""
    annotated = annotations_of(obj).get(CLASS_ANNOTATION)
    name: str = annotated if annotated is not None else obj["spec"].get("storageClassName") or ""
    return name


def is_fully_bound(claim: Object) -> bool:
    """Whether the volume controller has finished with the claim."""
    return bool(claim["spec"].get("volumeName")) and BIND_COMPLETED in annotations_of(claim)


def waits_for_consumer(claim: Object, listers: Listers) -> bool:
    """Whether the claim's volume is chosen together with the Pod's node."""
    storage_class = listers.storage_classes.get("", class_name_of(claim))
    return storage_class is not None and storage_class.get("volumeBindingMode") == "WaitForFirstConsumer"


def is_bound_to(volume: Object, claim: Object) -> bool:
    """Whether the volume is reserved for this very claim."""
    reference = volume["spec"].get("claimRef")
    metadata = claim["metadata"]
    if reference is None:
        return False
    if (reference.get("namespace"), reference.get("name")) != (metadata.get("namespace"), metadata["name"]):
        return False
    uid = reference.get("uid")
    return not uid or uid == metadata.get("uid")


def driver_of(claim: Object, listers: Listers) -> tuple[str, str] | None:
    """The CSI driver behind a claim and what tells its volume apart, or None where no CSI driver is behind it."""
    volume_name = claim["spec"].get("volumeName")
    if volume_name:
        source = field(listers.volumes.get("", volume_name), "spec", "csi")
        return None if source is None else (source["driver"], source["volumeHandle"])
    storage_class = listers.storage_classes.get("", class_name_of(claim))
    if storage_class is None:
        return None
    metadata = claim["metadata"]
    return storage_class.get("provisioner", ""), f"{metadata.get('namespace', '')}/{metadata['name']}"

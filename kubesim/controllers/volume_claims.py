"""What the volume controllers ask about claims, the classes they name and the Pods that use them.

Upstream: pkg/controller/volume/common/common.go, component-helpers/storage/{volume,ephemeral},
pkg/volume/util/{util,storageclass}.go @v1.36
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from kubesim.api.objects import Object, annotations_of
from kubesim.api.volume_binding import CLASS_ANNOTATION
from kubesim.client.informer import Lister

STORAGE_PROVISIONER: Final = "volume.kubernetes.io/storage-provisioner"
BETA_STORAGE_PROVISIONER: Final = "volume.beta.kubernetes.io/storage-provisioner"
PROVISIONED_BY: Final = "pv.kubernetes.io/provisioned-by"
_DEFAULT_CLASS_ANNOTATIONS: Final = (
    "storageclass.kubernetes.io/is-default-class",
    "storageclass.beta.kubernetes.io/is-default-class",
)
_BY_CLAIM: Final = "claim"


def claim_names(pod: Object) -> list[str]:
    """The names of the claims that the Pod's volumes are, those made for its ephemeral volumes among them."""
    names = []
    for volume in pod["spec"].get("volumes") or ():
        if "persistentVolumeClaim" in volume:
            names.append(volume["persistentVolumeClaim"]["claimName"])
        elif "ephemeral" in volume:
            names.append(f"{pod['metadata']['name']}-{volume['name']}")
    return names


def _claim_values(pod: Object) -> tuple[str, ...]:
    names = claim_names(pod)
    return tuple(f"{pod['metadata']['namespace']}/{name}" for name in names) if names else ()


def index_by_claim(lister: Lister) -> None:
    """Have the lister of Pods answer `pods_using`."""
    lister.add_index(_BY_CLAIM, _claim_values)


def pods_using(lister: Lister, namespace: str, claim_name: str) -> list[Object]:
    """The Pods that refer to the claim, in the order in which they appeared."""
    return lister.by_index(_BY_CLAIM, f"{namespace}/{claim_name}")


def is_terminated(pod: Object) -> bool:
    """Whether none of the Pod's containers runs or will run again. Upstream: util.go:IsPodTerminated @v1.36"""
    status = pod.get("status") or {}
    if status.get("phase") in ("Succeeded", "Failed"):
        return True
    if "deletionTimestamp" not in pod["metadata"]:
        return False
    states = (container.get("state") or {} for container in status.get("containerStatuses") or ())
    return all("terminated" in state or "waiting" in state for state in states)


def has_class(claim: Object) -> bool:
    """Whether the claim says anything of a class; the empty one says that it wants none."""
    return CLASS_ANNOTATION in annotations_of(claim) or claim["spec"].get("storageClassName") is not None


def default_class(classes: Iterable[Object]) -> Object | None:
    """The newest of the classes that are marked as default, of equally new ones the first by name.

    Upstream: storageclass.go:GetDefaultClass @v1.36
    """
    marked = [
        storage_class
        for storage_class in classes
        if any(annotations_of(storage_class).get(name) == "true" for name in _DEFAULT_CLASS_ANNOTATIONS)
    ]
    marked.sort(key=lambda storage_class: storage_class["metadata"]["name"])
    marked.sort(key=lambda storage_class: storage_class["metadata"]["creationTimestamp"], reverse=True)
    return marked[0] if marked else None


def provisioner_of(claim: Object) -> str:
    """Who has been asked to make the claim's volume, or nothing."""
    annotations = annotations_of(claim)
    return annotations.get(STORAGE_PROVISIONER) or annotations.get(BETA_STORAGE_PROVISIONER, "")


def provisioned_name(claim: Object) -> str:
    """The name of a volume made for the claim."""
    return f"pvc-{claim['metadata']['uid']}"


def claim_reference(claim: Object) -> Object:
    """What a volume's `claimRef` to the claim is. Upstream: client-go/tools/reference/ref.go:GetReference @v1.36"""
    metadata = claim["metadata"]
    return {
        "kind": "PersistentVolumeClaim",
        "namespace": metadata["namespace"],
        "name": metadata["name"],
        "uid": metadata["uid"],
        "apiVersion": "v1",
        "resourceVersion": metadata["resourceVersion"],
    }

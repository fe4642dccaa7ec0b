"""The claims of a Pod as the volume plugins see them.

Upstream: pkg/scheduler/framework/plugins/volumebinding/{volume_binding,binder}.go,
component-helpers/storage/volume/helpers.go @v1.36
"""

from __future__ import annotations

from typing import Final

from kubesim.api.objects import Object, annotations_of
from kubesim.api.volume_binding import BIND_COMPLETED, class_name_of
from kubesim.scheduler.snapshot import Listers
from kubesim.scheduler.terms import field

NO_PROVISIONER: Final = "kubernetes.io/no-provisioner"


def not_found_text(kind: str, name: str) -> str:
    """What a lister says of an object that is not there."""
    return f'{kind} "{name}" not found'


def is_fully_bound(claim: Object) -> bool:
    """Whether the volume controller has finished with the claim."""
    return bool(claim["spec"].get("volumeName")) and BIND_COMPLETED in annotations_of(claim)


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

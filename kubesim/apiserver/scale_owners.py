"""Owners of a workload's size, between the workload's own fields and those of its scale.

Upstream: apimachinery/pkg/util/managedfields/scalehandler.go:ToSubresource, ToParent @v1.36
"""

from __future__ import annotations

from kubesim.api.objects import Object
from kubesim.api.ownership.field_sets import EMPTY, difference, has, of_paths
from kubesim.api.ownership.managers import APPLY, Manager, Owned, Owners, Structure, Writer, after_update

_VERSION = "autoscaling/v1"
SCALE = Structure("io.k8s.api.autoscaling.v1.Scale", EMPTY)
_SIZE = ("f:spec", "f:replicas")
_SIZE_ALONE = of_paths([_SIZE])


def to_scale(parents: Owners, api_version: str) -> Owners:
    """The owners of a scale: those of the workload's size."""
    return {
        manager: Owned(_SIZE_ALONE, _VERSION, owned.time)
        for manager, owned in parents.items()
        if owned.api_version == api_version and has(owned.fields, _SIZE)
    }


def from_scale(parents: Owners, owners: Owners, api_version: str) -> Owners:
    """The workload's owners with those of its scale put back; upstream keeps no time for the new ones."""
    result: Owners = {}
    left = dict(owners)
    for manager, owned in parents.items():
        if owned.api_version != api_version:
            continue
        if not has(owned.fields, _SIZE) or left.pop(manager, None) is not None:
            result[manager] = owned
            continue
        fields = difference(owned.fields, _SIZE_ALONE)
        if fields:
            result[manager] = owned._replace(fields=fields)
    for manager, owned in left.items():
        if has(owned.fields, _SIZE):
            version = "" if manager.operation == APPLY else api_version
            time = parents[manager].time if manager in parents else ""
            renamed = Manager(manager.name, manager.operation, version, manager.subresource)
            result[renamed] = Owned(_SIZE_ALONE, api_version, time)
    return result


def scaled_owners(parents: Owners, live: Object, scale: Object, manager: str, api_version: str, now: str) -> Owners:
    """The workload's owners after an update of its scale."""
    owners = to_scale(parents, api_version)
    if owners:
        owners = after_update(owners, live, scale, Writer(manager, _VERSION, "scale"), now, SCALE)
    return from_scale(parents, owners, api_version)

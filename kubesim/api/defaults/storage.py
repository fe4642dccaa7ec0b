"""PersistentVolumeClaim, PersistentVolume and StorageClass; amounts of LimitRange and ResourceQuota.

Upstream: pkg/apis/core/v1/defaults.go, pkg/apis/storage/v1/defaults.go,
pkg/api/persistentvolumeclaim/util.go:NormalizeDataSources @v1.36
"""

from __future__ import annotations

from collections.abc import Callable

from kubesim.api.canonical import canonical_resources, with_canonical_lists
from kubesim.api.objects import Object

_SNAPSHOT_GROUP = "snapshot.storage.k8s.io"


def default_claim_spec(given: Object) -> Object:
    """The spec of a claim, also of one in a template; itself when there is nothing to fill in."""
    spec = given
    if "volumeMode" not in spec:
        spec = {**spec, "volumeMode": "Filesystem"}
    resources = spec.get("resources")
    if resources and (canonical := canonical_resources(resources)) is not resources:
        spec = {**spec, "resources": canonical}
    return spec


def _with_data_sources(spec: Object) -> Object:
    """The two fields for a data source, each filled in from the other.

    A source that is neither claim nor snapshot is dropped when only the older field names it; a source in another
    namespace is dropped always, the gate for those being off.
    """
    source, reference = spec.get("dataSource"), spec.get("dataSourceRef")
    if reference is not None and reference.get("namespace"):
        spec = {name: spec[name] for name in spec if name != "dataSourceRef"}
        reference = None
    if source is not None and reference is None:
        if not _is_claim_or_snapshot(source):
            return {name: spec[name] for name in spec if name != "dataSource"}
        return {**spec, "dataSourceRef": source}
    if reference is not None and source is None:
        return {**spec, "dataSource": reference}
    return spec


def _is_claim_or_snapshot(source: Object) -> bool:
    group, kind = source.get("apiGroup") or "", source.get("kind")
    return (group, kind) in (("", "PersistentVolumeClaim"), (_SNAPSHOT_GROUP, "VolumeSnapshot"))


def _with_phase(obj: Object, phase: str, *lists: str) -> Object:
    status = obj.get("status") or {}
    filled = with_canonical_lists(status, *lists)
    if not filled.get("phase"):
        filled = {**filled, "phase": phase}
    return obj if filled is status else {**obj, "status": filled}


def _claim(obj: Object) -> Object:
    given = obj.get("spec") or {}
    spec = default_claim_spec(given)
    if "dataSource" in spec or "dataSourceRef" in spec:
        spec = _with_data_sources(spec)
    if spec is not given:
        obj = {**obj, "spec": spec}
    return _with_phase(obj, "Pending", "capacity", "allocatedResources")


def _volume(obj: Object) -> Object:
    given = obj.get("spec") or {}
    spec = with_canonical_lists(given, "capacity")
    if not spec.get("persistentVolumeReclaimPolicy"):
        spec = {**spec, "persistentVolumeReclaimPolicy": "Retain"}
    if "volumeMode" not in spec:
        spec = {**spec, "volumeMode": "Filesystem"}
    host_path = spec.get("hostPath")
    if host_path is not None and "type" not in host_path:
        spec = {**spec, "hostPath": {**host_path, "type": ""}}
    if spec is not given:
        obj = {**obj, "spec": spec}
    return _with_phase(obj, "Pending")


def _storage_class(obj: Object) -> Object:
    if "reclaimPolicy" not in obj:
        obj = {**obj, "reclaimPolicy": "Delete"}
    return obj if "volumeBindingMode" in obj else {**obj, "volumeBindingMode": "Immediate"}


def _limit(given: Object) -> Object:
    """Upstream: pkg/apis/core/v1/defaults.go:SetDefaults_LimitRangeItem @v1.36"""
    item = with_canonical_lists(given, "max", "min", "default", "defaultRequest", "maxLimitRequestRatio")
    if item.get("type") != "Container":
        return item
    limits = {**(item.get("max") or {}), **(item.get("default") or {})}
    requests = {**(item.get("min") or {}), **limits, **(item.get("defaultRequest") or {})}
    filled = {**item}
    if limits:
        filled["default"] = limits
    if requests:
        filled["defaultRequest"] = requests
    return given if filled == given else filled


def _limit_range(obj: Object) -> Object:
    given = (obj.get("spec") or {}).get("limits") or []
    limits = [_limit(item) for item in given]
    if all(filled is item for filled, item in zip(limits, given, strict=True)):
        return obj
    return {**obj, "spec": {**obj["spec"], "limits": limits}}


def _quota(obj: Object) -> Object:
    for part, lists in (("spec", ("hard",)), ("status", ("hard", "used"))):
        given = obj.get(part)
        if given and (filled := with_canonical_lists(given, *lists)) is not given:
            obj = {**obj, part: filled}
    return obj


DEFAULTS: dict[str, Callable[[Object], Object]] = {
    "limitranges": _limit_range,
    "persistentvolumeclaims": _claim,
    "persistentvolumes": _volume,
    "resourcequotas": _quota,
    "storageclasses.storage.k8s.io": _storage_class,
}

"""Namespace, Node and PriorityClass.

Upstream: pkg/apis/core/v1/{defaults,conversion}.go, pkg/apis/scheduling/v1/defaults.go @v1.36
"""

from __future__ import annotations

from collections.abc import Callable

from kubesim.api.canonical import with_canonical_lists
from kubesim.api.objects import Object, with_metadata

_NAME_LABEL = "kubernetes.io/metadata.name"


def _namespace(obj: Object) -> Object:
    metadata = obj["metadata"]
    name, labels = metadata.get("name"), metadata.get("labels") or {}
    if name and labels.get(_NAME_LABEL) != name:
        obj = with_metadata(obj, labels={**labels, _NAME_LABEL: name})
    status = obj.get("status") or {}
    if not status.get("phase"):
        obj = {**obj, "status": {**status, "phase": "Active"}}
    return obj


def _node(obj: Object) -> Object:
    spec, status = obj.get("spec"), obj.get("status")
    if spec and ("podCIDR" in spec or "podCIDRs" in spec):
        linked = _pod_cidrs(spec)
        if linked is not spec:
            obj = {**obj, "spec": linked}
    if status:
        filled = with_canonical_lists(status, "capacity", "allocatable")
        if "allocatable" not in filled and "capacity" in filled:
            filled = {**filled, "allocatable": filled["capacity"]}
        if filled is not status:
            obj = {**obj, "status": filled}
    return obj


def _pod_cidrs(spec: Object) -> Object:
    """The singular field is authoritative where both are set and differ.

    Upstream: pkg/apis/core/v1/conversion.go:Convert_v1_NodeSpec_To_core_NodeSpec, its inverse @v1.36
    """
    single, listed = spec.get("podCIDR"), spec.get("podCIDRs")
    if single and (not listed or listed[0] != single):
        return {**spec, "podCIDRs": [single]}
    if listed and not single:
        return {**spec, "podCIDR": listed[0]}
    return spec


def _priority_class(obj: Object) -> Object:
    return obj if "preemptionPolicy" in obj else {**obj, "preemptionPolicy": "PreemptLowerPriority"}


DEFAULTS: dict[str, Callable[[Object], Object]] = {
    "namespaces": _namespace,
    "nodes": _node,
    "priorityclasses.scheduling.k8s.io": _priority_class,
}

"""Endpoints, EndpointSlice and Lease.

Upstream: pkg/apis/core/v1/defaults.go:SetDefaults_Endpoints, pkg/apis/discovery/v1/defaults.go,
pkg/registry/coordination/lease/strategy.go @v1.36
"""

from __future__ import annotations

from collections.abc import Callable

from kubesim.api.objects import Object

# The gate for coordinated leader election is off, and so these are not stored.
_GATED = frozenset(("strategy", "preferredHolder"))


def _subset(given: Object) -> Object:
    ports = given.get("ports")
    if not ports or all(port.get("protocol") for port in ports):
        return given
    return {**given, "ports": [port if port.get("protocol") else {**port, "protocol": "TCP"} for port in ports]}


def _endpoints(obj: Object) -> Object:
    given = obj.get("subsets") or []
    subsets = [_subset(subset) for subset in given]
    if all(filled is subset for filled, subset in zip(subsets, given, strict=True)):
        return obj
    return {**obj, "subsets": subsets}


def _slice_port(port: Object) -> Object:
    if port.get("name") is not None and port.get("protocol") is not None:
        return port
    return {**port, "name": port.get("name") or "", "protocol": port.get("protocol") or "TCP"}


def _slice(obj: Object) -> Object:
    given, endpoints = obj.get("ports") or [], obj.get("endpoints") or []
    ports = [_slice_port(port) for port in given]
    if any(filled is not port for filled, port in zip(ports, given, strict=True)):
        obj = {**obj, "ports": ports}
    if any("conditions" not in endpoint for endpoint in endpoints):
        filled = [each if "conditions" in each else {**each, "conditions": {}} for each in endpoints]
        obj = {**obj, "endpoints": filled}
    return obj


def _lease(obj: Object) -> Object:
    spec = obj.get("spec") or {}
    if _GATED.isdisjoint(spec):
        return obj
    return {**obj, "spec": {name: spec[name] for name in spec if name not in _GATED}}


DEFAULTS: dict[str, Callable[[Object], Object]] = {
    "endpoints": _endpoints,
    "endpointslices.discovery.k8s.io": _slice,
    "leases.coordination.k8s.io": _lease,
}

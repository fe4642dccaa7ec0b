"""Service.

Upstream: pkg/apis/core/v1/defaults.go:SetDefaults_Service @v1.36
"""

from __future__ import annotations

from collections.abc import Callable

from kubesim.api.objects import Object
from kubesim.api.service_types import is_externally_accessible

_AFFINITY_S = 10800


def _port(port: Object) -> Object:
    filled = port
    if not port.get("protocol"):
        filled = {**port, "protocol": "TCP"}
    if port.get("targetPort") in (None, 0, ""):
        filled = {**filled, "targetPort": port.get("port", 0)}
    return filled


def _affinity(spec: Object) -> Object:
    """Session affinity None without a config, or ClientIP with a timeout. `spec` is the caller's own copy."""
    affinity = spec.get("sessionAffinity") or "None"
    spec["sessionAffinity"] = affinity
    if affinity == "None":
        spec.pop("sessionAffinityConfig", None)
    elif affinity == "ClientIP":
        client = (spec.get("sessionAffinityConfig") or {}).get("clientIP") or {}
        if client.get("timeoutSeconds") is None:
            spec["sessionAffinityConfig"] = {"clientIP": {"timeoutSeconds": _AFFINITY_S}}
    return spec


def _spec(given: Object) -> Object:
    spec = _affinity({**given})
    kind = spec.get("type") or "ClusterIP"
    spec["type"] = kind
    if spec.get("ports"):
        ports = [_port(port) for port in spec["ports"]]
        if any(filled is not port for filled, port in zip(ports, spec["ports"], strict=True)):
            spec["ports"] = ports
    if is_externally_accessible(spec) and not spec.get("externalTrafficPolicy"):
        spec["externalTrafficPolicy"] = "Cluster"
    if kind in ("ClusterIP", "LoadBalancer", "NodePort"):
        spec.setdefault("internalTrafficPolicy", "Cluster")
    else:
        # Upstream drops it at every read.
        spec.pop("internalTrafficPolicy", None)
    if kind == "LoadBalancer":
        spec.setdefault("allocateLoadBalancerNodePorts", True)
    return spec


def _with_ip_mode(point: Object) -> Object:
    return {**point, "ipMode": "VIP"} if point.get("ip") and "ipMode" not in point else point


def _service(obj: Object) -> Object:
    given = obj.get("spec") or {}
    spec = _spec(given)
    if spec != given:
        obj = {**obj, "spec": spec}
    ingress = ((obj.get("status") or {}).get("loadBalancer") or {}).get("ingress")
    if ingress and spec["type"] == "LoadBalancer":
        points = [_with_ip_mode(point) for point in ingress]
        if points != ingress:
            balancer = {**obj["status"]["loadBalancer"], "ingress": points}
            obj = {**obj, "status": {**obj["status"], "loadBalancer": balancer}}
    return obj


DEFAULTS: dict[str, Callable[[Object], Object]] = {"services": _service}

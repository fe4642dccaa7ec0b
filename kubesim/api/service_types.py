"""What a Service is by its spec: with or without an address, node ports, a load balancer.

Upstream: pkg/api/service/util.go, pkg/registry/core/service/strategy.go @v1.36
"""

from __future__ import annotations

from kubesim.api.objects import Object


def is_headless(spec: Object) -> bool:
    """Whether the Service has no address of its own and resolves to its endpoints."""
    return spec.get("clusterIPs") == ["None"]


def is_externally_accessible(spec: Object) -> bool:
    """Whether traffic from outside the cluster can be meant for the Service."""
    kind = spec.get("type")
    return kind in ("LoadBalancer", "NodePort") or (kind == "ClusterIP" and bool(spec.get("externalIPs")))


def needs_cluster_ip(spec: Object) -> bool:
    """Whether the Service has the address fields at all; `None` counts as a value of theirs."""
    return spec.get("type") != "ExternalName"


def needs_node_ports(spec: Object) -> bool:
    """Whether every port of the Service is to have a node port."""
    kind = spec.get("type")
    if kind == "LoadBalancer":
        return bool(spec.get("allocateLoadBalancerNodePorts", True))
    return kind == "NodePort"


def needs_health_check(spec: Object) -> bool:
    """Whether a load balancer must be told which nodes have endpoints."""
    return spec.get("type") == "LoadBalancer" and spec.get("externalTrafficPolicy") == "Local"

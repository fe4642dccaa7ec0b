"""What a fresh cluster holds before anybody has used it, and the addresses of its nodes.

The objects are those of a real 1.36 cluster that the simulator has a use for; RBAC roles, flow schemas and the
cluster's own add-ons are left out, as nothing here would read them.
"""

from __future__ import annotations

from collections.abc import Iterator

from kubesim.api.kinds import ENDPOINT_SLICE, ENDPOINTS, NAMESPACE, PRIORITY_CLASS, SERVICE, STORAGE_CLASS
from kubesim.api.objects import Object
from kubesim.api.scheme import Kind

API_SERVER_IP = "172.18.0.2"
_FIRST_NODE = 3


def fresh_objects() -> Iterator[tuple[Kind, Object]]:
    """The objects of a fresh cluster, in an order in which the API server takes them."""
    for name in ("kube-system", "kube-public", "kube-node-lease", "default"):
        yield NAMESPACE, _object("v1", "Namespace", name)
    for name, value, description in (
        (
            "system-node-critical",
            2_000_001_000,
            "Used for system critical pods that must not be moved from their current node.",
        ),
        (
            "system-cluster-critical",
            2_000_000_000,
            (
                "Used for system critical pods that must run in the cluster, "
                "but can be moved to another node if necessary."
            ),
        ),
    ):
        priority_class = _object("scheduling.k8s.io/v1", "PriorityClass", name)
        yield PRIORITY_CLASS, {**priority_class, "value": value, "description": description}
    service = _object("v1", "Service", "kubernetes", "default", {"component": "apiserver", "provider": "kubernetes"})
    port = {"name": "https", "port": 443, "protocol": "TCP", "targetPort": 6443}
    yield SERVICE, {**service, "spec": {"clusterIP": "10.96.0.1", "ports": [port]}}
    https = {"name": "https", "port": 6443, "protocol": "TCP"}
    endpoints = _object("v1", "Endpoints", "kubernetes", "default", {"endpointslice.kubernetes.io/skip-mirror": "true"})
    yield ENDPOINTS, {**endpoints, "subsets": [{"addresses": [{"ip": API_SERVER_IP}], "ports": [https]}]}
    endpoint_slice = _object(
        "discovery.k8s.io/v1", "EndpointSlice", "kubernetes", "default", {"kubernetes.io/service-name": "kubernetes"}
    )
    yield (
        ENDPOINT_SLICE,
        {
            **endpoint_slice,
            "addressType": "IPv4",
            "endpoints": [{"addresses": [API_SERVER_IP], "conditions": {"ready": True}}],
            "ports": [https],
        },
    )
    # As kind ships it: volumes are folders of the node on which their first Pod lands, and stay there.
    storage_class = _object("storage.k8s.io/v1", "StorageClass", "standard")
    storage_class["metadata"]["annotations"] = {"storageclass.kubernetes.io/is-default-class": "true"}
    yield (
        STORAGE_CLASS,
        {
            **storage_class,
            "provisioner": "rancher.io/local-path",
            "reclaimPolicy": "Delete",
            "volumeBindingMode": "WaitForFirstConsumer",
        },
    )


def _object(
    api_version: str, kind: str, name: str, namespace: str = "", labels: dict[str, str] | None = None
) -> Object:
    metadata: Object = {"name": name}
    if namespace:
        metadata["namespace"] = namespace
    if labels:
        metadata["labels"] = labels
    return {"apiVersion": api_version, "kind": kind, "metadata": metadata}


def node_name(index: int) -> str:
    """The name of the node with this number, from 0."""
    return f"node-{index + 1}"


def node_ip(index: int) -> str:
    """Its address on the nodes' own network."""
    number = _FIRST_NODE + index
    return f"172.{18 + (number >> 16)}.{number >> 8 & 255}.{number & 255}"


def pod_cidr(index: int, nodes: int) -> str:
    """Its range of Pod addresses: 256 of them out of 10.244.0.0/16, or out of 10.128.0.0/9 where that is too small."""
    if nodes <= 256:
        return f"10.244.{index}.0/24"
    return f"10.{128 + (index >> 8)}.{index & 255}.0/24"

"""A Service's Pods as endpoints of EndpointSlices, each built once per state of its Pod.

Upstream: k8s.io/endpointslice/utils.go:podToEndpoint, util/endpointset.go, trafficdist/trafficdist.go @v1.36
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple, final

from kubesim.api.objects import Object, labels_of
from kubesim.controllers.pods import is_ready
from kubesim.controllers.service_endpoints import has_endpoint, ip_of, shows_hostname, target_of

EndpointKey = tuple[str, str, str, str]
FindNode = Callable[[str], Object | None]
_ZONE = "topology.kubernetes.io/zone"
_NO_KEY = ("", "", "", "")


class Built(NamedTuple):
    """A Pod's endpoint with what it was built from. `endpoint` is None for a Pod that has none."""

    pod: Object
    zone: str
    endpoint: Object | None
    key: EndpointKey


@final
class Endpoints:
    """The endpoints of one Service's Pods, each built once per state of its Pod, its zone and the Service."""

    __slots__ = ("_built", "_service")

    def __init__(self) -> None:
        self._service: Object | None = None
        self._built: dict[str, Built] = {}

    def build(
        self, service: Object, pods: Sequence[Object], find_node: FindNode
    ) -> tuple[list[Built | None], list[str]]:
        """What there is for each Pod, None where its node is unknown; and the complaints about those."""
        before = self._built if self._service is service else {}
        self._service = service
        self._built = kept = {}
        problems: list[str] = []
        result: list[Built | None] = []
        zones: dict[str, str | None] = {}
        for pod in pods:
            node_name = pod["spec"].get("nodeName", "")
            if node_name not in zones:
                zones[node_name] = _zone_of(find_node(node_name))
            zone = zones[node_name]
            uid = pod["metadata"]["uid"]
            built = before.get(uid)
            if built is None or built.pod is not pod or built.zone != (zone or ""):
                built = _built(pod, zone or "", service)
            if zone is None and built.endpoint is not None and not service["spec"].get("publishNotReadyAddresses"):
                metadata, owner = pod["metadata"], service["metadata"]
                problems.append(
                    f"skipping Pod {metadata['name']} for Service {owner['namespace']}/{owner['name']}: "
                    f"Node {node_name} Not Found"
                )
                result.append(None)
            else:
                kept[uid] = built
                result.append(built)
        return result, problems


def _zone_of(node: Object | None) -> str | None:
    """The node's zone, empty where it has none; None where there is no node."""
    return None if node is None else labels_of(node).get(_ZONE, "")


def _built(pod: Object, zone: str, service: Object) -> Built:
    endpoint = endpoint_of(pod, zone, service) if has_endpoint(pod, include_terminating=True) else None
    return Built(pod, zone, endpoint, _NO_KEY if endpoint is None else endpoint_key(endpoint))


def endpoint_of(pod: Object, zone: str, service: Object) -> Object | None:
    """The Pod as an endpoint; None where it has no IPv4 address. Upstream: utils.go:podToEndpoint @v1.36"""
    ip = ip_of(pod)
    if ip is None:
        return None
    spec, service_spec = pod["spec"], service["spec"]
    serving = is_ready(pod)
    terminating = "deletionTimestamp" in pod["metadata"]
    ready = bool(service_spec.get("publishNotReadyAddresses")) or (serving and not terminating)
    endpoint: Object = {
        "addresses": [ip],
        "conditions": {"ready": ready, "serving": serving, "terminating": terminating},
        "targetRef": target_of(pod),
    }
    node_name = spec.get("nodeName")
    if shows_hostname(pod, service):
        endpoint["hostname"] = spec["hostname"]
    if node_name:
        endpoint["nodeName"] = node_name
    if zone:
        endpoint["zone"] = zone
    hints = _hints(service_spec.get("trafficDistribution", ""), zone, node_name) if ready else None
    if hints:
        endpoint["hints"] = hints
    return endpoint


def _hints(distribution: str, zone: str, node_name: str | None) -> Object:
    """Where traffic to the endpoint should come from.

    Upstream: k8s.io/endpointslice/trafficdist/trafficdist.go:ReconcileHints @v1.36
    """
    hints: Object = {}
    if distribution in ("PreferClose", "PreferSameZone", "PreferSameNode"):
        if zone:
            hints["forZones"] = [{"name": zone}]
        if node_name and distribution == "PreferSameNode":
            hints["forNodes"] = [{"name": node_name}]
    return hints


def endpoint_key(endpoint: Object) -> EndpointKey:
    """What makes an endpoint the same one; everything else about it may change in place."""
    addresses, target = endpoint["addresses"], endpoint.get("targetRef") or {}
    address = addresses[0] if len(addresses) == 1 else ",".join(sorted(addresses))
    return (address, endpoint.get("hostname") or "", target.get("namespace") or "", target.get("name") or "")

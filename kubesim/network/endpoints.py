"""What a node makes of a Service and its EndpointSlices: the endpoints that a connection to one of its ports may reach.

Pure: values in, values out. Ready endpoints count; serving ones that are terminating count only where no ready one is
left, for the cluster as a whole and for each node's own endpoints separately.
Upstream: pkg/proxy/topology.go:CategorizeEndpoints, pkg/proxy/endpointslicecache.go:addEndpoints @v1.36
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple, final

from kubesim.api.objects import Object
from kubesim.sim.loop import SECOND

# Upstream: staging/src/k8s.io/api/core/v1/types.go:DefaultClientIPServiceAffinitySeconds @v1.36
_AFFINITY_SECONDS_DEFAULT = 10_800


class Backend(NamedTuple):
    """Where a connection to a Service goes."""

    ip: str
    port: int


# Not an endpoint but an end: refused at once, and dropped without a word.
REJECTED = Backend("", -1)
DROPPED = Backend("", -2)


@final
class PortView:
    """The endpoints of one port of a Service. `affinity_ns` is 0 without session affinity."""

    __slots__ = (
        "affinity_ns",
        "cluster",
        "has_any",
        "is_external_local",
        "is_internal_local",
        "local",
        "name",
        "port",
    )

    def __init__(self, spec: Object, port: Object, slices: Iterable[Object]) -> None:
        self.port: int = port["port"]
        self.name: str = port.get("name", "")
        self.is_internal_local = spec.get("internalTrafficPolicy") == "Local"
        self.is_external_local = spec.get("externalTrafficPolicy") == "Local"
        self.affinity_ns = _affinity_ns(spec)
        self.cluster: tuple[Backend, ...] = ()
        self.local: dict[str, tuple[Backend, ...]] = {}
        self._categorize(_endpoints(self.name, port.get("protocol", "TCP"), slices))
        self.has_any = bool(self.cluster)

    def _categorize(self, endpoints: dict[Backend, tuple[bool, bool, str]]) -> None:
        ready: list[Backend] = []
        leaving: list[Backend] = []
        ready_on: dict[str, list[Backend]] = {}
        leaving_on: dict[str, list[Backend]] = {}
        for backend in sorted(endpoints):
            is_ready, is_leaving, node = endpoints[backend]
            if is_ready:
                ready.append(backend)
                ready_on.setdefault(node, []).append(backend)
            elif is_leaving:
                leaving.append(backend)
                leaving_on.setdefault(node, []).append(backend)
        self.cluster = tuple(ready or leaving)
        if self.is_internal_local or self.is_external_local:
            self.local = {node: tuple(found) for node, found in {**leaving_on, **ready_on}.items()}

    def usable(self, node_name: str, is_local_only: bool) -> tuple[Backend, ...]:
        """The endpoints that a connection through this node may reach."""
        return self.local.get(node_name, ()) if is_local_only else self.cluster


def _affinity_ns(spec: Object) -> int:
    if spec.get("sessionAffinity") != "ClientIP":
        return 0
    config = (spec.get("sessionAffinityConfig") or {}).get("clientIP") or {}
    seconds: int = config.get("timeoutSeconds", _AFFINITY_SECONDS_DEFAULT)
    return seconds * SECOND


def _endpoints(name: str, protocol: str, slices: Iterable[Object]) -> dict[Backend, tuple[bool, bool, str]]:
    """Each endpoint of a port: (ready, serving and terminating, node)."""
    found: dict[Backend, tuple[bool, bool, str]] = {}
    for piece in slices:
        for port in piece.get("ports") or ():
            number = port.get("port")
            if not number or port.get("name", "") != name or port.get("protocol", "TCP") != protocol:
                continue
            for endpoint in piece.get("endpoints") or ():
                addresses = endpoint.get("addresses")
                if not addresses:
                    continue
                conditions = endpoint.get("conditions") or {}
                is_terminating = conditions.get("terminating", False)
                backend = Backend(addresses[0], number)
                # Two Pods can share an address for a moment when it is reused; the one that stays counts.
                if backend not in found or not is_terminating:
                    is_leaving = is_terminating and conditions.get("serving", True)
                    found[backend] = (conditions.get("ready", True), is_leaving, endpoint.get("nodeName", ""))
    return found

"""The cluster's DNS: names of Services and of their Pods to addresses, and a Pod's search path.

Answers are as fresh as the server's own copy of Services and EndpointSlices. There is no cache in between: kubeadm's
Corefile disables `cache` for the cluster's own domain, for success and for denial, and a container's libc keeps none;
the TTL of 30 s matters only to clients that keep answers themselves.
Upstream: cmd/kubeadm/app/phases/addons/dns/manifests.go:CoreDNSConfigMap @v1.36; CoreDNS plugin/kubernetes;
pkg/kubelet/network/dns/dns.go:generateSearchesForDNSClusterFirst @v1.36
"""

from __future__ import annotations

from typing import NamedTuple, final

from kubesim.api.objects import Object
from kubesim.client.informer import Lister
from kubesim.network.proxy import SERVICE_NAME_LABEL
from kubesim.sim.chooser import Stream
from kubesim.sim.loop import SECOND

CLUSTER_DOMAIN = "cluster.local"
TTL_NS = 30 * SECOND
# Upstream: pkg/kubelet/network/dns/dns.go:defaultDNSOptions @v1.36. A name with fewer dots tries the search path first.
_NDOTS = 5
_CNAMES_MAX = 8
_INDEX = "service"


class Resolution(NamedTuple):
    """The addresses of a name, none when it does not exist, and how many names were asked for on the way."""

    addresses: tuple[str, ...]
    lookups: int


def _service_of_slice(piece: Object) -> tuple[str, ...]:
    metadata = piece["metadata"]
    name = (metadata.get("labels") or {}).get(SERVICE_NAME_LABEL)
    return (f"{metadata['namespace']}/{name}",) if name else ()


@final
class Names:
    """What the cluster's DNS answers now."""

    def __init__(self, services: Lister, slices: Lister, stream: Stream) -> None:
        self.stream = stream
        self._services = services
        self._slices = slices
        slices.add_index(_INDEX, _service_of_slice)

    def resolve(self, namespace: str, host: str) -> Resolution:
        """Look a host name up as a Pod of `namespace` does, along its search path."""
        if host.endswith("."):
            return Resolution(self.addresses(host[:-1]), 1)
        searched = (
            f"{host}.{namespace}.svc.{CLUSTER_DOMAIN}",
            f"{host}.svc.{CLUSTER_DOMAIN}",
            f"{host}.{CLUSTER_DOMAIN}",
        )
        candidates = (*searched, host) if host.count(".") < _NDOTS else (host, *searched)
        lookups = 0
        for name in candidates:
            lookups += 1
            addresses = self.addresses(name)
            if addresses:
                return Resolution(addresses, lookups)
        return Resolution((), lookups)

    def addresses(self, name: str) -> tuple[str, ...]:
        """The A records of a fully qualified name, without its final dot; empty when there are none."""
        for _ in range(_CNAMES_MAX):
            labels = name.lower().split(".")
            if labels[-3:] != ["svc", *CLUSTER_DOMAIN.split(".")]:
                return ()
            labels = labels[:-3]
            if len(labels) not in (2, 3):
                return ()
            service = self._services.get(labels[-1], labels[-2])
            if service is None:
                return ()
            spec = service["spec"]
            if spec.get("type") == "ExternalName":
                if len(labels) == 3:
                    return ()
                name = spec["externalName"].rstrip(".")
                continue
            cluster_ip: str = spec.get("clusterIP", "")
            if len(labels) == 2 and cluster_ip != "None":
                return (cluster_ip,) if cluster_ip else ()
            return self._endpoints(labels[-1], labels[-2], labels[0] if len(labels) == 3 else "")
        return ()

    def _endpoints(self, namespace: str, service_name: str, hostname: str) -> tuple[str, ...]:
        """The ready endpoints of a Service, or the one that goes by `hostname`: its own or its address with dashes."""
        found: dict[str, None] = {}
        for piece in self._slices.by_index(_INDEX, f"{namespace}/{service_name}"):
            for endpoint in piece.get("endpoints") or ():
                if not (endpoint.get("conditions") or {}).get("ready", True):
                    continue
                for address in endpoint.get("addresses") or ():
                    if not hostname or hostname == (endpoint.get("hostname") or address.replace(".", "-")):
                        found[address] = None
        return tuple(found)

"""The order in which Kubernetes lists the ports of an endpoint: by the hash of Go's dump of each.

No other order looks like the real one: `http, extra` stay as they are while `dns, dns-tcp` come out turned round, and
differently in Endpoints and EndpointSlices. The dumps are short and their form is fixed upstream, so they are written
out here.

Upstream: k8s.io/utils/dump/dump.go:ForHash, k8s.io/endpointslice/util/controller_utils.go:portsInOrder,
pkg/api/v1/endpoints/util.go:portsByHash, subsetsByHash @v1.36
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from kubesim.api.objects import Object

_OFFSET = 0x6C62272E07BB014262B821756295C58D
_PRIME = 0x0000000001000000000000000000013B
_MASK = (1 << 128) - 1
_POD_REFERENCE = (
    "(*v1.ObjectReference){{Kind:(string){kind} Namespace:(string){namespace} Name:(string){name} UID:(types.UID){uid} "
    "APIVersion:(string) ResourceVersion:(string) FieldPath:(string)}}"
)


def fnv128a(text: str) -> int:
    """The 128-bit FNV-1a hash of the text in UTF-8."""
    state = _OFFSET
    for byte in text.encode():
        state = ((state ^ byte) * _PRIME) & _MASK
    return state


def _optional(port: Object) -> str:
    return f"(*string){port.get('appProtocol', '<nil>')}"


def _slice_port(port: Object) -> str:
    number = port.get("port", "<nil>")
    return (
        f"(v1.EndpointPort){{Name:(*string){port['name']} Protocol:(*v1.Protocol){port['protocol']} "
        f"Port:(*int32){number} AppProtocol:{_optional(port)}}}"
    )


def _endpoints_port(port: Object) -> str:
    return (
        f"{{Name:(string){port.get('name', '')} Port:(int32){port['port']} "
        f"Protocol:(v1.Protocol){port['protocol']} AppProtocol:{_optional(port)}}}"
    )


def _address(address: Object) -> str:
    target = address.get("targetRef")
    reference = _POD_REFERENCE.format(**target) if target else "(*v1.ObjectReference)<nil>"
    return (
        f"{{IP:(string){address['ip']} Hostname:(string){address.get('hostname', '')} "
        f"NodeName:(*string){address.get('nodeName', '<nil>')} TargetRef:{reference}}}"
    )


def _addresses(addresses: Sequence[Object] | None) -> str:
    return "[" + " ".join(_address(each) for each in addresses) + "]" if addresses else "<nil>"


def _subset(subset: Object) -> str:
    ports = subset.get("ports")
    listed = "[" + " ".join(_endpoints_port(port) for port in ports) + "]" if ports else "<nil>"
    return (
        f"(v1.EndpointSubset){{Addresses:([]v1.EndpointAddress){_addresses(subset.get('addresses'))} "
        f"NotReadyAddresses:([]v1.EndpointAddress){_addresses(subset.get('notReadyAddresses'))} "
        f"Ports:([]v1.EndpointPort){listed}}}"
    )


_hash_short = lru_cache(1024)(fnv128a)


def in_slice_order(ports: list[Object]) -> list[Object]:
    """An EndpointSlice's ports as upstream orders them."""
    return ports if len(ports) < 2 else sorted(ports, key=lambda port: _hash_short(_slice_port(port)))


def in_endpoints_order(ports: list[Object]) -> list[Object]:
    """An Endpoints subset's ports as upstream orders them."""
    if len(ports) < 2:
        return ports
    return sorted(ports, key=lambda port: _hash_short("(v1.EndpointPort)" + _endpoints_port(port)))


def subsets_in_order(subsets: list[Object]) -> list[Object]:
    """The subsets of an Endpoints object as upstream orders them; their own lists must be in order already."""
    return subsets if len(subsets) < 2 else sorted(subsets, key=lambda subset: fnv128a(_subset(subset)))

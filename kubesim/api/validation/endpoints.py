"""EndpointSlice and Endpoints.

A slice is validated whole at every change; what was found of an endpoint is remembered, since the controller hands on
unchanged endpoints as they are.
Upstream: pkg/apis/discovery/validation/validation.go,
pkg/apis/core/validation/validation.go:ValidateEndpoints @v1.36
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from kubesim.api import names
from kubesim.api.memo import IdentityMemo
from kubesim.api.objects import Object
from kubesim.api.validation import addresses, field, formats
from kubesim.api.validation.metadata import immutable
from kubesim.api.validation.rules import Rules
from kubesim.errors import Cause

PROTOCOLS = ("SCTP", "TCP", "UDP")
_ADDRESS_TYPES = ("FQDN", "IPv4", "IPv6")
_ADDRESSES_MAX = 100
_PORTS_MAX = 20000
_ENDPOINTS_MAX = 1000
_HINTS_MAX = 8
_REMEMBERED = 65536


def _ipv4(path: str, index: int, address: str) -> Iterator[Cause]:
    at = f"{path}[{index}]"
    verdict = addresses.parse(address)
    if verdict.problem:
        yield field.invalid(at, address, verdict.problem)
        return
    if verdict.family != "IPv4":
        yield field.invalid(path, address, "must be an IPv4 address")
    yield from addresses.endpoint_ip(at, address)


def _ipv6(path: str, index: int, address: str) -> Iterator[Cause]:
    at = f"{path}[{index}]"
    causes = list(addresses.strict_ip(at, address))
    if causes:
        yield from causes
        return
    if addresses.parse(address).family != "IPv6":
        yield field.invalid(path, address, "must be an IPv6 address")
    yield from addresses.endpoint_ip(at, address)


def _fqdn(path: str, index: int, address: str) -> Iterator[Cause]:
    """Upstream: apimachinery/pkg/util/validation/validation.go:IsFullyQualifiedDomainName @v1.36"""
    at = f"{path}[{index}]"
    name = address.removesuffix(".")
    if not address:
        yield field.required(at)
        return
    problems = names.dns_1123_subdomain(name)
    labels = name.split(".")
    if problems:
        yield field.invalid(at, name, ",".join(problems))
    elif len(labels) < 2:
        yield field.invalid(at, name, "should be a domain with at least two segments separated by dots")
    else:
        for label in labels:
            problems = names.dns_1123_label(label)
            if problems:
                yield field.invalid(at, label, ",".join(problems))
                return


_BY_TYPE: dict[str, Callable[[str, int, str], Iterator[Cause]]] = {"IPv4": _ipv4, "IPv6": _ipv6, "FQDN": _fqdn}


def _endpoint(endpoint: Object, address_type: str, path: str) -> Iterator[Cause]:
    listed = endpoint.get("addresses") or []
    if not listed:
        yield field.required(f"{path}.addresses", "must contain at least 1 address")
    elif len(listed) > _ADDRESSES_MAX:
        yield field.too_many(f"{path}.addresses", len(listed), _ADDRESSES_MAX)
    check = _BY_TYPE.get(address_type)
    if check is not None:
        for index, address in enumerate(listed):
            yield from check(f"{path}.addresses", index, address)
    if "nodeName" in endpoint:
        yield from formats.dns_subdomain(f"{path}.nodeName", endpoint["nodeName"])
    if "hostname" in endpoint:
        yield from formats.dns_label(f"{path}.hostname", endpoint["hostname"])
    if "hints" in endpoint:
        yield from _hints(endpoint["hints"], f"{path}.hints")


def _hints(hints: Object, path: str) -> Iterator[Cause]:
    for kind, check in (("forZones", names.label_value), ("forNodes", names.dns_1123_subdomain)):
        listed = hints.get(kind) or []
        if len(listed) > _HINTS_MAX:
            yield field.too_many(f"{path}.{kind}", len(listed), _HINTS_MAX)
            return
        seen: set[str] = set()
        for index, hint in enumerate(listed):
            name, at = hint.get("name", ""), f"{path}.{kind}[{index}].name"
            if name in seen:
                yield field.duplicate(at, name)
            seen.add(name)
            yield from formats.check(at, name, check(name))


def _remember(address_type: str) -> IdentityMemo[bool]:
    def is_sound(endpoint: Object) -> bool:
        return next(_endpoint(endpoint, address_type, ""), None) is None

    return IdentityMemo(is_sound, _REMEMBERED)


_SOUND = {address_type: _remember(address_type) for address_type in _ADDRESS_TYPES}


def _endpoints(endpoints: list[Object], address_type: str) -> list[Cause]:
    if len(endpoints) > _ENDPOINTS_MAX:
        return [field.too_many("endpoints", len(endpoints), _ENDPOINTS_MAX)]
    is_sound = _SOUND.get(address_type)
    causes: list[Cause] = []
    for index, endpoint in enumerate(endpoints):
        if is_sound is None or not is_sound(endpoint):
            causes += _endpoint(endpoint, address_type, f"endpoints[{index}]")
    return causes


def _slice_ports(ports: list[Object]) -> Iterator[Cause]:
    if len(ports) > _PORTS_MAX:
        yield field.too_many("ports", len(ports), _PORTS_MAX)
        return
    seen: set[str] = set()
    for index, port in enumerate(ports):
        path, name = f"ports[{index}]", port.get("name", "")
        if name:
            yield from formats.dns_label(f"{path}.name", name)
        if name in seen:
            yield field.duplicate(f"{path}.name", name)
        seen.add(name)
        yield from protocol(port.get("protocol", ""), path)
        if "appProtocol" in port:
            yield from formats.qualified_name(f"{path}.appProtocol", port["appProtocol"])


def protocol(name: str, path: str) -> Iterator[Cause]:
    """The protocol of the port at `path`."""
    if not name:
        yield field.required(f"{path}.protocol")
    elif name not in PROTOCOLS:
        yield field.not_supported(f"{path}.protocol", name, PROTOCOLS)


def _slice(obj: Object, old: Object | None = None) -> list[Cause]:
    address_type = obj.get("addressType", "")
    causes: list[Cause] = []
    if not address_type:
        causes.append(field.required("addressType"))
    elif address_type not in _ADDRESS_TYPES:
        causes.append(field.not_supported("addressType", address_type, _ADDRESS_TYPES))
    causes += _slice_ports(obj.get("ports") or [])
    endpoints = obj.get("endpoints") or []
    broken = _endpoints(endpoints, address_type)
    # What was accepted once may stay, even if the rules have changed since.
    if broken and (old is None or endpoints != (old.get("endpoints") or [])):
        causes += broken
    return causes


def _slice_update(new: Object, old: Object) -> list[Cause]:
    causes = _slice(new, old)
    causes += immutable("addressType", new.get("addressType", ""), old.get("addressType", ""))
    return causes


def _subsets(subsets: list[Object]) -> list[Cause]:
    causes: list[Cause] = []
    for index, subset in enumerate(subsets):
        path = f"subsets[{index}]"
        ready, not_ready = subset.get("addresses") or [], subset.get("notReadyAddresses") or []
        if not ready and not not_ready:
            causes.append(field.required(path, "must specify `addresses` or `notReadyAddresses`"))
        for place, address in enumerate(ready):
            causes += _subset_address(address, f"{path}.addresses[{place}]")
        for place, address in enumerate(not_ready):
            causes += _subset_address(address, f"{path}.notReadyAddresses[{place}]")
        ports = subset.get("ports") or []
        for place, port in enumerate(ports):
            causes += _subset_port(port, f"{path}.ports[{place}]", is_named=len(ports) > 1)
    return causes


def _subset_address(address: Object, path: str) -> Iterator[Cause]:
    ip = address.get("ip", "")
    yield from addresses.legacy_ip(f"{path}.ip", ip)
    if address.get("hostname"):
        yield from formats.dns_label(f"{path}.hostname", address["hostname"])
    if "nodeName" in address:
        yield from formats.dns_subdomain(f"{path}.nodeName", address["nodeName"])
    yield from addresses.endpoint_ip(f"{path}.ip", ip)


def _subset_port(port: Object, path: str, *, is_named: bool) -> Iterator[Cause]:
    if port.get("name"):
        yield from formats.dns_label(f"{path}.name", port["name"])
    elif is_named:
        yield field.required(f"{path}.name")
    yield from formats.check(f"{path}.port", port.get("port", 0), names.port_number(port.get("port", 0)))
    yield from protocol(port.get("protocol", ""), path)
    if "appProtocol" in port:
        yield from formats.qualified_name(f"{path}.appProtocol", port["appProtocol"])


def _endpoints_create(obj: Object) -> list[Cause]:
    return _subsets(obj.get("subsets") or [])


def _endpoints_update(new: Object, old: Object) -> list[Cause]:
    subsets = new.get("subsets") or []
    causes = _subsets(subsets)
    return [] if causes and subsets == (old.get("subsets") or []) else causes


RULES: dict[str, Rules] = {
    "endpoints": Rules(_endpoints_create, _endpoints_update),
    "endpointslices.discovery.k8s.io": Rules(_slice, _slice_update),
}

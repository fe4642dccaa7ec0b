"""Service addresses: cluster IPs and node ports, given out and taken back by the API server itself.

Dynamic addresses come from the upper part of the range, so that fixed ones, chosen by hand, rarely collide.
Upstream: pkg/registry/core/service/storage/alloc.go, pkg/registry/core/service/{ipallocator,portallocator} @v1.36
"""

from __future__ import annotations

from typing import final

from kubesim.api.defaults.service_addresses import resolve_addresses
from kubesim.api.objects import Object
from kubesim.api.service_types import needs_cluster_ip, needs_node_ports
from kubesim.errors import ApiError, Cause, internal_error, invalid
from kubesim.sim.chooser import Stream

# kubeadm's default service subnet, 10.96.0.0/12.
_RANGE_FIRST = (10 << 24) | (96 << 16)
_RANGE_SIZE = 1 << 20
# Upstream: ipallocator.calculateRangeOffset: min(max(16, size / 16), 256)
_STATIC_BAND = 256
_PORT_FIRST, _PORT_LAST = 30_000, 32_767
# Upstream: portallocator.calculatePortRangeOffset for 2768 ports: min(max(16, size / 32), 128)
_PORT_STATIC_BAND = 86


def _dotted(number: int) -> str:
    return f"{number >> 24}.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"


@final
class ServiceAddresses:
    """What is taken, and by which Service."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self._owner_of_ip: dict[str, tuple[str, str]] = {}
        self._owner_of_port: dict[tuple[int, str], tuple[str, str]] = {}

    def allocate(self, service: Object, old: Object | None) -> Object:
        """The Service with families, addresses and node ports filled in; what `old` has is kept.

        Comes before validation, as upstream's does; a caller that then refuses the Service gives back by `release`.

        Raises:
            ApiError: 422, families do not fit, or a fixed address or port is taken or out of range.
        """
        metadata = service["metadata"]
        owner = (metadata["namespace"], metadata.get("name", ""))
        service, causes = resolve_addresses(service, old)
        if causes:
            raise invalid("Service", "", owner[1], causes)
        spec = service["spec"]
        if not needs_cluster_ip(spec):
            return service
        spec = {**spec}
        address = spec.get("clusterIP")
        if not address:
            address = self._next_ip()
            if not owner[1]:
                why = f'IPAddress.networking.k8s.io "{address}" is invalid: spec.parentRef.name: Required value'
                raise _invalid(service, "spec.clusterIPs", f'Invalid value: [""]: failed to allocate IP: {why}')
        elif address != "None" and (old is None or not needs_cluster_ip(old["spec"])):
            self._check_ip(service, address, owner)
        spec["clusterIP"] = address
        spec["clusterIPs"] = [address]
        if needs_node_ports(spec):
            spec["ports"] = self._with_node_ports(service, spec, owner)
            for port in spec["ports"]:
                self._owner_of_port[(port["nodePort"], port.get("protocol", "TCP"))] = owner
        if address != "None":
            self._owner_of_ip.setdefault(address, owner)
        return {**service, "spec": spec}

    def release(self, service: Object, keep: Object | None = None) -> None:
        """Give back what a Service had; `keep` is its new state, whose addresses stay taken."""
        spec = service.get("spec", {})
        kept = (keep or {}).get("spec", {})
        address, metadata = spec.get("clusterIP", ""), service["metadata"]
        owner = (metadata["namespace"], metadata.get("name", ""))
        if address != kept.get("clusterIP") and self._owner_of_ip.get(address) == owner:
            del self._owner_of_ip[address]
        still = {(port.get("nodePort"), port.get("protocol", "TCP")) for port in kept.get("ports") or ()}
        for port in spec.get("ports") or ():
            key = (port.get("nodePort", 0), port.get("protocol", "TCP"))
            if key not in still:
                self._owner_of_port.pop(key, None)

    def _next_ip(self) -> str:
        for _ in range(64):
            offset = _STATIC_BAND + self._stream.below(_RANGE_SIZE - _STATIC_BAND - 1)
            address = _dotted(_RANGE_FIRST + offset)
            if address not in self._owner_of_ip:
                return address
        raise internal_error("failed to allocate a serviceIP: range is full")

    def _check_ip(self, service: Object, address: str, owner: tuple[str, str]) -> None:
        parts = [int(part) for part in address.split(".")]
        number = parts[0] << 24 | parts[1] << 16 | parts[2] << 8 | parts[3]
        if not 0 < number - _RANGE_FIRST < _RANGE_SIZE - 1:
            why = "the provided network does not match the current range"
        elif self._owner_of_ip.get(address, owner) != owner:
            why = "provided IP is already allocated"
        else:
            return
        message = f'Invalid value: ["{address}"]: failed to allocate IP {address}: {why}'
        raise _invalid(service, "spec.clusterIPs", message)

    def _with_node_ports(self, service: Object, spec: Object, owner: tuple[str, str]) -> list[Object]:
        """The ports with their node ports; nothing is taken yet."""
        result = []
        mine: dict[tuple[int, str], None] = {}
        for index, port in enumerate(spec.get("ports") or ()):
            protocol = port.get("protocol", "TCP")
            number = port.get("nodePort") or self._next_port(protocol, mine)
            field = f"spec.ports[{index}].nodePort"
            if not _PORT_FIRST <= number <= _PORT_LAST:
                why = "provided port is not in the valid range. The range of valid ports is 30000-32767"
                raise _invalid(service, field, f"Invalid value: {number}: {why}")
            if self._owner_of_port.get((number, protocol), owner) != owner:
                raise _invalid(service, field, f"Invalid value: {number}: provided port is already allocated")
            mine[(number, protocol)] = None
            result.append({**port, "nodePort": number})
        return result

    def _next_port(self, protocol: str, mine: dict[tuple[int, str], None]) -> int:
        for _ in range(64):
            first = _PORT_FIRST + _PORT_STATIC_BAND
            number = first + self._stream.below(_PORT_LAST - first + 1)
            if (number, protocol) not in self._owner_of_port and (number, protocol) not in mine:
                return number
        raise internal_error("failed to allocate a nodePort: range is full")


def _invalid(service: Object, field: str, message: str) -> ApiError:
    return invalid("Service", "", service["metadata"].get("name", ""), (Cause("FieldValueInvalid", field, message),))

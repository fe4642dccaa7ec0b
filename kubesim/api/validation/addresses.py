"""IP addresses and CIDRs in fields that are older than strict parsing, and the addresses that an endpoint may have.

The verdict on an address is remembered: endpoint lists are validated whole at every change, and mostly repeat.

Upstream: apimachinery/pkg/util/validation/ip.go, pkg/apis/core/validation/validation.go:ValidateEndpointIP @v1.36,
with the gate StrictIPCIDRValidation on, as 1.36 has it.
"""

from __future__ import annotations

from collections.abc import Container, Iterator
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_network
from typing import Literal, NamedTuple

from kubesim.api.validation import field
from kubesim.errors import Cause

Family = Literal["", "IPv4", "IPv6"]

_NOT_AN_IP = "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"
_NOT_A_CIDR = "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)"
_LINK_LOCAL_V6 = IPv6Network("fe80::/10")


class Address(NamedTuple):
    """What there is to know about a text that should be an address.

    `family` is empty when it is none. `problem` is what strict parsing says. `unfit` are the reasons why no endpoint
    may have it. `canonical` is its text as Go prints it.
    """

    family: Family
    problem: str = ""
    unfit: tuple[str, ...] = ()
    canonical: str = ""


@lru_cache(maxsize=65536)
def parse(text: str) -> Address:
    """The verdict on an address, leading zeros in IPv4 tolerated as upstream's sloppy parser tolerates them."""
    if ":" not in text:
        return _parse_v4(text)
    try:
        address = IPv6Address(text)
    except ValueError:
        return Address("", _NOT_AN_IP)
    if "%" in text:
        return Address("", _NOT_AN_IP)
    mapped = address.ipv4_mapped
    if mapped is not None:
        return Address("IPv4", "must not be an IPv4-mapped IPv6 address", _unfit(text, mapped), str(mapped))
    return Address("IPv6", "", _unfit(text, address), str(address))


def _parse_v4(text: str) -> Address:
    octets = text.split(".")
    if len(octets) != 4 or not all(octet.isascii() and octet.isdigit() for octet in octets):
        return Address("", _NOT_AN_IP)
    numbers = [int(octet) for octet in octets]
    if max(numbers) > 255:
        return Address("", _NOT_AN_IP)
    canonical = ".".join(map(str, numbers))
    problem = "" if canonical == text else "must not have leading 0s"
    return Address("IPv4", problem, _unfit(text, IPv4Address(canonical)), canonical)


def _unfit(text: str, address: IPv4Address | IPv6Address) -> tuple[str, ...]:
    reasons = []
    if address.is_unspecified:
        reasons.append(f"may not be unspecified ({text})")
    if address.is_loopback:
        reasons.append("may not be in the loopback range (127.0.0.0/8, ::1/128)")
    packed = address.packed
    link_local = packed[:2] == b"\xa9\xfe" if len(packed) == 4 else address in _LINK_LOCAL_V6
    if link_local:
        reasons.append("may not be in the link-local range (169.254.0.0/16, fe80::/10)")
    multicast = packed[:3] == b"\xe0\0\0" if len(packed) == 4 else packed[0] == 0xFF and packed[1] & 0x0F == 2
    if multicast:
        reasons.append("may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)")
    return tuple(reasons)


def legacy_ip(path: str, value: str, accepted: Container[str] = ()) -> Iterator[Cause]:
    """An address in a field that need not be canonical; the values in `accepted` were there before and may stay."""
    problem = parse(value).problem
    if problem and value not in accepted:
        yield field.invalid(path, value, problem)


def strict_ip(path: str, value: str) -> Iterator[Cause]:
    """An address in canonical form."""
    address = parse(value)
    if address.problem:
        yield field.invalid(path, value, address.problem)
    elif address.canonical != value:
        yield field.invalid(path, value, f"must be in canonical form ({field.go_quote(address.canonical)})")


def endpoint_ip(path: str, value: str) -> Iterator[Cause]:
    """An address at which a workload can be reached from elsewhere."""
    address = parse(value)
    if not address.family:
        yield field.invalid(path, value, "must be a valid IP address")
    for reason in address.unfit:
        yield field.invalid(path, value, reason)


def legacy_cidr(path: str, value: str, accepted: Container[str] = ()) -> Iterator[Cause]:
    """A CIDR in a field that need not be canonical; the values in `accepted` were there before and may stay."""
    problem = _cidr_problem(value)
    if problem and value not in accepted:
        yield field.invalid(path, value, problem)


def cidr_family(value: str) -> Family:
    """The family of a CIDR, empty when it is none."""
    return "" if _cidr_problem(value) == _NOT_A_CIDR else parse(value.partition("/")[0]).family


def _cidr_problem(value: str) -> str:
    text, slash, bits = value.partition("/")
    address = parse(text)
    longest = 128 if ":" in text else 32
    if not address.family or not slash or not (bits.isascii() and bits.isdigit()) or int(bits) > longest:
        return _NOT_A_CIDR
    if address.problem == "must not have leading 0s" or str(int(bits)) != bits:
        return "must not have leading 0s in IP or prefix length"
    if address.problem:
        return "must not have an IPv4-mapped IPv6 address"
    if ip_network(value, strict=False).network_address.packed != ip_network(text).network_address.packed:
        return "must not have bits set beyond the prefix length"
    return ""

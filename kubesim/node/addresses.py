"""The Pod addresses of one node: the next one after the last that was given out, around and around.

Upstream: containernetworking/plugins plugins/ipam/host-local, whose first address is the bridge's own.
"""

from __future__ import annotations

from typing import final


def _number(ip: str) -> int:
    a, b, c, d = ip.split(".")
    return (int(a) << 24) | (int(b) << 16) | (int(c) << 8) | int(d)


def _text(number: int) -> str:
    return f"{number >> 24}.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"


@final
class PodAddresses:
    """Addresses of an IPv4 CIDR such as `10.244.3.0/24`; network, gateway and broadcast are left out."""

    __slots__ = ("_first", "_in_use", "_last", "_next", "cidr")

    def __init__(self, cidr: str) -> None:
        base, _, length = cidr.partition("/")
        self.cidr = cidr
        self._first = _number(base) + 2
        self._last = _number(base) + (1 << (32 - int(length))) - 2
        self._next = self._first
        self._in_use: set[int] = set()

    def take(self) -> str | None:
        """An address that is free, or None."""
        number = self._next
        for _ in range(self._last - self._first + 1):
            if number > self._last:
                number = self._first
            if number not in self._in_use:
                self._in_use.add(number)
                self._next = number + 1
                return _text(number)
            number += 1
        return None

    def forget(self) -> None:
        """None is in use; which was the last one to be given out stays known, as it does on the node's disk.

        Upstream: host-local's file last_reserved_ip
        """
        self._in_use.clear()

    def keep(self, ip: str) -> None:
        """The address is in use already, by a Pod from before the kubelet's start."""
        self._in_use.add(_number(ip))

    def give_back(self, ip: str) -> None:
        """The address is free again."""
        self._in_use.discard(_number(ip))

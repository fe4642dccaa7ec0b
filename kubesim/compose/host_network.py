"""The one host's network: containers' names and addresses, and the host's ports that lead to them.

A service's name leads to the addresses of its containers that run, in another order each time; seen on dockerd 20.10:
a stopped one is left out at once, a paused or unhealthy one is not, and a name without any is unknown. A published port
leads to one container; who asks from outside reaches it by the host's address, and is refused while it does not run.
Upstream: moby libnetwork/resolver.go:handleIPQuery, libnetwork/portallocator; docs /compose/how-tos/networking
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, final

from kubesim.compose.model import PublishedPort
from kubesim.network.dns import Resolution
from kubesim.network.endpoints import Backend
from kubesim.sim.chooser import Stream

# The host as a node of the network and by its address and name from outside. RFC 5737, block for documentation.
HOST: Final = "docker-host"
HOST_IP: Final = "198.51.100.10"
# Upstream: docs /engine/network/drivers/bridge; the first network after docker0's own.
_PREFIX: Final = "172.18.0."
_FIRST_ADDRESS: Final = 2
# Upstream: Linux net.ipv4.ip_local_port_range
_EPHEMERAL: Final = (32768, 60999)


@final
class HostNames:
    """Docker's own DNS; satisfies `kubesim.network.fabric.NameServer`."""

    def __init__(self, stream: Stream) -> None:
        self.stream = stream
        self._addresses: dict[str, dict[str, None]] = {}

    def join(self, names: Iterable[str], ip: str) -> None:
        """A container with these names has begun to run."""
        for name in names:
            self._addresses.setdefault(name, {})[ip] = None

    def leave(self, names: Iterable[str], ip: str) -> None:
        """It has ended."""
        for name in names:
            self._addresses[name].pop(ip, None)

    def resolve(self, namespace: str, host: str) -> Resolution:  # noqa: ARG002 - the contract's
        if host == HOST:
            return Resolution((HOST_IP,), 1)
        return Resolution(tuple(self._addresses.get(host, ())), 1)

    def free_address(self) -> str:
        """The lowest address that no container has."""
        taken = {ip for found in self._addresses.values() for ip in found}
        number = _FIRST_ADDRESS
        while f"{_PREFIX}{number}" in taken:
            number += 1
        return f"{_PREFIX}{number}"


@final
class HostPorts:
    """The ports of the host that lead to containers; satisfies `kubesim.network.fabric.Routes`."""

    def __init__(self) -> None:
        self._taken: dict[int, Backend] = {}
        self._last: dict[tuple[int, int], int] = {}

    def publish(self, ip: str, ports: Iterable[PublishedPort]) -> str:
        """Lead ports of the host to a container's; returns dockerd's words where one of them is taken.

        Of a range, each container takes the next one that is free. Upstream: moby libnetwork/portallocator
        """
        for port in ports:
            low, high = (port.first, port.last) if port.first else _EPHEMERAL
            found = self._next_free(low, high)
            if not found:
                self.withdraw(ip)
                return (
                    f"Bind for 0.0.0.0:{low} failed: port is already allocated"
                    if low == high
                    else "all ports are allocated"
                )
            self._taken[found] = Backend(ip, port.target)
        return ""

    def _next_free(self, low: int, high: int) -> int:
        after = self._last.get((low, high), high)
        for offset in range(high - low + 1):
            port = low + (after + 1 + offset - low) % (high - low + 1)
            if port not in self._taken:
                self._last[low, high] = port
                return port
        return 0

    def withdraw(self, ip: str) -> None:
        """The container with that address has ended: its ports are free."""
        self._taken = {port: backend for port, backend in self._taken.items() if backend.ip != ip}

    def ports_of(self, ip: str) -> list[int]:
        """The host's ports that lead to a container."""
        return [port for port, backend in self._taken.items() if backend.ip == ip]

    def has_node_port(self, port: int) -> bool:
        return port in self._taken

    def route(self, node_name: str, ip: str, port: int, client_ip: str) -> Backend | None:  # noqa: ARG002
        return None if ip else self._taken.get(port)

    def cut_off(self, node_name: str) -> None:
        """Nothing here is told from elsewhere."""

    def reconnect(self, node_name: str) -> None:
        """Nothing here is told from elsewhere."""

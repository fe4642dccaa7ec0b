"""NodePorts: two Pods on one node cannot take the same host port.

Upstream: pkg/scheduler/framework/plugins/nodeports/node_ports.go, kube-scheduler/framework/types.go:HostPortInfo @v1.36
"""

from __future__ import annotations

from typing import Any, Final

from kubesim.scheduler.framework import SKIP, UNSCHEDULABLE, Status
from kubesim.scheduler.profile import HostPort, PodProfile
from kubesim.scheduler.snapshot import NodeInfo, Snapshot

NAME: Final = "NodePorts"
_REFUSED: Final = Status(UNSCHEDULABLE, NAME, "node(s) didn't have free ports for the requested pod ports")
_ANY: Final = "0.0.0.0"  # noqa: S104 (an address in a Pod's spec, nothing listens)


class NodePorts:
    """State: the ports that the Pod wants."""

    name = NAME

    def pre_filter(self, profile: PodProfile, _snapshot: Snapshot) -> Any:
        return profile.host_ports or SKIP

    def filter(self, state: tuple[HostPort, ...], node: NodeInfo) -> Status | None:
        used = node.ports
        if not used:
            return None
        for wanted in state:
            if wanted.address == _ANY:
                if any(port[1:] == wanted[1:] for port in used):
                    return _REFUSED
            elif wanted in used or (_ANY, wanted.protocol, wanted.port) in used:
                return _REFUSED
        return None

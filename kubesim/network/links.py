"""How long a packet takes from one node to another, and whether it arrives at all.

Faults live here: a node that is gone, a node cut off from all others, and a fault of one direction between two nodes or
between any two groups of hosts (added latency, loss, cut). A packet that does not arrive is silence for whoever waits
for it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, Protocol, final

from kubesim.sim.chooser import Stream
from kubesim.sim.loop import MICROSECOND, MILLISECOND, SECOND

# One way, no queueing: through a bridge of the node, and through a switch of the same site.
LATENCY_WITHIN_NODE_NS = 50 * MICROSECOND
LATENCY_BETWEEN_NODES_NS = 250 * MICROSECOND

# A lost segment is sent again after the retransmission timeout, which doubles. Linux: TCP_RTO_MIN, TCP_RTO_MAX.
_RTO_MIN_NS = 200 * MILLISECOND
_RTO_MAX_NS = 120 * SECOND
# Linux: net.ipv4.tcp_retries2.
_RETRIES_MAX = 15


class LinkFault(NamedTuple):
    """What is wrong with one direction between two nodes. `loss` is the share of segments lost, 0 to 1."""

    added_ns: int = 0
    loss: float = 0.0
    is_cut: bool = False


class Place(Protocol):
    """An end of a path: an address, and the node where that is."""

    @property
    def ip(self) -> str:
        """The address."""
        ...

    @property
    def node_name(self) -> str:
        """The node."""
        ...


Covers = Callable[[Place], bool]


class Between(NamedTuple):
    """A fault of the direction from some hosts to others."""

    source: Covers
    target: Covers
    fault: LinkFault


@final
class Links:
    """The paths between nodes, as they are now. A host outside the cluster counts as a node of its own name."""

    __slots__ = ("_between", "_cut_off", "_down", "_faults", "_stream", "_troubled")

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self._down: dict[str, None] = {}
        self._cut_off: dict[str, None] = {}
        self._faults: dict[tuple[str, str], tuple[LinkFault, ...]] = {}
        self._between: list[Between] = []
        self._troubled = False

    def delay_ns(self, source: Place, target: Place) -> int | None:
        """The one-way delay of a segment sent now from host to host; None when it never arrives."""
        is_near = source.node_name == target.node_name
        delay_ns = LATENCY_WITHIN_NODE_NS if is_near else LATENCY_BETWEEN_NODES_NS
        if self._troubled:
            return self._delay_in_trouble_ns(source, target, delay_ns)
        return delay_ns

    def _delay_in_trouble_ns(self, source: Place, target: Place, delay_ns: int) -> int | None:
        here, there = source.node_name, target.node_name
        if here in self._down or there in self._down:
            return None
        if here != there and (here in self._cut_off or there in self._cut_off):
            return None
        faults = list(self._faults.get((here, there), ())) if here != there else []
        if source.ip != target.ip:
            faults += [each.fault for each in self._between if each.source(source) and each.target(target)]
        for fault in faults:
            late_ns = None if fault.is_cut else self._retransmitted_ns(fault, delay_ns)
            if late_ns is None:
                return None
            delay_ns = late_ns
        return delay_ns

    def _retransmitted_ns(self, fault: LinkFault, delay_ns: int) -> int | None:
        delay_ns += fault.added_ns
        if fault.loss:
            rto_ns = _RTO_MIN_NS
            retries = 0
            while self._stream.fraction() < fault.loss:
                if retries == _RETRIES_MAX:
                    return None
                retries += 1
                delay_ns += rto_ns
                rto_ns = min(2 * rto_ns, _RTO_MAX_NS)
        return delay_ns

    def is_on(self, node: str) -> bool:
        """Whether the node has power and is not cut off from all others."""
        return node not in self._down and node not in self._cut_off

    def set_down(self, node: str, is_down: bool) -> None:
        """A node without power, or with it again."""
        self._mark(self._down, node, is_down)

    def set_cut_off(self, node: str, is_cut_off: bool) -> None:
        """A node that runs and reaches nobody but itself, or everybody again."""
        self._mark(self._cut_off, node, is_cut_off)

    def set_fault(self, source: str, target: str, fault: LinkFault | None) -> None:
        """The one fault of the direction from `source` to `target`; None repairs it."""
        self._keep(source, target, () if fault is None else (fault,))

    def add_fault(self, source: str, target: str, fault: LinkFault) -> None:
        """One more fault of that direction."""
        self._keep(source, target, (*self._faults.get((source, target), ()), fault))

    def remove_fault(self, source: str, target: str, fault: LinkFault) -> None:
        """The end of this one."""
        left = list(self._faults.get((source, target), ()))
        if fault in left:
            left.remove(fault)
        self._keep(source, target, tuple(left))

    def add_between(self, between: Between) -> None:
        """One more fault between some hosts."""
        self._between.append(between)
        self._update()

    def remove_between(self, between: Between) -> None:
        """The end of this one."""
        self._between.remove(between)
        self._update()

    def _keep(self, source: str, target: str, faults: tuple[LinkFault, ...]) -> None:
        if faults:
            self._faults[source, target] = faults
        else:
            self._faults.pop((source, target), None)
        self._update()

    def _mark(self, nodes: dict[str, None], node: str, is_marked: bool) -> None:
        if is_marked:
            nodes[node] = None
        else:
            nodes.pop(node, None)
        self._update()

    def _update(self) -> None:
        self._troubled = bool(self._down or self._cut_off or self._faults or self._between)

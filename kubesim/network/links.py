"""How long a packet takes from one node to another, and whether it arrives at all.

Faults live here: a node that is gone, a node cut off from all others, and a fault of one direction between two nodes
(added latency, loss, cut). A packet that does not arrive is silence for whoever waits for it.
"""

from __future__ import annotations

from typing import NamedTuple, final

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


@final
class Links:
    """The paths between nodes, as they are now. A host outside the cluster counts as a node of its own name."""

    __slots__ = ("_cut_off", "_down", "_faults", "_stream", "_troubled")

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self._down: dict[str, None] = {}
        self._cut_off: dict[str, None] = {}
        self._faults: dict[tuple[str, str], tuple[LinkFault, ...]] = {}
        self._troubled = False

    def delay_ns(self, source: str, target: str) -> int | None:
        """The one-way delay of a segment sent now from node to node; None when it never arrives."""
        delay_ns = LATENCY_WITHIN_NODE_NS if source == target else LATENCY_BETWEEN_NODES_NS
        if self._troubled:
            return self._delay_in_trouble_ns(source, target, delay_ns)
        return delay_ns

    def _delay_in_trouble_ns(self, source: str, target: str, delay_ns: int) -> int | None:
        if source in self._down or target in self._down:
            return None
        if source == target:
            return delay_ns
        if source in self._cut_off or target in self._cut_off:
            return None
        for fault in self._faults.get((source, target), ()):
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
        self._troubled = bool(self._down or self._cut_off or self._faults)

"""Hypothesis strategies: clusters, and schedules of faults over what there is in one.

    @given(schedule=schedules(nodes=3, of=["deployment/web"]))

They shrink to fewer faults, earlier and rounder times and plainer arguments, as every choice's first alternative is
the calm one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar, final

from hypothesis import strategies as st

from kubesim.client.inprocess import Latency
from kubesim.cluster import Cluster, ClusterOptions
from kubesim.faults import Disturbance, FaultKind, Schedule
from kubesim.sim.chooser import ALPHANUMERICS
from kubesim.sim.loop import MILLISECOND
from kubesim.testing.schedules import MOST, SPAN_NS, Targets, draw_disturbance, find_faults, targets_of

T = TypeVar("T")
_SEEDS = 1 << 16
_FINE = 1000
_LATENCY_MS_MAX = 50


@final
class _Drawn:
    """A stream whose every choice is one of Hypothesis's."""

    def __init__(self, draw: st.DrawFn) -> None:
        self._draw = draw

    def below(self, count: int) -> int:
        return self._draw(st.integers(0, count - 1))

    def fraction(self) -> float:
        return self.below(_FINE) / _FINE

    def suffix(self, length: int = 5) -> str:
        return "".join(ALPHANUMERICS[self.below(len(ALPHANUMERICS))] for _ in range(length))

    def uid(self) -> str:
        return f"00000000-0000-4000-8000-{self.below(1 << 48):012x}"

    def pick(self, items: Sequence[T]) -> T:
        return items[self.below(len(items))]


@st.composite
def _schedules(draw: st.DrawFn, targets: Targets, kinds: Sequence[FaultKind], span_ns: int, most: int) -> Schedule:
    """Every place has its fault, and a choice whether it is on: that is how each can go without moving the others."""
    stream = _Drawn(draw)
    drawn: list[Disturbance] = []
    for _ in range(most):
        is_on = stream.below(2)
        disturbance = draw_disturbance(stream, targets, kinds, span_ns, None)
        if is_on and disturbance is not None:
            drawn.append(disturbance)
    return tuple(drawn)


def schedules(
    of: Cluster | Targets, faults: Sequence[str] = (), *, span_ns: int = SPAN_NS, most: int = MOST
) -> st.SearchStrategy[Schedule]:
    """Schedules of at most `most` faults within `span_ns`, over what a cluster has now; `faults` are names or areas.

    Raises:
        UserError: there is no such fault.
    """
    targets = of if isinstance(of, Targets) else targets_of(of)
    return _schedules(targets, find_faults(faults), span_ns, most)


def clusters(*, nodes_max: int = 5) -> st.SearchStrategy[ClusterOptions]:
    """Clusters of three nodes, or of fewer and up to `nodes_max`, with a seed and latencies of their own."""
    numbers = st.sampled_from([3, *(n for n in range(1, nodes_max + 1) if n != 3)])
    spans = st.integers(0, _LATENCY_MS_MAX).map(lambda ms: max(1, ms) * MILLISECOND)
    latencies = st.one_of(st.just(Latency()), st.builds(Latency, read_ns=spans, write_ns=spans, watch_ns=spans))
    return st.builds(ClusterOptions, nodes=numbers, seed=st.integers(0, _SEEDS - 1), latency=latencies)

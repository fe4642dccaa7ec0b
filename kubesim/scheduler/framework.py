"""What the parts of the scheduler say to each other: verdicts, the plugins' protocols, and the text of a failure.

A filter answers None (the node will do) or a `Status`; a plugin with nothing to say about a Pod answers `SKIP`.
Upstream: pkg/scheduler/framework/{interface,types}.go @v1.36
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, Protocol, final, runtime_checkable

if TYPE_CHECKING:
    from kubesim.scheduler.profile import PodProfile
    from kubesim.scheduler.snapshot import NodeInfo, Snapshot

MAX_NODE_SCORE: Final = 100

UNSCHEDULABLE: Final = "Unschedulable"
# Preemption cannot help: nothing about the Pods on the node is at fault.
UNRESOLVABLE: Final = "UnschedulableAndUnresolvable"

# Something that should not happen; the Pod comes back after its back-off.
ERROR: Final = "Error"

SKIP: Final = object()


@final
class Status:
    """Why a plugin refuses a node (or, from a pre-filter, every node)."""

    __slots__ = ("code", "plugin", "reasons")

    def __init__(self, code: str, plugin: str, *reasons: str) -> None:
        self.code = code
        self.plugin = plugin
        self.reasons = reasons

    def __repr__(self) -> str:
        return f"Status({self.code}, {self.plugin}, {', '.join(self.reasons)})"


class FilterPlugin(Protocol):
    """Says on which nodes a Pod can run."""

    name: str

    def pre_filter(self, profile: PodProfile, snapshot: Snapshot, /) -> Any:
        """The state that `filter` needs for this Pod, `SKIP`, or a `Status` that refuses all nodes."""
        ...

    def filter(self, state: Any, node: NodeInfo, /) -> Status | None:
        """None when the Pod can run on the node."""
        ...


@runtime_checkable
class CountingFilterPlugin(FilterPlugin, Protocol):
    """A filter whose state counts the Pods that are there, so that a dry run must tell it of Pods that come and go."""

    def with_pod(self, state: Any, pod: PodProfile, node: NodeInfo, delta: int, /) -> Any:
        """The state after `pod` has come to (1) or left (-1) `node`."""
        ...


class ScorePlugin(Protocol):
    """Says how good a node is, 0 to 100 after `normalize`."""

    name: str
    weight: int

    def pre_score(self, profile: PodProfile, snapshot: Snapshot, nodes: Sequence[NodeInfo], /) -> Any:
        """The state that `score` needs, or `SKIP`; `nodes` are the feasible ones that are looked at."""
        ...

    def score(self, state: Any, node: NodeInfo, /) -> int:
        """The raw score."""
        ...

    def normalize(self, scores: Sequence[int], /) -> Sequence[int]:
        """The final scores of the nodes that were looked at, in the same order."""
        ...


def default_normalize(scores: Sequence[int], *, reverse: bool) -> list[int]:
    """Scale so that the greatest raw score becomes 100; `reverse` turns the scale round.

    Upstream: pkg/scheduler/framework/plugins/helper/normalize_score.go:DefaultNormalizeScore @v1.36
    """
    greatest = max(scores, default=0)
    if greatest == 0:
        return [MAX_NODE_SCORE if reverse else score for score in scores]
    scaled = [MAX_NODE_SCORE * score // greatest for score in scores]
    return [MAX_NODE_SCORE - score for score in scaled] if reverse else scaled


@final
class Diagnosis:
    """Why no node took a Pod."""

    __slots__ = ("absent", "node_count", "plugins", "post_filter", "pre_filter", "statuses")

    def __init__(self, node_count: int) -> None:
        self.node_count = node_count
        self.statuses: dict[str, Status] = {}
        # The verdict on nodes that no filter was asked about.
        self.absent = Status(UNRESOLVABLE, "")
        self.pre_filter = ""
        self.post_filter = ""
        self.plugins: dict[str, None] = {}

    def add(self, node_name: str, status: Status) -> None:
        """Note why one more node does not fit."""
        self.statuses[node_name] = status
        self.plugins[status.plugin] = None

    def message(self) -> str:
        """The text of the condition and the event.

        Upstream: pkg/scheduler/framework/types.go:FitError.Error @v1.36
        """
        parts = [f"0/{self.node_count} nodes are available:"]
        if self.pre_filter:
            parts.append(f" {self.pre_filter}.")
        else:
            histogram = reasons_histogram(self.statuses, self.absent, self.node_count)
            if histogram:
                parts.append(f" {histogram}.")
        if self.post_filter:
            parts.append(f" {self.post_filter}")
        return "".join(parts)


def reasons_histogram(statuses: Mapping[str, Status], absent: Status, node_count: int) -> str:
    """`2 Insufficient cpu, 1 node(s) were unschedulable`: each reason with its number of nodes, sorted as text."""
    seen: dict[Status, int] = {}
    for status in statuses.values():
        seen[status] = seen.get(status, 0) + 1
    if len(statuses) < node_count:
        seen[absent] = node_count - len(statuses)
    reasons: dict[str, int] = {}
    for status, count in seen.items():
        for reason in status.reasons:
            reasons[reason] = reasons.get(reason, 0) + count
    return ", ".join(sorted(f"{count} {reason}" for reason, count in reasons.items()))


def preemption_message(statuses: Mapping[str, Status], node_count: int) -> str:
    """The inner message of a preemption that found nobody to evict."""
    absent = Status(UNRESOLVABLE, "", "Preemption is not helpful for scheduling")
    return f"0/{node_count} nodes are available: {reasons_histogram(statuses, absent, node_count)}."

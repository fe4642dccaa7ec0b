"""The default profile asked plugin by plugin: the plain reading of a scheduling cycle.

This is the definition. `equivalence` comes to the same decisions for common Pods much faster, and is tested against
what stands here; everything else (volumes, nominated Pods, preemption, diagnosis) is decided here.
Upstream: pkg/scheduler/schedule_one.go, pkg/scheduler/framework/runtime/framework.go @v1.36
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple, Protocol, final

from kubesim.api.objects import Object
from kubesim.scheduler.framework import (
    SKIP,
    UNRESOLVABLE,
    CountingFilterPlugin,
    Diagnosis,
    FilterPlugin,
    ScorePlugin,
    Status,
)
from kubesim.scheduler.plugins.image_locality import ImageLocality
from kubesim.scheduler.plugins.inter_pod_affinity import InterPodAffinity
from kubesim.scheduler.plugins.node_affinity import NodeAffinity
from kubesim.scheduler.plugins.node_ports import NodePorts
from kubesim.scheduler.plugins.node_resources_balanced_allocation import NodeResourcesBalancedAllocation
from kubesim.scheduler.plugins.node_resources_fit import NodeResourcesFit
from kubesim.scheduler.plugins.node_unschedulable import NodeUnschedulable
from kubesim.scheduler.plugins.node_volume_limits import NodeVolumeLimits
from kubesim.scheduler.plugins.pod_topology_spread import PodTopologySpread
from kubesim.scheduler.plugins.taint_toleration import TaintToleration
from kubesim.scheduler.plugins.volume_binding import VolumeBinding
from kubesim.scheduler.plugins.volume_restrictions import VolumeRestrictions
from kubesim.scheduler.plugins.volume_zone import VolumeZone
from kubesim.scheduler.profile import PodProfile
from kubesim.scheduler.snapshot import NodeInfo, PodEntry, Snapshot
from kubesim.sim.chooser import Stream

# How many feasible nodes are enough. Upstream: schedule_one.go:numFeasibleNodesToFind @v1.36
_MIN_NODES_TO_FIND: Final = 100
_MIN_PERCENT_TO_FIND: Final = 5


def node_count_to_find(node_count: int) -> int:
    """After how many feasible nodes the search among `node_count` stops: the larger the cluster the smaller a share."""
    if node_count < _MIN_NODES_TO_FIND:
        return node_count
    percent = max(50 - node_count // 125, _MIN_PERCENT_TO_FIND)
    return max(node_count * percent // 100, _MIN_NODES_TO_FIND)


@final
class Plugins:
    """The default profile, in the order in which it asks."""

    __slots__ = ("filters", "scores", "volume_binding")

    def __init__(self) -> None:
        taints, affinity, fit = TaintToleration(), NodeAffinity(), NodeResourcesFit()
        spread, neighbours = PodTopologySpread(), InterPodAffinity()
        self.volume_binding = VolumeBinding()
        self.filters: tuple[FilterPlugin, ...] = (
            NodeUnschedulable(),
            taints,
            affinity,
            NodePorts(),
            fit,
            VolumeRestrictions(),
            NodeVolumeLimits(),
            self.volume_binding,
            VolumeZone(),
            spread,
            neighbours,
        )
        self.scores: tuple[ScorePlugin, ...] = (
            taints,
            affinity,
            fit,
            spread,
            neighbours,
            NodeResourcesBalancedAllocation(),
            ImageLocality(),
        )


@final
class Filters:
    """The filters that have something to say about one Pod, with their states."""

    __slots__ = ("states",)

    def __init__(self, states: Sequence[tuple[FilterPlugin, Any]]) -> None:
        self.states = states

    def check(self, node: NodeInfo) -> Status | None:
        """The first refusal."""
        for plugin, state in self.states:
            status = plugin.filter(state, node)
            if status is not None:
                return status
        return None

    def with_pod(self, pod: PodProfile, node: NodeInfo, delta: int) -> Filters:
        """The filters as they would be with a Pod more (1) or less (-1) on the node."""
        states: list[tuple[FilterPlugin, Any]] = []
        for plugin, before in self.states:
            state = before
            if isinstance(plugin, CountingFilterPlugin):
                state = plugin.with_pod(state, pod, node, delta)
            states.append((plugin, state))
        return Filters(states)

    def state_of(self, plugin: FilterPlugin) -> Any:
        """That plugin's state, or None where it was skipped."""
        return next((state for asked, state in self.states if asked is plugin), None)


def begin(plugins: Plugins, profile: PodProfile, snapshot: Snapshot) -> Filters | Status:
    """Run the pre-filters: the filters to ask for each node, or the refusal of all nodes."""
    states: list[tuple[FilterPlugin, Any]] = []
    for plugin in plugins.filters:
        state = plugin.pre_filter(profile, snapshot)
        if state.__class__ is Status:
            refusal: Status = state
            return refusal
        if state is not SKIP:
            states.append((plugin, state))
    return Filters(states)


class Nominations(Protocol):
    """Pods that wait for a node that preemption clears for them."""

    def on_node(self, node_name: str) -> Mapping[str, PodProfile]:
        """By uid; mostly empty."""
        ...


def check_with_nominated(
    filters: Filters, node: NodeInfo, profile: PodProfile, uid: str, nominations: Nominations
) -> Status | None:
    """Ask with and without the Pods of equal or higher priority that are to come to the node.

    Upstream: framework.go:RunFilterPluginsWithNominatedPods @v1.36
    """
    nominated = nominations.on_node(node.name)
    coming = [(key, p) for key, p in nominated.items() if key != uid and p.priority >= profile.priority]
    if coming:
        crowded, crowded_filters = node.copy(), filters
        for key, pod in coming:
            crowded.add(key, PodEntry({}, pod, terminating=False))
            crowded_filters = crowded_filters.with_pod(pod, crowded, 1)
        status = crowded_filters.check(crowded)
        if status is not None:
            return status
    return filters.check(node)


class Search(NamedTuple):
    """Feasible nodes in the order found, and the refusals of those seen on the way."""

    feasible: list[NodeInfo]
    refused: list[tuple[NodeInfo, Status]]


def find_feasible(
    filters: Filters, nodes: Sequence[NodeInfo], start: int, profile: PodProfile, uid: str, nominations: Nominations
) -> Search:
    """Go round the nodes from `start` until enough are feasible; the one after the last enough ends the search."""
    wanted = node_count_to_find(len(nodes))
    found = Search([], [])
    count = len(nodes)
    for offset in range(count):
        node = nodes[(start + offset) % count]
        status = check_with_nominated(filters, node, profile, uid, nominations)
        if status is not None:
            found.refused.append((node, status))
        elif len(found.feasible) == wanted:
            break
        else:
            found.feasible.append(node)
    return found


def score_nodes(plugins: Plugins, profile: PodProfile, snapshot: Snapshot, nodes: Sequence[NodeInfo]) -> list[int]:
    """The weighted sum of all scores of each node."""
    totals = [0] * len(nodes)
    for plugin in plugins.scores:
        state = plugin.pre_score(profile, snapshot, nodes)
        if state is SKIP:
            continue
        raw = [plugin.score(state, node) for node in nodes]
        for index, score in enumerate(plugin.normalize(raw)):
            totals[index] += plugin.weight * score
    return totals


def pick(nodes: Sequence[NodeInfo], totals: Sequence[int], stream: Stream) -> NodeInfo:
    """The best node; among equals, each as likely as the other."""
    best = max(totals)
    equals = [node for node, total in zip(nodes, totals, strict=True) if total == best]
    return equals[0] if len(equals) == 1 else equals[stream.below(len(equals))]


class Choice(NamedTuple):
    """A node for the Pod, and where the next Pod's search starts."""

    node: NodeInfo | None
    next_start: int
    diagnosis: Diagnosis
    filters: Filters | None


def choose(
    plugins: Plugins,
    pod: Object,
    profile: PodProfile,
    snapshot: Snapshot,
    start: int,
    nominations: Nominations,
    stream: Stream,
) -> Choice:
    """Filter, score and pick. The snapshot has nodes."""
    order = snapshot.order
    diagnosis = Diagnosis(len(order))
    filters = begin(plugins, profile, snapshot)
    if isinstance(filters, Status):
        diagnosis.absent = filters
        diagnosis.pre_filter = ", ".join(filters.reasons)
        diagnosis.plugins[filters.plugin] = None
        return Choice(None, start, diagnosis, None)
    uid = pod["metadata"]["uid"]
    nominated = snapshot.nodes.get((pod.get("status") or {}).get("nominatedNodeName", ""))
    if nominated is not None:
        # Room was made there for this very Pod, so it is tried before all others.
        status = check_with_nominated(filters, nominated, profile, uid, nominations)
        if status is None:
            return Choice(nominated, start, diagnosis, filters)
        diagnosis.add(nominated.name, status)
    nodes: Sequence[NodeInfo] = order
    if profile.node_names is not None:
        nodes = sorted(
            (snapshot.nodes[name] for name in profile.node_names if name in snapshot.nodes),
            key=lambda node: node.position,
        )
        diagnosis.absent = Status(UNRESOLVABLE, "", "node(s) didn't satisfy plugin(s) [NodeAffinity]")
        diagnosis.plugins["NodeAffinity"] = None
    found = find_feasible(filters, nodes, start, profile, uid, nominations)
    for node, status in found.refused:
        diagnosis.add(node.name, status)
    next_start = (start + len(found.feasible) + len(diagnosis.statuses)) % len(order)
    if not found.feasible:
        return Choice(None, next_start, diagnosis, filters)
    if len(found.feasible) == 1:
        return Choice(found.feasible[0], next_start, diagnosis, filters)
    totals = score_nodes(plugins, profile, snapshot, found.feasible)
    return Choice(pick(found.feasible, totals, stream), next_start, diagnosis, filters)

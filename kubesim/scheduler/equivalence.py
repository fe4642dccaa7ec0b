"""The fast way through a cycle, for Pods that come in many copies.

All Pods of one profile get the same verdict and the same scores on every node, so these are kept from Pod to Pod and
only nodes that changed since are looked at again. Nodes that such a Pod cannot tell apart but for their own fullness
form a group: same raw taint and affinity scores, same number of counted Pods on the host, same domains. Within a group
the node with the highest fixed score (resources and images) is the best whatever normalization does, so a cycle
normalizes over a handful of groups instead of hundreds of nodes, and finds members of the search window by bisection.

Each group keeps its nodes' positions by fixed score, sorted. `evaluation.choose` is the definition of the result; the
two draw the same numbers from the same stream.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple, final

from kubesim.scheduler.evaluation import node_count_to_find
from kubesim.scheduler.framework import SKIP, FilterPlugin, default_normalize
from kubesim.scheduler.groups import INFEASIBLE, Group, Range, Standings, count_within, nth_within
from kubesim.scheduler.plugins.image_locality import ImageLocality
from kubesim.scheduler.plugins.inter_pod_affinity import InterPodAffinity, normalize_affinity
from kubesim.scheduler.plugins.node_affinity import NodeAffinity
from kubesim.scheduler.plugins.node_ports import NodePorts
from kubesim.scheduler.plugins.node_resources_balanced_allocation import NodeResourcesBalancedAllocation
from kubesim.scheduler.plugins.node_resources_fit import NodeResourcesFit
from kubesim.scheduler.plugins.node_unschedulable import NodeUnschedulable
from kubesim.scheduler.plugins.pod_topology_spread import PodTopologySpread, normalize_spread
from kubesim.scheduler.plugins.taint_toleration import TaintToleration
from kubesim.scheduler.profile import PodProfile
from kubesim.scheduler.snapshot import Change, NodeInfo, Snapshot
from kubesim.scheduler.topologies import Topologies
from kubesim.sim.chooser import Stream

# How many classes are kept: as many as bring their nodes to this sum, and at least so many.
_CLASS_NODES_MAX: Final = 512_000
_CLASSES_MIN: Final = 64
_LOADS_MAX: Final = 65536
_BONUSES_MAX: Final = 256

_TAINTS: Final = TaintToleration()
_AFFINITY: Final = NodeAffinity()
_PORTS: Final = NodePorts()
_FIT: Final = NodeResourcesFit()
_BALANCED: Final = NodeResourcesBalancedAllocation()
_IMAGES: Final = ImageLocality()
# Depend on the node object alone.
_STATIC_FILTERS: Final[tuple[FilterPlugin, ...]] = (NodeUnschedulable(), _TAINTS, _AFFINITY)


class Chosen(NamedTuple):
    """The node that was picked, and where the next cycle's window starts."""

    node: NodeInfo
    next_start: int


@final
class EquivalenceClass:
    """What is known of every node for Pods of one profile."""

    def __init__(self, profile: PodProfile, snapshot: Snapshot) -> None:
        self._profile = profile
        self._snapshot = snapshot
        self._epoch = -1
        self._cursor = 0
        self._stale = True
        self._images_version = -1
        # The fixed score, without images, of a node that is loaded so.
        self._fixed_of_load: dict[int, int] = {}

    # Keeping up

    def refresh(self) -> None:
        """Catch up with the snapshot."""
        snapshot = self._snapshot
        order = snapshot.order
        if self._stale or self._epoch != snapshot.epoch or self._cursor < snapshot.changes_base:
            self._rebuild(order)
            return
        if self._images_version != snapshot.images_version:
            self._images_version = snapshot.images_version
            if _IMAGES.pre_score(self._profile, snapshot, ()) != self._images:
                self._rebuild(order)
                return
        changes = snapshot.changes
        cursor = self._cursor - snapshot.changes_base
        if cursor == len(changes):
            return
        pending = changes[cursor:]
        self._cursor = snapshot.changes_base + len(changes)
        self._follow(pending)
        if self._stale or self._topologies.is_incomplete:
            self._rebuild(order)

    def _follow(self, pending: Sequence[Change]) -> None:
        """Take note of what has changed, first the counts, then the verdict on each node concerned."""
        topologies = self._topologies
        amounts_of, shift = topologies.amounts_of, topologies.shift
        nodes: dict[NodeInfo, bool] = {}
        for node, pod, number, leaving, before in pending:
            if pod is None:
                nodes[node] = True
                continue
            amounts = amounts_of(pod)
            if before is not None:
                left = amounts_of(before)
                if left != amounts:
                    shift(node, left, -1, 0)
                    shift(node, amounts, 1, 0)
                    nodes[node] = True
            elif amounts:
                shift(node, amounts, number, leaving)
                nodes[node] = True
            elif node not in nodes:
                nodes[node] = False
        fixed_at, group_at = self._fixed_at, self._group_at
        for node, is_moved in nodes.items():
            position = node.position
            if is_moved or not self._is_scored_by_load:
                self._judge(node)
                continue
            # The common change: a Pod that does not count here came or went, so only fullness differs.
            group = group_at[position]
            fixed = self._fixed_of_load.get(node.load or self._snapshot.load_of(node))
            if fixed is None or group is None or fixed == INFEASIBLE:
                self._judge(node)
            elif fixed != fixed_at[position]:
                group.remove(fixed_at[position], position)
                group.add(fixed, position)
                fixed_at[position] = fixed

    def _rebuild(self, order: list[NodeInfo]) -> None:
        snapshot, profile = self._snapshot, self._profile
        self._epoch = snapshot.epoch
        self._cursor = snapshot.changes_base + len(snapshot.changes)
        self._order = order
        self._wanted = node_count_to_find(len(order))
        self._images_version = snapshot.images_version
        self._images = _IMAGES.pre_score(profile, snapshot, ())
        self._static = [(plugin, plugin.pre_filter(profile, snapshot)) for plugin in _STATIC_FILTERS]
        self._static = [(plugin, state) for plugin, state in self._static if state is not SKIP]
        self._is_scored_by_load = not (profile.host_ports or profile.requests.scalars or self._images.worth)
        self._soft_taints = _TAINTS.pre_score(profile, snapshot, ())
        self._is_scored_by_affinity = bool(profile.preferred_node_terms)
        self._is_balanced = _BALANCED.pre_score(profile, snapshot, ()) is not SKIP
        self._topologies = Topologies(profile, snapshot, order)
        self._stale = False
        count = len(order)
        self._revisions = [0] * count
        self._raw: list[tuple[int, int] | None] = [None] * count
        self._group_at: list[Group | None] = [None] * count
        self._fixed_at = [INFEASIBLE] * count
        self._groups: dict[Standings, Group] = {}
        self._bonuses_of: dict[tuple[int | Standings, ...], list[int]] = {}
        self._feasible: list[int] = []
        for node in order:
            self._judge(node)

    def _judge(self, node: NodeInfo) -> None:
        """Put the node into the group where it belongs now."""
        position = node.position
        if self._revisions[position] != node.revision:
            if self._revisions[position] and self._topologies.has_moved(node):
                self._stale = True
                return
            self._revisions[position] = node.revision
            self._raw[position] = self._raw_scores(node)
        raw = self._raw[position]
        fixed = INFEASIBLE if raw is None else self._fixed_score(node)
        group: Group | None = None
        if raw is not None and fixed != INFEASIBLE:
            standings = (*raw, *self._topologies.standings(node))
            group = self._groups.get(standings)
            if group is None:
                group = self._groups[standings] = Group(standings)
        old, old_fixed = self._group_at[position], self._fixed_at[position]
        if old is group and old_fixed == fixed:
            return
        self._group_at[position], self._fixed_at[position] = group, fixed
        if old is not None:
            old.remove(old_fixed, position)
            if not old.levels and old is not group:
                del self._groups[old.standings]
            if group is None:
                del self._feasible[bisect_left(self._feasible, position)]
        if group is not None:
            group.add(fixed, position)
            if old is None:
                insort(self._feasible, position)

    def _raw_scores(self, node: NodeInfo) -> tuple[int, int] | None:
        """The raw taint and affinity scores, or None where the node itself rules the Pod out."""
        for plugin, state in self._static:
            if plugin.filter(state, node) is not None:
                return None
        preference = _AFFINITY.score(self._profile, node) if self._is_scored_by_affinity else 0
        return _TAINTS.score(self._soft_taints, node), preference

    def _fixed_score(self, node: NodeInfo) -> int:
        """The sum of the scores that need no normalization, or `INFEASIBLE`."""
        profile = self._profile
        if profile.host_ports and _PORTS.filter(profile.host_ports, node) is not None:
            return INFEASIBLE
        if profile.requests.scalars:
            fixed = self._resource_score(node)
        else:
            load = self._snapshot.load_of(node)
            known = self._fixed_of_load.get(load)
            if known is None:
                if len(self._fixed_of_load) >= _LOADS_MAX:
                    self._fixed_of_load.clear()
                known = self._fixed_of_load[load] = self._resource_score(node)
            fixed = known
        if fixed == INFEASIBLE or not self._images.worth:
            return fixed
        return fixed + _IMAGES.weight * _IMAGES.score(self._images, node)

    def _resource_score(self, node: NodeInfo) -> int:
        requests = self._profile.requests
        if _FIT.filter(requests, node) is not None:
            return INFEASIBLE
        score = _FIT.weight * _FIT.score(requests, node)
        return score + _BALANCED.weight * _BALANCED.score(requests, node) if self._is_balanced else score

    # Choosing

    def choose(self, start: int, stream: Stream) -> Chosen | None:
        """The node for the next Pod when the search starts at that position, or None where no node is feasible."""
        self.refresh()
        groups, feasible = self._judged()
        total, wanted, count = len(feasible), self._wanted, len(self._order)
        if not total:
            return None
        ranges: tuple[Range, ...]
        if total > wanted:
            end = bisect_left(feasible, start) + wanted
            if end < total:
                next_start = feasible[end]
                ranges = ((start, next_start),)
            else:
                next_start = feasible[end - total]
                ranges = ((start, count), (0, next_start))
        else:
            next_start = start
            ranges = ((start, count), (0, start))
        present: list[Group] = []
        scores: list[int] = []
        for group in groups:
            fixed = group.best_within(ranges)
            if fixed != INFEASIBLE:
                present.append(group)
                scores.append(fixed)
        if len(present) == 1:
            lists = [present[0].levels[scores[0]]]
        else:
            bonuses = self._known_bonuses(present, ranges, min(total, wanted))
            totals = [fixed + bonus for fixed, bonus in zip(scores, bonuses, strict=True)]
            best = max(totals)
            lists = [
                group.levels[fixed] for group, fixed, sum_ in zip(present, scores, totals, strict=True) if sum_ == best
            ]
        equals = sum([count_within(positions, ranges) for positions in lists])
        index = stream.below(equals) if equals > 1 else 0
        return Chosen(self._order[nth_within(lists, ranges, index)], next_start)

    def _judged(self) -> tuple[Sequence[Group], list[int]]:
        """The groups whose topology lets the Pod in, and the positions of their nodes."""
        groups = list(self._groups.values())
        topologies = self._topologies
        if not topologies.judges:
            return groups, self._feasible
        open_groups = [group for group in groups if topologies.is_open(group.standings)]
        if len(open_groups) == len(groups):
            return groups, self._feasible
        return open_groups, sorted([position for group in open_groups for position in group.positions()])

    def _known_bonuses(self, groups: Sequence[Group], ranges: Sequence[Range], node_count: int) -> list[int]:
        """As `_bonuses`; where they follow from the groups' standings they are the same for one Pod after the other."""
        if not self._topologies.scores_by_standing:
            return self._bonuses(groups, ranges, node_count)
        key: tuple[int | Standings, ...] = (node_count, *[group.standings for group in groups])
        known = self._bonuses_of.get(key)
        if known is None:
            if len(self._bonuses_of) >= _BONUSES_MAX:
                self._bonuses_of.clear()
            known = self._bonuses_of[key] = self._bonuses(groups, ranges, node_count)
        return known

    def _bonuses(self, groups: Sequence[Group], ranges: Sequence[Range], node_count: int) -> list[int]:
        """The weighted normalized scores of each group, normalized over the nodes in the window."""
        bonuses = [0] * len(groups)

        def add(weight: int, scores: Sequence[int]) -> None:
            for index, score in enumerate(scores):
                bonuses[index] += weight * score

        taints = [group.standings[0] for group in groups]
        if any(taints):
            add(_TAINTS.weight, default_normalize(taints, reverse=True))  # type: ignore[arg-type]
        if self._is_scored_by_affinity:
            preferences = [group.standings[1] for group in groups]
            add(_AFFINITY.weight, default_normalize(preferences, reverse=False))  # type: ignore[arg-type]
        topologies = self._topologies
        if topologies.soft:
            add(PodTopologySpread.weight, normalize_spread(topologies.spread_scores(groups, ranges, node_count)))
        if topologies.score_dimensions:
            raw = [topologies.affinity_score(group.standings) for group in groups]
            add(InterPodAffinity.weight, normalize_affinity(raw))
        return bonuses


@final
class EquivalenceClasses:
    """The classes of the profiles scheduled lately."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot
        self._classes: dict[PodProfile, EquivalenceClass] = {}

    def choose(self, profile: PodProfile, start: int, stream: Stream) -> Chosen | None:
        """As `EquivalenceClass.choose`, for a Pod of this profile; its claims and named nodes are not considered."""
        classes = self._classes
        found = classes.pop(profile, None)
        if found is None:
            kept = max(_CLASS_NODES_MAX // len(self._snapshot.nodes), _CLASSES_MIN)
            while len(classes) >= kept:
                del classes[next(iter(classes))]
            found = EquivalenceClass(profile, self._snapshot)
        # Put in again at the end, so that the first is the one that was not used for longest.
        classes[profile] = found
        return found.choose(start, stream)

    def forget(self, concerns: Callable[[PodProfile], bool]) -> None:
        """Drop what was concluded for these profiles: a Service, an owner or a namespace's labels changed."""
        for profile in [profile for profile in self._classes if concerns(profile)]:
            del self._classes[profile]

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
from kubesim.scheduler.groups import (
    INFEASIBLE,
    Column,
    Dimension,
    Group,
    Range,
    Standings,
    count_within,
    is_unique,
    nth_within,
)
from kubesim.scheduler.plugins import inter_pod_affinity as affinity
from kubesim.scheduler.plugins import pod_topology_spread as spread
from kubesim.scheduler.plugins.image_locality import ImageLocality
from kubesim.scheduler.plugins.node_affinity import NodeAffinity
from kubesim.scheduler.plugins.node_ports import NodePorts
from kubesim.scheduler.plugins.node_resources import NodeResourcesBalancedAllocation, NodeResourcesFit
from kubesim.scheduler.plugins.node_unschedulable import NodeUnschedulable
from kubesim.scheduler.plugins.taint_toleration import TaintToleration
from kubesim.scheduler.profile import PodProfile
from kubesim.scheduler.snapshot import Change, NodeInfo, Snapshot
from kubesim.sim.chooser import Stream

_CLASSES_MAX: Final = 128
_LOADS_MAX: Final = 65536

_TAINTS: Final = TaintToleration()
_AFFINITY: Final = NodeAffinity()
_PORTS: Final = NodePorts()
_FIT: Final = NodeResourcesFit()
_BALANCED: Final = NodeResourcesBalancedAllocation()
_IMAGES: Final = ImageLocality()
_SPREAD: Final = spread.PodTopologySpread()
_NEIGHBOURS: Final = affinity.InterPodAffinity()
# Depend on the node object alone.
_STATIC_FILTERS: Final[tuple[FilterPlugin, ...]] = (NodeUnschedulable(), _TAINTS, _AFFINITY)

class Chosen(NamedTuple):
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
        if self._image_names and _IMAGES.pre_score(self._profile, snapshot, ()) != self._images:
            self._rebuild(order)
            return
        changes = snapshot.changes
        cursor = self._cursor - snapshot.changes_base
        if cursor == len(changes):
            return
        pending = changes[cursor:]
        self._cursor = snapshot.changes_base + len(changes)
        self._follow(pending)
        if self._stale:
            self._rebuild(order)

    def _follow(self, pending: Sequence[Change]) -> None:
        """Take note of what has changed, first the counts, then the verdict on each node concerned."""
        known = self._amounts
        nodes: dict[NodeInfo, bool] = {}
        for node, pod, number, leaving, before in pending:
            if pod is None:
                nodes[node] = True
                continue
            amounts = known.get(pod)
            if amounts is None:
                amounts = self._amounts_of(pod)
            if before is not None:
                left = known.get(before)
                if left is None:
                    left = self._amounts_of(before)
                if left != amounts:
                    self._shift(node, left, -1, 0)
                    self._shift(node, amounts, 1, 0)
                    nodes[node] = True
            elif amounts:
                self._shift(node, amounts, number, leaving)
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

    def _shift(self, node: NodeInfo, amounts: Sequence[int], number: int, leaving: int) -> None:
        """Add to the counts of the node and of its domains."""
        if not amounts:
            return
        position = node.position
        deltas = [
            amount * (number - leaving if column.live_only else number)
            for amount, column in zip(amounts, self._columns, strict=True)
        ]
        self._here[position] = tuple([old + delta for old, delta in zip(self._here[position], deltas, strict=True)])
        for dimension in self._domain_dimensions:
            delta = deltas[dimension.column]
            if delta and dimension.counted[position]:
                # The node may have got other labels meanwhile; its domain then was the one it had when it was judged.
                dimension.counts[self._labels[position][dimension.topology_key]] += delta

    def _rebuild(self, order: list[NodeInfo]) -> None:
        snapshot, profile = self._snapshot, self._profile
        self._epoch = snapshot.epoch
        self._cursor = snapshot.changes_base + len(snapshot.changes)
        self._order = order
        self._wanted = node_count_to_find(len(order))
        self._image_names = bool(profile.images)
        self._images = _IMAGES.pre_score(profile, snapshot, ())
        self._static = [(plugin, plugin.pre_filter(profile, snapshot)) for plugin in _STATIC_FILTERS]
        self._static = [(plugin, state) for plugin, state in self._static if state is not SKIP]
        self._is_scored_by_load = not (profile.host_ports or profile.requests.scalars or self._images.worth)
        self._soft_taints = _TAINTS.pre_score(profile, snapshot, ())
        self._is_scored_by_affinity = bool(profile.preferred_node_terms)
        self._is_balanced = _BALANCED.pre_score(profile, snapshot, ()) is not SKIP
        self._make_dimensions(order)
        # Judging a node can meet profiles that bring topologies not thought of yet; then everything starts again.
        self._stale = False
        count = len(order)
        self._here: list[tuple[int, ...]] = [()] * count
        self._revisions = [0] * count
        self._labels = [node.labels for node in order]
        self._raw: list[tuple[int, int] | None] = [None] * count
        self._group_at: list[Group | None] = [None] * count
        self._fixed_at = [INFEASIBLE] * count
        self._groups: dict[Standings, Group] = {}
        self._feasible: list[int] = []
        for node in order:
            here = self._count(node)
            self._here[node.position] = here
            for dimension in self._domain_dimensions:
                if dimension.counted[node.position]:
                    domain = node.labels[dimension.topology_key]
                    dimension.counts[domain] = dimension.counts.get(domain, 0) + here[dimension.column]
        for node in order:
            self._judge(node)

    def _make_dimensions(self, order: list[NodeInfo]) -> None:
        profile, snapshot = self._profile, self._snapshot
        self._amounts: dict[PodProfile, tuple[int, ...]] = {}
        self._columns: list[Column] = []
        self._dimensions: list[Dimension] = []
        self._hard = spread.constraints_of(profile, "DoNotSchedule")
        self._soft = spread.soft_constraints_of(profile, snapshot.listers)
        self._soft_needs_all = bool(profile.spread_constraints)
        self._hard_dimensions = self._spread_dimensions(self._hard, order, needs_all=True, is_hard=True)
        self._soft_dimensions = self._spread_dimensions(self._soft, order, needs_all=self._soft_needs_all)
        self._first_of_kind = affinity.matches_own_affinity(profile, snapshot.namespace_labels(profile.namespace))
        self._tallies = self._affinity_dimensions(order)
        self._existing_keys = [tally.topology_key for tally in self._tallies if tally.slot == "existing"]
        self._score_dimensions = [i for tally, i in self._tallies.items() if tally.slot == "score"]
        self._judges_groups = bool(self._hard or any(tally.slot != "score" for tally in self._tallies))
        self._domain_dimensions = [d for d in self._dimensions if not d.only_here]
        self._follows_taints = any(constraint.honors_taints for constraint in self._hard + self._soft)

    def _spread_dimensions(
        self, constraints: Sequence[spread.Constraint], order: list[NodeInfo], *, needs_all: bool, is_hard: bool = False
    ) -> list[int]:
        keys = [constraint.topology_key for constraint in constraints]
        indices = []
        for constraint in constraints:
            key = constraint.topology_key
            only_here = key == spread.HOSTNAME_LABEL and not is_hard
            dimension = Dimension(
                key,
                self._spread_column(constraint),
                only_here=only_here,
                by_name=not only_here and not (is_hard and is_unique(key, order)),
            )
            if not only_here:
                dimension.counted = [
                    key in node.labels
                    and not (needs_all and any(other not in node.labels for other in keys))
                    and constraint.counts(self._profile, node)
                    for node in order
                ]
            indices.append(len(self._dimensions))
            self._dimensions.append(dimension)
        return indices

    def _spread_column(self, constraint: spread.Constraint) -> int:
        """The column that counts for the constraint; the system defaults share one selector and so one column."""
        selects, namespace = constraint.selects, self._profile.namespace
        for index, known in enumerate(self._columns):
            if getattr(known.amount, "selects", None) is selects:
                return index

        def amount(pod: PodProfile) -> int:
            return 1 if spread.counts_towards(selects, namespace, pod) else 0

        amount.selects = selects  # type: ignore[attr-defined]
        self._columns.append(Column(amount, live_only=True))
        return len(self._columns) - 1

    def _affinity_dimensions(self, order: list[NodeInfo]) -> dict[affinity.Tally, int]:
        """A dimension for every tally that Pods now on nodes, or the class's own terms, speak of."""
        profile, snapshot = self._profile, self._snapshot
        tallies: dict[affinity.Tally, None] = {}
        for term in profile.affinity_terms:
            tallies[affinity.Tally("affinity", term.topology_key)] = None
        for term in profile.anti_affinity_terms:
            tallies[affinity.Tally("anti", term.topology_key)] = None
        for node in order if profile.has_affinity else snapshot.nodes_with_affinity.values():
            for pod in node.profiles:
                tallies.update(dict.fromkeys(self._contributions(pod)))
        indices: dict[affinity.Tally, int] = {}
        for tally in tallies:
            key = tally.topology_key
            column = Column(lambda pod, tally=tally: self._contributions(pod).get(tally, 0), live_only=False)  # type: ignore[misc]
            dimension = Dimension(key, len(self._columns), only_here=False, by_name=not is_unique(key, order))
            dimension.counted = [key in node.labels for node in order]
            self._columns.append(column)
            indices[tally] = len(self._dimensions)
            self._dimensions.append(dimension)
        return indices

    def _contributions(self, pod: PodProfile) -> affinity.Contribution:
        if not affinity.concerns(self._profile, pod):
            return {}
        return affinity.contributions(self._profile, pod, self._snapshot.namespace_labels)

    def _amounts_of(self, pod: PodProfile) -> tuple[int, ...]:
        """What a Pod adds to each column; empty where it adds nothing to any."""
        amounts: tuple[int, ...] = tuple([column.amount(pod) for column in self._columns])
        if not any(amounts):
            amounts = ()
        if any(tally not in self._tallies for tally in self._contributions(pod)):
            self._stale = True
        self._amounts[pod] = amounts
        return amounts

    def _count(self, node: NodeInfo) -> tuple[int, ...]:
        """Every column's count on the node."""
        totals = [0] * len(self._columns)
        for pod, number in node.profiles.items():
            amounts = self._amounts.get(pod)
            if amounts is None:
                amounts = self._amounts_of(pod)
            for index, amount in enumerate(amounts):
                leaving = node.terminating.get(pod, 0) if self._columns[index].live_only else 0
                totals[index] += amount * (number - leaving)
        return tuple(totals)

    def _judge(self, node: NodeInfo) -> None:
        """Put the node into the group where it belongs now."""
        position = node.position
        if self._revisions[position] != node.revision:
            if self._revisions[position] and (self._follows_taints or self._labels[position] != node.labels):
                # Which Pods count in which domain may have changed.
                self._stale = True
                return
            self._revisions[position] = node.revision
            self._raw[position] = self._raw_scores(node)
        raw = self._raw[position]
        fixed = INFEASIBLE if raw is None else self._fixed_score(node)
        group: Group | None = None
        if raw is not None and fixed != INFEASIBLE:
            here = self._here[position]
            standings = (*raw, *[dimension.standing(node, here) for dimension in self._dimensions])
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
            bonuses = self._bonuses(present, ranges, min(total, wanted))
            totals = [fixed + bonus for fixed, bonus in zip(scores, bonuses, strict=True)]
            best = max(totals)
            lists = [
                group.levels[fixed]
                for group, fixed, sum_ in zip(present, scores, totals, strict=True)
                if sum_ == best
            ]
        equals = sum([count_within(positions, ranges) for positions in lists])
        index = stream.below(equals) if equals > 1 else 0
        return Chosen(self._order[nth_within(lists, ranges, index)], next_start)

    def _judged(self) -> tuple[Sequence[Group], list[int]]:
        """The groups whose topology lets the Pod in, and the positions of their nodes."""
        groups = list(self._groups.values())
        if not self._judges_groups:
            return groups, self._feasible
        open_groups = [group for group in groups if self._is_open(group.standings)]
        if len(open_groups) == len(groups):
            return groups, self._feasible
        return open_groups, sorted([position for group in open_groups for position in group.positions()])

    def _is_open(self, standings: Standings) -> bool:
        """Whether topology spread and inter-Pod affinity let the Pod onto nodes that stand so."""
        dimensions = self._dimensions
        for constraint, index in zip(self._hard, self._hard_dimensions, strict=True):
            dimension, standing = dimensions[index], standings[index + 2]
            there = 0 if standing is None else dimension.count(standing)
            domain = None if standing is None else ""
            if spread.refusal(constraint, self._profile, domain, there, dimension.counts) is not None:
                return False
        if len(self._tallies) == len(self._score_dimensions):
            return True

        def count(tally: affinity.Tally) -> int | None:
            index = self._tallies[tally]
            standing = standings[index + 2]
            return None if standing is None else dimensions[index].count(standing)

        return (
            affinity.refusal(self._profile, count, self._existing_keys, self._is_any_affine, self._first_of_kind)
            is None
        )

    def _is_any_affine(self) -> bool:
        return any(
            any(self._dimensions[index].counts.values())
            for tally, index in self._tallies.items()
            if tally.slot == "affinity"
        )

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
        if self._soft:
            add(_SPREAD.weight, spread.normalize_spread(self._spread_scores(groups, ranges, node_count)))
        if self._score_dimensions:
            add(_NEIGHBOURS.weight, affinity.normalize_affinity([self._affinity_score(g.standings) for g in groups]))
        return bonuses

    def _spread_scores(
        self, groups: Sequence[Group], ranges: Sequence[Range], node_count: int
    ) -> list[int | None]:
        """The raw spreading score of each group; None where a label that all must have is missing."""
        indices = [index + 2 for index in self._soft_dimensions]
        scored = list(groups)
        if self._soft_needs_all:
            scored = [group for group in groups if all(group.standings[i] is not None for i in indices)]
            for group in groups:
                if group not in scored:
                    node_count -= sum(count_within(positions, ranges) for positions in group.levels.values())
        terms = []
        for constraint, index in zip(self._soft, self._soft_dimensions, strict=True):
            dimension = self._dimensions[index]
            size = node_count if dimension.only_here else len({group.standings[index + 2] for group in scored})
            terms.append((dimension, constraint, spread.topology_weight(size), index + 2))
        scores: list[int | None] = [None] * len(groups)
        for at, group in enumerate(groups):
            standings = group.standings
            if self._soft_needs_all and any(standings[i] is None for i in indices):
                continue
            scores[at] = spread.raw_score(
                [(d.count(standings[i]), constraint, weight) for d, constraint, weight, i in terms
                 if standings[i] is not None]
            )
        return scores

    def _affinity_score(self, standings: Standings) -> int:
        dimensions = self._dimensions
        return sum(
            dimensions[index].count(standings[index + 2])
            for index in self._score_dimensions
            if standings[index + 2] is not None
        )


@final
class EquivalenceClasses:
    """The classes of the profiles scheduled lately."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot
        self._classes: dict[PodProfile, EquivalenceClass] = {}

    def choose(self, profile: PodProfile, start: int, stream: Stream) -> Chosen | None:
        """As `EquivalenceClass.choose`, for a Pod of this profile; its claims and named nodes are not considered."""
        found = self._classes.get(profile)
        if found is None:
            if len(self._classes) >= _CLASSES_MAX:
                del self._classes[next(iter(self._classes))]
            found = self._classes[profile] = EquivalenceClass(profile, self._snapshot)
        return found.choose(start, stream)

    def forget(self, concerns: Callable[[PodProfile], bool]) -> None:
        """Drop what was concluded for these profiles: a Service, an owner or a namespace's labels changed."""
        for profile in [profile for profile in self._classes if concerns(profile)]:
            del self._classes[profile]

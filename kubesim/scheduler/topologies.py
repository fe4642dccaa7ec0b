"""What of other Pods matters to a class of Pods: counts by host, zone or any label, kept from event to event.

Topology spread and inter-Pod affinity come down to the same thing. Each Pod on a node adds something to some columns;
a dimension adds a column up over the nodes that share a label's value. A column for each selector or tally, a
dimension for each constraint or tally.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, final

from kubesim.scheduler.groups import Column, Dimension, Group, Range, Standing, Standings, count_within, is_unique
from kubesim.scheduler.plugins import inter_pod_affinity as affinity
from kubesim.scheduler.plugins import pod_topology_spread as spread
from kubesim.scheduler.profile import PodProfile
from kubesim.scheduler.snapshot import NodeInfo, Snapshot
from kubesim.scheduler.terms import Predicate

# A node's standings begin with its raw taint and affinity scores; those in topologies follow.
_FIRST: Final = 2


@final
class Topologies:
    """The columns and dimensions of one class, and the verdicts and scores that follow from standings in them.

    `is_incomplete` becomes true when a Pod brings a topology that nothing was made for; then all is to be made anew.
    """

    def __init__(self, profile: PodProfile, snapshot: Snapshot, order: list[NodeInfo]) -> None:
        self._profile = profile
        self._snapshot = snapshot
        self.is_incomplete = False
        self._amounts: dict[PodProfile, tuple[int, ...]] = {}
        self.columns: list[Column] = []
        self._column_of: dict[Predicate, int] = {}
        self._dimensions: list[Dimension] = []
        self._hard = spread.constraints_of(profile, "DoNotSchedule")
        self.soft = spread.soft_constraints_of(profile, snapshot.listers)
        self._needs_all = bool(profile.spread_constraints)
        self._hard_dimensions = self._spread_dimensions(self._hard, order, needs_all=True, is_hard=True)
        self._soft_dimensions = self._spread_dimensions(self.soft, order, needs_all=self._needs_all)
        self._first_of_kind = affinity.matches_own_affinity(profile, snapshot.namespace_labels(profile.namespace))
        self._tallies = self._affinity_dimensions(order)
        self._existing_keys = [tally.topology_key for tally in self._tallies if tally.slot == "existing"]
        self.score_dimensions = [i for tally, i in self._tallies.items() if tally.slot == "score"]
        self.judges = bool(self._hard or any(tally.slot != "score" for tally in self._tallies))
        self._by_domain = [d for d in self._dimensions if not d.only_here]
        self.follows_taints = any(constraint.honors_taints for constraint in self._hard + self.soft)
        # By position.
        self._here: list[tuple[int, ...]] = [()] * len(order)
        self._labels = [node.labels for node in order]
        for node in order:
            self._enter(node)
        # Whether scores follow from standings alone, with no domain that has several nodes and a count that moves.
        self.scores_by_standing = not (
            self._needs_all
            or self.score_dimensions
            or any(self._dimensions[i].counts for i in self._soft_dimensions if not self._dimensions[i].only_here)
        )

    def _enter(self, node: NodeInfo) -> None:
        """Count what is on a node for the first time."""
        position = node.position
        here = self._here[position] = self._count(node)
        for dimension in self._by_domain:
            if dimension.counted[position]:
                domain = node.labels[dimension.topology_key]
                dimension.counts[domain] = dimension.counts.get(domain, 0) + here[dimension.column]

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
        if selects not in self._column_of:

            def amount(pod: PodProfile) -> int:
                return 1 if spread.counts_towards(selects, namespace, pod) else 0

            self._column_of[selects] = len(self.columns)
            self.columns.append(Column(amount, live_only=True))
        return self._column_of[selects]

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
            dimension = Dimension(key, len(self.columns), only_here=False, by_name=not is_unique(key, order))
            dimension.counted = [key in node.labels for node in order]
            self.columns.append(column)
            indices[tally] = len(self._dimensions)
            self._dimensions.append(dimension)
        return indices

    def _contributions(self, pod: PodProfile) -> affinity.Contribution:
        if not affinity.concerns(self._profile, pod):
            return {}
        return affinity.contributions(self._profile, pod, self._snapshot.namespace_labels)

    def amounts_of(self, pod: PodProfile) -> tuple[int, ...]:
        """What a Pod adds to each column; empty where it adds nothing to any."""
        known = self._amounts.get(pod)
        if known is not None:
            return known
        amounts: tuple[int, ...] = tuple([column.amount(pod) for column in self.columns])
        if not any(amounts):
            amounts = ()
        if any(tally not in self._tallies for tally in self._contributions(pod)):
            self.is_incomplete = True
        self._amounts[pod] = amounts
        return amounts

    def _count(self, node: NodeInfo) -> tuple[int, ...]:
        """Every column's count on the node."""
        totals = [0] * len(self.columns)
        for pod, number in node.profiles.items():
            for index, amount in enumerate(self.amounts_of(pod)):
                leaving = node.terminating.get(pod, 0) if self.columns[index].live_only else 0
                totals[index] += amount * (number - leaving)
        return tuple(totals)

    def shift(self, node: NodeInfo, amounts: Sequence[int], number: int, leaving: int) -> None:
        """Add to the counts of the node and of its domains."""
        if not amounts:
            return
        position = node.position
        deltas = [
            amount * (number - leaving if column.live_only else number)
            for amount, column in zip(amounts, self.columns, strict=True)
        ]
        self._here[position] = tuple([old + delta for old, delta in zip(self._here[position], deltas, strict=True)])
        for dimension in self._by_domain:
            delta = deltas[dimension.column]
            if delta and dimension.counted[position]:
                # The node may have got other labels meanwhile; its domain then was the one it had when it was judged.
                dimension.counts[self._labels[position][dimension.topology_key]] += delta

    def has_moved(self, node: NodeInfo) -> bool:
        """Whether a change of the node itself makes other Pods count in other domains than before."""
        return self.follows_taints or self._labels[node.position] != node.labels

    def standings(self, node: NodeInfo) -> list[Standing]:
        """Where the node stands in each dimension."""
        here = self._here[node.position]
        return [dimension.standing(node, here) for dimension in self._dimensions]

    def is_open(self, standings: Standings) -> bool:
        """Whether topology spread and inter-Pod affinity let the Pod onto nodes that stand so."""
        dimensions = self._dimensions
        for constraint, index in zip(self._hard, self._hard_dimensions, strict=True):
            dimension, standing = dimensions[index], standings[index + _FIRST]
            there = 0 if standing is None else dimension.count(standing)
            domain = None if standing is None else ""
            if spread.refusal(constraint, self._profile, domain, there, dimension.counts) is not None:
                return False
        if len(self._tallies) == len(self.score_dimensions):
            return True

        def count(tally: affinity.Tally) -> int | None:
            index = self._tallies[tally]
            standing = standings[index + _FIRST]
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

    def spread_scores(self, groups: Sequence[Group], ranges: Sequence[Range], node_count: int) -> list[int | None]:
        """The raw spreading score of each group; None where a label that all must have is missing."""
        indices = [index + _FIRST for index in self._soft_dimensions]
        scored = groups
        if self._needs_all:
            scored = [group for group in groups if all(group.standings[i] is not None for i in indices)]
            for group in groups:
                if any(group.standings[i] is None for i in indices):
                    node_count -= sum(count_within(positions, ranges) for positions in group.levels.values())
        terms = []
        for constraint, index in zip(self.soft, self._soft_dimensions, strict=True):
            dimension = self._dimensions[index]
            size = node_count if dimension.only_here else len({group.standings[index + _FIRST] for group in scored})
            terms.append((dimension, constraint, spread.topology_weight(size), index + _FIRST))
        scores: list[int | None] = [None] * len(groups)
        for at, group in enumerate(groups):
            standings = group.standings
            if self._needs_all and any(standings[i] is None for i in indices):
                continue
            scores[at] = spread.raw_score(
                [
                    (d.count(standings[i]), constraint, weight)
                    for d, constraint, weight, i in terms
                    if standings[i] is not None
                ]
            )
        return scores

    def affinity_score(self, standings: Standings) -> int:
        """The raw inter-Pod affinity score of a node with these standings."""
        dimensions = self._dimensions
        return sum(
            dimensions[index].count(standings[index + _FIRST])
            for index in self.score_dimensions
            if standings[index + _FIRST] is not None
        )

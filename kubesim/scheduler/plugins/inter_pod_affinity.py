"""InterPodAffinity: Pods near to or far from other Pods, by the terms of both sides.

Everything comes down to tallies: what a Pod that is there adds, in the topology of its node, to each of four counts
that the incoming Pod is judged by. `contributions` says what; filter and score only add up.
Upstream: pkg/scheduler/framework/plugins/interpodaffinity/{filtering,scoring}.go @v1.36
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final, Literal, NamedTuple

from kubesim.scheduler.framework import MAX_NODE_SCORE, SKIP, UNRESOLVABLE, UNSCHEDULABLE, Status
from kubesim.scheduler.profile import PodProfile
from kubesim.scheduler.snapshot import NodeInfo, Snapshot
from kubesim.scheduler.terms import Labels, PodTerm

NAME: Final = "InterPodAffinity"
REFUSED_AFFINITY: Final = Status(UNRESOLVABLE, NAME, "node(s) didn't match pod affinity rules")
REFUSED_ANTI_AFFINITY: Final = Status(UNSCHEDULABLE, NAME, "node(s) didn't match pod anti-affinity rules")
REFUSED_EXISTING: Final = Status(UNSCHEDULABLE, NAME, "node(s) didn't satisfy existing pods anti-affinity rules")

# What a required affinity term of a Pod that is there is worth to one that it would like to have near.
_HARD_POD_AFFINITY_WEIGHT: Final = 1

Slot = Literal["affinity", "anti", "existing", "score"]


class Tally(NamedTuple):
    """A count by domain: pods matching the incoming Pod's affinity or anti-affinity, existing Pods' anti-affinity
    terms that match it, or the sum of preferences."""

    slot: Slot
    topology_key: str


Contribution = dict[Tally, int]
Counts = dict[tuple[Tally, str], int]


def concerns(profile: PodProfile, other: PodProfile) -> bool:
    """Whether either has any term at all; the quick test before `contributions`."""
    return profile.has_affinity or other.has_affinity


def contributions(profile: PodProfile, other: PodProfile, labels_of: Callable[[str], Labels]) -> Contribution:
    """What one Pod of profile `other` adds to each tally of an incoming Pod; `labels_of` gives a namespace's labels."""
    found: Contribution = {}

    def add(slot: Slot, term: PodTerm, amount: int) -> None:
        tally = Tally(slot, term.topology_key)
        found[tally] = found.get(tally, 0) + amount

    other_labels, own_labels = labels_of(other.namespace), labels_of(profile.namespace)

    def wants(term: PodTerm) -> bool:
        return term.matches(other.namespace, other_labels, other.labels)

    def wanted(term: PodTerm) -> bool:
        return term.matches(profile.namespace, own_labels, profile.labels)

    if profile.affinity_terms and all(map(wants, profile.affinity_terms)):
        for term in profile.affinity_terms:
            add("affinity", term, 1)
    for term in filter(wants, profile.anti_affinity_terms):
        add("anti", term, 1)
    for term in filter(wanted, other.anti_affinity_terms):
        add("existing", term, 1)
    for terms, test, sign in (
        (profile.preferred_affinity_terms, wants, 1),
        (profile.preferred_anti_affinity_terms, wants, -1),
        (other.preferred_affinity_terms, wanted, 1),
        (other.preferred_anti_affinity_terms, wanted, -1),
    ):
        for term in filter(test, terms):
            add("score", term, sign * term.weight)
    for term in filter(wanted, other.affinity_terms):
        add("score", term, _HARD_POD_AFFINITY_WEIGHT)
    return found


def matches_own_affinity(profile: PodProfile, own_labels: Labels) -> bool:
    """Whether the Pod satisfies its own affinity terms, so that it may be the first of its kind."""
    return all(term.matches(profile.namespace, own_labels, profile.labels) for term in profile.affinity_terms)


def refusal(
    profile: PodProfile,
    count: Callable[[Tally], int | None],
    existing_keys: Iterable[str],
    any_affine: Callable[[], bool],
    first_of_kind: bool,
) -> Status | None:
    """The verdict on a node where each tally stands at `count` (None: the node lacks the label).

    `any_affine` says whether any Pod anywhere matches the incoming Pod's affinity.
    """
    complete = True
    for term in profile.affinity_terms:
        there = count(Tally("affinity", term.topology_key))
        if there is None:
            return REFUSED_AFFINITY
        complete &= there > 0
    if not complete and (any_affine() or not first_of_kind):
        return REFUSED_AFFINITY
    if any(count(Tally("anti", term.topology_key)) for term in profile.anti_affinity_terms):
        return REFUSED_ANTI_AFFINITY
    if any(count(Tally("existing", key)) for key in existing_keys):
        return REFUSED_EXISTING
    return None


def normalize_affinity(scores: Sequence[int]) -> list[int]:
    """Scale the range of raw scores, which may be negative, to 0 to 100."""
    least, greatest = min(scores, default=0), max(scores, default=0)
    if greatest == least:
        return [0] * len(scores)
    return [int(MAX_NODE_SCORE * ((score - least) / (greatest - least))) for score in scores]


class FilterState(NamedTuple):
    """The tallies of an incoming Pod."""

    profile: PodProfile
    counts: Counts
    first_of_kind: bool
    labels_of: Callable[[str], Labels]


class InterPodAffinity:
    """Filters by required terms of both sides, scores by the preferred ones."""

    name = NAME
    weight = 2

    def pre_filter(self, profile: PodProfile, snapshot: Snapshot) -> Any:
        both_sides = bool(profile.affinity_terms or profile.anti_affinity_terms)
        counts = _count(profile, snapshot, {"affinity", "anti", "existing"}, everyone=both_sides)
        if not counts and not both_sides:
            return SKIP
        own_labels = snapshot.namespace_labels(profile.namespace)
        first = matches_own_affinity(profile, own_labels)
        return FilterState(profile, counts, first, snapshot.namespace_labels)

    def filter(self, state: FilterState, node: NodeInfo) -> Status | None:
        labels, counts = node.labels, state.counts

        def count(tally: Tally) -> int | None:
            domain = labels.get(tally.topology_key)
            return None if domain is None else counts.get((tally, domain), 0)

        def any_affine() -> bool:
            return any(tally.slot == "affinity" for tally, _ in counts)

        keys = {tally.topology_key: None for tally, _ in counts if tally.slot == "existing"}
        return refusal(state.profile, count, keys, any_affine, state.first_of_kind)

    def with_pod(self, state: FilterState, pod: PodProfile, node: NodeInfo, delta: int) -> FilterState:
        if not concerns(state.profile, pod):
            return state
        counts = dict(state.counts)
        for tally, amount in contributions(state.profile, pod, state.labels_of).items():
            if tally.slot != "score":
                _tally(counts, tally, node.labels, delta * amount)
        return state._replace(counts=counts)

    def pre_score(self, profile: PodProfile, snapshot: Snapshot, _nodes: Sequence[NodeInfo]) -> Any:
        preferring = bool(profile.preferred_affinity_terms or profile.preferred_anti_affinity_terms)
        return _count(profile, snapshot, {"score"}, everyone=preferring) or SKIP

    def score(self, state: Counts, node: NodeInfo) -> int:
        labels = node.labels
        return sum(amount for (tally, domain), amount in state.items() if labels.get(tally.topology_key) == domain)

    def normalize(self, scores: Sequence[int]) -> Sequence[int]:
        return normalize_affinity(scores)


def _count(profile: PodProfile, snapshot: Snapshot, slots: set[Slot], *, everyone: bool) -> Counts:
    """The tallies over all nodes, or over those alone that have Pods with terms of their own."""
    counts: Counts = {}
    known: dict[PodProfile, Contribution] = {}
    for node in snapshot.order if everyone else snapshot.nodes_with_affinity.values():
        for other, number in node.profiles.items():
            if not concerns(profile, other):
                continue
            contribution = known.get(other)
            if contribution is None:
                contribution = known[other] = contributions(profile, other, snapshot.namespace_labels)
            for tally, amount in contribution.items():
                if tally.slot in slots:
                    _tally(counts, tally, node.labels, number * amount)
    return counts


def _tally(counts: Counts, tally: Tally, labels: Labels, amount: int) -> None:
    domain = labels.get(tally.topology_key)
    if domain is not None:
        key = (tally, domain)
        counts[key] = counts.get(key, 0) + amount
        if not counts[key]:
            del counts[key]

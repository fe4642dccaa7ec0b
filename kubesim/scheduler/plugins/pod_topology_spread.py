"""PodTopologySpread: Pods of one kind spread over hosts, zones or whatever label a constraint names.

`DoNotSchedule` constraints filter; `ScheduleAnyway` ones score, and Pods without constraints are scored by the system
defaults (hosts with skew 3, zones with skew 5) among the Pods of their Services and owner.
Upstream: pkg/scheduler/framework/plugins/podtopologyspread/*.go, plugins/helper/spread.go @v1.36
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from math import floor, log
from typing import Any, Final, NamedTuple, final

from kubesim.api.objects import Object
from kubesim.api.selectors import compile_requirements, compile_selector, everything, requirements_of
from kubesim.scheduler.framework import MAX_NODE_SCORE, SKIP, UNRESOLVABLE, UNSCHEDULABLE, Status
from kubesim.scheduler.plugins.node_affinity import matches_required
from kubesim.scheduler.profile import PodProfile
from kubesim.scheduler.snapshot import ZONE_LABEL, Listers, NodeInfo, Snapshot
from kubesim.scheduler.terms import Labels, Predicate, has_untolerated_taint

NAME: Final = "PodTopologySpread"
HOSTNAME_LABEL: Final = "kubernetes.io/hostname"
_MISMATCH: Final = "node(s) didn't match pod topology spread constraints"
REFUSED: Final = Status(UNSCHEDULABLE, NAME, _MISMATCH)
REFUSED_NO_LABEL: Final = Status(UNRESOLVABLE, NAME, f"{_MISMATCH} (missing required label)")


class Constraint(NamedTuple):
    """One TopologySpreadConstraint with its selector made ready."""

    max_skew: int
    topology_key: str
    selects: Predicate
    min_domains: int = 1
    honors_affinity: bool = True
    honors_taints: bool = False

    def counts(self, profile: PodProfile, node: NodeInfo) -> bool:
        """Whether Pods on the node are counted for a Pod of this profile."""
        if self.honors_affinity and not matches_required(profile, node):
            return False
        return not (self.honors_taints and has_untolerated_taint(node.taints, profile.tolerations))


def constraints_of(profile: PodProfile, action: str) -> tuple[Constraint, ...]:
    """The Pod's own constraints with this `whenUnsatisfiable`."""
    return tuple(
        _constraint(constraint, profile.labels)
        for constraint in profile.spread_constraints
        if constraint["whenUnsatisfiable"] == action
    )


def _constraint(constraint: Object, labels: Labels) -> Constraint:
    selects = compile_selector(constraint.get("labelSelector"))
    same = {key: labels[key] for key in constraint.get("matchLabelKeys") or () if key in labels}
    if same and constraint.get("labelSelector") is not None:
        both = requirements_of({"matchLabels": same}) + requirements_of(constraint["labelSelector"])
        selects = compile_requirements(both)
    return Constraint(
        constraint["maxSkew"],
        constraint["topologyKey"],
        selects,
        constraint.get("minDomains", 1),
        constraint.get("nodeAffinityPolicy", "Honor") == "Honor",
        constraint.get("nodeTaintsPolicy", "Ignore") == "Honor",
    )


def soft_constraints_of(profile: PodProfile, listers: Listers) -> tuple[Constraint, ...]:
    """The constraints that score the Pod: its own soft ones, or the system defaults if it has no constraint at all."""
    if profile.spread_constraints:
        return constraints_of(profile, "ScheduleAnyway")
    selects = default_selector(profile, listers)
    if selects is everything:
        return ()
    return Constraint(3, HOSTNAME_LABEL, selects), Constraint(5, ZONE_LABEL, selects)


def default_selector(profile: PodProfile, listers: Listers) -> Predicate:
    """The Pods that belong together with this one: those of its Services and of its owner.

    Upstream: pkg/scheduler/framework/plugins/helper/spread.go:DefaultSelector @v1.36
    """
    namespace, labels = profile.namespace, profile.labels
    merged: dict[str, str] = {}
    for service in listers.services.in_namespace(namespace):
        wanted = service["spec"].get("selector")
        if wanted is not None and all(labels.get(key) == text for key, text in wanted.items()):
            merged.update(wanted)
    kind, name = profile.owner
    readers = {"ReplicaSet": listers.replica_sets, "StatefulSet": listers.stateful_sets}
    if kind == "ReplicationController":
        owner = listers.replication_controllers.get(namespace, name)
        if owner is not None:
            merged.update(owner["spec"].get("selector") or {})
    requirements = requirements_of({"matchLabels": merged})
    if kind in readers:
        owner = readers[kind].get(namespace, name)
        if owner is not None:
            requirements += requirements_of(owner["spec"].get("selector") or {})
    return compile_requirements(requirements)


def counts_towards(selects: Predicate, namespace: str, pod: PodProfile) -> bool:
    """Whether Pods of profile `pod` are among those that a constraint of a Pod in `namespace` spreads."""
    return pod.namespace == namespace and selects is not everything and selects(pod.labels)


def count_pods(node: NodeInfo, selects: Predicate, namespace: str) -> int:
    """How many Pods on the node the selector spreads; Pods on their way out do not count."""
    terminating = node.terminating
    return sum(
        count - terminating.get(pod, 0)
        for pod, count in node.profiles.items()
        if counts_towards(selects, namespace, pod)
    )


@final
class HardState:
    """The constraints and, for each, the number of Pods in each domain."""

    __slots__ = ("constraints", "counts", "profile")

    def __init__(self, profile: PodProfile, constraints: tuple[Constraint, ...], counts: list[dict[str, int]]) -> None:
        self.profile = profile
        self.constraints = constraints
        self.counts = counts


def refusal(
    constraint: Constraint, profile: PodProfile, domain: str | None, count: int, counts: Mapping[str, int]
) -> Status | None:
    """The verdict of one constraint on a node in `domain`, which holds `count` Pods already."""
    if domain is None:
        return REFUSED_NO_LABEL
    least = least_count(constraint, counts)
    itself = 1 if constraint.selects(profile.labels) else 0
    return REFUSED if count + itself - least > constraint.max_skew else None


def least_count(constraint: Constraint, counts: Mapping[str, int]) -> int:
    """The global minimum that skew is measured from."""
    if len(counts) < constraint.min_domains:
        return 0
    return min(counts.values(), default=2**31 - 1)


class SoftState(NamedTuple):
    """What scoring needs: the domains that the looked-at nodes are in, with their counts and weights."""

    profile: PodProfile
    constraints: tuple[Constraint, ...]
    ignored: frozenset[str]
    counts: tuple[dict[str, int], ...]
    weights: tuple[float, ...]


@lru_cache(maxsize=4096)
def topology_weight(domain_count: int) -> float:
    """The fewer the domains the less a Pod more in one of them weighs."""
    return log(domain_count + 2)


def raw_score(terms: Iterable[tuple[int, Constraint, float]]) -> int:
    """Of (count, constraint, weight); rounded half up as Go's math.Round does for positive numbers."""
    total = 0.0
    for count, constraint, weight in terms:
        total += count * weight + (constraint.max_skew - 1)
    whole = floor(total)
    return whole + (total - whole >= 0.5)


def normalize_spread(scores: Sequence[int | None]) -> list[int]:
    """Fewer Pods make a better node; None is a node that lacks a label, which gets nothing."""
    known = [score for score in scores if score is not None]
    greatest = max(known, default=0)
    least = min(known, default=0)
    if greatest == 0:
        return [0 if score is None else MAX_NODE_SCORE for score in scores]
    return [0 if score is None else MAX_NODE_SCORE * (greatest + least - score) // greatest for score in scores]


class PodTopologySpread:
    """Filters by `DoNotSchedule` constraints and scores by the soft ones."""

    name = NAME
    weight = 2

    def pre_filter(self, profile: PodProfile, snapshot: Snapshot) -> Any:
        constraints = constraints_of(profile, "DoNotSchedule")
        if not constraints:
            return SKIP
        counts: list[dict[str, int]] = [{} for _ in constraints]
        for node in snapshot.order:
            if all(constraint.topology_key in node.labels for constraint in constraints):
                for constraint, by_domain in zip(constraints, counts, strict=True):
                    if constraint.counts(profile, node):
                        domain = node.labels[constraint.topology_key]
                        here = count_pods(node, constraint.selects, profile.namespace)
                        by_domain[domain] = by_domain.get(domain, 0) + here
        return HardState(profile, constraints, counts)

    def filter(self, state: HardState, node: NodeInfo) -> Status | None:
        for constraint, counts in zip(state.constraints, state.counts, strict=True):
            domain = node.labels.get(constraint.topology_key)
            count = 0 if domain is None else counts.get(domain, 0)
            status = refusal(constraint, state.profile, domain, count, counts)
            if status is not None:
                return status
        return None

    def with_pod(self, state: HardState, pod: PodProfile, node: NodeInfo, delta: int) -> HardState:
        counts = list(state.counts)
        if all(constraint.topology_key in node.labels for constraint in state.constraints):
            for index, constraint in enumerate(state.constraints):
                same = pod.namespace == state.profile.namespace and constraint.selects(pod.labels)
                if same and constraint.counts(state.profile, node):
                    domain = node.labels[constraint.topology_key]
                    counts[index] = {**counts[index], domain: counts[index].get(domain, 0) + delta}
        return HardState(state.profile, state.constraints, counts)

    def pre_score(self, profile: PodProfile, snapshot: Snapshot, nodes: Sequence[NodeInfo]) -> Any:
        constraints = soft_constraints_of(profile, snapshot.listers)
        if not constraints:
            return SKIP
        # Under the system defaults a node without a zone is still spread over by host.
        needs_all = bool(profile.spread_constraints)
        keys = [constraint.topology_key for constraint in constraints]
        ignored = {n.name for n in nodes if needs_all and not all(key in n.labels for key in keys)}
        scored = [node for node in nodes if node.name not in ignored]
        counts: list[dict[str, int]] = [
            {} if key == HOSTNAME_LABEL else {node.labels.get(key, ""): 0 for node in scored} for key in keys
        ]
        for node in snapshot.order:
            if needs_all and not all(key in node.labels for key in keys):
                continue
            for constraint, by_domain in zip(constraints, counts, strict=True):
                domain = node.labels.get(constraint.topology_key, "")
                if domain in by_domain and constraint.counts(profile, node):
                    by_domain[domain] += count_pods(node, constraint.selects, profile.namespace)
        sizes = [
            len(scored) if key == HOSTNAME_LABEL else len(by_domain)
            for key, by_domain in zip(keys, counts, strict=True)
        ]
        return SoftState(
            profile, constraints, frozenset(ignored), tuple(counts), tuple(topology_weight(size) for size in sizes)
        )

    def score(self, state: SoftState, node: NodeInfo) -> int:
        if node.name in state.ignored:
            return -1
        terms = []
        for constraint, counts, weight in zip(state.constraints, state.counts, state.weights, strict=True):
            domain = node.labels.get(constraint.topology_key)
            if domain is not None:
                if constraint.topology_key == HOSTNAME_LABEL:
                    count = count_pods(node, constraint.selects, state.profile.namespace)
                else:
                    count = counts[domain]
                terms.append((count, constraint, weight))
        return raw_score(terms)

    def normalize(self, scores: Sequence[int]) -> Sequence[int]:
        return normalize_spread([None if score < 0 else score for score in scores])

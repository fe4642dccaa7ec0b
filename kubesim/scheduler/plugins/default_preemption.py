"""DefaultPreemption: where lower-priority Pods are in the way, choose the node and the fewest, least important victims.

Upstream: pkg/scheduler/framework/plugins/defaultpreemption/default_preemption.go,
pkg/scheduler/framework/preemption/preemption.go @v1.36
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple

from kubesim.api.objects import Object, labels_of
from kubesim.api.selectors import compile_selector, everything
from kubesim.api.timestamps import from_time
from kubesim.scheduler.evaluation import Filters, Nominations, check_with_nominated
from kubesim.scheduler.framework import ERROR, UNRESOLVABLE, UNSCHEDULABLE, Diagnosis, Status, preemption_message
from kubesim.scheduler.profile import PodProfile
from kubesim.scheduler.snapshot import NodeInfo, PodEntry, Snapshot
from kubesim.sim.chooser import Stream

NAME: Final = "DefaultPreemption"
# The share and the least number of nodes on which preemption is tried out.
_MIN_CANDIDATES_PERCENT: Final = 10
_MIN_CANDIDATES: Final = 100
_NO_VICTIMS: Final = Status(UNRESOLVABLE, NAME, "No preemption victims found for incoming pod")
# A Pod that has not started counts as started just now.
_NOT_STARTED_NS: Final = 2**62

Victim = tuple[str, PodEntry]


class Candidate(NamedTuple):
    """A node that would take the Pod once the victims are gone; `violations` budgets would be overrun."""

    node: NodeInfo
    victims: tuple[Victim, ...]
    violations: int


class Outcome(NamedTuple):
    """A candidate to act upon, or the message why there is none.

    `keeps_nomination` tells that the node nominated before stays so.
    """

    candidate: Candidate | None
    message: str
    keeps_nomination: bool


def preempt(
    pod: Object,
    profile: PodProfile,
    diagnosis: Diagnosis,
    filters: Filters,
    snapshot: Snapshot,
    nominations: Nominations,
    stream: Stream,
) -> Outcome:
    """Decide whom to evict for a Pod that no node takes as it is."""
    refusal = _ineligible(pod, profile, diagnosis, snapshot)
    if refusal:
        return Outcome(None, refusal, keeps_nomination=True)
    statuses = diagnosis.statuses
    potential = [node for node in snapshot.order if node.name in statuses and statuses[node.name].code == UNSCHEDULABLE]
    outcomes: dict[str, Status] = {}
    candidates: list[Candidate] = []
    if potential and min(snapshot.pods_by_priority, default=profile.priority) >= profile.priority:
        outcomes = {node.name: _NO_VICTIMS for node in potential}
    elif potential:
        uid = pod["metadata"]["uid"]
        offset = stream.below(len(potential))
        candidates, outcomes = _dry_run(potential, offset, profile, uid, filters, snapshot, nominations)
    if not candidates:
        return Outcome(None, preemption_message(outcomes, diagnosis.node_count), keeps_nomination=False)
    return Outcome(pick_candidate(candidates), "", keeps_nomination=False)


def _ineligible(pod: Object, profile: PodProfile, diagnosis: Diagnosis, snapshot: Snapshot) -> str:
    """Upstream: default_preemption.go:PodEligibleToPreemptOthers @v1.36"""
    if profile.preemption_policy == "Never":
        return "not eligible due to preemptionPolicy=Never."
    nominated = (pod.get("status") or {}).get("nominatedNodeName", "")
    status = diagnosis.statuses.get(nominated, diagnosis.absent)
    node = snapshot.nodes.get(nominated)
    if node is None or status.code == UNRESOLVABLE:
        return ""
    for entry in node.pods.values():
        if entry.profile.priority < profile.priority and entry.terminating and _is_being_preempted(entry.pod):
            return "not eligible due to a terminating pod on the nominated node."
    return ""


def _is_being_preempted(pod: Object) -> bool:
    for condition in (pod.get("status") or {}).get("conditions") or ():
        if condition["type"] == "DisruptionTarget":
            return bool(condition["status"] == "True" and condition.get("reason") == "PreemptionByScheduler")
    return False


def _dry_run(
    potential: Sequence[NodeInfo],
    offset: int,
    profile: PodProfile,
    uid: str,
    filters: Filters,
    snapshot: Snapshot,
    nominations: Nominations,
) -> tuple[list[Candidate], dict[str, Status]]:
    """Try nodes from a random one on until enough candidates are there, one of them without a broken budget."""
    count = len(potential)
    wanted = min(max(count * _MIN_CANDIDATES_PERCENT // 100, _MIN_CANDIDATES), count)
    budgets = list(snapshot.listers.budgets.all())
    clean: list[Candidate] = []
    violating: list[Candidate] = []
    outcomes: dict[str, Status] = {}
    for index in range(count):
        node = potential[(offset + index) % count]
        found = select_victims(node, profile, uid, filters, budgets, nominations)
        if isinstance(found, Status):
            outcomes[node.name] = found
            continue
        (violating if found.violations else clean).append(found)
        if clean and len(clean) + len(violating) >= wanted:
            break
    return clean + violating, outcomes


def select_victims(
    node: NodeInfo,
    profile: PodProfile,
    uid: str,
    filters: Filters,
    budgets: Sequence[Object],
    nominations: Nominations,
) -> Candidate | Status:
    """The fewest Pods whose leaving lets the Pod in: take all that may go, then reprieve one after the other.

    Upstream: default_preemption.go:SelectVictimsOnNode @v1.36
    """
    lower = [(key, entry) for key, entry in node.pods.items() if entry.profile.priority < profile.priority]
    if not lower:
        return _NO_VICTIMS
    trial, states = node.copy(), filters
    for key, entry in lower:
        trial.remove(key)
        states = states.with_pod(entry.profile, trial, -1)
    status = check_with_nominated(states, trial, profile, uid, nominations)
    if status is not None:
        return status
    lower.sort(key=_importance)
    violating, harmless = split_by_budget(lower, budgets)
    victims: list[Victim] = []
    violations = 0
    for group in (violating, harmless):
        for key, entry in group:
            trial.add(key, entry)
            crowded = states.with_pod(entry.profile, trial, 1)
            if check_with_nominated(crowded, trial, profile, uid, nominations) is None:
                states = crowded
                continue
            trial.remove(key)
            victims.append((key, entry))
            violations += group is violating
    if not victims:
        return Status(ERROR, NAME, f'expected at least one victim pod on node "{node.name}"')
    victims.sort(key=_importance)
    return Candidate(node, tuple(victims), violations)


def _importance(victim: Victim) -> tuple[int, int]:
    """Sorts the most important first. Upstream: pkg/scheduler/util/utils.go:MoreImportantPod @v1.36"""
    return -victim[1].profile.priority, _started_ns(victim[1].pod)


def _started_ns(pod: Object) -> int:
    started = (pod.get("status") or {}).get("startTime")
    return _NOT_STARTED_NS if started is None else from_time(started)


def split_by_budget(victims: Sequence[Victim], budgets: Sequence[Object]) -> tuple[list[Victim], list[Victim]]:
    """Those whose eviction would overrun a PodDisruptionBudget, and the others; the order is kept.

    Upstream: default_preemption.go:filterPodsWithPDBViolation @v1.36
    """
    allowed = [(budget.get("status") or {}).get("disruptionsAllowed", 0) for budget in budgets]
    violating: list[Victim] = []
    harmless: list[Victim] = []
    for victim in victims:
        pod = victim[1].pod
        violates = False
        for index, budget in enumerate(budgets):
            if not _covers(budget, pod):
                continue
            allowed[index] -= 1
            violates |= allowed[index] < 0
        (violating if violates else harmless).append(victim)
    return violating, harmless


def _covers(budget: Object, pod: Object) -> bool:
    metadata = pod["metadata"]
    if not labels_of(pod) or budget["metadata"].get("namespace") != metadata.get("namespace"):
        return False
    selects = compile_selector(budget["spec"].get("selector"))
    if selects is everything or not selects(labels_of(pod)):
        return False
    return metadata["name"] not in ((budget.get("status") or {}).get("disruptedPods") or {})


def pick_candidate(candidates: Sequence[Candidate]) -> Candidate:
    """Fewest broken budgets, then the least important victims, then fewest, then the youngest; then the first.

    Upstream: preemption.go:pickOneNodeForPreemption @v1.36
    """
    ranks: tuple[Callable[[Candidate], Any], ...] = (
        lambda c: c.violations,
        lambda c: c.victims[0][1].profile.priority,
        # Priorities are made positive so that few victims of negative priority are not worse than many.
        lambda c: sum(entry.profile.priority + 2**31 for _, entry in c.victims),
        lambda c: len(c.victims),
        lambda c: -_earliest_start_ns(c),
    )
    left = list(candidates)
    for rank in ranks:
        least = min(map(rank, left))
        left = [candidate for candidate in left if rank(candidate) == least]
        if len(left) == 1:
            break
    return left[0]


def _earliest_start_ns(candidate: Candidate) -> int:
    """The start of the oldest among the victims of the highest priority."""
    highest = candidate.victims[0][1].profile.priority
    return min(_started_ns(entry.pod) for _, entry in candidate.victims if entry.profile.priority == highest)

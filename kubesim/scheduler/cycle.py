"""One scheduling cycle: filter, post-filter, score, pick. Pure but for the snapshot's rotating start and the stream.

Upstream: pkg/scheduler/schedule_one.go:schedulingAlgorithm, schedulePod @v1.36
"""

from __future__ import annotations

from typing import Final, NamedTuple, final

from kubesim.api.objects import Object
from kubesim.scheduler.equivalence import EquivalenceClasses
from kubesim.scheduler.evaluation import Choice, Plugins, choose
from kubesim.scheduler.framework import Diagnosis
from kubesim.scheduler.nominator import Nominator
from kubesim.scheduler.plugins.default_preemption import Candidate, preempt
from kubesim.scheduler.plugins.volume_binding import Plan
from kubesim.scheduler.profile import PodProfile
from kubesim.scheduler.snapshot import Snapshot
from kubesim.sim.chooser import Stream

NO_NODES: Final = "no nodes available to schedule pods"
# DynamicResources comes before DefaultPreemption; a Pod without claims leaves it with this remark.
_NOTHING_TO_DEALLOCATE: Final = "no new claims to deallocate"
# Where a pre-filter gave up before DynamicResources was asked, that plugin misses its state and says so.
_NO_STATE: Final = "not found"
_FAILURES_MAX: Final = 1024


class Placement(NamedTuple):
    """The Pod goes to this node; `plan` is what its volumes need first, None where they need nothing."""

    node_name: str
    plan: Plan | None


class Failure(NamedTuple):
    """The Pod goes nowhere now.

    `plugins` are those whose verdict must change before trying again makes sense; without any the Pod is tried again
    after its back-off. `candidate` is to be preempted. `nomination` is the node to nominate, empty to take a
    nomination away, None to leave it.
    """

    message: str
    plugins: frozenset[str]
    candidate: Candidate | None
    nomination: str | None


@final
class Cycle:
    """Decides for one Pod after the other."""

    def __init__(self, snapshot: Snapshot, nominator: Nominator, stream: Stream) -> None:
        self.plugins = Plugins()
        self.classes = EquivalenceClasses(snapshot)
        self._snapshot = snapshot
        self._nominator = nominator
        self._stream = stream
        self._start = 0
        # The last failure of each profile with the state of the world that it holds for.
        self._failures: dict[PodProfile, tuple[tuple[int, int], Failure]] = {}

    def run(self, pod: Object, profile: PodProfile) -> Placement | Failure:
        """Find a node for the Pod."""
        snapshot = self._snapshot
        order = snapshot.order
        if not order:
            return Failure(NO_NODES, frozenset(), None, "")
        start = self._start % len(order)
        uid = pod["metadata"]["uid"]
        is_common = (
            not profile.claims
            and profile.node_names is None
            and self._nominator.is_empty_but_for(uid)
            and "nominatedNodeName" not in (pod.get("status") or {})
        )
        if is_common:
            chosen = self.classes.choose(profile, start, self._stream)
            if chosen is not None:
                self._start = chosen.next_start
                return Placement(chosen.node.name, None)
            known = self._failures.get(profile)
            if known is not None and known[0] == (snapshot.version, self._nominator.version):
                return known[1]
        choice = choose(self.plugins, pod, profile, snapshot, start, self._nominator, self._stream)
        self._start = choice.next_start
        if choice.node is not None:
            return Placement(choice.node.name, self._volume_plan(choice))
        failure = self._fail(pod, profile, choice)
        if is_common and failure.candidate is None:
            if len(self._failures) >= _FAILURES_MAX:
                self._failures.clear()
            self._failures[profile] = ((snapshot.version, self._nominator.version), failure)
        return failure

    def _volume_plan(self, choice: Choice) -> Plan | None:
        volume_binding = self.plugins.volume_binding
        state = None if choice.filters is None else choice.filters.state_of(volume_binding)
        if state is None or choice.node is None or not state.waiting:
            return None
        return volume_binding.plan(state, choice.node)

    def _fail(self, pod: Object, profile: PodProfile, choice: Choice) -> Failure:
        diagnosis = choice.diagnosis
        if choice.filters is None:
            diagnosis.post_filter = _NO_STATE
            return _failure(diagnosis, None, None)
        outcome = preempt(pod, profile, diagnosis, choice.filters, self._snapshot, self._nominator, self._stream)
        if outcome.candidate is not None:
            return _failure(diagnosis, outcome.candidate, outcome.candidate.node.name)
        diagnosis.post_filter = f"{_NOTHING_TO_DEALLOCATE}, preemption: {outcome.message}"
        return _failure(diagnosis, None, None if outcome.keeps_nomination else "")


def _failure(diagnosis: Diagnosis, candidate: Candidate | None, nomination: str | None) -> Failure:
    return Failure(diagnosis.message(), frozenset(diagnosis.plugins), candidate, nomination)

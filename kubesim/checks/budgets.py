"""What a PodDisruptionBudget is for: an eviction is granted only while enough healthy Pods are left."""

from __future__ import annotations

from typing import final

from kubesim.api.kinds import DEPLOYMENT, POD, POD_DISRUPTION_BUDGET, REPLICA_SET, STATEFUL_SET
from kubesim.api.objects import Object, controller_of, labels_of
from kubesim.api.selectors import Predicate, compile_selector
from kubesim.apiserver.server import Write
from kubesim.checks.invariant import GRACE_NS, Scene, is_removal, subject_of
from kubesim.checks.looking import amount
from kubesim.checks.pod_book import PodEntry

_SCALABLE = {kind.kind: kind.resource for kind in (DEPLOYMENT, REPLICA_SET, STATEFUL_SET)}
_DISRUPTION_CONTROLLER = "system:serviceaccount:kube-system:disruption-controller"


@final
class _Budget:
    """A budget, what it selects, and since when it has been as it is."""

    __slots__ = ("obj", "selects", "since_ns")

    def __init__(self, obj: Object, since_ns: int) -> None:
        self.obj = obj
        self.since_ns = since_ns
        self.selects: Predicate = compile_selector(obj["spec"].get("selector"))


@final
class BudgetsHonoured:
    """Pods that faults or controllers have taken in the last moments count as healthy still: the budget's controller
    and the one who evicts cannot know yet. Upstream: pkg/registry/core/pod/storage/eviction.go, pkg/controller/
    disruption/disruption.go:getExpectedPodCount @v1.36"""

    name = "budgetsHonoured"
    promise = "No eviction is granted that leaves fewer healthy Pods than a budget asks for, and none is counted twice."

    def __init__(self) -> None:
        self._budgets: dict[str, dict[str, _Budget]] = {}

    def attach(self, scene: Scene) -> None:
        """Follow budgets; judge every eviction and every count."""
        self._scene = scene
        self._pods = scene.pods
        scene.on_write(POD_DISRUPTION_BUDGET, self._handle_budget)
        scene.on_write(POD, self._handle_pod)

    def _handle_budget(self, write: Write) -> None:
        metadata = write.obj["metadata"]
        budgets = self._budgets.setdefault(metadata["namespace"], {})
        if is_removal(write):
            budgets.pop(metadata["name"], None)
            return
        known = budgets.get(metadata["name"])
        if known is None or known.obj["spec"] != write.obj["spec"]:
            budgets[metadata["name"]] = _Budget(write.obj, self._scene.now_ns)
        else:
            known.obj = write.obj
        if write.identity.user == _DISRUPTION_CONTROLLER:
            self._check_count(budgets[metadata["name"]], write.obj)

    def _check_count(self, budget: _Budget, obj: Object) -> None:
        status = obj.get("status") or {}
        counted = status.get("currentHealthy", 0)
        healthy = sum(self._is_healthy(entry) or not entry.is_there for entry in self._covered(budget))
        if counted > healthy and not self._scene.is_disturbed():
            text = f"counts {counted} healthy Pods where there are {healthy} at most"
            self._scene.report(self.name, subject_of(obj), text)
        allowed = status.get("disruptionsAllowed", 0)
        if allowed > max(0, counted - status.get("desiredHealthy", 0)):
            text = f"allows {allowed} disruptions with {counted} healthy Pods of {status.get('desiredHealthy', 0)}"
            self._scene.report(self.name, subject_of(obj), text)

    def _handle_pod(self, write: Write) -> None:
        if write.verb != "evicted":
            return
        entry = self._pods.by_uid[write.obj["metadata"]["uid"]]
        entry.evicted_ns = self._scene.now_ns
        budgets = self._budgets.get(write.obj["metadata"]["namespace"])
        # A Pod that is going already, or that never ran, may be asked to go whatever the budget says.
        is_free = not entry.is_active or (write.obj.get("status") or {}).get("phase") == "Pending"
        if not budgets or not entry.is_ready or is_free:
            return
        for budget in budgets.values():
            if self._scene.now_ns - budget.since_ns > GRACE_NS and budget.selects(labels_of(write.obj)):
                self._check_eviction(budget, write.obj)

    def _check_eviction(self, budget: _Budget, pod: Object) -> None:
        covered = self._covered(budget)
        healthy = sum(self._is_healthy(entry) for entry in covered)
        wanted = self._wanted(budget, covered)
        if healthy < wanted and not self._scene.is_disturbed():
            name = budget.obj["metadata"]["name"]
            text = f"is evicted, which leaves {healthy} healthy Pods of the {wanted} that budget {name} asks for"
            self._scene.report(self.name, subject_of(pod), text)

    def _covered(self, budget: _Budget) -> list[PodEntry]:
        """The Pods that it selects, with those that went in the last moments."""
        namespace = budget.obj["metadata"]["namespace"]
        return [
            entry
            for entry in (*self._pods.all(), *self._pods.gone(GRACE_NS))
            if entry.pod["metadata"]["namespace"] == namespace and budget.selects(labels_of(entry.pod))
        ]

    @staticmethod
    def _is_healthy(entry: PodEntry) -> bool:
        return entry.evicted_ns < 0 and entry.was_ready_within(GRACE_NS) and entry.was_active_within(GRACE_NS)

    def _wanted(self, budget: _Budget, covered: list[PodEntry]) -> int:
        spec = budget.obj["spec"]
        least, most = spec.get("minAvailable"), spec.get("maxUnavailable")
        if isinstance(least, int):
            return least
        expected = self._expected(covered)
        if least is not None:
            return amount(least, expected, round_up=True)
        return max(0, expected - amount(most or 0, expected, round_up=True))

    def _expected(self, covered: list[PodEntry]) -> int:
        """How many Pods the controllers of those covered want, together."""
        sizes: dict[str, int] = {}
        for entry in covered:
            owner = self._top_owner(entry.pod)
            if owner is not None:
                sizes[owner["metadata"]["uid"]] = owner["spec"].get("replicas", 1)
        return sum(sizes.values())

    def _top_owner(self, obj: Object) -> Object | None:
        reference = controller_of(obj)
        if reference is None or reference["kind"] not in _SCALABLE:
            return None
        key = (obj["metadata"]["namespace"], reference["name"])
        owner = self._scene.cluster.store.get(_SCALABLE[reference["kind"]], key)
        if owner is None or owner["metadata"]["uid"] != reference["uid"]:
            return None
        return self._top_owner(owner) or owner

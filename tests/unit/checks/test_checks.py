"""Attaching invariants by name, and a user's own."""

from __future__ import annotations

import pytest

from kubesim.api.kinds import POD_DISRUPTION_BUDGET
from kubesim.api.objects import Key
from kubesim.api.requests import patch
from kubesim.checks import INVARIANTS, Checks, await_convergence, invariant
from kubesim.checks.desired import find_divergence
from kubesim.checks.looking import is_ready
from kubesim.cluster import Cluster, ready
from kubesim.controllers.endpointslice import EndpointSliceController
from kubesim.errors import UserError, conflict
from kubesim.faults import Disturbance, Injector, arm
from kubesim.faults.arguments import (
    Component,
    CrashComponent,
    Duration,
    KindName,
    NodeName,
    NodeTarget,
    Watches,
)
from kubesim.sim.loop import SECOND
from kubesim.testing.builders import deployment, service


def test_a_sound_cluster_breaks_nothing_and_comes_to_rest():
    """All invariants watch a rollout and a lost Pod."""
    with Cluster(records=False) as cluster:
        checks = Checks(cluster)
        cluster.create(deployment("web", replicas=3))
        cluster.until(ready("deployment/web"))
        cluster.restart_rollout("deployment/web")
        cluster.run(5)
        cluster.delete(f"pod/{cluster.pods_of('deployment/web')[0]['metadata']['name']}")

        assert await_convergence(cluster) is None
        assert checks.violations == []


def ready_endpoints(cluster):
    """The addresses that the slices of `web` call ready."""
    slices = [each for each in cluster.list("endpointslices") if each["metadata"]["name"].startswith("web-")]
    endpoints = [each for piece in slices for each in piece["endpoints"] if each["conditions"]["ready"]]
    return {address for each in endpoints for address in each["addresses"]}


def test_a_service_that_was_given_up_is_kubernetes_own_way():
    """Its slices stay behind without an alarm, and follow when a Pod changes again."""
    with Cluster(records=False) as cluster:
        cluster.create(deployment("web", replicas=3))
        cluster.create(service("web", target_port=8080))
        cluster.until(ready("deployment/web"))
        watches = Watches(of=KindName("endpointslice"))
        skipped = Disturbance(fault="skipEvents", argument=watches, at=Duration(0), lasts=Duration(300 * SECOND))
        arm(cluster, (skipped,))
        for _ in range(3):
            cluster.restart_rollout("deployment/web")
            cluster.run(40)
        cluster.run(200)
        addresses = {pod["status"]["podIP"] for pod in cluster.pods_of("deployment/web")}
        before = ready_endpoints(cluster)
        verdict = await_convergence(cluster)
        cluster.delete(f"pod/{cluster.pods_of('deployment/web')[0]['metadata']['name']}")
        cluster.run(60)

        assert before != addresses
        assert verdict is None
        assert ready_endpoints(cluster) == {pod["status"]["podIP"] for pod in cluster.pods_of("deployment/web")}


def test_pods_of_a_node_that_had_said_itself_that_it_is_not_ready_stay_as_they_are():
    """Seen on a real cluster (docs/observed.md, 110): only the silence of a ready node marks its Pods."""
    with Cluster(nodes=2, records=False) as cluster:
        checks = Checks(cluster)
        cluster.create(deployment("web", replicas=2))
        cluster.run(30)
        Injector(cluster).inject("stopRuntime", NodeTarget(node=NodeName("node-1")))
        cluster.run(60)
        confessed = ready_pods(cluster)
        for node in ("node-1", "node-2"):
            cluster.faults.lose_power(node)
        cluster.run(120)
        silent = ready_pods(cluster)

    assert (confessed, silent) == (["node-1", "node-2"], ["node-1"])
    assert checks.violations == []


def test_a_controller_that_gives_up_without_a_cause_has_no_excuse(monkeypatch):
    """In a cluster that nothing was done to, a Service that is given up is a mistake of its controller."""

    def fails(_self, _key):
        yield from ()
        raise conflict("endpointslices", "discovery.k8s.io", "web", "try again")

    monkeypatch.setattr(EndpointSliceController, "reconcile", fails)
    with Cluster(nodes=1, records=False) as cluster:
        cluster.create(deployment("web", replicas=1))
        cluster.create(service("web", target_port=8080))
        cluster.run(20_000)
        has_given_up = [worker.queue.has_given_up(Key("default", "web")) for worker in workers_of(cluster)]
        found = find_divergence(cluster)

    assert any(has_given_up)
    assert found is not None
    assert found.text.startswith("lists the endpoints []; the ready Pods are")


def workers_of(cluster):
    """Those of the EndpointSlice controller."""
    return cluster.controller_manager.controllers["endpointslice-controller"].workers


@pytest.mark.parametrize("reason, is_told", [("SyncFailed", False), ("InsufficientPods", True)])
def test_a_budget_whose_controller_could_not_count_says_so(reason, is_told):
    """It is not tried again until something changes: Kubernetes' own way. A count that is wrong without a word is none."""
    with Cluster(nodes=1, records=False) as cluster:
        cluster.create(deployment("web", replicas=2))
        cluster.create(BUDGET)
        cluster.run(30)
        crash = CrashComponent(of=Component("disruption-controller"))
        Injector(cluster).inject("crashComponent", crash)
        condition = {"type": "DisruptionAllowed", "status": "False", "reason": reason, "message": ""}
        condition["lastTransitionTime"] = "2026-01-01T00:00:00Z"
        status = {"status": {"currentHealthy": 1, "conditions": [condition]}}
        cluster.send(patch(POD_DISRUPTION_BUDGET, "default", "web", status, "merge", "status"))
        found = find_divergence(cluster)

    assert (found is not None) == is_told
    assert found is None or found.text == "counts 1 healthy Pods where 2 are"


BUDGET = {
    "apiVersion": "policy/v1",
    "kind": "PodDisruptionBudget",
    "metadata": {"name": "web", "namespace": "default"},
    "spec": {"minAvailable": 1, "selector": {"matchLabels": {"app": "web"}}},
}


def ready_pods(cluster):
    """The nodes of the Pods that are called Ready."""
    return sorted(pod["spec"]["nodeName"] for pod in cluster.list("pods") if is_ready(pod))


def test_an_unknown_invariant_is_an_error_that_names_the_nearest():
    """A name that is mistyped is found at once, not by an invariant that never fails."""
    with Cluster() as cluster, pytest.raises(UserError, match="did you mean oneIdentity"):
        Checks(cluster, ["oneIdentitty"])


def test_an_invariant_of_ones_own_is_asked_after_each_write():
    """It says what is wrong at the write that makes it wrong."""

    @invariant("fewPods", "there are at most two Pods")
    def few_pods(cluster):
        count = len(cluster.list("pods"))
        return f"there are {count}" if count > 2 else None

    with Cluster() as cluster:
        checks = Checks(cluster, [few_pods])
        cluster.create(deployment("web", replicas=3))
        cluster.until(ready("deployment/web"))

    assert checks.is_broken
    assert (checks.violation.invariant, checks.violation.text) == ("fewPods", "there are 3")
    assert checks.violation.subject.startswith("pod/default/web-")


def test_every_invariant_has_a_name_and_a_promise():
    """The name is the one in the table, the promise a sentence."""
    made = {name: make() for name, make in INVARIANTS.items()}

    assert [each.name for each in made.values()] == list(made)
    assert [each.name for each in made.values() if not each.promise.endswith(".")] == []

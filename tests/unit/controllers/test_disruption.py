"""PodDisruptionBudgets: their status, and what evictions do to it. Expected values from upstream's source @v1.36."""

from __future__ import annotations

import pytest

from kubesim.api.kinds import CONFIG_MAP, DEPLOYMENT, POD, POD_DISRUPTION_BUDGET, REPLICA_SET, STATEFUL_SET
from kubesim.api.requests import create_subresource
from kubesim.controllers.disruption import selector_dump
from kubesim.errors import ApiError

SPEC = {"containers": [{"name": "main", "image": "nginx:1"}]}


def workload(replicas=4):
    """A workload `web` of so many Pods."""
    template = {"metadata": {"labels": {"app": "web"}}, "spec": SPEC}
    spec = {"replicas": replicas, "selector": {"matchLabels": {"app": "web"}}, "template": template}
    return {"metadata": {"name": "web"}, "spec": spec}


def budget(name="web", **spec):
    """A budget over the workload's Pods."""
    return {"metadata": {"name": name}, "spec": {"selector": {"matchLabels": {"app": "web"}}, **spec}}


def start(world, kind=DEPLOYMENT, replicas=4, ready=4):
    """The workload with so many of its Pods ready, on one node."""
    world.add_node("node-1")
    world.create(kind, workload(replicas))
    world.run(1)
    for name in world.names(POD)[:ready]:
        world.bind(name)
        world.set_ready(name)
    world.run(0.5)


def status_of(world, name="web"):
    """The budget's status."""
    return world.get(POD_DISRUPTION_BUDGET, name)["status"]


def numbers(world):
    """(expectedPods, desiredHealthy, currentHealthy, disruptionsAllowed)."""
    status = status_of(world)
    return tuple(status[field] for field in ("expectedPods", "desiredHealthy", "currentHealthy", "disruptionsAllowed"))


def evict(world, pod):
    """Ask for an eviction."""
    world.do(create_subresource(POD, "default", pod, "eviction", {"metadata": {"name": pod}}))


@pytest.mark.parametrize(
    "spec, ready, expected",
    [
        pytest.param({"minAvailable": 2}, 4, (4, 2, 4, 2), id="a number that must stay"),
        pytest.param({"minAvailable": "60%"}, 4, (4, 3, 4, 1), id="a share that must stay is rounded up"),
        pytest.param({"maxUnavailable": 1}, 4, (4, 3, 4, 1), id="a number that may go"),
        pytest.param({"maxUnavailable": "30%"}, 4, (4, 2, 4, 2), id="a share that may go is rounded up"),
        pytest.param({"maxUnavailable": 9}, 4, (4, 0, 4, 4), id="more than there are"),
        pytest.param({"maxUnavailable": 1}, 3, (4, 3, 3, 0), id="one is down already"),
        pytest.param({"maxUnavailable": 1}, 2, (4, 3, 2, 0), id="never less than none"),
    ],
)
def test_a_budget_of_a_deployment(world, spec, ready, expected):
    """What is expected comes from the Deployment's scale, by way of its ReplicaSet."""
    start(world, ready=ready)
    world.create(POD_DISRUPTION_BUDGET, budget(**spec))
    world.run(1)
    assert numbers(world) == expected
    assert [error for name, *error in world.errors if name == "disruption-controller"] == []


def test_the_status_has_the_shape_of_the_real_one(world):
    """Fields and condition as upstream's updatePdbStatus writes them."""
    start(world)
    world.create(POD_DISRUPTION_BUDGET, budget(maxUnavailable=1))
    world.run(1)
    status = dict(status_of(world))
    (condition,) = map(dict, status.pop("conditions"))
    assert status == {
        "observedGeneration": 1,
        "disruptionsAllowed": 1,
        "currentHealthy": 4,
        "desiredHealthy": 3,
        "expectedPods": 4,
    }
    assert condition.pop("lastTransitionTime").startswith("2026-01-01T00:00:0")
    assert condition == {
        "type": "DisruptionAllowed",
        "status": "True",
        "observedGeneration": 1,
        "reason": "SufficientPods",
        "message": "",
    }


@pytest.mark.parametrize("kind", [REPLICA_SET, STATEFUL_SET], ids=lambda kind: kind.kind)
def test_a_budget_of_another_controller(world, kind):
    """A ReplicaSet and a StatefulSet say themselves how many Pods there should be."""
    world.add_node("node-1")
    extra = {"podManagementPolicy": "Parallel"} if kind is STATEFUL_SET else {}
    made = workload(3)
    world.create(kind, {**made, "spec": {**made["spec"], **extra}})
    world.run(1)
    for name in world.names(POD):
        world.bind(name)
        world.set_ready(name)
    world.create(POD_DISRUPTION_BUDGET, budget(minAvailable="50%"))
    world.run(1)
    assert numbers(world) == (3, 2, 3, 1)


def test_the_status_follows_the_pods(world):
    """A Pod that becomes unready takes the last permission away, and gives it back."""
    start(world)
    world.create(POD_DISRUPTION_BUDGET, budget(maxUnavailable=1))
    world.run(1)
    first = world.names(POD)[0]
    world.set_ready(first, is_ready=False)
    world.run(1)
    assert numbers(world) == (4, 3, 3, 0)
    assert status_of(world)["conditions"][0]["reason"] == "InsufficientPods"
    world.set_ready(first)
    world.run(1)
    assert numbers(world) == (4, 3, 4, 1)


def test_an_eviction_counts_until_the_pod_goes(world):
    """A granted eviction is refused to the next at once; when the Pod is seen going its entry is dropped."""
    start(world)
    world.create(POD_DISRUPTION_BUDGET, budget(maxUnavailable=1))
    world.run(1)
    one, two = world.names(POD)[:2]
    evict(world, one)
    with pytest.raises(ApiError, match="Cannot evict pod"):
        evict(world, two)
    world.run(1)
    assert "disruptedPods" not in status_of(world)
    with pytest.raises(ApiError, match="Cannot evict pod"):
        evict(world, two)
    assert numbers(world) == (4, 3, 3, 0)


def test_an_eviction_without_deletion_is_given_up_after_two_minutes(world):
    """The Pod counts as lost for two minutes, then the entry is dropped with an event."""
    start(world)
    world.create(POD_DISRUPTION_BUDGET, budget(maxUnavailable=1))
    world.run(1)
    pod = world.names(POD)[0]
    entry = {pod: "2026-01-01T00:00:03Z"}
    world.patch(POD_DISRUPTION_BUDGET, "web", {"status": {"disruptedPods": entry}}, "status")
    world.live(110, "node-1")
    assert numbers(world) == (4, 3, 3, 0)
    world.live(20, "node-1")
    assert numbers(world) == (4, 3, 4, 1)
    assert "disruptedPods" not in status_of(world)
    assert world.events(pod, "NotDeleted") == ["Pod was expected by PDB default/default to be deleted but it wasn't"]


def test_a_budget_without_pods_allows_nothing(world):
    """No Pods: nothing expected, nothing allowed, and an event in the name of the whole process."""
    world.create(POD_DISRUPTION_BUDGET, budget(minAvailable=0))
    world.run(1)
    assert numbers(world) == (0, 0, 0, 0)
    assert world.events("web", "NoPods") == ["No matching pods found"]
    components = [write.obj["source"]["component"] for write in world.writes if write.kind.kind == "Event"]
    assert set(components) == {"controllermanager"}


def test_pods_without_controller_are_reported(world):
    """A share of unmanaged Pods cannot be worked out; the text has the selector as Go prints it."""
    world.create(POD, {"metadata": {"name": "bare", "labels": {"app": "web"}}, "spec": SPEC})
    world.create(POD_DISRUPTION_BUDGET, budget(maxUnavailable=1))
    world.run(1)
    assert numbers(world) == (0, 0, 0, 0)
    (message,) = world.events("web", "UnmanagedPods")
    assert message.startswith(
        "Pods selected by this PodDisruptionBudget (selector: &LabelSelector{MatchLabels:map[string]string{app: web,},"
        "MatchExpressions:[]LabelSelectorRequirement{},}) were found to be unmanaged. As a result, the status"
    )


def test_a_controller_without_scale_fails_the_sync(world):
    """The condition says why, and nothing is allowed."""
    uid = world.create(CONFIG_MAP, {"metadata": {"name": "odd"}})["metadata"]["uid"]
    owner = {"apiVersion": "v1", "kind": "ConfigMap", "name": "odd", "uid": uid, "controller": True}
    metadata = {"name": "worker", "labels": {"app": "web"}, "ownerReferences": [owner]}
    world.create(POD_DISRUPTION_BUDGET, budget(maxUnavailable=1))
    world.create(POD, {"metadata": metadata, "spec": SPEC})
    world.run(0.5)
    (condition,) = status_of(world)["conditions"]
    assert (condition["status"], condition["reason"], condition["message"]) == (
        "False",
        "SyncFailed",
        "configmaps does not implement the scale subresource",
    )
    assert world.events("web", "CalculateExpectedPodCountFailed") == [
        "Failed to calculate the number of expected pods: configmaps does not implement the scale subresource"
    ]


def test_two_budgets_for_one_pod_are_reported(world):
    """Only the first hears of the Pod."""
    world.create(POD_DISRUPTION_BUDGET, budget("one", minAvailable=1))
    world.create(POD_DISRUPTION_BUDGET, budget("two", minAvailable=1))
    world.run(0.5)
    world.create(POD, {"metadata": {"name": "bare", "labels": {"app": "web"}}, "spec": SPEC})
    world.run(0.5)
    assert world.events("bare", "MultiplePodDisruptionBudgets") == [
        'Pod "default"/"bare" matches multiple PodDisruptionBudgets.  Chose "one" arbitrarily.'
    ]
    assert [status_of(world, name)["expectedPods"] for name in ("one", "two")] == [1, 0]


def test_a_disruption_condition_without_deletion_is_taken_back(world):
    """After two minutes DisruptionTarget is False, without reason."""
    start(world, replicas=1, ready=1)
    (pod,) = world.names(POD)
    condition = {
        "type": "DisruptionTarget",
        "status": "True",
        "reason": "PreemptionByScheduler",
        "lastTransitionTime": "2026-01-01T00:00:02Z",
    }
    conditions = [*world.get(POD, pod)["status"]["conditions"], condition]
    world.patch(POD, pod, {"status": {"conditions": conditions}}, "status")
    world.live(110, "node-1")
    assert world.get(POD, pod)["status"]["conditions"][-1]["status"] == "True"
    world.live(20, "node-1")
    assert world.get(POD, pod)["status"]["conditions"][-1] == {
        "type": "DisruptionTarget",
        "observedGeneration": 1,
        "status": "False",
        "lastProbeTime": None,
        "lastTransitionTime": "2026-01-01T00:02:02Z",
    }


def test_a_selector_is_printed_as_go_prints_it():
    """Labels sorted, expressions in order. Upstream: generated.pb.go:LabelSelector.String."""
    selector = {
        "matchLabels": {"b": "2", "a": "1"},
        "matchExpressions": [{"key": "k", "operator": "In", "values": ["x", "y"]}, {"key": "e", "operator": "Exists"}],
    }
    assert selector_dump({"spec": {"selector": selector}}) == (
        "&LabelSelector{MatchLabels:map[string]string{a: 1,b: 2,},MatchExpressions:[]LabelSelectorRequirement{"
        "LabelSelectorRequirement{Key:k,Operator:In,Values:[x y],},"
        "LabelSelectorRequirement{Key:e,Operator:Exists,Values:[],},},}"
    )

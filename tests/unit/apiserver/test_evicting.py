"""The eviction subresource, as recorded in f1-pdb-eviction on Kubernetes 1.36.3 and read in eviction.go @v1.36."""

import pytest

from kubesim.api.kinds import POD_DISRUPTION_BUDGET

BUDGET = "/apis/policy/v1/namespaces/default/poddisruptionbudgets"
PODS = "/api/v1/namespaces/default/pods"
REFUSED = "Cannot evict pod as it would violate the pod's disruption budget."


def _evict(world, name="p", body_name=None, **options):
    body = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": body_name or name}}
    if options:
        body["deleteOptions"] = options
    return world.ask("POST", f"{PODS}/{name}/eviction", body)


def _pod(world, name="p", *, ready=True):
    world.pod(name, node="n", metadata={"labels": {"app": "web"}})
    conditions = [{"type": "Ready", "status": "True" if ready else "False"}]
    world.ask("PATCH", f"{PODS}/{name}/status", {"status": {"phase": "Running", "conditions": conditions}})


def _budget(world, name="web", allowed=1, healthy=3, desired=2, policy=None, condition=None):
    spec = {"minAvailable": desired, "selector": {"matchLabels": {"app": "web"}}}
    if policy:
        spec["unhealthyPodEvictionPolicy"] = policy
    world.make("PodDisruptionBudget", name, api_version="policy/v1", spec=spec)
    status = {
        "disruptionsAllowed": allowed,
        "currentHealthy": healthy,
        "desiredHealthy": desired,
        "expectedPods": 3,
        "observedGeneration": 1,
    }
    if condition:
        since = {"lastTransitionTime": "2026-01-01T00:00:00Z"}
        status["conditions"] = [{"type": "DisruptionAllowed", "status": "False", **since, **condition}]
    code, answer = world.ask("PATCH", f"{BUDGET}/{name}/status", {"status": status})
    assert code == 200, answer


def _why(answer):
    return [cause["message"] for cause in answer["details"]["causes"]]


def test_a_granted_eviction_spends_the_budget_and_marks_the_pod(world):
    """Three writes: the budget's status, the Pod's condition, the Pod's deletion."""
    _pod(world)
    _budget(world)
    writes = []
    world.server.on_write = lambda write: writes.append((write.verb, write.kind.kind, write.subresource))
    code, answer = _evict(world)

    assert (code, answer["status"]) == (200, "Success")
    assert writes == [
        ("updated", "PodDisruptionBudget", "status"),
        ("evicted", "Pod", "eviction"),
        ("deleted", "Pod", ""),
    ]
    status = world.ask("GET", f"{BUDGET}/web")[1]["status"]
    assert status["disruptionsAllowed"] == 0
    assert status["disruptedPods"] == {"p": "2026-01-01T00:00:00Z"}
    pod = world.ask("GET", f"{PODS}/p")[1]
    assert pod["metadata"]["deletionGracePeriodSeconds"] == 30
    assert pod["status"]["conditions"][-1] == {
        "type": "DisruptionTarget",
        "status": "True",
        "reason": "EvictionByEvictionAPI",
        "message": "Eviction API: evicting",
        "lastProbeTime": None,
        "lastTransitionTime": "2026-01-01T00:00:00Z",
    }


@pytest.mark.parametrize(
    "budget, why",
    [
        ({"healthy": 2}, "The disruption budget web needs 2 healthy pods and has 2 currently"),
        ({"healthy": 3}, "The disruption budget web does not allow evicting pods currently"),
        (
            {"healthy": 3, "condition": {"reason": "SyncFailed", "message": "found no controllers"}},
            "The disruption budget web does not allow evicting pods currently because it failed sync: found no controllers",
        ),
        (
            {"healthy": 3, "condition": {"reason": "Other", "message": "odd"}},
            "The disruption budget web does not allow evicting pods currently (Other): odd",
        ),
    ],
    ids=["too few are healthy", "no reason known", "its sync failed", "a condition says why"],
)
def test_a_refusal_says_why(world, budget, why):
    """429, with the budget's cause and no retryAfterSeconds."""
    _pod(world)
    _budget(world, allowed=0, **budget)
    code, answer = _evict(world)

    assert (code, answer["reason"], answer["message"]) == (429, "TooManyRequests", REFUSED)
    assert _why(answer) == [why]
    assert "retryAfterSeconds" not in answer["details"]


def test_a_budget_that_its_controller_has_not_seen_asks_for_patience(world):
    """observedGeneration is behind: come back in ten seconds."""
    _pod(world)
    _budget(world)
    world.ask("PATCH", f"{BUDGET}/web", {"spec": {"minAvailable": 1}})
    code, answer = _evict(world)

    assert (code, answer["details"]["retryAfterSeconds"]) == (429, 10)
    assert _why(answer) == ["The disruption budget web is still being processed by the server."]


@pytest.mark.parametrize(
    "policy, healthy, code",
    [("IfHealthyBudget", 2, 200), ("IfHealthyBudget", 1, 429), ("AlwaysAllow", 0, 200), (None, 1, 429)],
    ids=["the others suffice", "the others do not suffice", "always", "no policy is IfHealthyBudget"],
)
def test_an_unready_pod_goes_by_the_unhealthy_pod_policy(world, policy, healthy, code):
    """It spends nothing where it may go."""
    _pod(world, ready=False)
    _budget(world, allowed=0, healthy=healthy, policy=policy)
    found, _ = _evict(world)

    assert found == code
    assert "disruptedPods" not in world.ask("GET", f"{BUDGET}/web")[1]["status"]


@pytest.mark.parametrize("phase", ["Pending", "Succeeded", "Failed"])
def test_pods_that_disrupt_nothing_go_whatever_the_budget_says(world, phase):
    """They never ran, or have ended."""
    _pod(world)
    world.ask("PATCH", f"{PODS}/p/status", {"status": {"phase": phase}})
    _budget(world, allowed=0)

    assert _evict(world)[0] == 200


def test_two_budgets_over_one_pod_are_an_error_of_the_server(world):
    """500 without a reason."""
    _pod(world)
    _budget(world)
    _budget(world, "other")
    code, answer = _evict(world)

    assert (code, "reason" in answer) == (500, False)
    assert answer["message"] == (
        "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support."
    )


def test_a_stale_precondition_costs_a_disruption_all_the_same(world):
    """The budget is spent before the Pod is looked at; the refusal names the kind."""
    _pod(world)
    _budget(world)
    uid = world.ask("GET", f"{PODS}/p")[1]["metadata"]["uid"]
    code, answer = _evict(world, preconditions={"uid": "x"})

    assert code == 409
    assert answer["message"] == (
        f'Operation cannot be fulfilled on Pod "p": the UID in the precondition (x) does not match the UID in record '
        f"({uid}). The object might have been deleted and then recreated"
    )
    assert list(world.ask("GET", f"{BUDGET}/web")[1]["status"]["disruptedPods"]) == ["p"]
    assert "deletionTimestamp" not in world.ask("GET", f"{PODS}/p")[1]["metadata"]


def test_a_fitting_revision_as_precondition_survives_the_eviction_s_own_write(world):
    """The condition moves the revision, which must not count against the caller."""
    _pod(world)
    version = world.ask("GET", f"{PODS}/p")[1]["metadata"]["resourceVersion"]

    assert _evict(world, preconditions={"resourceVersion": version})[0] == 200


@pytest.mark.parametrize(
    "arguments, code, message",
    [
        ({"name": "missing"}, 404, 'pods "missing" not found'),
        ({"body_name": "other"}, 400, "name in URL does not match name in Eviction object"),
    ],
    ids=["no such Pod", "another name in the body"],
)
def test_a_wrong_name_is_refused(world, arguments, code, message):
    """Before any budget is looked at."""
    _pod(world)
    found, answer = _evict(world, **arguments)

    assert (found, answer["message"]) == (code, message)


def test_a_dry_run_of_an_eviction_writes_nothing(world):
    """Asked for in the body."""
    _pod(world)
    _budget(world)
    revision = world.store.revision

    assert _evict(world, dryRun=["All"])[0] == 200
    assert world.store.revision == revision


def test_a_budget_in_terms_of_the_store_is_not_changed_in_place(world):
    """What watches hold stays as it was."""
    _pod(world)
    _budget(world)
    before = world.store.get(POD_DISRUPTION_BUDGET.resource, ("default", "web"))
    status = dict(before["status"])
    _evict(world)

    assert before["status"] == status


def test_an_unknown_subresource_is_not_found(world):
    """Whatever the verb."""
    _pod(world)
    kind = world.server.store.get("pods", ("default", "p"))
    assert world.ask("PUT", f"{PODS}/p/nonsense", kind)[0] == 404

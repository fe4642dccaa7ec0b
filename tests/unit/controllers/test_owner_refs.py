"""Adoption and release, request by request. Upstream: pkg/controller/controller_ref_manager_test.go @v1.36."""

from __future__ import annotations

import pytest

from kubesim.api.kinds import POD, REPLICA_SET
from kubesim.controllers.base import NotYetError
from kubesim.controllers.refs import claim
from kubesim.errors import ApiError, conflict, invalid, not_found

OWNER = {
    "apiVersion": "apps/v1",
    "kind": "ReplicaSet",
    "metadata": {"name": "web", "namespace": "default", "uid": "uid-web"},
    "spec": {},
}
REFERENCE = {
    "apiVersion": "apps/v1",
    "kind": "ReplicaSet",
    "name": "web",
    "uid": "uid-web",
    "controller": True,
    "blockOwnerDeletion": True,
}
GOING = {"deletionTimestamp": "2025-01-01T00:00:00Z"}


def pod(name, app="web", owner=None, **metadata):
    fields = {"name": name, "namespace": "default", "uid": f"uid-{name}", "labels": {"app": app}, **metadata}
    if owner:
        fields["ownerReferences"] = [{**REFERENCE, "uid": owner}]
    return {"apiVersion": "v1", "kind": "Pod", "metadata": fields}


def selects(labels):
    return labels.get("app") == "web"


def run(candidates, *replies, owner=OWNER):
    """Claims with these replies; returns (names claimed, requests), or raises what claiming raises."""
    generator = claim(REPLICA_SET, owner, POD, selects, candidates)
    requests, answers = [], iter(replies)
    reply = None
    try:
        while True:
            requests.append(generator.throw(reply) if isinstance(reply, ApiError) else generator.send(reply))
            reply = next(answers)
    except StopIteration as stop:
        return [each["metadata"]["name"] for each in stop.value], requests
    finally:
        run.requests = requests


def test_what_is_owned_and_selected_is_claimed_without_a_request():
    """And what others control is left to them."""
    assert run([pod("a", owner="uid-web"), pod("b", owner="uid-other"), pod("c", app="db", owner="uid-other")]) == (
        ["a"],
        [],
    )


def test_an_orphan_is_adopted_after_a_look_at_the_owner():
    """One look serves for all orphans; the patch names the UID so that it cannot hit a namesake."""
    names, requests = run([pod("a"), pod("b")], OWNER, pod("a", owner="uid-web"), pod("b", owner="uid-web"))

    assert names == ["a", "b"]
    assert [(each.verb, each.kind.kind, each.name) for each in requests] == [
        ("get", "ReplicaSet", "web"), ("patch", "Pod", "a"), ("patch", "Pod", "b"),
    ]  # fmt: skip
    assert requests[1].body == {"metadata": {"uid": "uid-a", "ownerReferences": [REFERENCE]}}


def test_what_is_no_longer_selected_is_released():
    """Only the own reference goes; what is released is not claimed."""
    names, requests = run([pod("a", app="db", owner="uid-web")], pod("a", app="db"))

    assert names == []
    assert requests[0].body == {
        "metadata": {"uid": "uid-a", "ownerReferences": [{"$patch": "delete", "uid": "uid-web"}]}
    }
    assert requests[0].options.patch_type == "strategic"


@pytest.mark.parametrize(
    "candidate",
    [pod("a", app="db"), pod("a", **GOING)],
    ids=["an orphan of other labels", "an orphan that is being deleted"],
)
def test_some_orphans_are_left_alone(candidate):
    """They need no request."""
    assert run([candidate]) == ([], [])


def test_an_owner_that_is_being_deleted_changes_nothing():
    """It keeps what it has, and neither adopts nor releases."""
    owner = {**OWNER, "metadata": {**OWNER["metadata"], **GOING}}

    assert run([pod("a", owner="uid-web"), pod("b"), pod("c", app="db", owner="uid-web")], owner=owner) == (["a"], [])


REFUSALS = [
    ("deleted meanwhile", {**OWNER, "metadata": {**OWNER["metadata"], **GOING}}, "has just been deleted at"),
    ("replaced by a namesake", {**OWNER, "metadata": {**OWNER["metadata"], "uid": "uid-2"}}, "is gone"),
    ("gone", not_found("replicasets", "apps", "web"), "not found"),
]


@pytest.mark.parametrize("fresh, text", [row[1:] for row in REFUSALS], ids=[row[0] for row in REFUSALS])
def test_an_owner_that_is_not_what_the_cache_says_must_not_adopt(fresh, text):
    """The sync ends there, with nothing adopted, and comes back."""
    with pytest.raises((NotYetError, ApiError), match=text):
        run([pod("a"), pod("b")], fresh)

    assert [each.verb for each in run.requests] == ["get"]


def test_an_orphan_that_is_gone_is_no_failure():
    """There is nothing left to adopt."""
    names, requests = run([pod("a"), pod("b")], OWNER, not_found("pods", "", "a"), pod("b", owner="uid-web"))

    assert (names, len(requests)) == (["b"], 3)


@pytest.mark.parametrize(
    "error", [not_found("pods", "", "a"), invalid("Pod", "", "a", [])], ids=["gone", "already changed by somebody else"]
)
def test_a_release_that_has_become_pointless_is_no_failure(error):
    """404 and 422 mean that the reference is not there any more."""
    assert run([pod("a", app="db", owner="uid-web")], error)[0] == []


def test_a_failure_is_raised_after_the_other_candidates():
    """One adoption that fails keeps the others from nothing."""
    with pytest.raises(ApiError, match="try again"):
        run([pod("a"), pod("b")], OWNER, conflict("pods", "", "a", "try again"), pod("b", owner="uid-web"))

    assert [each.name for each in run.requests] == ["web", "a", "b"]

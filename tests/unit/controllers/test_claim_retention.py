"""The owners that a claim is to have, over policies, states and strangers. Upstream: stateful_set_utils_test.go @v1.36."""

from __future__ import annotations

import pytest

from kubesim.controllers.claim_retention import has_stale_owner, is_up_to_date, with_owners

POD = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "db-1", "uid": "pod"}}


def stateful_set(when_deleted, when_scaled, replicas=2):
    """A set whose Pod db-1 is wanted with two replicas and condemned with one."""
    policy = {"whenDeleted": when_deleted, "whenScaled": when_scaled}
    return {
        "apiVersion": "apps/v1",
        "kind": "StatefulSet",
        "metadata": {"name": "db", "uid": "set"},
        "spec": {"replicas": replicas, "persistentVolumeClaimRetentionPolicy": policy},
    }


def reference(kind, name, uid, controller=True):
    """An owner reference; None leaves the field out."""
    api_version = "v1" if kind == "Pod" else "apps/v1"
    made = {"apiVersion": api_version, "kind": kind, "name": name, "uid": uid}
    return made if controller is None else {**made, "controller": controller, "blockOwnerDeletion": True}


SET_OWNS = reference("StatefulSet", "db", "set")
POD_OWNS = reference("Pod", "db-1", "pod")
OLD_SET = reference("StatefulSet", "db", "earlier")
STRANGER = reference("Deployment", "other", "other")


def claim(*references):
    """A claim with these owners."""
    return {"metadata": {"name": "data-db-1", **({"ownerReferences": list(references)} if references else {})}}


@pytest.mark.parametrize("replicas", [2, 1], ids=["a wanted Pod", "a condemned Pod"])
@pytest.mark.parametrize("when_scaled", ["Retain", "Delete"])
@pytest.mark.parametrize("when_deleted", ["Retain", "Delete"])
def test_the_policy_decides_on_the_owner(when_deleted, when_scaled, replicas):
    """Delete on scaling takes a condemned Pod's claim; else delete with the set takes it; else nobody."""
    owner = stateful_set(when_deleted, when_scaled, replicas)
    by_set = [SET_OWNS] if when_deleted == "Delete" else []
    wanted = [POD_OWNS] if when_scaled == "Delete" and replicas == 1 else by_set
    for before in ([], [SET_OWNS], [POD_OWNS], [SET_OWNS, POD_OWNS]):
        changed = with_owners(claim(*before), owner, POD)
        assert changed == claim(*wanted)
        assert is_up_to_date(changed, owner, POD)
        assert is_up_to_date(claim(*before), owner, POD) == (before == wanted)


def test_a_claim_of_an_earlier_set_is_left_alone():
    """It goes with its owner; nothing is put on top of it."""
    owner = stateful_set("Delete", "Retain")
    assert has_stale_owner(claim(OLD_SET), owner)
    assert is_up_to_date(claim(OLD_SET), owner, POD)


def test_a_claim_controlled_by_a_stranger_is_left_to_it():
    """Our own references are taken off, the stranger's stays."""
    owner = stateful_set("Delete", "Delete")
    assert is_up_to_date(claim(STRANGER), owner, POD)
    assert not is_up_to_date(claim(STRANGER, SET_OWNS), owner, POD)
    assert with_owners(claim(STRANGER, SET_OWNS), owner, POD) == claim(STRANGER)


def test_an_owner_that_is_no_controller_becomes_one():
    """References that versions before 1.33 wrote without `controller` are put right."""
    owner = stateful_set("Delete", "Retain")
    old = claim(reference("StatefulSet", "db", "set", controller=None))
    assert not is_up_to_date(old, owner, POD)
    assert with_owners(old, owner, POD) == claim(SET_OWNS)


def test_the_owner_of_no_controller_is_kept():
    """With Retain a foreign owner is none of our business."""
    owner = stateful_set("Retain", "Retain")
    assert is_up_to_date(claim(STRANGER), owner, POD)
    assert with_owners(claim(STRANGER, SET_OWNS), owner, POD) == claim(STRANGER)

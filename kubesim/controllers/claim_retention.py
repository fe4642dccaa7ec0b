"""Who owns a StatefulSet's PersistentVolumeClaims, and thereby when the garbage collector takes them.

`persistentVolumeClaimRetentionPolicy` is carried out by owner references alone: on the set (whenDeleted: Delete), on
the Pod once it is scaled down (whenScaled: Delete), or on neither (Retain).
Pure functions. Upstream: pkg/controller/statefulset/stateful_set_utils.go:isClaimOwnerUpToDate,
updateClaimOwnerRefForSetAndPod @v1.36
"""

from __future__ import annotations

from kubesim.api.objects import Object, owner_reference, with_metadata
from kubesim.controllers.statefulset_plan import is_wanted

DELETE = "Delete"


def policy_of(stateful_set: Object) -> tuple[str, str]:
    """(whenDeleted, whenScaled)."""
    policy = stateful_set["spec"].get("persistentVolumeClaimRetentionPolicy") or {}
    return policy.get("whenDeleted", "Retain"), policy.get("whenScaled", "Retain")


def _references(claim: Object) -> list[Object]:
    references: list[Object] = claim["metadata"].get("ownerReferences") or []
    return references


def _names(reference: Object, owner: Object) -> bool:
    """Whether the reference is to an object of this kind and name, this one or an earlier one."""
    return (reference["apiVersion"], reference["kind"], reference["name"]) == (
        owner["apiVersion"],
        owner["kind"],
        owner["metadata"]["name"],
    )


def _uid(owner: Object) -> str:
    return str(owner["metadata"].get("uid", ""))


def has_stale_owner(claim: Object, owner: Object) -> bool:
    """Whether the claim belongs to an earlier object of the owner's name."""
    for reference in _references(claim):
        if _names(reference, owner):
            return bool(reference["uid"] != _uid(owner))
    return False


def has_unexpected_controller(claim: Object, stateful_set: Object, pod: Object) -> bool:
    """Whether somebody else controls a claim that the policy would have us manage."""
    if DELETE not in policy_of(stateful_set):
        return False
    for reference in _references(claim):
        ours = next((owner for owner in (stateful_set, pod) if _names(reference, owner)), None)
        if ours is not None:
            if reference["uid"] != _uid(ours):
                return True
        elif reference.get("controller"):
            return True
    return False


def _wanted_owners(stateful_set: Object, pod: Object) -> list[Object]:
    when_deleted, when_scaled = policy_of(stateful_set)
    is_scaled_down = not is_wanted(pod, stateful_set)
    if when_scaled == DELETE and is_scaled_down:
        return [pod]
    return [stateful_set] if when_deleted == DELETE else []


def is_up_to_date(claim: Object, stateful_set: Object, pod: Object) -> bool:
    """Whether the claim's owners are what the policy wants, or are in a state that is left alone."""
    if has_stale_owner(claim, stateful_set) or has_stale_owner(claim, pod):
        return True
    references = _references(claim)
    uids = {reference["uid"]: bool(reference.get("controller")) for reference in references}
    owned = [owner for owner in (stateful_set, pod) if _uid(owner) in uids]
    if has_unexpected_controller(claim, stateful_set, pod):
        return not owned
    if any(not uids[_uid(owner)] for owner in owned):
        return False
    return owned == _wanted_owners(stateful_set, pod)


def with_owners(claim: Object, stateful_set: Object, pod: Object) -> Object:
    """The claim with the owner references that the policy wants, beside those of others."""
    references = [
        reference
        for reference in _references(claim)
        if not _names(reference, stateful_set) and not _names(reference, pod)
    ]
    if not has_unexpected_controller(claim, stateful_set, pod):
        references += [owner_reference(owner) for owner in _wanted_owners(stateful_set, pod)]
    return with_metadata(claim, ownerReferences=references or None)

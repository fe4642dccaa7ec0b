"""What a StatefulSet does to one of its Pods: the requests, in upstream's order, and the events about them.

A Pod's claims come before the Pod. Upstream: pkg/controller/statefulset/stateful_pod_control.go @v1.36
"""

from __future__ import annotations

from typing import final

from kubesim.api.kinds import PERSISTENT_VOLUME_CLAIM, POD
from kubesim.api.objects import Object, key_of
from kubesim.api.requests import create, delete, update
from kubesim.client.informer import Lister
from kubesim.client.recorder import Recorder
from kubesim.controllers.base import Wait
from kubesim.controllers.claim_retention import (
    DELETE,
    has_stale_owner,
    has_unexpected_controller,
    is_up_to_date,
    policy_of,
    with_owners,
)
from kubesim.controllers.consistency import WrittenRevisions
from kubesim.controllers.controller_history import CONFLICT_WAITS_NS, Requests
from kubesim.controllers.statefulset_plan import (
    claims_of,
    identity_matches,
    storage_matches,
    with_identity,
    with_storage,
)
from kubesim.errors import ApiError


def _wrapped(why: str, error: ApiError) -> ApiError:
    """The same failure with a prefix that says what it was about."""
    return ApiError(error.code, error.reason, f"{why}: {error.message}")


@final
class StatefulPods:
    """The acts on single Pods. `pods` and `claims` are listers, so what they show may be behind."""

    def __init__(self, recorder: Recorder, own_writes: WrittenRevisions, pods: Lister, claims: Lister) -> None:
        self._recorder = recorder
        self._own_writes = own_writes
        self._pods = pods
        self._claims = claims

    def _record(self, verb: str, stateful_set: Object, pod: Object, error: ApiError | None) -> None:
        what = f"{verb} Pod {pod['metadata']['name']} in StatefulSet {stateful_set['metadata']['name']}"
        if error is None:
            self._recorder.event(stateful_set, "Normal", f"Successful{verb}", f"{what} successful")
        else:
            self._recorder.event(stateful_set, "Warning", f"Failed{verb}", f"{what} failed error: {error.message}")

    def create(self, stateful_set: Object, pod: Object) -> Requests:
        """Create the Pod's claims and then the Pod.

        Raises:
            ApiError: the first failure; 409 where the Pod is there and only the cache did not show it.
        """
        try:
            yield from self._create_claims(stateful_set, pod)
        except ApiError as error:
            self._record("Create", stateful_set, pod, error)
            raise
        failure: ApiError | None = None
        try:
            made = yield create(POD, pod)
        except ApiError as error:
            if error.reason == "AlreadyExists":
                raise
            failure = error
        else:
            self._own_writes.note(key_of(stateful_set), POD, made)
        yield from self._fix_owners(stateful_set, pod)
        self._record("Create", stateful_set, pod, failure)
        if failure is not None:
            raise failure

    def delete(self, stateful_set: Object, pod: Object) -> Requests:
        """Ask for the Pod's deletion; one that is gone already is a success."""
        metadata = pod["metadata"]
        try:
            yield delete(POD, metadata["namespace"], metadata["name"])
        except ApiError as error:
            if error.code != 404:
                self._record("Delete", stateful_set, pod, error)
                raise
        self._record("Delete", stateful_set, pod, None)

    def update(self, stateful_set: Object, pod: Object) -> Requests:
        """Put the Pod's identity, its volumes and its claims' owners right."""
        key = key_of(pod)
        for wait_ns in (*CONFLICT_WAITS_NS, None):
            changed = pod if identity_matches(pod) else with_identity(pod)
            if not storage_matches(stateful_set, changed):
                changed = with_storage(stateful_set, changed)
                try:
                    yield from self._create_claims(stateful_set, changed)
                except ApiError as error:
                    self._record("Update", stateful_set, pod, error)
                    raise
            if not self.claims_match(stateful_set, changed):
                yield from self._fix_owners(stateful_set, changed)
            elif changed is pod:
                return
            try:
                written = yield update(POD, changed)
            except ApiError as error:
                if error.reason != "Conflict" or wait_ns is None:
                    self._record("Update", stateful_set, pod, error)
                    raise
                pod = self._pods.get(*key) or pod
                yield Wait(wait_ns)
            else:
                self._own_writes.note(key_of(stateful_set), POD, written)
                self._record("Update", stateful_set, pod, None)
                return

    # --- claims ---

    def create_missing_claims(self, stateful_set: Object, pod: Object) -> Requests:
        """Have all claims of a Pod that waits to run, with the right owners."""
        yield from self._create_claims(stateful_set, pod)
        yield from self._fix_owners(stateful_set, pod)

    def has_stale_claim(self, stateful_set: Object, pod: Object) -> bool:
        """Whether a claim still belongs to the Pod of this name that was scaled down, and will go with it."""
        if policy_of(stateful_set)[1] != DELETE:
            return False
        found = (self._claims.get(*key_of(claim)) for claim in claims_of(stateful_set, pod))
        return any(claim is not None and has_stale_owner(claim, pod) for claim in found)

    def claims_match(self, stateful_set: Object, pod: Object) -> bool:
        """Whether the owners of the Pod's claims are what the retention policy wants."""
        found = (self._claims.get(*key_of(claim)) for claim in claims_of(stateful_set, pod))
        return all(claim is None or is_up_to_date(claim, stateful_set, pod) for claim in found)

    def fix_claims_of_condemned(self, stateful_set: Object, pod: Object) -> Requests:
        """Hand the claims of a Pod that is to go to the owner that the policy wants; never a reason to stop."""
        if not self.claims_match(stateful_set, pod):
            yield from self._update_owners(stateful_set, pod)
        return False

    def _create_claims(self, stateful_set: Object, pod: Object) -> Requests:
        """Create the claims that the cache does not show; tries all before it raises the first failure."""
        failure: ApiError | None = None
        for claim in claims_of(stateful_set, pod):
            name = claim["metadata"]["name"]
            found = self._claims.get(*key_of(claim))
            if found is not None:
                if "deletionTimestamp" in found["metadata"]:
                    failure = failure or ApiError(409, "Conflict", f"pvc {name} is being deleted")
                continue
            what = f"Claim {name}"
            try:
                made = yield create(PERSISTENT_VOLUME_CLAIM, claim)
            except ApiError as error:
                failure = failure or _wrapped(f"failed to create PVC {name}", error)
                if error.reason != "AlreadyExists":
                    self._record_claim(stateful_set, pod, what, error)
            else:
                self._own_writes.note(key_of(stateful_set), PERSISTENT_VOLUME_CLAIM, made)
                self._record_claim(stateful_set, pod, what, None)
        if failure is not None:
            raise failure

    def _record_claim(self, stateful_set: Object, pod: Object, what: str, error: ApiError | None) -> None:
        of = f"Pod {pod['metadata']['name']} in StatefulSet {stateful_set['metadata']['name']}"
        if error is None:
            self._recorder.event(stateful_set, "Normal", "SuccessfulCreate", f"Create {what} {of} success")
        else:
            message = f"Create {what} for {of} failed error: {error.message}"
            self._recorder.event(stateful_set, "Warning", "FailedCreate", message)

    def _fix_owners(self, stateful_set: Object, pod: Object) -> Requests:
        """Like `_update_owners`, with the event about the Pod when it fails."""
        try:
            yield from self._update_owners(stateful_set, pod)
        except ApiError as error:
            self._record("Update", stateful_set, pod, error)
            raise

    def _update_owners(self, stateful_set: Object, pod: Object) -> Requests:
        for wanted in claims_of(stateful_set, pod):
            found = self._claims.get(*key_of(wanted))
            if found is None:
                continue
            name = found["metadata"]["name"]
            if has_unexpected_controller(found, stateful_set, pod):
                message = (
                    f"PersistentVolumeClaim {name} has a conflicting OwnerReference that acts as a manging controller, "
                    "the retention policy is ignored for this claim"
                )
                self._recorder.event(stateful_set, "Warning", "ConflictingController", message)
            if is_up_to_date(found, stateful_set, pod):
                continue
            try:
                written = yield update(PERSISTENT_VOLUME_CLAIM, with_owners(found, stateful_set, pod))
            except ApiError as error:
                raise _wrapped(f"could not update claim {name} for delete policy ownerRefs", error) from error
            self._own_writes.note(key_of(stateful_set), PERSISTENT_VOLUME_CLAIM, written)

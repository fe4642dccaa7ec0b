"""How an object goes: gracefully, held by finalizers, or at once.

Upstream: apiserver/pkg/registry/rest/delete.go:BeforeDelete,
apiserver/pkg/registry/generic/registry/store.go:Delete @v1.36
"""

from __future__ import annotations

from typing import NamedTuple

from kubesim.api.objects import Object, with_metadata
from kubesim.api.requests import Options
from kubesim.api.scheme import Kind
from kubesim.api.timestamps import from_time, to_time
from kubesim.apiserver.strategies import strategy_for
from kubesim.errors import ApiError, conflict
from kubesim.sim.loop import SECOND

ORPHAN = "orphan"
FOREGROUND = "foregroundDeletion"


class Deletion(NamedTuple):
    """What a DELETE does now: `marked` is the object to store first (None: nothing is stored), `remove` says that the
    object goes at once."""

    marked: Object | None
    remove: bool


def check_preconditions(kind: Kind, obj: Object, options: Options) -> None:
    """Raise 409 where the object isn't the one that the caller means."""
    metadata = obj["metadata"]
    uid = options.precondition_uid
    if uid is not None and uid != metadata["uid"]:
        why = (
            f"the UID in the precondition ({uid}) does not match the UID in record ({metadata['uid']}). "
            "The object might have been deleted and then recreated"
        )
        raise _precondition_conflict(kind, metadata["name"], why)
    version = options.precondition_resource_version
    if version is not None and version != metadata["resourceVersion"]:
        why = (
            f"the ResourceVersion in the precondition ({version}) does not match the ResourceVersion in record "
            f"({metadata['resourceVersion']}). The object might have been modified"
        )
        raise _precondition_conflict(kind, metadata["name"], why)


def _precondition_conflict(kind: Kind, name: str, why: str) -> ApiError:
    # Upstream names the kind, not the resource, in this one.
    return conflict(kind.kind, kind.group, name, why)


def plan_deletion(kind: Kind, obj: Object, options: Options, now_ns: int) -> Deletion:
    """Decide what a DELETE of `obj` does at `now_ns`.

    Raises:
        ApiError: 409, a precondition fails.
    """
    if options.precondition_uid is not None or options.precondition_resource_version is not None:
        check_preconditions(kind, obj, options)
    marked, grace_s = obj, 0
    if kind.resource == "pods":
        shortened = _plan_pod(obj, options, now_ns)
        if shortened is None:
            return Deletion(None, remove=False)
        marked, grace_s = shortened
    before = obj["metadata"].get("finalizers") or []
    finalizers = _finalizers(kind, before, options)
    if finalizers is not before:
        marked = with_metadata(marked, finalizers=finalizers or None)
    if finalizers:
        if marked["metadata"].get("deletionTimestamp") is None or not grace_s:
            marked = _mark(marked, now_ns)
        return Deletion(marked if marked is not obj else None, remove=False)
    if kind.resource != "pods" or marked is obj:
        return Deletion(None, remove=True)
    return Deletion(marked, remove=not grace_s)


def _plan_pod(pod: Object, options: Options, now_ns: int) -> tuple[Object, int] | None:
    """The Pod marked for graceful deletion and the seconds asked for; None when as much or less is pending already.

    Upstream: rest/delete.go:BeforeDelete, pkg/registry/core/pod/strategy.go:CheckGracefulDelete @v1.36
    """
    metadata = pod["metadata"]
    asked = options.grace_period_s
    if asked is not None and asked < 0:
        asked = 1
    if "deletionTimestamp" in metadata:
        pending = metadata.get("deletionGracePeriodSeconds", 0)
        if not pending:
            return pod, 0
        if asked is None or asked >= pending:
            return None
        at_ns = from_time(metadata["deletionTimestamp"]) + (asked - pending) * SECOND
        grace_s = asked
        if at_ns < now_ns:
            at_ns = now_ns
            grace_s = min(asked, 1)
        return with_metadata(pod, deletionTimestamp=to_time(at_ns), deletionGracePeriodSeconds=grace_s), asked
    grace_s = asked if asked is not None else pod["spec"].get("terminationGracePeriodSeconds", 0)
    if not pod["spec"].get("nodeName") or (pod.get("status") or {}).get("phase") in ("Succeeded", "Failed"):
        grace_s = 0
    marks: Object = {
        **metadata,
        "deletionTimestamp": to_time(now_ns + grace_s * SECOND),
        "deletionGracePeriodSeconds": grace_s,
        "generation": metadata.get("generation", 0) + 1,
    }
    return {**pod, "metadata": marks}, grace_s


def _mark(obj: Object, now_ns: int) -> Object:
    metadata = obj["metadata"]
    changes: Object = {"deletionGracePeriodSeconds": 0}
    if "deletionTimestamp" not in metadata:
        if "generation" in metadata:
            changes["generation"] = metadata["generation"] + 1
        changes["deletionTimestamp"] = to_time(now_ns)
    elif from_time(metadata["deletionTimestamp"]) > now_ns:
        changes["deletionTimestamp"] = to_time(now_ns)
    if all(metadata.get(field) == value for field, value in changes.items()):
        return obj
    return with_metadata(obj, **changes)


def _finalizers(kind: Kind, before: list[str], options: Options) -> list[str]:
    """The finalizers with those of the propagation policy put in or taken out; `before` itself if that is no change.

    Upstream: store.go:shouldOrphanDependents, shouldDeleteDependents @v1.36
    """
    propagation = options.propagation
    if propagation is not None:
        orphan, foreground = propagation == "Orphan", propagation == "Foreground"
    elif ORPHAN in before or FOREGROUND in before:
        orphan, foreground = ORPHAN in before, FOREGROUND in before
    else:
        orphan, foreground = strategy_for(kind).orphans_by_default, False
    if kind.plural == "events" or (not orphan and not foreground and not before):
        return before
    after = [finalizer for finalizer in before if finalizer not in (ORPHAN, FOREGROUND)]
    if orphan:
        after.append(ORPHAN)
    if foreground:
        after.append(FOREGROUND)
    return before if sorted(after) == sorted(before) else after


def plan_namespace_deletion(kind: Kind, namespace: Object, options: Options, now_ns: int) -> Deletion:
    """A namespace is Terminating from its first DELETE on; it goes with one that finds its finalizers gone.

    Upstream: pkg/registry/core/namespace/storage/storage.go:Delete @v1.36
    """
    metadata = namespace["metadata"]
    _check_namespace_preconditions(kind, metadata, options)
    if "deletionTimestamp" in metadata:
        if namespace["spec"].get("finalizers"):
            return Deletion(None, remove=False)
        return plan_deletion(kind, namespace, options, now_ns)
    before = metadata.get("finalizers") or []
    finalizers = _finalizers(kind, before, options)
    marked = with_metadata(namespace, deletionTimestamp=to_time(now_ns))
    if finalizers is not before:
        marked = with_metadata(marked, finalizers=finalizers or None)
    status = {**(namespace.get("status") or {}), "phase": "Terminating"}
    return Deletion({**marked, "status": status}, remove=False)


def _check_namespace_preconditions(kind: Kind, metadata: Object, options: Options) -> None:
    for what, wanted, found in (
        ("UID", options.precondition_uid, metadata["uid"]),
        ("ResourceVersion", options.precondition_resource_version, metadata["resourceVersion"]),
    ):
        if wanted is not None and wanted != found:
            why = f"Precondition failed: {what} in precondition: {wanted}, {what} in object meta: {found}"
            raise conflict(kind.plural, kind.group, metadata["name"], why)


def is_released(kind: Kind, obj: Object) -> bool:
    """Whether an update has taken away the last thing that held a deleted object.

    Upstream: store.go:ShouldDeleteDuringUpdate,
    pkg/registry/core/namespace/storage/storage.go:ShouldDeleteNamespaceDuringUpdate @v1.36
    """
    metadata = obj["metadata"]
    return (
        "deletionTimestamp" in metadata
        and not metadata.get("finalizers")
        and not metadata.get("deletionGracePeriodSeconds")
        and not (kind.resource == "namespaces" and obj["spec"].get("finalizers"))
    )

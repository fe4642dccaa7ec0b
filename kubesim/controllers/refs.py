"""Adoption and release: which objects are a controller's by owner reference, and which should become or cease to be.

Upstream: pkg/controller/controller_ref_manager.go @v1.36
"""

from __future__ import annotations

from collections.abc import Generator, Iterable
from typing import Any

from kubesim.api.objects import Object, controller_of, labels_of, owner_reference
from kubesim.api.requests import Request, get, patch
from kubesim.api.scheme import Kind
from kubesim.api.selectors import Predicate
from kubesim.controllers.base import NotYetError
from kubesim.errors import ApiError

Claims = Generator[Request, Any, list[Object]]


def claim(owner_kind: Kind, owner: Object, kind: Kind, selects: Predicate, candidates: Iterable[Object]) -> Claims:
    """The candidates that are the owner's, after adopting the orphans that it selects and releasing what it does not.

    Yields the requests that this takes; usually none. All candidates are seen to before a failure is raised.

    Raises:
        ApiError: an adoption or release failed for another reason than that the object is gone.
        NotYetError: the cached owner is not what the API server has; it must not adopt.
    """
    uid = owner["metadata"]["uid"]
    deleting = "deletionTimestamp" in owner["metadata"]
    refusal: Exception | None = None
    failure: Exception | None = None
    checked = False
    claimed: list[Object] = []
    for obj in candidates:
        reference = controller_of(obj)
        if reference is not None:
            if reference["uid"] != uid:
                continue
            if selects(labels_of(obj)):
                claimed.append(obj)
            elif not deleting:
                failure = (yield from _release(kind, obj, uid)) or failure
            continue
        if deleting or "deletionTimestamp" in obj["metadata"] or not selects(labels_of(obj)):
            continue
        if not checked:
            checked = True
            refusal = yield from _check_owner(owner_kind, owner)
            failure = refusal or failure
        if refusal is None:
            adopted = yield from _adopt(kind, obj, owner)
            if isinstance(adopted, ApiError):
                failure = adopted
            elif adopted is not None:
                claimed.append(adopted)
    if failure is not None:
        raise failure
    return claimed


def _check_owner(owner_kind: Kind, owner: Object) -> Generator[Request, Any, Exception | None]:
    """Why the owner may not adopt, if it may not: to adopt for one that is going would leave an orphan's orphan."""
    metadata = owner["metadata"]
    name = f"{metadata.get('namespace', '')}/{metadata['name']}"
    try:
        fresh = yield get(owner_kind, metadata.get("namespace", ""), metadata["name"])
    except ApiError as error:
        return error
    if fresh["metadata"]["uid"] != metadata["uid"]:
        return NotYetError(f"original {owner_kind.kind} {name} is gone")
    if "deletionTimestamp" in fresh["metadata"]:
        return NotYetError(f"{name} has just been deleted at {fresh['metadata']['deletionTimestamp']}")
    return None


def _adopt(kind: Kind, obj: Object, owner: Object) -> Generator[Request, Any, Object | ApiError | None]:
    metadata = obj["metadata"]
    body = {"metadata": {"uid": metadata["uid"], "ownerReferences": [owner_reference(owner)]}}
    try:
        adopted: Object = yield patch(kind, metadata["namespace"], metadata["name"], body, "strategic")
    except ApiError as error:
        return None if error.code == 404 else error
    return adopted


def _release(kind: Kind, obj: Object, uid: str) -> Generator[Request, Any, ApiError | None]:
    metadata = obj["metadata"]
    body = {"metadata": {"uid": metadata["uid"], "ownerReferences": [{"$patch": "delete", "uid": uid}]}}
    try:
        yield patch(kind, metadata["namespace"], metadata["name"], body, "strategic")
    except ApiError as error:
        # Gone, or an owner reference that was already changed by somebody else: nothing left to release.
        return None if error.code in (404, 422) else error
    return None

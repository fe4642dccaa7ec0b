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
from kubesim.errors import ApiError

Claims = Generator[Request, Any, list[Object]]


def claim(owner_kind: Kind, owner: Object, kind: Kind, selects: Predicate, candidates: Iterable[Object]) -> Claims:
    """The candidates that are the owner's, after adopting the orphans that it selects and releasing what it no longer does.

    Yields the requests that this takes; usually none.

    Raises:
        ApiError: an adoption or release failed for another reason than that the object or the owner's right is gone.
    """
    uid = owner["metadata"]["uid"]
    deleting = "deletionTimestamp" in owner["metadata"]
    may_adopt: bool | None = None
    claimed: list[Object] = []
    for obj in candidates:
        reference = controller_of(obj)
        if reference is not None:
            if reference["uid"] != uid:
                continue
            if selects(labels_of(obj)):
                claimed.append(obj)
            elif not deleting:
                yield from _release(kind, obj, uid)
            continue
        if deleting or "deletionTimestamp" in obj["metadata"] or not selects(labels_of(obj)):
            continue
        if may_adopt is None:
            # The cache may be behind: adopting for an owner that is already going would leave an orphan's orphan.
            fresh = yield get(owner_kind, owner["metadata"].get("namespace", ""), owner["metadata"]["name"])
            may_adopt = fresh["metadata"]["uid"] == uid and "deletionTimestamp" not in fresh["metadata"]
        if may_adopt:
            adopted = yield from _adopt(kind, obj, owner)
            if adopted is not None:
                claimed.append(adopted)
    return claimed


def _adopt(kind: Kind, obj: Object, owner: Object) -> Generator[Request, Any, Object | None]:
    metadata = obj["metadata"]
    body = {"metadata": {"uid": metadata["uid"], "ownerReferences": [owner_reference(owner)]}}
    try:
        adopted: Object = yield patch(kind, metadata["namespace"], metadata["name"], body, "strategic")
    except ApiError as error:
        if error.code == 404:
            return None
        raise
    return adopted


def _release(kind: Kind, obj: Object, uid: str) -> Generator[Request, Any, None]:
    metadata = obj["metadata"]
    body = {"metadata": {"uid": metadata["uid"], "ownerReferences": [{"$patch": "delete", "uid": uid}]}}
    try:
        yield patch(kind, metadata["namespace"], metadata["name"], body, "strategic")
    except ApiError as error:
        # Gone, or an owner reference that was already changed by somebody else: nothing left to release.
        if error.code not in (404, 422):
            raise

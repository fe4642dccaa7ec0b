"""ControllerRevisions: the templates that a StatefulSet or DaemonSet has had, numbered, named by their hash.

Here the hash is Kubernetes' own to the letter: what is hashed is the JSON that the object shows as its `data`.
Upstream: pkg/controller/history/controller_history.go,
pkg/controller/statefulset/stateful_set_utils.go:newRevision @v1.36
"""

from __future__ import annotations

from collections.abc import Collection, Generator, Sequence
from typing import Any

import msgspec

from kubesim.api.kinds import CONTROLLER_REVISION
from kubesim.api.memo import IdentityMemo
from kubesim.api.objects import Object, owner_reference
from kubesim.api.requests import Request, create, get, update
from kubesim.controllers.base import Wait
from kubesim.controllers.template_hash import safe_encode
from kubesim.errors import ApiError
from kubesim.sim.loop import MILLISECOND

HASH_LABEL = "controller.kubernetes.io/hash"
_PREFIX_MAX = 223
_OFFSET, _PRIME, _MASK = 2_166_136_261, 16_777_619, 0xFFFFFFFF
_encode = msgspec.json.Encoder(order="sorted").encode
# What Go's encoder escapes beyond the needs of JSON.
_ESCAPES = (
    (b"&", b"\\u0026"),
    (b"<", b"\\u003c"),
    (b">", b"\\u003e"),
    ("\u2028".encode(), b"\\u2028"),
    ("\u2029".encode(), b"\\u2029"),
)
# Upstream: client-go/util/retry/util.go:DefaultBackoff, without its jitter @v1.36
CONFLICT_WAITS_NS = (10 * MILLISECOND, 50 * MILLISECOND, 250 * MILLISECOND)


def _fnv32(data: bytes, state: int) -> int:
    """The 32-bit FNV-1 hash, continued from `state`. (`pod-template-hash` is FNV-1a.)"""
    for byte in data:
        state = ((state * _PRIME) & _MASK) ^ byte
    return state


def _hash_of_data(data: Object) -> int:
    encoded = _encode(data)
    for plain, escaped in _ESCAPES:
        encoded = encoded.replace(plain, escaped)
    return _fnv32(encoded, _OFFSET)


_hash_of = IdentityMemo(_hash_of_data, 256)


def hash_revision(data: Object, collision_count: int) -> str:
    """The hash of a revision's data; another collision count makes it another one. Upstream: HashControllerRevision"""
    return safe_encode(str(_fnv32(str(collision_count).encode(), _hash_of(data))))


def _data_of_template(template: Object) -> Object:
    return {"spec": {"template": {**template, "$patch": "replace"}}}


revision_data = IdentityMemo(_data_of_template, 512)
"""The data of a revision: the patch that puts this Pod template back."""


def _template_in_data(data: Object) -> Object:
    return {name: value for name, value in data["spec"]["template"].items() if name != "$patch"}


template_in = IdentityMemo(_template_in_data, 512)
"""The Pod template that a revision's data puts back."""


def by_revision(revision: Object) -> tuple[int, str, str]:
    """Sort key: oldest number first, then age, then name."""
    metadata = revision["metadata"]
    return revision["revision"], metadata["creationTimestamp"], metadata["name"]


def new_revision(owner: Object, number: int, collision_count: int) -> Object:
    """A revision of the owner's template as it is now, with the owner's annotations."""
    template = owner["spec"]["template"]
    data = revision_data(template)
    digest = hash_revision(data, collision_count)
    metadata: Object = {
        "name": _name(owner, digest),
        "namespace": owner["metadata"]["namespace"],
        "labels": {**((template.get("metadata") or {}).get("labels") or {}), HASH_LABEL: digest},
        "ownerReferences": [owner_reference(owner)],
    }
    if owner["metadata"].get("annotations"):
        metadata["annotations"] = owner["metadata"]["annotations"]
    return {
        "apiVersion": CONTROLLER_REVISION.api_version,
        "kind": CONTROLLER_REVISION.kind,
        "metadata": metadata,
        "data": data,
        "revision": number,
    }


def _name(owner: Object, digest: str) -> str:
    return f"{owner['metadata']['name'][:_PREFIX_MAX]}-{digest}"


Requests = Generator[Request | Wait, Any, Any]


def create_revision(owner: Object, revision: Object, collision_count: int) -> Requests:
    """Create the revision under a name that is free or holds the same data; returns (revision, collision count).

    As upstream's, a second name does not reach the hash label.
    """
    namespace = revision["metadata"]["namespace"]
    while True:
        name = _name(owner, hash_revision(revision["data"], collision_count))
        try:
            named = {**revision, "metadata": {**revision["metadata"], "name": name}}
            created = yield create(CONTROLLER_REVISION, named)
        except ApiError as error:
            if error.reason != "AlreadyExists":
                raise
            exists = yield get(CONTROLLER_REVISION, namespace, name)
            if exists["data"] == revision["data"]:
                return exists, collision_count
            collision_count += 1
        else:
            return created, collision_count


def renumber_revision(revision: Object, number: int) -> Requests:
    """Give an old revision the newest number: what a roll back does; returns it as written."""
    if revision["revision"] == number:
        return revision
    for wait_ns in (*CONFLICT_WAITS_NS, None):
        try:
            return (yield update(CONTROLLER_REVISION, {**revision, "revision": number}))
        except ApiError as error:
            if error.reason != "Conflict" or wait_ns is None:
                raise
            yield Wait(wait_ns)
            metadata = revision["metadata"]
            revision = yield get(CONTROLLER_REVISION, metadata["namespace"], metadata["name"])
    return revision


def beyond_limit(revisions: Sequence[Object], live: Collection[str], limit: int) -> list[Object]:
    """The oldest revisions that nothing uses any more and the history has no room for; `revisions` are sorted."""
    history = [revision for revision in revisions if revision["metadata"]["name"] not in live]
    return history[: len(history) - limit] if 0 <= limit < len(history) else []

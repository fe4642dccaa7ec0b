"""What a client can ask of the API server, as values: one `Request`, and a constructor per verb.

The same value travels from a controller's `yield`, a scenario's step or an HTTP route to the API server, through
whatever delays, drops or repeats it on the way.
"""

from __future__ import annotations

from typing import Any, Literal, get_args

import msgspec

from kubesim.api.objects import Object
from kubesim.api.scheme import Kind

Verb = Literal["create", "get", "list", "update", "patch", "delete", "deletecollection"]
PatchType = Literal["json", "merge", "strategic", "apply"]
Propagation = Literal["Background", "Foreground", "Orphan"]
FieldValidation = Literal["Strict", "Warn", "Ignore"]


class Options(msgspec.Struct, frozen=True, gc=False):
    """The query parameters and DeleteOptions of a request; the defaults are what an absent parameter means."""

    dry_run: bool = False
    field_manager: str = ""
    field_validation: FieldValidation = "Warn"
    force: bool = False
    patch_type: PatchType = "merge"
    propagation: Propagation | None = None
    grace_period_s: int | None = None
    precondition_uid: str | None = None
    precondition_resource_version: str | None = None
    label_selector: str = ""
    field_selector: str = ""
    limit: int = 0
    continue_token: str = ""
    resource_version: str = ""
    resource_version_match: str = ""
    allow_watch_bookmarks: bool = False


NO_OPTIONS = Options()
_OF_PATCH = {patch_type: Options(patch_type=patch_type) for patch_type in get_args(PatchType)}


class Request(msgspec.Struct, frozen=True, gc=False):
    """One call to the API server. `body` is an object, a patch or None, as the verb needs.

    `duplicates` are what only whoever has read the body's text knows: the decoder's words for fields that stand twice
    in it, such as `duplicate field "data.a"`.
    """

    verb: Verb
    kind: Kind
    namespace: str = ""
    name: str = ""
    subresource: str = ""
    body: Any = None
    options: Options = NO_OPTIONS
    duplicates: tuple[str, ...] = ()


def create(kind: Kind, obj: Object, options: Options = NO_OPTIONS) -> Request:
    """POST an object to its collection."""
    metadata = obj["metadata"]
    return Request("create", kind, metadata.get("namespace", ""), metadata.get("name", ""), "", obj, options)


def create_subresource(kind: Kind, namespace: str, name: str, subresource: str, body: Object) -> Request:
    """POST to a subresource: `binding`, `eviction`, `token`."""
    return Request("create", kind, namespace, name, subresource, body)


def get(kind: Kind, namespace: str, name: str, subresource: str = "") -> Request:
    """GET one object."""
    return Request("get", kind, namespace, name, subresource)


def list_all(kind: Kind, namespace: str = "", options: Options = NO_OPTIONS) -> Request:
    """GET a collection; an empty namespace means all of them. The reply is a List object."""
    return Request("list", kind, namespace, "", "", None, options)


def update(kind: Kind, obj: Object, subresource: str = "", options: Options = NO_OPTIONS) -> Request:
    """PUT an object, or one of its subresources (`status`, `scale`). Its resourceVersion must be the current one."""
    metadata = obj["metadata"]
    return Request("update", kind, metadata.get("namespace", ""), metadata["name"], subresource, obj, options)


def patch(
    kind: Kind, namespace: str, name: str, body: Any, patch_type: PatchType = "merge", subresource: str = ""
) -> Request:
    """PATCH an object or subresource."""
    return Request("patch", kind, namespace, name, subresource, body, _OF_PATCH[patch_type])


def delete(kind: Kind, namespace: str, name: str, options: Options = NO_OPTIONS) -> Request:
    """DELETE one object."""
    return Request("delete", kind, namespace, name, "", None, options)

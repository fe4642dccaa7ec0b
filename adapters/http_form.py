"""A request of the simulator's as HTTP: the same value that goes to the API server in process goes over the wire.

Upstream: the paths, parameters and content types of the Kubernetes API conventions @v1.36
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from kubesim.api.objects import Object
from kubesim.api.requests import NO_OPTIONS, Options, Request
from kubesim.api.scheme import Kind

JSON: Final = "application/json"
_METHODS: Final = {
    "create": "POST",
    "get": "GET",
    "list": "GET",
    "update": "PUT",
    "patch": "PATCH",
    "delete": "DELETE",
    "deletecollection": "DELETE",
}
_PATCHES: Final = {
    "json": "application/json-patch+json",
    "merge": "application/merge-patch+json",
    "strategic": "application/strategic-merge-patch+json",
    "apply": "application/apply-patch+yaml",
}
_WRITES: Final = ("create", "update", "patch")


class HttpForm(NamedTuple):
    """What goes over the wire; `query` is not encoded yet."""

    method: str
    path: str
    query: dict[str, str]
    body: Any
    content_type: str


def path_of(kind: Kind, namespace: str = "", name: str = "", subresource: str = "") -> str:
    """The URL's path of an object, or of a collection where no name is given."""
    root = f"/apis/{kind.api_version}" if kind.group else f"/api/{kind.version}"
    place = ("namespaces", namespace) if kind.namespaced and namespace else ()
    return "/".join([root, *place, kind.plural, *filter(None, (name, subresource))])


def http_form(request: Request, manager: str) -> HttpForm:
    """The HTTP form of a request; `manager` is the field manager of writes that name none."""
    options = request.options
    name = "" if request.verb == "create" and not request.subresource else request.name
    path = path_of(request.kind, request.namespace, name, request.subresource)
    content_type = _PATCHES[options.patch_type] if request.verb == "patch" else JSON
    body = request.body
    if request.verb in ("delete", "deletecollection"):
        body = _delete_options(options)
    return HttpForm(_METHODS[request.verb], path, _query(request, manager), body, content_type)


def _query(request: Request, manager: str) -> dict[str, str]:
    options = request.options
    query: dict[str, str] = {}
    if request.verb in _WRITES:
        query["fieldManager"] = options.field_manager or manager
        if options.field_validation != NO_OPTIONS.field_validation:
            query["fieldValidation"] = options.field_validation
        if options.dry_run:
            query["dryRun"] = "All"
        if options.force:
            query["force"] = "true"
    selection = (
        ("labelSelector", options.label_selector),
        ("fieldSelector", options.field_selector),
        ("limit", str(options.limit or "")),
        ("continue", options.continue_token),
        ("resourceVersion", options.resource_version),
        ("resourceVersionMatch", options.resource_version_match),
    )
    return query | {field: text for field, text in selection if text}


def _delete_options(options: Options) -> Object:
    body: Object = {"apiVersion": "v1", "kind": "DeleteOptions"}
    if options.propagation is not None:
        body["propagationPolicy"] = options.propagation
    if options.grace_period_s is not None:
        body["gracePeriodSeconds"] = options.grace_period_s
    if options.dry_run:
        body["dryRun"] = ["All"]
    wanted = {"uid": options.precondition_uid, "resourceVersion": options.precondition_resource_version}
    preconditions = {field: text for field, text in wanted.items() if text is not None}
    return {**body, "preconditions": preconditions} if preconditions else body

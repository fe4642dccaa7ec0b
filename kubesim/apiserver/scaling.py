"""The scale subresource: a workload's size and selector as an object of their own.

Who owns `spec.replicas` is translated there and back, for a scale's fields have other names and another version.
Upstream: pkg/registry/apps/deployment/storage/storage.go:ScaleREST,
apimachinery/pkg/util/managedfields/scalehandler.go @v1.36
"""

from __future__ import annotations

from kubesim.api.objects import Object
from kubesim.api.patch import apply_json_patch, apply_merge_patch
from kubesim.api.requests import Request
from kubesim.api.schema.check import find_problems
from kubesim.api.schema.wire import decoding_error
from kubesim.api.selectors import selector_text
from kubesim.api.timestamps import to_time
from kubesim.apiserver.decoding import check_name, misfit, typed_body
from kubesim.apiserver.field_ledger import Owners
from kubesim.apiserver.preconditions import check_uid
from kubesim.apiserver.server import ApiServer, Identity
from kubesim.errors import ApiError, Cause, conflict, invalid

_VERSION, _KIND, _DEFINITION = "autoscaling/v1", "Scale", "io.k8s.api.autoscaling.v1.Scale"


def get_scale(server: ApiServer, request: Request, _identity: Identity) -> Object:
    """GET: the scale of a workload."""
    return _scale_of(server.existing(request.kind, request.namespace, request.name))


def _scale_of(obj: Object) -> Object:
    metadata, status = obj["metadata"], obj.get("status") or {}
    scale_status: Object = {"replicas": status.get("replicas", 0)}
    selector = obj["spec"].get("selector")
    if selector:
        scale_status["selector"] = selector_text(selector)
    return {
        "kind": _KIND,
        "apiVersion": _VERSION,
        "metadata": {
            field: metadata[field]
            for field in ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")
            if field in metadata
        },
        "spec": {"replicas": obj["spec"]["replicas"]} if obj["spec"].get("replicas") else {},
        "status": scale_status,
    }


def update_scale(server: ApiServer, request: Request, identity: Identity) -> Object:
    """PUT and PATCH: the workload with another size."""
    kind, name = request.kind, request.name
    scale: Object = {}
    if request.verb == "update":
        scale = typed_body(request.body, _VERSION, _KIND)
        _check_types(scale)
    old = server.existing(kind, request.namespace, name)
    before, live = old["metadata"], _scale_of(old)
    owners: Owners | None = None
    if request.verb == "patch":
        if request.options.patch_type == "apply":
            scale, owners = _applied(server, request, old, live)
        elif request.options.patch_type == "json":
            scale = apply_json_patch(live, request.body)
        else:
            scale = apply_merge_patch(live, request.body)
        try:
            _check_types(scale)
        except ApiError as error:
            raise misfit(scale, error, _KIND) from None
    given = scale.get("metadata") or {}
    check_name(request, given)
    replicas = _size(scale, name)
    uid = given.get("uid")
    if request.verb == "update":
        check_uid(kind, given, old)
    elif uid and uid != before["uid"]:
        why = f"Precondition failed: UID in precondition: {uid}, UID in object meta: {before['uid']}"
        raise conflict(f"{kind.plural}/scale", kind.group, name, why)
    if owners is None:
        owners = _owners(server, request, identity, old, live, scale)
    metadata = {**before, "resourceVersion": given.get("resourceVersion", "")}
    obj = {**old, "metadata": metadata, "spec": {**old["spec"], "replicas": replicas}}
    return _scale_of(server.replace(kind, old, obj, identity, "", request.options, "scaled", owners=owners))


def _size(scale: Object, name: str) -> int:
    """Raise 422 where the size is no number of replicas."""
    replicas: int = (scale.get("spec") or {}).get("replicas") or 0
    if replicas < 0:
        detail = f"Invalid value: {replicas}: must be greater than or equal to 0"
        raise invalid("Scale", "autoscaling", name, (Cause("FieldValueInvalid", "spec.replicas", detail),))
    return replicas


def _check_types(scale: Object) -> None:
    """Raise 400 where the decoder would not take it."""
    error = decoding_error("v1", _KIND, find_problems(scale, _DEFINITION), strict=False)
    if error is not None:
        raise error


# --- who owns the size ---


def _applied(server: ApiServer, request: Request, old: Object, live: Object) -> tuple[Object, Owners]:
    from kubesim.apiserver.applying import Target, merged
    from kubesim.apiserver.scale_owners import SCALE, from_scale, to_scale

    parents = server.ledger.owners_of(old)
    owners = to_scale(parents, request.kind.api_version)
    target = Target(live, owners, SCALE, _VERSION, _KIND, "scale")
    scale, owners = merged(server, request, target)
    return live if scale is None else scale, from_scale(parents, owners, request.kind.api_version)


def _owners(
    server: ApiServer, request: Request, identity: Identity, old: Object, live: Object, scale: Object
) -> Owners:
    """The owners of the workload's fields after the write."""
    from kubesim.apiserver.scale_owners import scaled_owners

    manager = request.options.field_manager or identity.manager
    parents, now = server.ledger.owners_of(old), to_time(server.loop.now_ns)
    return scaled_owners(parents, _only(live), _only(scale), manager, request.kind.api_version, now)


def _only(scale: Object) -> Object:
    return {part: scale[part] for part in ("metadata", "spec") if part in scale}

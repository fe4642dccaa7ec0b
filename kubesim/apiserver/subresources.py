"""Subresources that are more than a part of their object: binding, eviction, scale, finalize, token.

One row each in `_HANDLERS`; whatever has no row answers 404 as an unknown path does, or 405 where the kind has it.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

from kubesim.api.conditions import with_condition
from kubesim.api.kinds import POD_DISRUPTION_BUDGET
from kubesim.api.objects import Key, Object, new_tuple
from kubesim.api.requests import Options, Request
from kubesim.api.timestamps import to_time
from kubesim.apiserver.admission import topology_labels
from kubesim.apiserver.decoding import check_name, typed_body
from kubesim.apiserver.deletion import check_preconditions, is_released
from kubesim.apiserver.eviction import BUDGETS, needs_no_budget, spend_budget
from kubesim.apiserver.preconditions import check_resource_version, check_uid, check_version
from kubesim.apiserver.scaling import get_scale, update_scale
from kubesim.apiserver.server import ApiServer, Identity
from kubesim.apiserver.strategies import carried_metadata
from kubesim.apiserver.token import create_token
from kubesim.errors import ApiError, bad_request, conflict, method_not_supported

_SUCCESS: Object = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201}
Handler = Callable[[ApiServer, Request, Identity], Object]


def handle_subresource(server: ApiServer, request: Request, identity: Identity) -> Object:
    """Carry out a request on a subresource other than status."""
    handler = _HANDLERS.get((request.subresource, request.verb))
    if handler is None or request.subresource not in request.kind.subresources:
        if request.subresource not in request.kind.subresources:
            raise ApiError(404, "NotFound", "the server could not find the requested resource")
        raise method_not_supported(f"{request.kind.plural}/{request.subresource}", request.kind.group, request.verb)
    return handler(server, request, identity)


# --- pods/binding. Upstream: pkg/registry/core/pod/storage/storage.go:BindingREST @v1.36 ---


def _bind(server: ApiServer, request: Request, identity: Identity) -> Object:
    name = request.name
    body = typed_body(request.body, "v1", "Binding")
    given = body.get("metadata") or {}
    target = body.get("target") or {}
    if given.get("name") != name:
        raise bad_request("name in URL does not match name in Binding object")
    _check_target(target)
    pod = server.existing(request.kind, request.namespace, name)
    metadata, spec, status = pod["metadata"], pod["spec"], pod["status"]
    if given.get("uid") != metadata["uid"]:
        check_uid(request.kind, given, pod)
    check_version(request.kind, given, pod)
    why = _hindrance(pod)
    if why:
        raise conflict("pods/binding", "", name, why)
    node_name = target["name"]
    scheduled = _scheduled(to_time(server.loop.now_ns))
    known = status.get("conditions")
    status = {**status, "conditions": with_condition(known, scheduled[0]) if known else scheduled}
    if "nominatedNodeName" in status:
        del status["nominatedNodeName"]
    bound = {**pod, "spec": {**spec, "nodeName": node_name}, "status": status}
    labels, annotations = given.get("labels"), given.get("annotations")
    if target.get("kind") == "Node":
        topology = topology_labels(server.store, node_name)
        if topology:
            labels = {**(labels or {}), **topology}
    if labels or annotations:
        bound["metadata"] = {**metadata}
        for field, added in (("labels", labels), ("annotations", annotations)):
            if added:
                bound["metadata"][field] = {**(metadata.get(field) or {}), **added}
    if not request.options.dry_run:
        server.commit(request.kind, new_tuple(Key, (request.namespace, name)), bound, pod, identity, "bound", "binding")
    return _SUCCESS


@lru_cache(maxsize=64)
def _scheduled(now: str) -> list[Object]:
    """The conditions of a Pod that is bound now and had none: one list for all Pods of a second."""
    return [{"type": "PodScheduled", "status": "True", "lastProbeTime": None, "lastTransitionTime": now}]


def _check_target(target: Object) -> None:
    """Upstream: pkg/apis/core/validation/validation.go:ValidatePodBinding; an error of no type becomes a 500."""
    problems = []
    kind = target.get("kind")
    if kind and kind != "Node":
        problems.append(f'target.kind: Unsupported value: "{kind}": supported values: "Node", "<empty>"')
    if not target.get("name"):
        problems.append("target.name: Required value")
    if problems:
        raise ApiError(500, "", problems[0] if len(problems) == 1 else f"[{', '.join(problems)}]")


def _hindrance(pod: Object) -> str:
    """Why the Pod cannot be bound now, empty if it can."""
    name, spec = pod["metadata"]["name"], pod["spec"]
    if "deletionTimestamp" in pod["metadata"]:
        return f"pod {name} is being deleted, cannot be assigned to a host"
    if spec.get("nodeName"):
        return f'pod {name} is already assigned to node "{spec["nodeName"]}"'
    return f"pod {name} has non-empty .spec.schedulingGates" if spec.get("schedulingGates") else ""


# --- pods/eviction. Upstream: pkg/registry/core/pod/storage/eviction.go:EvictionREST @v1.36 ---


def _evict(server: ApiServer, request: Request, identity: Identity) -> Object:
    body = typed_body(request.body, "policy/v1", "Eviction")
    if (body.get("metadata") or {}).get("name") != request.name:
        raise bad_request("name in URL does not match name in Eviction object")
    options = _eviction_options(body, request)
    pod = server.existing(request.kind, request.namespace, request.name)
    if not needs_no_budget(pod):
        budget = spend_budget(server.store, pod, server.loop.now_ns)
        if budget is not None and not options.dry_run:
            metadata = budget["metadata"]
            key = Key(metadata["namespace"], metadata["name"])
            old = server.store.get(BUDGETS, key)
            server.commit(POD_DISRUPTION_BUDGET, key, budget, old, identity, "updated", "status")
    if not options.dry_run:
        check_preconditions(request.kind, pod, options)
        condition = {
            "type": "DisruptionTarget",
            "status": "True",
            "reason": "EvictionByEvictionAPI",
            "message": "Eviction API: evicting",
            "lastProbeTime": None,
            "lastTransitionTime": to_time(server.loop.now_ns),
        }
        before = pod["status"].get("conditions")
        conditions = with_condition(before, condition)
        if conditions is not before:
            marked = {**pod, "status": {**pod["status"], "conditions": conditions}}
            key = Key(request.namespace, request.name)
            pod = server.commit(request.kind, key, marked, pod, identity, "evicted", "eviction")
        if options.precondition_resource_version is not None:
            # The eviction's own write has moved it.
            version = pod["metadata"]["resourceVersion"]
            options = Options(
                grace_period_s=options.grace_period_s,
                propagation=options.propagation,
                precondition_uid=options.precondition_uid,
                precondition_resource_version=version,
            )
    server.delete(request.kind, pod, identity, options)
    return _SUCCESS


def _eviction_options(body: Object, request: Request) -> Options:
    """The options of the delete: those in the body, and a dry run that either body or request asks for."""
    given = body.get("deleteOptions") or {}
    preconditions = given.get("preconditions") or {}
    return Options(
        dry_run=request.options.dry_run or bool(given.get("dryRun")),
        grace_period_s=given.get("gracePeriodSeconds"),
        precondition_uid=preconditions.get("uid"),
        precondition_resource_version=preconditions.get("resourceVersion"),
        propagation=given.get("propagationPolicy"),
    )


# --- namespaces/finalize. Upstream: pkg/registry/core/namespace/storage/storage.go:FinalizeREST @v1.36 ---


def _finalize(server: ApiServer, request: Request, identity: Identity) -> Object:
    """Writes a namespace's spec, which is its finalizers; status stays."""
    kind = request.kind
    old = server.existing(kind, "", request.name)
    body = typed_body(request.body, kind.api_version, kind.kind)
    check_name(request, body["metadata"])
    check_uid(kind, body["metadata"], old)
    check_resource_version(kind, body["metadata"], old["metadata"], is_optional=True)
    metadata = carried_metadata(body["metadata"], old["metadata"])
    spec = {field: value for field, value in (body.get("spec") or {}).items() if value}
    new = {**old, "metadata": metadata, "spec": spec}
    if new == old or request.options.dry_run:
        return new
    key = Key("", request.name)
    if is_released(kind, new):
        server.remove(kind, key, new, identity)
        return new
    return server.commit(kind, key, new, old, identity, "updated", "finalize")


# --- serviceaccounts/token ---


def _create_token(server: ApiServer, request: Request, _identity: Identity) -> Object:
    body = typed_body(request.body, "authentication.k8s.io/v1", "TokenRequest")
    account = server.existing(request.kind, request.namespace, request.name)
    return create_token(server.store, server.stream, server.loop.now_ns, account, body)


_HANDLERS: dict[tuple[str, str], Handler] = {
    ("binding", "create"): _bind,
    ("eviction", "create"): _evict,
    ("scale", "get"): get_scale,
    ("scale", "update"): update_scale,
    ("scale", "patch"): update_scale,
    ("finalize", "update"): _finalize,
    ("token", "create"): _create_token,
}

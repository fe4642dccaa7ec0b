"""Subresources that are more than a part of their object: binding, eviction, scale, finalize.

One row each in `_HANDLERS`; whatever has no row answers 404 as an unknown path does.
"""

from __future__ import annotations

from collections.abc import Callable

from kubesim.api.conditions import with_condition
from kubesim.api.objects import Key, Object
from kubesim.api.patch import apply_json_patch, apply_merge_patch
from kubesim.api.requests import Options, Request
from kubesim.api.selectors import selector_text
from kubesim.api.timestamps import to_time
from kubesim.apiserver.eviction import BUDGETS, needs_no_budget, spend_budget
from kubesim.apiserver.server import ApiServer, Identity, apply_patch
from kubesim.api.kinds import POD_DISRUPTION_BUDGET
from kubesim.errors import STALE_WRITE, ApiError, Cause, bad_request, conflict, invalid, method_not_supported

_SUCCESS: Object = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success"}
Handler = Callable[[ApiServer, Request, Identity], Object]


def handle_subresource(server: ApiServer, request: Request, identity: Identity) -> Object:
    """Carry out a request on a subresource other than status."""
    handler = _HANDLERS.get((request.subresource, request.verb))
    if handler is None:
        if request.subresource not in request.kind.subresources:
            raise ApiError(404, "NotFound", "the server could not find the requested resource")
        raise method_not_supported(f"{request.kind.plural}/{request.subresource}", request.kind.group, request.verb)
    return handler(server, request, identity)


# --- pods/binding. Upstream: pkg/registry/core/pod/storage/storage.go:BindingREST @v1.36 ---


def _bind(server: ApiServer, request: Request, identity: Identity) -> Object:
    pod = server.existing(request.kind, request.namespace, request.name)
    metadata, spec = pod["metadata"], pod["spec"]
    body = request.body
    uid = body["metadata"].get("uid")
    name = metadata["name"]
    if uid and uid != metadata["uid"]:
        why = f"Precondition failed: UID in precondition: {uid}, UID in object meta: {metadata['uid']}"
        raise conflict("pods/binding", "", name, why)
    if "deletionTimestamp" in metadata:
        raise conflict("pods/binding", "", name, f"pod {name} is being deleted, cannot be assigned to a host")
    if spec.get("nodeName"):
        why = f'pod {name} is already assigned to node "{spec["nodeName"]}"'
        raise conflict("pods/binding", "", name, why)
    if spec.get("schedulingGates"):
        raise conflict("pods/binding", "", name, f"pod {name} has non-empty .spec.schedulingGates")
    node_name = body["target"]["name"]
    status = pod["status"]
    condition = {
        "type": "PodScheduled",
        "status": "True",
        "observedGeneration": metadata.get("generation", 1),
        "lastProbeTime": None,
        "lastTransitionTime": to_time(server.loop.now_ns),
    }
    status = {**status, "conditions": with_condition(status.get("conditions"), condition)}
    status.pop("nominatedNodeName", None)
    bound = {**pod, "spec": {**spec, "nodeName": node_name}, "status": status}
    labels = _topology_labels(server, node_name)
    if labels:
        bound["metadata"] = {**metadata, "labels": {**(metadata.get("labels") or {}), **labels}}
    if request.options.dry_run:
        return _SUCCESS
    key = Key(request.namespace, name)
    server.commit(request.kind, key, bound, pod, identity, "bound", "binding")
    return _SUCCESS


def _topology_labels(server: ApiServer, node_name: str) -> Object:
    """PodTopologyLabels: the node's zone and region, on the Pod. Upstream: plugin/pkg/admission/podtopologylabels @v1.36"""
    node = server.store.get("nodes", ("", node_name))
    labels = (node or {"metadata": {}})["metadata"].get("labels") or {}
    return {
        name: labels[name]
        for name in ("topology.kubernetes.io/region", "topology.kubernetes.io/zone")
        if name in labels
    }


# --- pods/eviction ---


def _evict(server: ApiServer, request: Request, identity: Identity) -> Object:
    body = request.body
    if body["metadata"].get("name") != request.name:
        raise bad_request("name in URL does not match name in Eviction object")
    pod = server.existing(request.kind, request.namespace, request.name)
    given = body.get("deleteOptions") or {}
    preconditions = given.get("preconditions") or {}
    options = Options(
        dry_run=request.options.dry_run,
        grace_period_s=given.get("gracePeriodSeconds"),
        precondition_uid=preconditions.get("uid"),
        precondition_resource_version=preconditions.get("resourceVersion"),
        propagation=given.get("propagationPolicy"),
    )
    if not needs_no_budget(pod):
        budget = spend_budget(server.store, pod, server.loop.now_ns)
        if budget is not None and not options.dry_run:
            metadata = budget["metadata"]
            key = Key(metadata["namespace"], metadata["name"])
            old = server.store.get(BUDGETS, key)
            server.commit(POD_DISRUPTION_BUDGET, key, budget, old, identity, "updated", "status")
    if not options.dry_run:
        condition = {
            "type": "DisruptionTarget",
            "status": "True",
            "reason": "EvictionByEvictionAPI",
            "message": "Eviction API: evicting",
            "lastProbeTime": None,
            "lastTransitionTime": to_time(server.loop.now_ns),
        }
        status = {**pod["status"], "conditions": with_condition(pod["status"].get("conditions"), condition)}
        if "deletionTimestamp" not in pod["metadata"]:
            key = Key(request.namespace, request.name)
            pod = server.commit(request.kind, key, {**pod, "status": status}, pod, identity, "evicted", "eviction")
    server.delete(request.kind, pod, identity, options)
    return _SUCCESS


# --- scale. Upstream: pkg/registry/apps/deployment/storage/storage.go:ScaleREST @v1.36 ---


def _scale_of(obj: Object) -> Object:
    metadata, status = obj["metadata"], obj.get("status") or {}
    scale_status: Object = {"replicas": status.get("replicas", 0)}
    selector = obj["spec"].get("selector")
    if selector:
        scale_status["selector"] = selector_text(selector)
    return {
        "kind": "Scale",
        "apiVersion": "autoscaling/v1",
        "metadata": {
            field: metadata[field]
            for field in ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")
            if field in metadata
        },
        "spec": {"replicas": obj["spec"]["replicas"]} if obj["spec"].get("replicas") else {},
        "status": scale_status,
    }


def _get_scale(server: ApiServer, request: Request, identity: Identity) -> Object:
    return _scale_of(server.existing(request.kind, request.namespace, request.name))


def _update_scale(server: ApiServer, request: Request, identity: Identity) -> Object:
    old = server.existing(request.kind, request.namespace, request.name)
    scale = request.body if request.verb == "update" else _patched_scale(_scale_of(old), request)
    replicas = (scale.get("spec") or {}).get("replicas", 0)
    if not isinstance(replicas, int) or replicas < 0:
        detail = f"Invalid value: {replicas}: must be greater than or equal to 0"
        raise invalid("Scale", "autoscaling", request.name, (Cause("FieldValueInvalid", "spec.replicas", detail),))
    version = scale["metadata"].get("resourceVersion")
    metadata = {**old["metadata"]}
    if version and request.verb == "update":
        metadata["resourceVersion"] = version
    obj = {**old, "metadata": metadata, "spec": {**old["spec"], "replicas": replicas}}
    return _scale_of(server.replace(request.kind, old, obj, identity, "", request.options, "scaled"))


def _patched_scale(scale: Object, request: Request) -> Object:
    if request.options.patch_type == "json":
        return apply_json_patch(scale, request.body)
    if request.options.patch_type == "apply":
        return apply_patch(request.kind, scale, request)
    return apply_merge_patch(scale, request.body)


# --- namespaces/finalize. Upstream: pkg/registry/core/namespace/storage/storage.go:FinalizeREST @v1.36 ---


def _finalize(server: ApiServer, request: Request, identity: Identity) -> Object:
    old = server.existing(request.kind, "", request.name)
    version = request.body["metadata"].get("resourceVersion")
    if version and version != old["metadata"]["resourceVersion"]:
        raise conflict(request.kind.plural, request.kind.group, request.name, STALE_WRITE)
    finalizers = (request.body.get("spec") or {}).get("finalizers") or []
    spec = {**old["spec"], "finalizers": finalizers}
    if not finalizers:
        del spec["finalizers"]
    new = {**old, "spec": spec}
    key = Key("", request.name)
    if "deletionTimestamp" in old["metadata"] and not finalizers and not old["metadata"].get("finalizers"):
        return server.remove(request.kind, key, new, identity)
    if new == old:
        return old
    return server.commit(request.kind, key, new, old, identity, "updated", "finalize")


_HANDLERS: dict[tuple[str, str], Handler] = {
    ("binding", "create"): _bind,
    ("eviction", "create"): _evict,
    ("scale", "get"): _get_scale,
    ("scale", "update"): _update_scale,
    ("scale", "patch"): _update_scale,
    ("finalize", "update"): _finalize,
}

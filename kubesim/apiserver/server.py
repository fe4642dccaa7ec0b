"""The API server in one object: requests in, objects or `ApiError` out, watches beside.

`handle` is synchronous and instantaneous: how long a request takes, and what can go wrong on the way, is the client's
side. Upstream: apiserver/pkg/endpoints/handlers, apiserver/pkg/registry/generic/registry/store.go @v1.36
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, final

from kubesim.api.defaults import default
from kubesim.api.defaults.service_addresses import drop_fields_of_old_type, resolve_addresses
from kubesim.api.objects import Key, Object
from kubesim.api.patch import apply_json_patch, apply_merge_patch, apply_strategic_merge_patch
from kubesim.api.requests import Options, Request
from kubesim.api.scheme import Kind
from kubesim.api.timestamps import to_time
from kubesim.api.validation import validate_create, validate_status_update, validate_update
from kubesim.apiserver.admission import admit_create, check_namespace, check_namespace_delete
from kubesim.apiserver.decoding import check_body, decode
from kubesim.apiserver.deletion import is_released, plan_deletion
from kubesim.apiserver.expiry import EventExpiry
from kubesim.apiserver.pod_admission import PodAdmission
from kubesim.apiserver.selection import list_objects, select
from kubesim.apiserver.services import ServiceAddresses
from kubesim.apiserver.strategies import (
    prepare_for_create,
    prepare_for_status_update,
    prepare_for_update,
    strategy_for,
    with_phase_time,
)
from kubesim.errors import STALE_WRITE, ApiError, Cause, already_exists, bad_request, conflict, invalid, not_found
from kubesim.sim.chooser import Stream
from kubesim.sim.loop import Loop
from kubesim.store.log import Store
from kubesim.store.watch import Watch


class Identity(NamedTuple):
    """Who asks. `is_trusted` marks our own components, whose bodies need no check against the schema."""

    user: str
    is_trusted: bool = False


class Write(NamedTuple):
    """A write that happened, for whoever records the run. `verb` is created, updated, patched or deleted."""

    identity: Identity
    verb: str
    kind: Kind
    obj: Object
    previous: Object | None
    subresource: str


OnWrite = Callable[[Write], None]
# Upstream: apiserver/pkg/registry/generic/registry/store.go: maxNameGenerationCreateAttempts
_GENERATE_NAME_TRIES = 8
_GENERATED_BASE_MAX = 58
_STRICT = Options(field_validation="Strict")


@final
class ApiServer:
    """The verbs over one store."""

    def __init__(self, loop: Loop, store: Store, stream: Stream) -> None:
        self.loop = loop
        self.store = store
        self.stream = stream
        self.services = ServiceAddresses(stream)
        self.on_write: OnWrite | None = None
        self._pods = PodAdmission(store, stream)
        self._expiry = EventExpiry(loop, store)
        self._verbs: dict[str, Callable[[Request, Identity, int], Object]] = {
            "create": self._create,
            "get": self._get,
            "list": self._list,
            "update": self._update,
            "patch": self._patch,
            "delete": self._delete,
            "deletecollection": self._delete_collection,
        }

    def handle(self, request: Request, identity: Identity, attempt: int = 0) -> Object:
        """Carry out a request at this instant. `attempt` counts how often it has been held before.

        Raises:
            ApiError: the server's answer, where it is not success.
            TryAgain: the server holds the request; ask again after the time it names, with `attempt` one higher.
        """
        return self._verbs[request.verb](request, identity, attempt)

    def watch(self, kind: Kind, since: int, options: Options, notify: Callable[[Watch], None]) -> Watch:
        """Open a watch on the changes after revision `since`.

        Raises:
            ApiError: 410, those changes are gone; 400, a selector is wrong.
        """
        selection = select(kind, options)
        return self.store.watch(
            kind.resource, namespace="", matches=selection.matches, index=selection.indexed, since=since, notify=notify
        )

    # --- reading ---

    def existing(self, kind: Kind, namespace: str, name: str) -> Object:
        """The stored object, or 404."""
        obj = self.store.get(kind.resource, (namespace, name))
        if obj is None:
            raise not_found(kind.plural, kind.group, name)
        return obj

    def _get(self, request: Request, identity: Identity, attempt: int) -> Object:
        if request.subresource and request.subresource != "status":
            return self._subresource(request, identity)
        return self.existing(request.kind, request.namespace, request.name)

    def _list(self, request: Request, identity: Identity, attempt: int) -> Object:
        return list_objects(self.store, request.kind, request.namespace, request.options)

    def _subresource(self, request: Request, identity: Identity) -> Object:
        from kubesim.apiserver.subresources import handle_subresource

        return handle_subresource(self, request, identity)

    # --- creating ---

    def _create(self, request: Request, identity: Identity, attempt: int) -> Object:
        if request.subresource:
            return self._subresource(request, identity)
        kind = request.kind
        obj = check_body(request)
        if not identity.is_trusted:
            obj = decode(kind, obj, request.options)
        namespace = request.namespace if kind.namespaced else ""
        obj = default(kind, obj)
        metadata = obj["metadata"]
        strategy = strategy_for(kind)
        metadata = {
            **metadata,
            "uid": self.stream.uid(),
            "creationTimestamp": to_time(self.loop.now_ns),
        }
        if namespace:
            metadata["namespace"] = namespace
        if "generation" in metadata:
            del metadata["generation"]
        if strategy.generation_parts:
            metadata["generation"] = 1
        base = metadata.get("generateName") if not metadata.get("name") else None
        if base:
            self._generate_name(kind, metadata, namespace, base)
        obj = {**obj, "metadata": metadata}
        if namespace:
            check_namespace(self.store, kind, namespace, metadata.get("name", ""))
        is_pod = kind.resource == "pods"
        obj = self._pods.admit(obj, namespace, attempt) if is_pod else admit_create(self.store, kind, obj)
        obj = prepare_for_create(strategy, obj)
        if kind.resource == "services":
            return self._create_service(kind, obj, identity, request.options)
        self._check_new(kind, obj)
        if is_pod:
            obj = self._pods.with_token_name(obj)
        if request.options.dry_run:
            return obj
        return self.commit(kind, Key(namespace, metadata["name"]), obj, None, identity, "created", "")

    def check(self, kind: Kind, obj: Object) -> Object:
        """The object with its defaults, if it would be valid by itself; nothing is written, no other object looked at.

        Raises:
            ApiError: 400 or 422, as a create would answer.
        """
        obj = default(kind, decode(kind, obj, _STRICT))
        if kind.resource == "services":
            obj, causes = resolve_addresses(obj, None)
            if causes:
                raise invalid(kind.kind, kind.group, obj["metadata"].get("name", ""), causes)
        obj = prepare_for_create(strategy_for(kind), obj)
        causes = validate_create(kind, obj)
        if causes:
            raise invalid(kind.kind, kind.group, obj["metadata"].get("name", ""), causes)
        return obj

    def _check_new(self, kind: Kind, obj: Object) -> None:
        """Raise 422 where a rule is broken, 409 where the name is taken."""
        metadata = obj["metadata"]
        name = metadata.get("name", "")
        causes = validate_create(kind, obj)
        if causes:
            raise invalid(kind.kind, kind.group, name, causes)
        if self.store.get(kind.resource, (metadata.get("namespace", ""), name)) is not None:
            raise already_exists(kind.plural, kind.group, name)

    def _create_service(self, kind: Kind, obj: Object, identity: Identity, options: Options) -> Object:
        """Services get their addresses before they are checked, and give them back where that fails."""
        key = Key(obj["metadata"]["namespace"], obj["metadata"].get("name", ""))
        if self.store.get(kind.resource, key) is not None:
            raise already_exists(kind.plural, kind.group, key.name)
        obj = self.services.allocate(obj, None)
        try:
            self._check_new(kind, obj)
        except ApiError:
            self.services.release(obj)
            raise
        if options.dry_run:
            self.services.release(obj)
            return obj
        return self.commit(kind, key, obj, None, identity, "created", "")

    def _generate_name(self, kind: Kind, metadata: Object, namespace: str, base: str) -> None:
        for _ in range(_GENERATE_NAME_TRIES):
            name = base[:_GENERATED_BASE_MAX] + self.stream.suffix()
            if self.store.get(kind.resource, (namespace, name)) is None:
                break
        metadata["name"] = name

    # --- changing ---

    def _update(self, request: Request, identity: Identity, attempt: int) -> Object:
        if request.subresource and request.subresource != "status":
            return self._subresource(request, identity)
        kind = request.kind
        obj = check_body(request)
        if not identity.is_trusted:
            obj = decode(kind, obj, request.options)
        namespace = request.namespace if kind.namespaced else ""
        old = self.store.get(kind.resource, (namespace, request.name))
        strategy = strategy_for(kind)
        if old is None:
            if strategy.create_on_update and not request.subresource:
                return self._create(request, identity, attempt)
            raise not_found(kind.plural, kind.group, request.name)
        version = obj["metadata"].get("resourceVersion")
        if not version and not strategy.unconditional_update:
            message = "Invalid value: 0: must be specified for an update"
            raise invalid(
                kind.kind, kind.group, request.name, (Cause("FieldValueInvalid", "metadata.resourceVersion", message),)
            )
        return self.replace(kind, old, obj, identity, request.subresource, request.options, "updated")

    def _patch(self, request: Request, identity: Identity, attempt: int) -> Object:
        if request.subresource and request.subresource != "status":
            return self._subresource(request, identity)
        kind = request.kind
        old = self.existing(kind, request.namespace if kind.namespaced else "", request.name)
        obj = apply_patch(kind, old, request)
        if obj is old:
            return old
        if not identity.is_trusted:
            obj = decode(kind, obj, request.options)
        return self.replace(kind, old, obj, identity, request.subresource, request.options, "patched")

    def replace(
        self,
        kind: Kind,
        old: Object,
        obj: Object,
        identity: Identity,
        subresource: str,
        options: Options,
        verb: str,
    ) -> Object:
        """Put `obj` where `old` is: checks, strategy, and the write unless nothing differs.

        Raises:
            ApiError: 409, `obj` was made from another state; 422, it breaks a rule.
        """
        metadata, before = obj["metadata"], old["metadata"]
        version = metadata.get("resourceVersion")
        if version and version != before["resourceVersion"]:
            raise conflict(kind.plural, kind.group, before["name"], STALE_WRITE)
        uid = metadata.get("uid")
        if uid and uid != before["uid"]:
            why = f"Precondition failed: UID in precondition: {uid}, UID in object meta: {before['uid']}"
            raise conflict(kind.plural, kind.group, before["name"], why)
        if subresource == "status":
            new = prepare_for_status_update(default(kind, obj), old)
            if kind.resource == "persistentvolumes":
                new = with_phase_time(new, old, to_time(self.loop.now_ns))
            causes = validate_status_update(kind, new, old)
        else:
            new = prepare_for_update(strategy_for(kind), default(kind, obj), old)
            if kind.resource == "services":
                new = drop_fields_of_old_type(self.services.allocate(new, old), old)
            causes = validate_update(kind, new, old)
        if causes or options.dry_run or new == old:
            if kind.resource == "services":
                self.services.release(new, keep=old)
            if causes:
                raise invalid(kind.kind, kind.group, before["name"], causes)
            return old if new == old else new
        key = Key(before.get("namespace", ""), before["name"])
        if is_released(kind, new):
            return self.remove(kind, key, new, identity)
        return self.commit(kind, key, new, old, identity, verb, subresource)

    def commit(
        self, kind: Kind, key: Key, obj: Object, old: Object | None, identity: Identity, verb: str, subresource: str
    ) -> Object:
        """Store `obj` in place of `old` (None: it is new) and tell whoever records writes. All checks are behind it."""
        stored = self.store.write(kind.resource, key, obj, old)
        if kind.resource == "events":
            self._expiry.touch(key)
        elif old is not None and kind.resource == "services":
            self.services.release(old, stored)
        if self.on_write is not None:
            self.on_write(Write(identity, verb, kind, stored, old, subresource))
        return stored

    # --- deleting ---

    def _delete(self, request: Request, identity: Identity, attempt: int) -> Object:
        kind = request.kind
        check_namespace_delete(kind, request.name)
        old = self.existing(kind, request.namespace if kind.namespaced else "", request.name)
        return self.delete(kind, old, identity, request.options)

    def delete(self, kind: Kind, old: Object, identity: Identity, options: Options) -> Object:
        """Delete `old` as the options say; returns what the client gets: the object where it stays for now, else a
        Status."""
        metadata = old["metadata"]
        key = Key(metadata.get("namespace", ""), metadata["name"])
        if kind.resource == "namespaces":
            return self._delete_namespace(kind, key, old, identity, options)
        plan = plan_deletion(kind, old, options, self.loop.now_ns)
        last = plan.marked or old
        if options.dry_run:
            return last
        if plan.remove:
            self.remove(kind, key, last, identity)
            return last if kind.resource == "pods" else _deleted(kind, metadata)
        if plan.marked is None:
            return old
        return self.commit(kind, key, plan.marked, old, identity, "deleted", "")

    def _delete_namespace(self, kind: Kind, key: Key, old: Object, identity: Identity, options: Options) -> Object:
        """A namespace goes when its spec's finalizers are empty; until then it is Terminating.

        Upstream: pkg/registry/core/namespace/storage/storage.go:Delete @v1.36
        """
        if not old["spec"].get("finalizers") and not old["metadata"].get("finalizers"):
            self.remove(kind, key, old, identity)
            return _deleted(kind, old["metadata"])
        if "deletionTimestamp" in old["metadata"]:
            return old
        marked = plan_deletion(kind, old, options, self.loop.now_ns).marked or old
        marked = {
            **marked,
            "metadata": {**marked["metadata"], "deletionTimestamp": to_time(self.loop.now_ns)},
            "status": {**(old.get("status") or {}), "phase": "Terminating"},
        }
        marked["metadata"].pop("deletionGracePeriodSeconds", None)
        return marked if options.dry_run else self.commit(kind, key, marked, old, identity, "deleted", "")

    def remove(self, kind: Kind, key: Key, last: Object, identity: Identity) -> Object:
        """Take the object out of the store; `last` is the state that watches see go."""
        gone = self.store.delete(kind.resource, key, last)
        if kind.resource == "services":
            self.services.release(gone)
        if self.on_write is not None:
            self.on_write(Write(identity, "deleted", kind, gone, gone, ""))
        return gone

    def _delete_collection(self, request: Request, identity: Identity, attempt: int) -> Object:
        kind = request.kind
        found = list_objects(self.store, kind, request.namespace, request.options)
        for obj in found["items"]:
            self.delete(kind, obj, identity, request.options)
        return found


def apply_patch(kind: Kind, old: Object, request: Request) -> Object:
    """`old` with the request's patch applied; `old` itself where the patch changes nothing."""
    patch_type, body = request.options.patch_type, request.body
    if patch_type == "strategic":
        return apply_strategic_merge_patch(old, body, kind.schema)
    if patch_type == "merge":
        return apply_merge_patch(old, body)
    if patch_type == "json":
        return apply_json_patch(old, body)
    raise bad_request("server-side apply is not supported by this version of the simulator")


def _deleted(kind: Kind, metadata: Object) -> Object:
    details: dict[str, Any] = {"name": metadata["name"], "kind": kind.plural, "uid": metadata["uid"]}
    if kind.group:
        details["group"] = kind.group
    return {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details}



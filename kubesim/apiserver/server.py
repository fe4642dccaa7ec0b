"""The API server in one object: requests in, objects or `ApiError` out, watches beside.

`handle` is synchronous and instantaneous: how long a request takes, and what can go wrong on the way, is the client's
side. Upstream: apiserver/pkg/endpoints/handlers, apiserver/pkg/registry/generic/registry/store.go @v1.36
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, final

from kubesim.api.defaults import default
from kubesim.api.defaults.service_addresses import drop_fields_of_old_type, resolve_addresses
from kubesim.api.objects import Key, Object, new_tuple
from kubesim.api.requests import NO_OPTIONS, Options, Request
from kubesim.api.scheme import Kind
from kubesim.api.timestamps import to_time
from kubesim.api.validation import validate_create, validate_status_update, validate_update
from kubesim.apiserver.admission import admit_create, check_namespace, check_namespace_delete
from kubesim.apiserver.answers import deleted, taken
from kubesim.apiserver.client_owners import split_owners
from kubesim.apiserver.conversion import from_stored, stored_kind, to_stored
from kubesim.apiserver.decoding import check_body, check_name, decode, decode_patched, without
from kubesim.apiserver.deletion import is_released, plan_deletion, plan_namespace_deletion
from kubesim.apiserver.expiry import EventExpiry
from kubesim.apiserver.field_ledger import FieldLedger, Owners, Step, Wish, weighed
from kubesim.apiserver.patching import apply_patch, mentions_owners, reading_problems
from kubesim.apiserver.pod_admission import PodAdmission
from kubesim.apiserver.pod_parts import POD_PARTS, with_part
from kubesim.apiserver.preconditions import check_resource_version, check_uid
from kubesim.apiserver.request_options import check_options, check_read_revision
from kubesim.apiserver.selection import list_objects, select
from kubesim.apiserver.services import ServiceAddresses
from kubesim.apiserver.strategies import (
    Strategy,
    prepare_for_create,
    prepare_for_status_update,
    prepare_for_update,
    shares_content,
    strategy_for,
)
from kubesim.errors import ApiError, invalid, not_found
from kubesim.sim.chooser import Stream
from kubesim.sim.loop import Loop
from kubesim.store.log import Store
from kubesim.store.watch import Watch


class Identity(NamedTuple):
    """Who asks, and as what.

    `is_trusted` marks our own components, whose bodies need no check against the schema. `manager` owns the fields that
    are written without a `fieldManager`. `sees_owners` says that answers come with `managedFields`, as over HTTP.
    """

    user: str
    is_trusted: bool = False
    manager: str = ""
    sees_owners: bool = False


class Write(NamedTuple):
    """A write that happened, for whoever records the run. `verb` is created, updated, patched or deleted."""

    identity: Identity
    verb: str
    kind: Kind
    obj: Object
    previous: Object | None
    subresource: str


OnWrite = Callable[[Write], None]
# Upstream: apiserver/pkg/registry/generic/registry/store.go:maxNameGenerationCreateAttempts @v1.36
_GENERATE_NAME_TRIES = 8
_GENERATED_BASE_MAX = 58
# What a client cannot give a new object. Upstream: rest/meta.go:WipeObjectMetaSystemFields @v1.36
_SERVERS_OWN = frozenset({"deletionTimestamp", "deletionGracePeriodSeconds", "generation", "selfLink"})
_PARTS = ("status", *POD_PARTS)


@final
class ApiServer:
    """The verbs over one store."""

    def __init__(self, loop: Loop, store: Store, stream: Stream) -> None:
        self.loop = loop
        self.store = store
        self.stream = stream
        self.services = ServiceAddresses(stream)
        self.on_write: OnWrite | None = None
        self.requests = 0
        # Of the request that was handled last: what is to be told beside the answer, and whether it made an object.
        self.warnings: list[str] = []
        self.has_created = False
        self._is_shown = False
        self.ledger = FieldLedger()
        self._pods = PodAdmission(store, stream)
        self._expiry = EventExpiry(loop, store, self.ledger.gone)
        self._verbs: dict[str, Callable[[Request, Identity], Object]] = {
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
        self.requests += 1
        self.warnings = []
        self.has_created = self._is_shown = False
        if request.options is not NO_OPTIONS:
            check_options(request)
        if request.verb == "create":
            answer = self._create(request, identity, attempt)
        else:
            answer = self._verbs[request.verb](request, identity)
        if not identity.sees_owners or self._is_shown or request.subresource == "scale":
            return answer
        return self.ledger.shown(answer)

    def compact(self) -> None:
        """One tick of the compactor: history that is old, and who owned what then, is forgotten."""
        self.ledger.forget(self.store.compact_periodically())

    def watch(
        self,
        kind: Kind,
        since: int,
        options: Options,
        notify: Callable[[Watch], None],
        namespace: str = "",
        *,
        shows_owners: bool = False,
    ) -> Watch:
        """Open a watch on the changes after revision `since`; an empty namespace means all.

        Objects come with `managedFields` if `shows_owners`.

        Raises:
            ApiError: 410, those changes are gone; 400, a selector is wrong.
        """
        selection = select(kind, options)
        stored = stored_kind(kind)
        watch = self.store.watch(
            stored.resource,
            namespace=namespace,
            matches=selection.beside_index,
            index=selection.indexed,
            since=since,
            notify=notify,
            bookmarks=options.allow_watch_bookmarks,
        )
        if shows_owners:
            watch.convert = lambda obj: self.ledger.shown(from_stored(kind, obj))
        elif stored is not kind:
            watch.convert = lambda obj: from_stored(kind, obj)
        return watch

    # --- reading ---

    def find(self, kind: Kind, namespace: str, name: str) -> Object | None:
        """The stored object as `kind` shows it, or None."""
        stored = stored_kind(kind)
        obj = self.store.get(stored.resource, (namespace if kind.namespaced else "", name))
        return obj if obj is None or stored is kind else from_stored(kind, obj)

    def existing(self, kind: Kind, namespace: str, name: str) -> Object:
        """The stored object, or 404."""
        obj = self.find(kind, namespace, name)
        if obj is None:
            raise not_found(kind.plural, kind.group, name)
        return obj

    def _get(self, request: Request, identity: Identity) -> Object:
        if request.subresource and not _is_part(request):
            return self._subresource(request, identity)
        check_read_revision(request.options, self.store.revision)
        return self.existing(request.kind, request.namespace, request.name)

    def _list(self, request: Request, _identity: Identity) -> Object:
        return list_objects(self.store, request.kind, request.namespace, request.options)

    def _subresource(self, request: Request, identity: Identity) -> Object:
        from kubesim.apiserver.subresources import handle_subresource

        return handle_subresource(self, request, identity)

    # --- creating ---

    def _create(self, request: Request, identity: Identity, attempt: int) -> Object:
        if request.subresource:
            return self._subresource(request, identity)
        obj = check_body(request)
        if identity.is_trusted:
            return self.create(request, obj, identity, attempt)
        read = decode(request.kind, obj, request.options, request.duplicates, self.warnings)
        obj, given = split_owners(read, obj)
        return self.create(request, obj, identity, attempt, given)

    def create(
        self,
        request: Request,
        obj: Object,
        identity: Identity,
        attempt: int = 0,
        given: Owners | None = None,
        owners: Owners | None = None,
    ) -> Object:
        """Create `obj`, which has been decoded.

        `given` are owners that the client has sent, on top of which the write counts; `owners` those that an apply has
        worked out.

        Raises:
            ApiError: admission refuses it, it breaks a rule, or its name is taken.
            TryAgain: as `handle`.
        """
        kind, options = request.kind, request.options
        obj = default(kind, obj)
        metadata = {**obj["metadata"]}
        if not _SERVERS_OWN.isdisjoint(metadata):
            metadata = {field: value for field, value in metadata.items() if field not in _SERVERS_OWN}
        namespace = ""
        if kind.namespaced:
            metadata["namespace"] = namespace = request.namespace
            check_namespace(self.store, kind, namespace, metadata)
        strategy = strategy_for(kind)
        if strategy.generation_parts is not None:
            metadata["generation"] = 1
        wanted = obj = {**obj, "metadata": metadata}
        is_pod = kind.resource == "pods"
        obj = self._pods.admit(obj, namespace, attempt) if is_pod else admit_create(self.store, kind, obj)
        # Admission may have made new metadata, but what it made is nobody else's yet.
        metadata = obj["metadata"]
        metadata["uid"] = self.stream.uid()
        metadata["creationTimestamp"] = to_time(self.loop.now_ns)
        if not metadata.get("name") and metadata.get("generateName"):
            metadata["name"] = self._generate_name(kind, namespace, metadata["generateName"])
        obj = prepare_for_create(strategy, obj)
        by = new_tuple(Wish, (options.field_manager or identity.manager, kind, "", wanted, self.loop.now_ns))
        step = weighed(by, None, given, owners)
        if kind.resource == "services" and not request.subresource:
            # One that is created by its status gets no addresses.
            return self._create_service(kind, obj, identity, options, step)
        self._check_new(kind, obj, options)
        if is_pod:
            obj = self._pods.with_token_name(obj)
        if options.dry_run:
            return self._unstored(obj, identity, step, None)
        key = new_tuple(Key, (namespace, metadata["name"]))
        return self.commit(kind, key, obj, None, identity, "created", "", step)

    def _check_new(self, kind: Kind, obj: Object, options: Options) -> None:
        """Raise 422 where a rule is broken, 500 where there is a resourceVersion, 409 where the name is taken."""
        metadata = obj["metadata"]
        name = metadata.get("name", "")
        causes = validate_create(kind, obj)
        if causes:
            raise invalid(kind.kind, stored_kind(kind).group, name, causes)
        if "resourceVersion" in metadata:
            if metadata["resourceVersion"].lstrip("0").isdigit() and not options.dry_run:
                raise ApiError(500, "", "resourceVersion should not be set on objects to be created")
            del metadata["resourceVersion"]
        found = self.find(kind, metadata.get("namespace", ""), name)
        if found is not None:
            raise taken(kind, metadata, found)

    def _create_service(
        self, kind: Kind, obj: Object, identity: Identity, options: Options, step: Wish | Step
    ) -> Object:
        """Services get their addresses before they are checked, and give them back where that fails."""
        key = Key(obj["metadata"]["namespace"], obj["metadata"].get("name", ""))
        if self.store.get(kind.resource, key) is not None:
            # It comes to no addresses: either it is invalid by itself, or its name is taken.
            obj, causes = resolve_addresses(obj, None)
            if causes:
                raise invalid(kind.kind, kind.group, key.name, causes)
            self._check_new(kind, obj, options)
        obj = self.services.allocate(obj, None)
        try:
            self._check_new(kind, obj, options)
        except ApiError:
            self.services.release(obj)
            raise
        if options.dry_run:
            self.services.release(obj)
            return self._unstored(obj, identity, step, None)
        return self.commit(kind, key, obj, None, identity, "created", "", step)

    def _generate_name(self, kind: Kind, namespace: str, base: str) -> str:
        """A name that is free, if one of a few tries is."""
        base = base[:_GENERATED_BASE_MAX]
        for _ in range(_GENERATE_NAME_TRIES):
            name = base + self.stream.suffix()
            if self.find(kind, namespace, name) is None:
                break
        return name

    # --- changing ---

    def _update(self, request: Request, identity: Identity) -> Object:
        if request.subresource and not _is_part(request):
            return self._subresource(request, identity)
        kind = request.kind
        obj = check_body(request)
        given = None
        if not identity.is_trusted:
            read = decode(kind, obj, request.options, request.duplicates, self.warnings)
            obj, given = split_owners(read, obj, request.subresource)
        old = self.find(kind, request.namespace, request.name)
        strategy = strategy_for(kind)
        if old is None:
            if strategy.create_on_update:
                return self.create(request, without(obj, "resourceVersion"), identity, 0, given)
            raise not_found(kind.plural, kind.group, request.name)
        check_uid(kind, obj["metadata"], old)
        return self.replace(kind, old, obj, identity, request.subresource, request.options, "updated", given)

    def _patch(self, request: Request, identity: Identity) -> Object:
        if request.subresource and not _is_part(request):
            return self._subresource(request, identity)
        kind = request.kind
        if request.options.patch_type == "apply":
            from kubesim.apiserver.applying import apply_config

            return apply_config(self, request, identity)
        old = self.existing(kind, request.namespace, request.name)
        reads_owners = not identity.is_trusted and mentions_owners(request)
        obj = apply_patch(kind, self.ledger.shown(old) if reads_owners else old, request)
        if obj is old and not request.duplicates:
            return old
        if obj.get("metadata") is None:
            obj = {**obj, "metadata": {}}
        given = None
        if not identity.is_trusted:
            read = decode_patched(request, obj, reading_problems(request), self.warnings)
            obj, given = split_owners(read, obj, request.subresource) if reads_owners else (read, None)
        if obj["metadata"] is not old["metadata"]:
            check_name(request, obj["metadata"])
        return self.replace(kind, old, obj, identity, request.subresource, request.options, "patched", given)

    def _unstored(self, obj: Object, identity: Identity, by: Wish | Step, old: Object | None) -> Object:
        """The answer where nothing is stored, with its `managedFields`."""
        self._is_shown = True
        return self.ledger.shown_unstored(obj, by, old) if identity.sees_owners else obj

    def replace(
        self,
        kind: Kind,
        old: Object,
        obj: Object,
        identity: Identity,
        subresource: str,
        options: Options,
        verb: str,
        given: Owners | None = None,
        owners: Owners | None = None,
    ) -> Object:
        """Put `obj` where `old` is: checks, strategy, and the write unless nothing differs.

        `given` and `owners` are as for `create`.

        Raises:
            ApiError: 409, `obj` was made from another state; 422, it breaks a rule.
        """
        before = old["metadata"]
        strategy = strategy_for(kind)
        if obj["metadata"] is not before:
            check_resource_version(kind, obj["metadata"], before, strategy.unconditional_update)
        wanted = obj
        if subresource == "status":
            new = prepare_for_status_update(strategy, obj, old, to_time(self.loop.now_ns))
            if strategy.defaults_status:
                new = default(kind, new)
            causes = validate_status_update(kind, new, old)
        elif subresource in POD_PARTS:
            new = with_part(subresource, default(kind, obj), old, self.store)
            causes = []
        else:
            if not shares_content(obj, old):
                wanted = default(kind, obj)
            new = self._prepared(kind, strategy, wanted, old)
            causes = validate_update(kind, new, old)
        is_same = new == old
        by = new_tuple(Wish, (options.field_manager or identity.manager, kind, subresource, wanted, self.loop.now_ns))
        step = weighed(by, old, given, owners)
        is_same = is_same and (step is by or self.ledger.keeps(step, old))
        if causes or options.dry_run or is_same:
            if kind.resource == "services":
                self.services.release(new, keep=old)
            if causes:
                raise invalid(kind.kind, stored_kind(kind).group, before["name"], causes)
            if is_same:
                return old
            return self._unstored(new, identity, step, old)
        key = new_tuple(Key, (before.get("namespace", ""), before["name"]))
        if is_released(kind, new):
            # Watches see the state that was stored last, which still has the finalizers; the client gets its own.
            self.remove(kind, key, old, identity)
            return self._unstored(new, identity, step, old)
        return self.commit(kind, key, new, old, identity, verb, subresource, step)

    def _prepared(self, kind: Kind, strategy: Strategy, obj: Object, old: Object) -> Object:
        """The object as a plain update would leave it, if no rule is broken."""
        new = prepare_for_update(strategy, obj, old)
        if kind.resource == "services":
            new = drop_fields_of_old_type(self.services.allocate(new, old), old)
        return new

    def commit(
        self,
        kind: Kind,
        key: Key,
        obj: Object,
        old: Object | None,
        identity: Identity,
        verb: str,
        subresource: str,
        step: Wish | Step | None = None,
    ) -> Object:
        """Store `obj` in place of `old` (None: it is new) and tell whoever records writes. All checks are behind it.

        Without a `step` the fields keep their owners.
        """
        resource = kind.resource
        if kind.plural == "events":
            stored = stored_kind(kind)
            if stored is not kind:
                previous = None if old is None else to_stored(kind, old)
                obj = self.commit(stored, key, to_stored(kind, obj), previous, identity, verb, subresource, step)
                return from_stored(kind, obj)
        obj = self.store.write(resource, key, obj, old)
        self.ledger.note(self.store.revision, obj, step, old)
        self.has_created = self.has_created or old is None
        if resource == "events":
            self._expiry.note(key, obj)
        if old is not None and resource == "services":
            self.services.release(old, obj)
        if self.on_write is not None:
            self.on_write(Write(identity, verb, kind, obj, old, subresource))
        return obj

    # --- deleting ---

    def _delete(self, request: Request, identity: Identity) -> Object:
        kind = request.kind
        check_namespace_delete(kind, request.name)
        old = self.existing(kind, request.namespace, request.name)
        return self.delete(kind, old, identity, request.options)

    def delete(self, kind: Kind, old: Object, identity: Identity, options: Options) -> Object:
        """Delete `old` as the options say; returns what the client gets: a Status where it is gone and its kind says no
        more, else the object."""
        metadata = old["metadata"]
        key = Key(metadata.get("namespace", ""), metadata["name"])
        plan_for = plan_namespace_deletion if kind.resource == "namespaces" else plan_deletion
        marked, is_removed = plan_for(kind, old, options, self.loop.now_ns)
        last = old if marked is None else marked
        if not options.dry_run:
            if is_removed:
                if marked is not None:
                    last = self.store.write(kind.resource, key, marked, old)
                    self.ledger.note(self.store.revision, last, None, old)
                last = self.remove(kind, key, last, identity)
            elif marked is not None:
                last = self.commit(kind, key, marked, old, identity, "deleted", "")
        return last if not is_removed or strategy_for(kind).answers_deleted else deleted(kind, metadata)

    def remove(self, kind: Kind, key: Key, last: Object, identity: Identity) -> Object:
        """Take the object out of the store; `last` is the state that watches see go. Returns it with its revision."""
        stored = stored_kind(kind)
        gone = self.store.delete(stored.resource, key, to_stored(kind, last))
        self.ledger.gone(self.store.revision, gone, last)
        if kind.resource == "services":
            self.services.release(gone)
        if self.on_write is not None:
            self.on_write(Write(identity, "deleted", stored, gone, gone, ""))
        return from_stored(kind, gone)

    def _delete_collection(self, request: Request, identity: Identity) -> Object:
        kind = request.kind
        found = list_objects(self.store, kind, request.namespace, request.options)
        for obj in found["items"]:
            self.delete(kind, obj, identity, request.options)
        return found


def _is_part(request: Request) -> bool:
    """Whether the subresource is a part of its object, read and written as that is."""
    return request.subresource in _PARTS and request.subresource in request.kind.subresources

"""Garbage collector: what loses its last owner is deleted, and deletions that wait for dependents are carried out.

Woken by the `dependency_graph` over all kinds that can be deleted, except events. Nothing is deleted on the word of a
cache: the object and each of its owners are looked up first, unless the owner is already known to be gone.

Upstream: pkg/controller/garbagecollector/{garbagecollector,operations,patch}.go @v1.36
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from functools import partial
from typing import Any, NamedTuple, NoReturn, final

from kubesim.api.kinds import ALL_KINDS, find_kind, verbs_of
from kubesim.api.objects import Object
from kubesim.api.requests import Options, Propagation, Request, delete, get, patch
from kubesim.api.scheme import Kind
from kubesim.client.workqueue import WorkQueue
from kubesim.controllers.base import DONE, ControllerContext, NotYetError, Reconcile, Wait, Worker
from kubesim.controllers.controller_history import CONFLICT_WAITS_NS
from kubesim.controllers.dependency_graph import FOREGROUND, ORPHAN, Graph, Node, named
from kubesim.errors import ApiError

INVALID_NAMESPACE = "OwnerRefInvalidNamespace"


class _AbsentError(Exception):
    """The object is not there: the graph has been told, nothing is left to do."""


class _NamespacedOwnerError(Exception):
    """A cluster-scoped object names a namespaced owner: it is left alone for good."""


class _References(NamedTuple):
    solid: list[Object]
    dangling: list[Object]
    waiting: list[Object]


def monitored_kinds() -> list[Kind]:
    """The kinds that are watched: one version of each that can be deleted, listed and watched, but not events.

    Upstream: garbagecollector.go:GetDeletableResources, graph_builder.go:ignoredResources @v1.36
    """
    kinds: dict[str, Kind] = {}
    for kind in ALL_KINDS:
        if kind.plural != "events" and {"delete", "list", "watch"} <= set(verbs_of(kind)):
            kinds.setdefault(kind.resource, kind)
    return list(kinds.values())


@final
class GarbageCollector:
    """The control loop over all objects."""

    name = "garbage-collector-controller"

    def __init__(self, context: ControllerContext) -> None:
        self._recorder = context.recorder
        to_delete, to_orphan = WorkQueue(context.loop), WorkQueue(context.loop)
        self._to_delete = to_delete
        self.graph = Graph(to_delete, to_orphan, self._report_invalid)
        for kind in monitored_kinds():
            self._monitor(context, kind)
        # Upstream: --concurrent-gc-syncs is 20 by default.
        self.workers = (Worker(to_delete, self.reconcile, 20), Worker(to_orphan, self.orphan_dependents, 20))

    def _monitor(self, context: ControllerContext, kind: Kind) -> None:
        type_, graph = (kind.api_version, kind.kind), self.graph
        context.informers.informer(kind).add_handler(
            partial(graph.handle_add, type_),
            partial(graph.handle_update, type_),
            partial(graph.handle_delete, type_),
            reads_status=False,
        )

    def _report_invalid(self, node: Node, reference: Object) -> None:
        api_version, kind = node.type
        metadata = {"name": node.name, "namespace": node.namespace, "uid": node.uid}
        obj = {"apiVersion": api_version, "kind": kind, "metadata": metadata}
        owner = named(reference, node.namespace)
        message = f'ownerRef {owner} does not exist in namespace "{node.namespace}"'
        self._recorder.event(obj, "Warning", INVALID_NAMESPACE, message)

    # --- deleting ---

    def reconcile(self, node: Node) -> Reconcile:
        """Look at one object: delete it if nothing owns it any more, let it go if its dependents are gone."""
        if node.is_virtual:
            known = self.graph.nodes.get(node.uid)
            if known is None or not known.is_virtual:
                return DONE
        try:
            yield from self._attempt(node)
        except (_AbsentError, _NamespacedOwnerError):
            return DONE
        if node.is_virtual:
            raise NotYetError(f"{node} has not been observed yet")
        return DONE

    def _attempt(self, node: Node) -> Generator[Request | Wait, Any, None]:
        if node.is_deleting and not node.is_deleting_dependents:
            return
        kind = _kind_of(node.type)
        if kind.namespaced and not node.namespace:
            raise _NamespacedOwnerError
        try:
            latest = yield _get(kind, node)
        except ApiError as error:
            if error.code == 404:
                self._give_up(node)
            raise
        if latest["metadata"]["uid"] != node.uid:
            self._give_up(node)
        if node.is_deleting_dependents:
            yield from self._finish_foreground(kind, node)
            return
        owners = latest["metadata"].get("ownerReferences") or ()
        if not owners:
            return
        references = yield from self._classify(node, owners)
        if references.solid:
            gone = [*references.dangling, *references.waiting]
            if gone:
                yield _drop_owners(kind, node, [reference["uid"] for reference in gone])
            return
        if references.waiting and node.dependents:
            if any(dependent.is_deleting_dependents for dependent in node.dependents):
                # A circle of foreground deletions would wait for itself.
                yield _unblock_owners(kind, node)
            policy: Propagation = "Foreground"
        else:
            finalizers = latest["metadata"].get("finalizers") or ()
            policy = "Orphan" if ORPHAN in finalizers else "Foreground" if FOREGROUND in finalizers else "Background"
        yield from self._delete(kind, node, latest["metadata"], policy)

    def _give_up(self, node: Node) -> NoReturn:
        self.graph.handle_absence(node.identity)
        raise _AbsentError

    def _delete(
        self, kind: Kind, node: Node, latest: Object, policy: Propagation
    ) -> Generator[Request | Wait, Any, None]:
        """Delete the object in the state that was looked at; any state will do if its owners are still the same."""
        name, namespace = node.name, node.namespace if kind.namespaced else ""
        version = latest["resourceVersion"]
        options = Options(propagation=policy, precondition_uid=node.uid, precondition_resource_version=version)
        try:
            try:
                yield delete(kind, namespace, name, options)
            except ApiError as error:
                if error.reason != "Conflict":
                    raise
                live = (yield _get(kind, node))["metadata"]
                is_same = live["uid"] == node.uid and live.get("ownerReferences") == latest.get("ownerReferences")
                if not is_same or live["resourceVersion"] == version:
                    raise
                yield delete(kind, namespace, name, Options(propagation=policy, precondition_uid=node.uid))
        except ApiError as error:
            if error.code == 404:
                self._give_up(node)
            raise

    def _classify(self, node: Node, owners: Sequence[Object]) -> Generator[Request, Any, _References]:
        """The owners that exist, those that do not, and those that are waiting for their dependents to go."""
        references = _References([], [], [])
        for reference in owners:
            owner = yield from self._look_up(node, reference)
            if owner is None:
                references.dangling.append(reference)
            elif "deletionTimestamp" in owner and FOREGROUND in (owner.get("finalizers") or ()):
                references.waiting.append(reference)
            else:
                references.solid.append(reference)
        return references

    def _look_up(self, node: Node, reference: Object) -> Generator[Request, Any, Object | None]:
        """The owner's metadata; None where it does not exist as the reference says. Upstream: isDangling @v1.36"""
        absent = self.graph.absent
        identity = named(reference, "")
        if identity in absent:
            return None
        identity = named(reference, node.namespace)
        if identity in absent:
            return None
        kind = _kind_of((reference["apiVersion"], reference["kind"]))
        if not kind.namespaced:
            identity = named(reference, "")
        elif not node.namespace:
            raise _NamespacedOwnerError
        try:
            owner = yield get(kind, identity.namespace, reference["name"])
        except ApiError as error:
            if error.code != 404:
                raise
            absent.add(identity)
            return None
        metadata: Object = owner["metadata"]
        if metadata["uid"] != reference["uid"]:
            absent.add(identity)
            return None
        return metadata

    # --- deletions that wait ---

    def _finish_foreground(self, kind: Kind, node: Node) -> Generator[Request | Wait, Any, None]:
        blocking = node.blocking_dependents()
        if not blocking:
            yield from _remove_finalizer(kind, node, FOREGROUND)
        for dependent in blocking:
            if not dependent.is_deleting_dependents:
                self._to_delete.add(dependent)

    def orphan_dependents(self, owner: Node) -> Reconcile:
        """Cut the owner's dependents loose, then let it go."""
        dependents = list(owner.dependents or ())
        replies = yield tuple(_drop_owners(_kind_of(each.type), each, [owner.uid]) for each in dependents)
        for reply in replies:
            if isinstance(reply, ApiError) and reply.code != 404:
                raise reply
        yield from _remove_finalizer(_kind_of(owner.type), owner, ORPHAN)
        return DONE


def _kind_of(type_: tuple[str, str]) -> Kind:
    kind = find_kind(*type_)
    if kind is None:
        # Upstream waits for such a kind to be served one day.
        raise NotYetError(f"unable to get REST mapping for {type_[0]}/{type_[1]}.")
    return kind


def _get(kind: Kind, node: Node) -> Request:
    return get(kind, node.namespace if kind.namespaced else "", node.name)


def _patch_owners(kind: Kind, node: Node, references: list[Object]) -> Request:
    body = {"metadata": {"uid": node.uid, "ownerReferences": references}}
    return patch(kind, node.namespace if kind.namespaced else "", node.name, body, "strategic")


def _drop_owners(kind: Kind, node: Node, uids: Sequence[str]) -> Request:
    return _patch_owners(kind, node, [{"$patch": "delete", "uid": uid} for uid in uids])


def _unblock_owners(kind: Kind, node: Node) -> Request:
    blocking = [reference for reference in node.owners if reference.get("blockOwnerDeletion")]
    return _patch_owners(kind, node, [{**reference, "blockOwnerDeletion": False} for reference in blocking])


def _remove_finalizer(kind: Kind, node: Node, finalizer: str) -> Generator[Request | Wait, Any, None]:
    """Take the finalizer off, trying again where somebody else writes at the same time."""
    for wait_ns in (*CONFLICT_WAITS_NS, 0):
        try:
            metadata = (yield _get(kind, node))["metadata"]
            finalizers = metadata.get("finalizers") or []
            if finalizer not in finalizers:
                return
            left = [each for each in finalizers if each != finalizer]
            body = {"metadata": {"resourceVersion": metadata["resourceVersion"], "finalizers": left or None}}
            yield patch(kind, metadata.get("namespace", ""), node.name, body)
        except ApiError as error:
            if error.code == 404:
                return
            if error.reason != "Conflict" or not wait_ns:
                raise
        else:
            return
        yield Wait(wait_ns)

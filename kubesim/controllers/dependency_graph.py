"""Who owns whom: a node per object, by uid, with its owners and its dependents, kept from the informers of all kinds.

An owner that a reference names but no informer has shown is a virtual node: it may be about to appear, or not exist.
The graph decides nothing but what must be looked at: it puts nodes into the queues of the garbage collector. An event
of an object costs the same however large the graph is, and next to nothing where neither owners nor deletion changed.

Upstream: pkg/controller/garbagecollector/{graph,graph_builder,uid_cache}.go @v1.36
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple, final

from kubesim.api.objects import Object
from kubesim.client.workqueue import WorkQueue

FOREGROUND = "foregroundDeletion"
ORPHAN = "orphan"
# Upstream: graph_builder.go:NewDependencyGraphBuilder @v1.36
_ABSENT_MAX = 500
_NO_OWNERS: list[Object] = []
Type = tuple[str, str]
ReportInvalid = Callable[["Node", Object], None]


class Identity(NamedTuple):
    """The coordinates of an object; the order of the fields is upstream's order among them."""

    kind: str
    api_version: str
    namespace: str
    name: str
    uid: str

    def __str__(self) -> str:
        return f"[{self.api_version}/{self.kind}, namespace: {self.namespace}, name: {self.name}, uid: {self.uid}]"


@final
class Node:
    """One object. `owners` is its own list of references; `type` (apiVersion, kind) is one value for all of a kind."""

    __slots__ = (
        "dependents",
        "is_deleting",
        "is_deleting_dependents",
        "is_virtual",
        "name",
        "namespace",
        "owners",
        "type",
        "uid",
    )

    def __init__(
        self, type_: Type, namespace: str, name: str, uid: str, owners: list[Object], *, is_virtual: bool
    ) -> None:
        self.type = type_
        self.namespace = namespace
        self.name = name
        self.uid = uid
        self.owners = owners
        # None until there is one: most objects have none, and an empty dict is as large as the rest of the node.
        self.dependents: dict[Node, None] | None = None
        self.is_virtual = is_virtual
        self.is_deleting = False
        self.is_deleting_dependents = False

    @property
    def identity(self) -> Identity:
        """Who the object is, as owner references and requests name it."""
        api_version, kind = self.type
        return Identity(kind, api_version, self.namespace, self.name, self.uid)

    def __repr__(self) -> str:
        return str(self.identity)

    def blocking_dependents(self) -> list[Node]:
        """The dependents without whose end a foreground deletion does not end."""
        return [
            dependent
            for dependent in self.dependents or ()
            for reference in dependent.owners
            if reference["uid"] == self.uid and reference.get("blockOwnerDeletion")
        ]


@final
class AbsentOwners:
    """Owners known not to exist; the least recently asked for are forgotten."""

    def __init__(self) -> None:
        self._known: dict[Identity, None] = {}

    def add(self, identity: Identity) -> None:
        """Remember that there is no such object; the oldest of too many memories goes."""
        self._known.pop(identity, None)
        self._known[identity] = None
        if len(self._known) > _ABSENT_MAX:
            del self._known[next(iter(self._known))]

    def __contains__(self, identity: Identity) -> bool:
        if identity not in self._known:
            return False
        self.add(identity)
        return True


def named(reference: Object, namespace: str) -> Identity:
    """What an owner reference names, seen from an object in `namespace`."""
    return Identity(reference["kind"], reference["apiVersion"], namespace, reference["name"], reference["uid"])


def _is_match(reference: Object, identity: Identity) -> bool:
    return named(reference, identity.namespace) == identity


@final
class Graph:
    """All nodes, and the queues into which they are put when something about them must be looked at."""

    def __init__(self, to_delete: WorkQueue, to_orphan: WorkQueue, report_invalid: ReportInvalid) -> None:
        self.nodes: dict[str, Node] = {}
        self.absent = AbsentOwners()
        self._to_delete = to_delete
        self._to_orphan = to_orphan
        self._report_invalid = report_invalid

    # --- what informers say ---

    def handle_add(self, type_: Type, obj: Object) -> None:
        """An object has appeared."""
        self._take_in(type_, None, obj["metadata"])

    def handle_update(self, type_: Type, old: Object, new: Object) -> None:
        """An object has changed."""
        before, after = old["metadata"], new["metadata"]
        if before["uid"] != after["uid"]:
            self.handle_delete(type_, old)
            self._take_in(type_, None, after)
        elif "deletionTimestamp" in after or before.get("ownerReferences") != after.get("ownerReferences"):
            self._take_in(type_, before, after)

    def handle_delete(self, type_: Type, obj: Object) -> None:
        """An object is gone."""
        metadata = obj["metadata"]
        node = self.nodes.get(metadata["uid"])
        if node is not None:
            if node.is_virtual:
                node = self._observe(type_, metadata, node)
            self._remove(node, Identity(type_[1], type_[0], metadata.get("namespace", ""), metadata["name"], node.uid))

    def _take_in(self, type_: Type, before: Object | None, metadata: Object) -> None:
        uid = metadata["uid"]
        owners: list[Object] = metadata.get("ownerReferences") or _NO_OWNERS
        is_deleting = "deletionTimestamp" in metadata
        node = self.nodes.get(uid)
        if node is None:
            node = Node(type_, metadata.get("namespace", ""), metadata["name"], uid, owners, is_virtual=False)
            if is_deleting:
                node.is_deleting = True
                node.is_deleting_dependents = FOREGROUND in (metadata.get("finalizers") or ())
            self.nodes[uid] = node
            if owners:
                self._add_to_owners(node, owners)
        else:
            if node.is_virtual:
                node = self._observe(type_, metadata, node)
            if node.owners is not owners and node.owners != owners:
                self._change_owners(node, owners)
            if is_deleting:
                node.is_deleting = True
        if is_deleting:
            self._begin_waiting(node, before, metadata)

    def _begin_waiting(self, node: Node, before: Object | None, metadata: Object) -> None:
        """An object's deletion has begun to wait for its dependents."""
        finalizers = metadata.get("finalizers") or ()
        known = () if before is None or "deletionTimestamp" not in before else before.get("finalizers") or ()
        if ORPHAN in finalizers and ORPHAN not in known:
            self._to_orphan.add(node)
        elif FOREGROUND in finalizers and FOREGROUND not in known:
            node.is_deleting_dependents = True
            self._look_at(node.dependents or ())
            self._to_delete.add(node)

    def _look_at(self, nodes: Iterable[Node]) -> None:
        for node in nodes:
            self._to_delete.add(node)

    # --- owners ---

    def _add_to_owners(self, node: Node, owners: Sequence[Object]) -> None:
        is_doubtful = False
        for reference in owners:
            uid = reference["uid"]
            owner = self.nodes.get(uid)
            is_new = owner is None
            if owner is None:
                type_ = (reference["apiVersion"], reference["kind"])
                owner = Node(type_, node.namespace, reference["name"], uid, _NO_OWNERS, is_virtual=True)
                self.nodes[uid] = owner
            if owner.dependents is None:
                owner.dependents = {}
            owner.dependents[node] = None
            if is_new:
                # It may not exist at all: that is looked up.
                self._to_delete.add(owner)
            elif not is_doubtful:
                is_doubtful = self._is_doubtful(node, reference, owner)
        if is_doubtful:
            self._to_delete.add(node)

    def _is_doubtful(self, node: Node, reference: Object, owner: Node) -> bool:
        """Whether the reference does not fit the owner that has this uid."""
        if owner.namespace and owner.namespace != node.namespace:
            if not owner.is_virtual:
                self._report_invalid(node, reference)
            return True
        if (reference["apiVersion"], reference["kind"]) != owner.type or reference["name"] != owner.name:
            return True
        return not owner.namespace and bool(node.namespace) and owner.is_virtual

    def _change_owners(self, node: Node, owners: list[Object]) -> None:
        before = {reference["uid"]: reference for reference in node.owners}
        after = {reference["uid"]: reference for reference in owners}
        for uid, reference in before.items():
            new = after.get(uid)
            if reference.get("blockOwnerDeletion") and (new is None or not new.get("blockOwnerDeletion")):
                self._look_at(filter(None, (self.nodes.get(uid),)))
        node.owners = owners
        self._add_to_owners(node, [reference for uid, reference in after.items() if uid not in before])
        self._drop_from_owners(node, [reference for uid, reference in before.items() if uid not in after])

    def _drop_from_owners(self, node: Node, owners: Iterable[Object]) -> None:
        for reference in owners:
            owner = self.nodes.get(reference["uid"])
            if owner is not None and owner.dependents is not None:
                owner.dependents.pop(node, None)

    # --- virtual nodes ---

    def _observe(self, type_: Type, metadata: Object, node: Node) -> Node:
        """A virtual node turns out to exist: as its references said, or under other coordinates."""
        found = Identity(type_[1], type_[0], metadata.get("namespace", ""), metadata["name"], node.uid)
        if found != node.identity:
            _, doubtful = partition(node.dependents or (), found)
            for dependent in doubtful:
                if found.namespace and dependent.namespace != found.namespace:
                    for reference in dependent.owners:
                        if reference["uid"] == found.uid:
                            self._report_invalid(dependent, reference)
                            break
                self._to_delete.add(dependent)
            node = self._renamed(node, found)
        node.is_virtual = False
        return node

    def _renamed(self, node: Node, identity: Identity) -> Node:
        """A node of the same uid under other coordinates, in its place: whoever holds the old one keeps what it saw."""
        type_ = (identity.api_version, identity.kind)
        new = Node(type_, identity.namespace, identity.name, identity.uid, node.owners, is_virtual=node.is_virtual)
        new.dependents = None if node.dependents is None else dict(node.dependents)
        new.is_deleting, new.is_deleting_dependents = node.is_deleting, node.is_deleting_dependents
        self.nodes[identity.uid] = new
        return new

    def handle_absence(self, absent: Identity) -> None:
        """A look-up has shown that no object has these coordinates."""
        node = self.nodes.get(absent.uid)
        if node is None:
            return
        matching, others = partition(node.dependents or (), absent)
        if node.is_virtual:
            if not others:
                self._remove(node, absent)
                return
        elif node.identity == absent:
            self._remove(node, absent)
            return
        # Some dependents mean this uid under other coordinates, which may exist.
        if matching:
            self.absent.add(absent)
            self._look_at(matching)
        if node.is_virtual and node.identity == absent:
            other = _other_identity(others, absent)
            if other is not None:
                self._to_delete.add_rate_limited(self._renamed(node, other))

    def _remove(self, node: Node, identity: Identity) -> None:
        del self.nodes[node.uid]
        self._drop_from_owners(node, node.owners)
        if node.dependents:
            self.absent.add(identity)
            self._look_at(node.dependents)
        for reference in node.owners:
            owner = self.nodes.get(reference["uid"])
            if owner is not None and owner.is_deleting_dependents:
                self._to_delete.add(owner)


def partition(dependents: Iterable[Node], owner: Identity) -> tuple[list[Node], list[Node]]:
    """The dependents that name `owner` by exactly these coordinates, and those that name its uid by others."""
    matching: list[Node] = []
    others: list[Node] = []
    for dependent in dependents:
        if owner.namespace and owner.namespace != dependent.namespace:
            others.append(dependent)
            continue
        references = [reference for reference in dependent.owners if reference["uid"] == owner.uid]
        matches = [_is_match(reference, owner) for reference in references]
        if True in matches:
            matching.append(dependent)
        if False in matches:
            others.append(dependent)
    return matching, others


def _other_identity(dependents: Iterable[Node], absent: Identity) -> Identity | None:
    """The next coordinates to look up for a uid: the first after `absent` in order, or the first of all.

    Upstream: graph_builder.go:getAlternateOwnerIdentity @v1.36
    """
    others: dict[Identity, None] = {}
    for dependent in dependents:
        for reference in dependent.owners:
            if reference["uid"] != absent.uid:
                continue
            if _is_match(reference, absent) and absent.namespace in ("", dependent.namespace):
                continue
            identity = named(reference, dependent.namespace)
            if not absent.namespace and (identity.api_version, identity.kind) == (absent.api_version, absent.kind):
                identity = identity._replace(namespace="")
            if identity != absent:
                others[identity] = None
    following = [identity for identity in others if identity > absent]
    return min(following or others, default=None)

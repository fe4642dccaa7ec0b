"""A local copy of one collection, kept by list and watch, and the handlers that hear of its changes.

Everything that decides reads from here and therefore sees the past: an informer lags behind the store by the watch's
delay. What it hands out is shared and must not be changed.
Upstream: client-go/tools/cache/{reflector,shared_informer}.go @v1.36
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from typing import Any, TypeVar, final

import msgspec

from kubesim.api.objects import Object
from kubesim.api.requests import NO_OPTIONS, Options, list_all
from kubesim.api.scheme import Kind
from kubesim.client.port import Client, Reply, WatchHandle
from kubesim.client.ratelimit import ItemBackoff
from kubesim.errors import ApiError
from kubesim.sim.loop import MILLISECOND, MINUTE, SECOND, Loop
from kubesim.store.watch import WatchEvent

OnAdd = Callable[[Object], None]
OnUpdate = Callable[[Object, Object], None]
OnDelete = Callable[[Object], None]
IndexValues = Callable[[Object], Iterable[str]]
Index = dict[str, dict[tuple[str, str], None]]
_NO_KEYS: Collection[tuple[str, str]] = ()
View = TypeVar("View")
_BACKOFF_RESET_NS = 2 * MINUTE


@final
class Lister:
    """Read access to an informer's copy."""

    __slots__ = ("_indices", "_of_spec", "_of_status", "objects")

    def __init__(self) -> None:
        self.objects: dict[tuple[str, str], Object] = {}
        self._indices: dict[str, Index] = {}
        self._of_spec: list[tuple[Index, IndexValues]] = []
        self._of_status: list[tuple[Index, IndexValues]] = []

    def get(self, namespace: str, name: str) -> Object | None:
        """The object, or None; cluster-scoped kinds have an empty namespace."""
        return self.objects.get((namespace, name))

    def all(self) -> Iterator[Object]:
        """All objects, in the order in which they first appeared."""
        return iter(self.objects.values())

    def in_namespace(self, namespace: str) -> Iterator[Object]:
        """The objects of a namespace, in the order in which they first appeared."""
        return (obj for (space, _), obj in self.objects.items() if space == namespace)

    def by_index(self, index: str, value: str) -> list[Object]:
        """The objects that have this value under a registered index, in the order in which they first had it."""
        objects = self.objects
        return [objects[key] for key in self._indices[index].get(value, ())]

    def index_keys(self, index: str, value: str) -> Collection[tuple[str, str]]:
        """The keys of what `by_index` returns, without making a list."""
        return self._indices[index].get(value, _NO_KEYS)

    def add_index(self, index: str, values_of: IndexValues, *, reads_status: bool = False) -> None:
        """Keep an index over what `values_of` returns for each object. Adding the same name again changes nothing.

        `values_of` reads identity, labels, annotations, owner references and spec; anything else only if `reads_status`
        says so: an update that leaves those alone, as nearly all of a Pod's do, costs the other indices nothing.
        """
        if index in self._indices:
            return
        members: Index = {}
        self._indices[index] = members
        (self._of_status if reads_status else self._of_spec).append((members, values_of))
        for key, obj in self.objects.items():
            for value in values_of(obj):
                members.setdefault(value, {})[key] = None

    def put(self, key: tuple[str, str], obj: Object) -> Object | None:
        """For the informer: store the object; returns the one it replaces."""
        old = self.objects.get(key)
        self.replace(key, old, obj, old is not None and is_status_update(old, obj))
        return old

    def replace(self, key: tuple[str, str], old: Object | None, obj: Object, is_status_update: bool) -> None:
        """For the informer: store the object in place of the old one; only its status differs where that is said."""
        self.objects[key] = obj
        if self._of_status:
            _reindex(self._of_status, key, old, obj)
        if self._of_spec and not is_status_update:
            _reindex(self._of_spec, key, old, obj)

    def remove(self, key: tuple[str, str]) -> Object | None:
        """For the informer: drop the object; returns it."""
        old = self.objects.pop(key, None)
        if old is not None:
            for index, values_of in (*self._of_spec, *self._of_status):
                _unindex(index, key, values_of(old))
        return old


def is_status_update(old: Object, new: Object) -> bool:
    """Whether spec, identity, deletion and what selects, owns or holds the object are the very same as before."""
    if "spec" not in new or old.get("spec") is not new["spec"]:
        return False
    metadata, before = new["metadata"], old["metadata"]
    return (
        metadata.get("labels") is before.get("labels")
        and metadata.get("ownerReferences") is before.get("ownerReferences")
        and metadata.get("annotations") is before.get("annotations")
        and metadata.get("finalizers") is before.get("finalizers")
        and metadata.get("deletionTimestamp") is before.get("deletionTimestamp")
        and metadata["uid"] == before["uid"]
    )


def _reindex(
    indices: Sequence[tuple[Index, IndexValues]], key: tuple[str, str], old: Object | None, new: Object
) -> None:
    for index, values_of in indices:
        values = values_of(new)
        if old is not None:
            before = values_of(old)
            if before == values:
                continue
            _unindex(index, key, before)
        for value in values:
            members = index.get(value)
            if members is None:
                members = index[value] = {}
            members[key] = None


def _unindex(index: Index, key: tuple[str, str], values: Iterable[str]) -> None:
    for value in values:
        members = index.get(value)
        if members is not None:
            members.pop(key, None)
            if not members:
                del index[value]


@final
class Informer:
    """List and watch of one collection into a `Lister`, with handlers."""

    def __init__(self, loop: Loop, client: Client, kind: Kind, options: Options = NO_OPTIONS) -> None:
        self.kind = kind
        self.lister = Lister()
        self.synced = False
        self.resource_version = ""
        self._loop = loop
        self._client = client
        self._options = options
        self._on_add: list[OnAdd] = []
        self._on_update: list[OnUpdate] = []
        self._on_status_update: list[OnUpdate] = []
        self._on_delete: list[OnDelete] = []
        self._watch: WatchHandle | None = None
        self._running = False
        # Upstream: client-go/tools/cache/reflector.go:NewReflectorWithOptions @v1.36
        self._backoff = ItemBackoff(800 * MILLISECOND, 30 * SECOND)
        self._failed_ns = 0
        self._watched_ns = 0

    def add_handler(
        self,
        on_add: OnAdd | None = None,
        on_update: OnUpdate | None = None,
        on_delete: OnDelete | None = None,
        *,
        reads_status: bool = True,
    ) -> None:
        """Hear of changes: `on_add(obj)`, `on_update(old, new)`, `on_delete(obj)`; what is there is added at once.

        An `on_update` that does not read the status is spared the updates of that alone, nearly all of a Pod's.
        """
        if on_update is not None:
            self._on_update.append(on_update)
            if reads_status:
                self._on_status_update.append(on_update)
        if on_delete is not None:
            self._on_delete.append(on_delete)
        if on_add is not None:
            self._on_add.append(on_add)
            for obj in list(self.lister.all()):
                on_add(obj)

    def start(self) -> None:
        """Begin with a list; safe to call again."""
        if not self._running:
            self._running = True
            self._list()

    def stop(self) -> None:
        """Stop for good: the process that holds this copy is gone."""
        self._running = False
        if self._watch is not None:
            self._watch.stop()
            self._watch = None

    def _list(self) -> None:
        if not self._running:
            return
        options = self._options
        if not self.resource_version:
            # Any state will do, however old; later ones must be as new as what has been seen.
            options = msgspec.structs.replace(options, resource_version="0")
        self._client.send(list_all(self.kind, options=options), self._on_list)

    def _on_list(self, reply: Reply) -> None:
        if not self._running:
            return
        if isinstance(reply, ApiError):
            self._list_later()
            return
        self._replace(reply["items"])
        self.resource_version = reply["metadata"]["resourceVersion"]
        self.synced = True
        self._open_watch()

    def _open_watch(self) -> None:
        if self._running:
            self._watched_ns = self._loop.now_ns
            self._watch = self._client.watch(self.kind, self.resource_version, self._on_events, self._options)

    def _list_later(self) -> None:
        """Start anew after a back-off."""
        self._loop.timer(self._next_backoff_ns(), self._list)

    def _next_backoff_ns(self) -> int:
        """The next wait, which is forgotten once all has been well for a while."""
        now_ns = self._loop.now_ns
        if now_ns - self._failed_ns > _BACKOFF_RESET_NS:
            self._backoff.forget(self)
        self._failed_ns = now_ns
        return self._backoff.next_ns(self)

    def _on_watch_end(self, status: Object) -> None:
        """Watch on from where it ended if that may help, else list again.

        Upstream: client-go/tools/cache/reflector.go:watch, isWatchErrorRetriable, handleAnyWatch @v1.36
        """
        self._watch = None
        is_cut_off = status["code"] == 0
        if is_cut_off and status["reason"] != "ConnectionRefused":
            # A watch that ends within a second is very short, and something is wrong with it.
            if self._loop.now_ns - self._watched_ns >= SECOND:
                self._open_watch()
            else:
                self._list_later()
        elif is_cut_off or status["code"] == 429:
            self._loop.timer(self._next_backoff_ns(), self._open_watch)
        else:
            self._list_later()

    def _replace(self, items: Sequence[Object]) -> None:
        gone = dict(self.lister.objects)
        for obj in items:
            metadata = obj["metadata"]
            key = (metadata.get("namespace", ""), metadata["name"])
            old = gone.pop(key, None)
            if old is None or old["metadata"]["resourceVersion"] != metadata["resourceVersion"]:
                self._store(key, obj)
        for key in gone:
            self._drop(key)

    def _store(self, key: tuple[str, str], obj: Object) -> None:
        lister = self.lister
        old = lister.objects.get(key)
        if old is None:
            lister.replace(key, None, obj, False)
            for on_add in self._on_add:
                on_add(obj)
        else:
            is_of_status = is_status_update(old, obj)
            lister.replace(key, old, obj, is_of_status)
            for on_update in self._on_status_update if is_of_status else self._on_update:
                on_update(old, obj)

    def _drop(self, key: tuple[str, str], last: Object | None = None) -> None:
        old = self.lister.remove(key)
        if old is not None:
            for on_delete in self._on_delete:
                on_delete(last if last is not None else old)

    def _on_events(self, events: Sequence[WatchEvent]) -> None:
        for kind, obj in events:
            if kind == "ERROR":
                self._on_watch_end(obj)
                return
            metadata = obj["metadata"]
            if kind == "DELETED":
                self._drop((metadata.get("namespace", ""), metadata["name"]), obj)
            elif kind != "BOOKMARK":
                self._store((metadata.get("namespace", ""), metadata["name"]), obj)
            self.resource_version = metadata["resourceVersion"]


@final
class InformerFactory:
    """The informers of one process: one per kind, shared by all that run in it."""

    def __init__(self, loop: Loop, client: Client) -> None:
        self._loop = loop
        self._client = client
        self._informers: dict[str, Informer] = {}
        self._views: dict[Callable[[InformerFactory], Any], Any] = {}

    def informer(self, kind: Kind) -> Informer:
        """The process's informer of this kind, made on first use."""
        informer = self._informers.get(kind.resource)
        if informer is None:
            informer = self._informers[kind.resource] = Informer(self._loop, self._client, kind)
        return informer

    def lister(self, kind: Kind) -> Lister:
        """The lister of that informer."""
        return self.informer(kind).lister

    def view(self, make: Callable[[InformerFactory], View]) -> View:
        """The process's one instance of something derived from its informers, made on first use.

        Its handlers run before those of whoever asked for it, if it is asked for first.
        """
        view: View | None = self._views.get(make)
        if view is None:
            view = self._views[make] = make(self)
        return view

    def start(self) -> None:
        """Start all informers made so far."""
        for informer in list(self._informers.values()):
            informer.start()

    def stop(self) -> None:
        for informer in self._informers.values():
            informer.stop()

    @property
    def synced(self) -> bool:
        """Whether each of them has had its first list."""
        return all(informer.synced for informer in self._informers.values())

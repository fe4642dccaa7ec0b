"""One revision counter over tables of objects, with enough history to replay watches and to page consistently.

The store is the etcd of the simulation together with the API server's watch cache: it keeps the current objects by
key, a bounded log of changes per resource, and hands every change to the watches it concerns. It trusts its caller:
rules about objects are the API server's.

History is bounded as upstream's: etcd's compaction forgets what is older than the last-but-one compaction, and a
resource's log never holds more than `HISTORY_MAX` changes.
Upstream: staging/src/k8s.io/apiserver/pkg/storage/cacher/watch_cache.go:defaultUpperBoundCapacity @v1.36
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import final

from kubesim.api.objects import Key, Object, new_tuple
from kubesim.errors import expired
from kubesim.store.watch import Change, EventType, Predicate, Watch, WatchEvent

HISTORY_MAX = 100 * 1024

# Fields by which a collection is indexed, so that a watch or list on one value costs nothing for the others.
INDEXED_FIELDS: dict[str, tuple[str, Callable[[Object], str]]] = {
    "pods": ("spec.nodeName", lambda pod: pod["spec"].get("nodeName", "")),
    "nodes": ("metadata.name", lambda node: node["metadata"]["name"]),
}


@final
class Table:
    """The objects of one resource and what is known of their past."""

    __slots__ = ("_by_namespace", "_sorted", "compacted", "history", "index", "indexed_watches", "objects", "watches")

    def __init__(self, resource: str) -> None:
        self.objects: dict[Key, Object] = {}
        self._by_namespace: dict[str, dict[Key, Object]] | None = None
        self.history: deque[Change] = deque()
        self.compacted = 0
        self.watches: list[Watch] = []
        self.index = INDEXED_FIELDS.get(resource)
        self.indexed_watches: dict[str, list[Watch]] = {}
        self._sorted: list[Key] | None = None

    def sorted_keys(self) -> list[Key]:
        """All keys in etcd's order."""
        if self._sorted is None:
            self._sorted = sorted(self.objects)
        return self._sorted

    def put(self, key: Key, obj: Object) -> None:
        """Set the object at `key`; the log is the store's."""
        if key not in self.objects:
            self._sorted = None
        self.objects[key] = obj
        if self._by_namespace is not None:
            self._by_namespace.setdefault(key[0], {})[key] = obj

    def remove(self, key: Key) -> None:
        """Take the object at `key` out."""
        self._sorted = None
        del self.objects[key]
        if self._by_namespace is not None:
            del self._by_namespace[key.namespace][key]

    def in_namespace(self, namespace: str) -> dict[Key, Object]:
        """The objects of a namespace; kept apart from the first time on that they are asked for."""
        if self._by_namespace is None:
            self._by_namespace = {}
            for key, obj in self.objects.items():
                self._by_namespace.setdefault(key.namespace, {})[key] = obj
        return self._by_namespace.get(namespace, {})


class _Tables(dict[str, Table]):
    """Tables by resource; one that nothing was ever stored in is empty. Of what was before `compacted` none knows."""

    compacted = 0

    def __missing__(self, resource: str) -> Table:
        table = self[resource] = Table(resource)
        table.compacted = self.compacted
        return table


@final
class Store:
    """All tables and the one revision counter."""

    def __init__(self) -> None:
        self.revision = 0
        self.tables = _Tables()
        self._compact_next = 0

    def table(self, resource: str) -> Table:
        """The resource's table, empty if nothing of it was ever stored."""
        return self.tables[resource]

    def written(self, resource: str) -> int:
        """A number that changes with every write to the resource's table; compaction may change it, too."""
        table = self.table(resource)
        return table.history[-1].revision if table.history else table.compacted

    def get(self, resource: str, key: tuple[str, str]) -> Object | None:
        return self.tables[resource].objects.get(key)  # type: ignore[call-overload,no-any-return]

    def write(self, resource: str, key: Key, obj: Object, previous: Object | None) -> Object:
        """Store `obj` under a new revision, which is set in it, and tell the watches. Returns what was stored.

        `obj` becomes the store's: the caller has made it, and its metadata unless they are `previous`'s, for this write
        and keeps neither.
        """
        self.revision = revision = self.revision + 1
        metadata = obj["metadata"]
        if previous is not None and metadata is previous["metadata"]:
            obj["metadata"] = metadata = {**metadata}
        metadata["resourceVersion"] = str(revision)
        table = self.tables[resource]
        table.put(key, obj)
        kind: EventType = "ADDED" if previous is None else "MODIFIED"
        self._record(table, new_tuple(Change, (revision, kind, key, obj, previous)))
        return obj

    def restore(self, revision: int, objects: Iterable[tuple[str, Key, Object]]) -> None:
        """Fill an empty store with objects as they were at `revision`; what was before is forgotten."""
        self.revision = self.tables.compacted = revision
        for resource, key, obj in objects:
            self.table(resource).put(key, obj)

    def delete(self, resource: str, key: Key, last: Object) -> Object:
        """Remove the object; its last state, with the deletion's revision, is what watches get. Returns that state."""
        self.revision = revision = self.revision + 1
        table = self.table(resource)
        previous = table.objects[key]
        table.remove(key)
        obj = {**last, "metadata": {**last["metadata"], "resourceVersion": str(revision)}}
        self._record(table, Change(revision, "DELETED", key, obj, previous))
        return obj

    def _record(self, table: Table, change: Change) -> None:
        history = table.history
        history.append(change)
        if len(history) > HISTORY_MAX:
            table.compacted = history.popleft().revision
        event = new_tuple(WatchEvent, (change.type, change.obj))
        for watch in table.watches:
            watch.offer(change, event)
        if table.index is not None and table.indexed_watches:
            self._offer_indexed(table.indexed_watches, table.index[1], change, event)

    @staticmethod
    def _offer_indexed(
        readers: dict[str, list[Watch]], value_of: Callable[[Object], str], change: Change, event: WatchEvent
    ) -> None:
        """Offer the change to the watches on the value that the object has, and on the one that it had before."""
        value = value_of(change.obj)
        before = value if change.previous is None else value_of(change.previous)
        moved = before != value
        for watch in readers.get(value, ()):
            watch.offer(change, WatchEvent("ADDED", change.obj) if moved else event)
        if moved:
            for watch in readers.get(before, ()):
                watch.offer(change, WatchEvent("DELETED", change.obj))

    def watch(
        self,
        resource: str,
        *,
        namespace: str,
        matches: Predicate | None,
        index: tuple[str, str] | None,
        since: int,
        notify: Callable[[Watch], None],
        bookmarks: bool = False,
    ) -> Watch:
        """Open a watch on the changes after revision `since`.

        `index` is an indexed field and the one value wanted; `matches` is what is to be tested beside it.

        Raises:
            ApiError: 410 Expired, the changes after `since` are no longer all there.
        """
        table = self.table(resource)
        if since < table.compacted:
            raise expired(f"too old resource version: {since} ({table.compacted})")
        watch = Watch(namespace, matches, index, notify)
        watch.wants_bookmarks = bookmarks
        readers = {} if index is None else {index[1]: [watch]}
        for change in self._after(table, since):
            event = WatchEvent(change.type, change.obj)
            if index is None or table.index is None:
                watch.offer(change, event)
            else:
                self._offer_indexed(readers, table.index[1], change, event)
        if index is None:
            table.watches.append(watch)
        else:
            table.indexed_watches.setdefault(index[1], []).append(watch)
        return watch

    def unwatch(self, resource: str, watch: Watch) -> None:
        """Close a watch; nothing more is pushed into it."""
        if watch.closed:
            return
        watch.closed = True
        table = self.table(resource)
        if watch.index is None:
            table.watches.remove(watch)
        else:
            readers = table.indexed_watches[watch.index[1]]
            readers.remove(watch)
            if not readers:
                del table.indexed_watches[watch.index[1]]

    @staticmethod
    def _after(table: Table, revision: int) -> Iterator[Change]:
        history = table.history
        first = len(history)
        while first and history[first - 1].revision > revision:
            first -= 1
        for position in range(first, len(history)):
            yield history[position]

    def objects_at(self, resource: str, revision: int) -> dict[Key, Object]:
        """The collection as it was at `revision`.

        Raises:
            ApiError: 410 Expired, that revision has been compacted away.
        """
        table = self.table(resource)
        if revision >= self.revision:
            return table.objects
        if revision < table.compacted:
            raise expired("The resourceVersion for the provided list is too old.")
        objects = dict(table.objects)
        for change in reversed(table.history):
            if change.revision <= revision:
                break
            if change.previous is None:
                objects.pop(change.key, None)
            else:
                objects[change.key] = change.previous
        return objects

    def copy(self) -> Store:
        """A store with the objects of this moment and no past: it shares them, and nobody watches it."""
        past = Store()
        tables = self.tables.items()
        past.restore(self.revision, ((resource, *each) for resource, table in tables for each in table.objects.items()))
        return past

    def compact(self, revision: int) -> None:
        """Forget all changes up to and including `revision`."""
        for table in self.tables.values():
            history = table.history
            while history and history[0].revision <= revision:
                history.popleft()
            table.compacted = max(table.compacted, revision)

    def compact_periodically(self) -> int:
        """One tick of upstream's compactor: forget what was already old at the tick before. Returns up to where.

        Readers that asked for bookmarks get one first, so that a quiet collection does not put them behind.

        Upstream: staging/src/k8s.io/apiserver/pkg/storage/etcd3/compact.go @v1.36
        """
        bookmark = self.bookmark()
        for table in self.tables.values():
            for readers in (table.watches, *table.indexed_watches.values()):
                for watch in readers:
                    if watch.wants_bookmarks:
                        watch.push(bookmark)
        compacted = self._compact_next
        self.compact(compacted)
        self._compact_next = self.revision
        return compacted

    def bookmark(self) -> WatchEvent:
        """An event that says only how far the log has come."""
        kind: EventType = "BOOKMARK"
        return WatchEvent(kind, {"metadata": {"resourceVersion": str(self.revision)}})

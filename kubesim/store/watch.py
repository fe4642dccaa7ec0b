"""A watch: the changes of one collection that match a selector, from a revision on, in order.

The store pushes into `pending` and says so once through `notify`; the reader drains when it likes. A change that makes
an object begin or cease to match reads as ADDED or DELETED, as in the API.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Literal, NamedTuple, final

from kubesim.api.objects import Key, Object

EventType = Literal["ADDED", "MODIFIED", "DELETED", "BOOKMARK", "ERROR"]
Predicate = Callable[[Object], bool]


class Change(NamedTuple):
    """One write as the log keeps it. `previous` is the object before it; a deletion's `obj` carries its revision."""

    revision: int
    type: EventType
    key: Key
    obj: Object
    previous: Object | None


class WatchEvent(NamedTuple):
    """What a reader gets."""

    type: EventType
    obj: Object


@final
class Watch:
    """A reader's place in the log of one resource. `convert` makes of a stored object what the reader wants to see."""

    __slots__ = ("_notify", "closed", "convert", "index", "matches", "namespace", "pending")

    def __init__(
        self,
        namespace: str,
        matches: Predicate | None,
        index: tuple[str, str] | None,
        notify: Callable[[Watch], None],
    ) -> None:
        self.namespace = namespace
        self.matches = matches
        self.index = index
        self.pending: list[WatchEvent] = []
        self.closed = False
        self.convert: Callable[[Object], Object] | None = None
        self._notify = notify

    def offer(self, change: Change) -> None:
        """Take the change if it concerns this reader."""
        _, kind, key, obj, previous = change
        if self.namespace and key.namespace != self.namespace:
            return
        matches = self.matches
        if matches is not None:
            is_match = kind != "DELETED" and matches(obj)
            was_match = previous is not None and matches(previous)
            if is_match:
                kind = "MODIFIED" if was_match else "ADDED"
            elif was_match:
                kind = "DELETED"
            else:
                return
        pending = self.pending
        pending.append(WatchEvent(kind, obj))
        if len(pending) == 1:
            self._notify(self)

    def replay(self, changes: Iterable[Change]) -> None:
        """Catch up with changes made before the watch began."""
        for change in changes:
            self.offer(change)

    def push(self, event: WatchEvent) -> None:
        """Send something that is not a change: a bookmark or an error."""
        self.pending.append(event)
        if len(self.pending) == 1:
            self._notify(self)

    def drain(self) -> list[WatchEvent]:
        """What has come since the last time."""
        pending = self.pending
        self.pending = []
        convert = self.convert
        if convert is not None:
            return [WatchEvent(kind, convert(obj)) for kind, obj in pending]
        return pending

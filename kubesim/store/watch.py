"""A watch: the changes of one collection that match a selector, from a revision on, in order.

The store pushes into `pending` and says so once through `notify`; the reader drains when it likes. A change that makes
an object begin or cease to match reads as ADDED or DELETED, as in the API.
"""

from __future__ import annotations

from collections.abc import Callable
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

    __slots__ = ("_notify", "closed", "convert", "index", "matches", "namespace", "pending", "wants_bookmarks")

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
        self.wants_bookmarks = False
        self.convert: Callable[[Object], Object] | None = None
        self._notify = notify

    def offer(self, change: Change, event: WatchEvent) -> None:
        """Take the change if it concerns this reader; `event` is what it reads like to one who reads all."""
        if self.namespace and change.key.namespace != self.namespace:
            return
        if self.matches is None:
            pending = self.pending
            pending.append(event)
            if len(pending) == 1:
                self._notify(self)
            return
        is_match = change.type != "DELETED" and self.matches(change.obj)
        was_match = change.previous is not None and self.matches(change.previous)
        if is_match or was_match:
            kind: EventType = "DELETED" if not is_match else "MODIFIED" if was_match else "ADDED"
            self.push(event if kind == event.type else WatchEvent(kind, change.obj))

    def push(self, event: WatchEvent) -> None:
        """Have the reader get an event."""
        pending = self.pending
        pending.append(event)
        if len(pending) == 1:
            self._notify(self)

    def take(self, most: int) -> list[WatchEvent]:
        """The first of what has come, at most so many, as they are stored."""
        events = self.pending
        if len(events) <= most:
            self.pending = []
            return events
        self.pending = events[most:]
        return events[:most]

    def drain(self) -> list[WatchEvent]:
        """What has come since the last time."""
        pending = self.pending
        self.pending = []
        convert = self.convert
        if convert is not None:
            return [WatchEvent(kind, convert(obj)) for kind, obj in pending]
        return pending

"""Events of a watch that trouble holds back: each comes when it is due, and none overtakes another."""

from __future__ import annotations

from collections import deque
from typing import final

from kubesim.store.watch import WatchEvent


@final
class LateEvents:
    """Those of one watch. `due` are the ones whose instant has come, in their order, to be taken from its front."""

    def __init__(self) -> None:
        self.due: list[WatchEvent] = []
        self._waiting: deque[tuple[int, list[WatchEvent]]] = deque()

    def __bool__(self) -> bool:
        return bool(self.due or self._waiting)

    def hold(self, events: list[WatchEvent], until_ns: int) -> None:
        """Keep events until an instant, and as long as those before them."""
        last_ns = self._waiting[-1][0] if self._waiting else 0
        self._waiting.append((max(until_ns, last_ns), events))

    def release(self, now_ns: int) -> None:
        """What was to wait until now is due."""
        while self._waiting and self._waiting[0][0] <= now_ns:
            self.due += self._waiting.popleft()[1]

    def release_all(self) -> None:
        """Nothing holds them back any longer."""
        for _, events in self._waiting:
            self.due += events
        self._waiting.clear()

    def take(self, most: int) -> list[WatchEvent]:
        """The first of what is due, at most so many."""
        taken = self.due[:most]
        del self.due[:most]
        return taken

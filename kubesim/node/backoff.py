"""Back-off of containers and image pulls, counted as the kubelet does.

The delay doubles with every start or pull unless the last one lies more than twice the maximum back.
Upstream: client-go/util/flowcontrol/backoff.go, pkg/kubelet/kubelet.go:MaxCrashLoopBackOff @v1.36
"""

from __future__ import annotations

from typing import final

from kubesim.sim.loop import SECOND

INITIAL_NS = 10 * SECOND
MAX_NS = 300 * SECOND


@final
class Backoff:
    """Delays by key, such as a container's name with its image."""

    __slots__ = ("_entries",)

    def __init__(self) -> None:
        self._entries: dict[str, tuple[int, int]] = {}

    def delay_ns(self, key: str) -> int:
        """The delay that was last counted for the key, 0 if none was."""
        entry = self._entries.get(key)
        return entry[0] if entry is not None else 0

    def count(self, key: str, event_at_ns: int, now_ns: int) -> None:
        """Count one more try, which follows an event (an exit, a failed pull) at `event_at_ns`."""
        entry = self._entries.get(key)
        if entry is None or event_at_ns - entry[1] > 2 * MAX_NS:
            self._entries[key] = (INITIAL_NS, now_ns)
        else:
            self._entries[key] = (min(2 * entry[0], MAX_NS), now_ns)

    def is_waiting(self, key: str, event_at_ns: int, now_ns: int) -> bool:
        """Whether less than the delay has passed since the event."""
        entry = self._entries.get(key)
        if entry is None or event_at_ns - entry[1] > 2 * MAX_NS:
            return False
        return now_ns - event_at_ns < entry[0]

    def is_waiting_since_count(self, key: str, now_ns: int) -> bool:
        """Whether less than the delay has passed since the last count."""
        entry = self._entries.get(key)
        return entry is not None and now_ns - entry[1] < entry[0]


def go_seconds(ns: int) -> str:
    """A duration of whole seconds as Go prints it: `10s`, `2m40s`."""
    minutes, seconds = divmod(ns // SECOND, 60)
    return f"{minutes}m{seconds}s" if minutes else f"{seconds}s"

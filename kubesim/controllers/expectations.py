"""What a controller has asked for and not yet seen: it must not act again on a cache that does not show its own writes.

Upstream: pkg/controller/controller_utils.go:ControllerExpectations, UIDTrackingControllerExpectations @v1.36
"""

from __future__ import annotations

from typing import final

from kubesim.sim.loop import MINUTE, Loop

# After this long without the awaited event the controller acts on what it sees.
TIMEOUT_NS = 5 * MINUTE


@final
class _Pending:
    __slots__ = ("at_ns", "creations", "deletions")

    def __init__(self, at_ns: int, creations: int, deletions: dict[str, None]) -> None:
        self.at_ns = at_ns
        self.creations = creations
        self.deletions = deletions


@final
class Expectations:
    """Pending creations (counted) and deletions (by Pod) per controller key."""

    __slots__ = ("_loop", "_pending")

    def __init__(self, loop: Loop) -> None:
        self._loop = loop
        self._pending: dict[tuple[str, str], _Pending] = {}

    def expect_creations(self, key: tuple[str, str], count: int) -> None:
        """About to create so many Pods; what was expected before is void."""
        self._pending[key] = _Pending(self._loop.now_ns, count, {})

    def expect_deletions(self, key: tuple[str, str], uids: list[str]) -> None:
        """About to delete these Pods; what was expected before is void."""
        self._pending[key] = _Pending(self._loop.now_ns, 0, dict.fromkeys(uids))

    def creation_observed(self, key: tuple[str, str]) -> None:
        """One Pod has appeared, or will not."""
        pending = self._pending.get(key)
        if pending is not None and pending.creations > 0:
            pending.creations -= 1

    def deletion_observed(self, key: tuple[str, str], uid: str) -> None:
        """This Pod is seen to be going or gone, or will not go; saying so twice counts once."""
        pending = self._pending.get(key)
        if pending is not None:
            pending.deletions.pop(uid, None)

    def satisfied(self, key: tuple[str, str]) -> bool:
        """Whether everything asked for has been seen, or has been waited for long enough."""
        pending = self._pending.get(key)
        if pending is None or (pending.creations <= 0 and not pending.deletions):
            return True
        return self._loop.now_ns - pending.at_ns > TIMEOUT_NS

    def forget(self, key: tuple[str, str]) -> None:
        """The owner is gone; one of the same name starts afresh."""
        self._pending.pop(key, None)

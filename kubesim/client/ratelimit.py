"""Client-side rate limits and back-off, in virtual time.

Upstream: client-go/util/flowcontrol/throttle.go, client-go/util/workqueue/default_rate_limiters.go @v1.36
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import final

from kubesim.sim.loop import MILLISECOND, SECOND


@final
class TokenBucket:
    """`qps` tokens a second, at most `burst` saved up. Reservations may run ahead: each waits for its own token."""

    __slots__ = ("_full_at_ns", "_interval_ns", "_slack_ns")

    def __init__(self, qps: int, burst: int) -> None:
        self._interval_ns = SECOND // qps
        self._slack_ns = (burst - 1) * self._interval_ns
        self._full_at_ns = 0

    def reserve(self, now_ns: int) -> int:
        """Take a token; returns how long to wait for it in ns."""
        at_ns = max(self._full_at_ns, now_ns)
        self._full_at_ns = at_ns + self._interval_ns
        return max(0, at_ns - self._slack_ns - now_ns)


@final
class ItemBackoff:
    """Exponential delay per item: base, doubled with every failure, up to a limit."""

    __slots__ = ("_base_ns", "_failures", "_max_ns")

    def __init__(self, base_ns: int, max_ns: int) -> None:
        self._base_ns = base_ns
        self._max_ns = max_ns
        self._failures: dict[Hashable, int] = {}

    def next_ns(self, item: Hashable) -> int:
        """Count one more failure of `item`; returns the delay before its next try in ns."""
        failures = self._failures.get(item, 0)
        self._failures[item] = failures + 1
        return min(self._base_ns << min(failures, 62), self._max_ns)

    def failures(self, item: Hashable) -> int:
        """How many failures of `item` have been counted since it was last forgotten."""
        return self._failures.get(item, 0)

    def forget(self, item: Hashable) -> None:
        """Start anew with `item`, which has succeeded."""
        self._failures.pop(item, None)


def controller_backoff() -> ItemBackoff:
    """The default of controllers' queues: 5 ms doubling to 1000 s. Upstream: DefaultTypedControllerRateLimiter."""
    return ItemBackoff(5 * MILLISECOND, 1000 * SECOND)

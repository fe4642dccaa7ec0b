"""Who of a component's replicas works: one that cannot renew its lease for ten seconds gives up, and whoever comes
after it must first see the lease expire.

Renewals are not written, as an idle day would be full of them; only their outcome is modelled.
Upstream: client-go/tools/leaderelection/leaderelection.go; component-base/config defaults @v1.36
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, final

from kubesim.cluster.control_plane import ControlPlane
from kubesim.sim.chooser import Stream
from kubesim.sim.loop import SECOND, Timer

LEASE_NS: Final = 15 * SECOND
RENEW_DEADLINE_NS: Final = 10 * SECOND
RETRY_NS: Final = 2 * SECOND
# Upstream: leaderelection.go:JitterFactor: a wait is up to this much of itself longer.
_JITTER: Final = 1.2


@final
class Leadership:
    """Starts and stops the work of one component. `start` is called for every term, `stop` at each one's end."""

    def __init__(
        self, plane: ControlPlane, process: str, stream: Stream, start: Callable[[], None], stop: Callable[[], None]
    ) -> None:
        self._plane = plane
        self._process = process
        self._stream = stream
        self._start = start
        self._stop = stop
        self._giving_up: Timer | None = None
        self._taking_over: Timer | None = None
        self._is_wanted = True
        self.is_leading = False
        self.since_ns = plane.loop.now_ns
        plane.on_trouble.append(self._look)

    def begin(self) -> None:
        """The first term, with nobody's lease before it."""
        self.is_leading = True
        self._start()

    def crash(self) -> None:
        """The leader is gone at once, and its lease stays; nobody takes over before `recover`."""
        self._is_wanted = False
        self._lose()

    def recover(self) -> None:
        """A replica is there again and takes over as soon as the lease lets it."""
        self._is_wanted = True
        self._look()

    def change(self) -> None:
        """The leader is gone at once, and another replica waits for its lease to expire."""
        self._lose()
        self._look()

    def end(self) -> None:
        """The cluster is closed."""
        self._is_wanted = False
        self._plane.on_trouble.remove(self._look)
        self._lose()

    def _lose(self) -> None:
        for timer in (self._giving_up, self._taking_over):
            if timer is not None:
                timer.cancel()
        if self.is_leading:
            self.is_leading = False
            self._stop()

    def _look(self) -> None:
        """The way to the API server may have become another one."""
        loop = self._plane.loop
        if self.is_leading:
            if self._is_reachable:
                if self._giving_up is not None:
                    self._giving_up.cancel()
            elif self._giving_up is None or not self._giving_up.pending:
                self._giving_up = loop.timer(RENEW_DEADLINE_NS, self._give_up)
        elif self._is_wanted and (self._taking_over is None or not self._taking_over.pending) and self._is_reachable:
            wait_ns = LEASE_NS + int(RETRY_NS * (1 + _JITTER) * self._stream.fraction())
            self._taking_over = loop.timer(wait_ns, self._take_over)

    @property
    def _is_reachable(self) -> bool:
        """Whether a replica of this component could renew a lease now."""
        return not any(trouble.stops_leaders for trouble in self._plane.troubles_of(self._process))

    def _give_up(self) -> None:
        self._lose()
        self._look()

    def _take_over(self) -> None:
        if self._is_wanted and self._is_reachable:
            self.is_leading = True
            self.since_ns = self._plane.loop.now_ns
            self._start()

"""A container's healthcheck: a command every so often, and what dockerd makes of its outcomes. It restarts nothing.

The first one runs an interval after the start, each further one an interval after the end of the one before. Seen on
dockerd 20.10 with interval 2s and retries 2: checks 2.3, 4.4, 6.4, 8.5 and 10.6 s after `docker run`, unhealthy with
the second failure, and the container ran on. Other services learn of it only by `depends_on` at `docker compose up`.
Upstream: moby daemon/health.go:monitor, handleProbeResult; docs /reference/dockerfile#healthcheck
"""

from __future__ import annotations

from collections.abc import Callable
from typing import final

from kubesim.compose.container import Container
from kubesim.compose.model import Healthcheck
from kubesim.sim.loop import Loop

# Runs a command in a container within a time and calls back with its exit code, -1 where it has none.
Execute = Callable[[Container, tuple[str, ...], int, Callable[[int], None]], None]


@final
class Monitor:
    """The checks of one run of a container; `on_change` hears of each new status."""

    def __init__(
        self, loop: Loop, container: Container, check: Healthcheck, execute: Execute, on_change: Callable[[], None]
    ) -> None:
        self._loop = loop
        self._container = container
        self._check = check
        self._execute = execute
        self._on_change = on_change
        self._failures = 0
        self._token = container.token
        container.health = "starting"
        self._schedule()

    @property
    def _is_over(self) -> bool:
        return self._container.token != self._token or self._container.state != "running"

    def _is_in_start_period(self, at_ns: int) -> bool:
        return at_ns - self._container.started_ns < self._check.start_period_ns

    def _schedule(self) -> None:
        check = self._check
        is_early = self._container.health == "starting" and self._is_in_start_period(self._loop.now_ns)
        self._loop.post(check.start_interval_ns if is_early else check.interval_ns, self._probe, None)

    def _probe(self, _: None) -> None:
        if self._is_over:
            return
        began_ns = self._loop.now_ns

        def on_done(exit_code: int) -> None:
            if not self._is_over:
                self._count(exit_code, began_ns)
                self._schedule()

        check = self._check
        self._execute(self._container, check.test[1:], check.timeout_ns, on_done)

    def _count(self, exit_code: int, began_ns: int) -> None:
        """A failure within the start period does not count, unless the container has been healthy before."""
        container = self._container
        before = container.health
        if exit_code == 0:
            self._failures = 0
            container.health = "healthy"
        elif before != "starting" or not self._is_in_start_period(began_ns):
            self._failures += 1
            if self._failures >= self._check.retries:
                container.health = "unhealthy"
        if container.health != before:
            self._on_change()

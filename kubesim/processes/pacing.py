"""Drives the loop by the wall clock: what is due runs when its instant has come, and the real world is let in between.

Everything is one thread. Child exits, sockets and pipes are asyncio callbacks; they hand what they have to say in by
`hand_in`, which first lets the loop catch up, so that its clock says what a watch on the wall would.
"""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Callable
from typing import Any, final

from kubesim.sim.loop import SECOND, Loop

_STEP_MAX_NS = 10 * SECOND


@final
class Pacer:
    """Couples a `Loop` to an asyncio loop. Real time begins to count with `start`."""

    def __init__(self, loop: Loop, revision: Callable[[], int]) -> None:
        """`revision` changes whenever a condition that somebody waits for may have changed."""
        self.aio = asyncio.new_event_loop()
        self.loop = loop
        self._revision = revision
        self._base_ns = loop.now_ns - time.monotonic_ns()
        self._handle: asyncio.TimerHandle | None = None
        self._is_stepping = False
        self._error: BaseException | None = None
        self._stop: Callable[[], bool] | None = None
        self._end_ns: int | None = None
        self._seen = -1
        self._has_stopped = False
        self._is_interrupted = False
        self.aio.set_exception_handler(self._on_error)

    def start(self) -> None:
        """Let the loop's present instant be now."""
        self._base_ns = self.loop.now_ns - time.monotonic_ns()

    def wall_ns(self) -> int:
        """The present instant on the loop's scale."""
        return time.monotonic_ns() + self._base_ns

    def hand_in(self, callback: Callable[..., None], *arguments: Any) -> None:
        """Let the loop catch up with the wall clock, then call; from within the loop's own steps, call right after."""
        if self._is_stepping:
            self.loop.post(0, lambda _: callback(*arguments), None)
            return
        self._step(lambda: callback(*arguments))

    def run(self, end_ns: int | None = None, stop: Callable[[], bool] | None = None) -> bool:
        """Let real time pass until `stop()`, asked after every change, or until `end_ns`; returns whether it stopped.

        Raises:
            KeyboardInterrupt: SIGINT, SIGTERM or SIGHUP has come.
        """
        if stop is not None and stop():
            return True
        self._stop, self._end_ns, self._has_stopped, self._seen = stop, end_ns, False, self._revision()
        self.aio.call_soon(self._step)
        self.aio.run_forever()
        self._stop = self._end_ns = None
        if self._handle is not None:
            self._handle.cancel()
        if self._error is not None:
            error, self._error = self._error, None
            raise error
        if self._is_interrupted:
            self._is_interrupted = False
            raise KeyboardInterrupt
        return self._has_stopped

    def catch_signals(self) -> None:
        """Turn the signals that ask to end into a `KeyboardInterrupt` out of `run`. For the main thread."""
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            self.aio.add_signal_handler(number, self._interrupt)

    def close(self) -> None:
        """Nothing more is driven."""
        self.aio.run_until_complete(_cancel(asyncio.all_tasks(self.aio)))
        self.aio.run_until_complete(self.aio.shutdown_asyncgens())
        self.aio.close()

    def _interrupt(self) -> None:
        self._is_interrupted = True
        self.aio.stop()

    def _on_error(self, _: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        error = context.get("exception")
        if isinstance(error, (ConnectionError, TimeoutError)):
            return  # somebody at the other end of a socket has gone
        self._error = self._error or error or RuntimeError(context["message"])
        self.aio.stop()

    def _step(self, then: Callable[[], None] | None = None) -> None:
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None
        self._is_stepping = True
        try:
            wall_ns = self.wall_ns()
            self.loop.run_until(wall_ns)
            if then is not None:
                then()
                self.loop.run_until(wall_ns)
        finally:
            self._is_stepping = False
        if self._is_over(wall_ns):
            self.aio.stop()
            return
        next_ns = self.loop.next_at_ns()
        wait_ns = _STEP_MAX_NS if next_ns is None else min(_STEP_MAX_NS, next_ns - self.wall_ns())
        if self._end_ns is not None:
            wait_ns = min(wait_ns, self._end_ns - self.wall_ns())
        self._handle = self.aio.call_later(max(0, wait_ns) / SECOND, self._step)

    def _is_over(self, wall_ns: int) -> bool:
        revision = self._revision()
        if self._stop is not None and revision != self._seen:
            self._seen = revision
            if self._stop():
                self._has_stopped = True
                return True
        return self._end_ns is not None and wall_ns >= self._end_ns


async def _cancel(tasks: set[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    if tasks:
        await asyncio.wait(tasks)
    for _ in range(3):
        await asyncio.sleep(0)  # connections that are closing hear of it

"""Paces a simulation's loop by the wall clock while asyncio serves: at a speed, as fast as it can, or not at all.

Everything is one thread. The loop runs in slices of a few milliseconds between which sockets are served, and requests
are carried out between two of its callbacks, at the instant that the wall clock says.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Final, final

from kubesim.sim.loop import SECOND, Loop

# A speed that means: as fast as it can until the cluster is quiet, then with the wall clock.
MAX: Final = 0.0
# The cluster is quiet when nothing but heartbeats has happened for this long: longer than a rollout's deadline, the
# patience with a lost node, or the pause before a crashing container's next start.
QUIET_NS: Final = 700 * SECOND
# What never becomes quiet, such as a container that crashes for ever, is not hurried for ever after a request.
_HURRY_MAX_NS: Final = 1200 * SECOND
_SLICE_NS: Final = 5_000_000
_LAG_MAX_NS: Final = SECOND // 2
_IDLE_MAX_S: Final = 10.0


@final
class Pace:
    """Couples a `Loop` to the asyncio loop that runs. `activity` is a number that changes when something happens."""

    def __init__(self, loop: Loop, activity: Callable[[], int], speed: float = 1.0) -> None:
        self.loop = loop
        self.speed = speed
        self.is_paused = False
        self._activity = activity
        self._seen = activity()
        self._active_ns = loop.now_ns
        self._asked_ns = loop.now_ns
        self._base_loop_ns = loop.now_ns
        self._base_wall_ns = time.monotonic_ns()
        self._handle: asyncio.TimerHandle | asyncio.Handle | None = None
        self._armed_ns: int | None = None
        self._is_driven = False
        self._aio: asyncio.AbstractEventLoop | None = None

    def start(self) -> None:
        """Let the loop's present instant be now, and go on from there. Within the asyncio loop."""
        self._aio = asyncio.get_running_loop()
        self._rebase()
        self._arm()

    def stop(self) -> None:
        """Nothing more is driven."""
        self._disarm()
        self._aio = None

    @property
    def is_quiet(self) -> bool:
        """Whether nothing but heartbeats has happened for a while."""
        self._look()
        return self.loop.now_ns - self._active_ns >= QUIET_NS

    # --- control ---

    def set_speed(self, speed: float) -> None:
        """Virtual seconds a second of the wall, or `MAX`."""
        self.speed = speed
        self.resume()

    def pause(self) -> None:
        """Let time stand still; requests are still answered."""
        self.catch_up()
        self.is_paused = True
        self._disarm()

    def resume(self) -> None:
        """The end of `pause`."""
        self.is_paused = False
        self._active_ns = self._asked_ns = self.loop.now_ns
        self._rebase()
        self._arm()

    async def advance(self, within_ns: int, *, until_quiet: bool = False) -> int:
        """Let virtual time pass as fast as it can, also in a pause; returns how much has passed, in ns."""
        start_ns = self.loop.now_ns
        end_ns = start_ns + within_ns
        self._is_driven = True
        self._active_ns = max(self._active_ns, start_ns - QUIET_NS + 1)
        try:
            while self.loop.now_ns < end_ns and not (until_quiet and self.is_quiet):
                target_ns = min(end_ns, self._active_ns + QUIET_NS) if until_quiet else end_ns
                self._slice(target_ns)
                await asyncio.sleep(0)
        finally:
            self._is_driven = False
            self._rebase()
            self._arm()
        return self.loop.now_ns - start_ns

    async def wait(self, duration_ns: int) -> None:
        """Let virtual time pass for a request that takes some; in a pause, too, or whoever asks would wait for ever."""
        if self.is_paused or self.speed == MAX:
            await self.advance(duration_ns)
            return
        passed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.loop.post(duration_ns, _settle, passed)
        self.nudge()
        await passed
        self.catch_up()

    # --- driving ---

    def catch_up(self) -> None:
        """Before a request: let the loop come to the present instant, as far as it can in a moment."""
        if self.is_paused or self._is_driven:
            return
        target_ns = self._present_ns()
        next_ns = self.loop.next_at_ns()
        if next_ns is None or next_ns > target_ns:
            self.loop.now_ns = max(self.loop.now_ns, target_ns)
            return
        self._slice(target_ns)

    def nudge(self) -> None:
        """After a request: what it has set in motion may be due before all else."""
        self._asked_ns = self.loop.now_ns
        if self.is_paused or self._is_driven or self._aio is None:
            return
        next_ns = self.loop.next_at_ns()
        if next_ns is not None and (self._armed_ns is None or next_ns < self._armed_ns or self.speed == MAX):
            self._arm()

    @property
    def _is_hurried(self) -> bool:
        return self.speed == MAX and not self.is_quiet and self.loop.now_ns - self._asked_ns < _HURRY_MAX_NS

    def _present_ns(self) -> int:
        passed_ns = time.monotonic_ns() - self._base_wall_ns
        return self._base_loop_ns + (passed_ns if self.speed in (1.0, MAX) else round(passed_ns * self.speed))

    def _rebase(self) -> None:
        self._base_loop_ns = self.loop.now_ns
        self._base_wall_ns = time.monotonic_ns()

    def _look(self) -> None:
        seen = self._activity()
        if seen != self._seen:
            self._seen = seen
            self._active_ns = self.loop.now_ns

    def _slice(self, target_ns: int) -> bool:
        """Run what is due until `target_ns`, for a moment at most; returns whether there is more."""
        end_ns = time.monotonic_ns() + _SLICE_NS
        clock = time.monotonic_ns
        is_cut = self.loop.run_until(target_ns, lambda: clock() > end_ns)
        self._look()
        return is_cut

    def _step(self) -> None:
        self._handle = self._armed_ns = None
        if self.is_paused or self._is_driven:
            return
        is_hurried = self._is_hurried
        target_ns = self._active_ns + QUIET_NS if is_hurried else self._present_ns()
        is_behind = True
        try:
            is_behind = self._slice(target_ns)
        finally:
            # A callback that fails is logged by asyncio, and time goes on.
            if is_hurried or target_ns - self.loop.now_ns > _LAG_MAX_NS:
                # What the machine cannot keep up with makes virtual time slower, not the answers late.
                self._rebase()
            self._arm(is_at_once=is_behind)

    def _arm(self, *, is_at_once: bool = False) -> None:
        self._disarm()
        aio = self._aio
        if aio is None or self.is_paused or self._is_driven:
            return
        next_ns = self.loop.next_at_ns()
        if is_at_once or self._is_hurried:
            self._armed_ns = next_ns
            self._handle = aio.call_soon(self._step)
            return
        self._armed_ns = next_ns
        wait_s = _IDLE_MAX_S
        if next_ns is not None:
            wait_s = min(wait_s, (next_ns - self._present_ns()) / SECOND / (self.speed or 1.0))
        self._handle = aio.call_later(max(0.0, wait_s), self._step)

    def _disarm(self) -> None:
        if self._handle is not None:
            self._handle.cancel()
            self._handle = self._armed_ns = None


def _settle(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)

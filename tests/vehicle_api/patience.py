"""Time for tests on a machine that has much else to do.

A test must not fail because somebody else has the processor. So the service's deadlines are long unless a test is about
them (`with_deadlines`), and such a test counts by a clock that leaves out what the machine took from this process.
"""

from __future__ import annotations

import asyncio
import contextlib
import selectors
import time
from collections.abc import Iterator

import pytest

from vehicle_api import pool, store

_FACTOR = 60
_DEADLINES = (
    (store, "DATABASE_SECONDS"),
    (store, "READY_SECONDS"),
    (store, "MIGRATE_SECONDS"),
    (pool, "CONNECT_SECONDS"),
    (pool, "STATEMENT_SECONDS"),
)
_REAL = {name: getattr(module, name) for module, name in _DEADLINES}


@contextlib.contextmanager
def _deadlines(factor: float) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        for module, name in _DEADLINES:
            patch.setattr(module, name, factor * _REAL[name])
        yield


def be_patient() -> contextlib.AbstractContextManager[None]:
    """What begins in here has a minute for what it may otherwise take a second for."""
    return _deadlines(_FACTOR)


def with_deadlines() -> contextlib.AbstractContextManager[None]:
    """What begins in here has the service's own deadlines."""
    return _deadlines(1)


class _Selector(selectors.DefaultSelector):
    """Adds up for how long this process would have run but did not: late wake-ups, and pauses between them."""

    def __init__(self) -> None:
        super().__init__()
        self.lost = 0.0
        self._left = self._now()

    @staticmethod
    def _now() -> tuple[float, float]:
        return time.monotonic(), time.process_time()

    def select(self, timeout=None):
        wall, used = self._now()
        self.lost += max(0.0, wall - self._left[0] - (used - self._left[1]))
        found = super().select(timeout)
        self._left = self._now()
        if timeout is not None:
            self.lost += max(0.0, self._left[0] - wall - max(0.0, timeout))
        return found


class PatientLoop(asyncio.SelectorEventLoop):
    """An event loop whose clock stands while its process may not run."""

    def __init__(self) -> None:
        self._own = _Selector()
        super().__init__(self._own)

    def time(self) -> float:
        return time.monotonic() - self._own.lost

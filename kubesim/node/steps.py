"""Sequences of asynchronous calls written as generators.

A generator yields a delay in ns, or a call: a function that takes a callback and calls it once with the outcome, which
the generator is sent. Nothing of a closed sequence runs any more, whatever still arrives for it.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable
from typing import TYPE_CHECKING, Any, final

if TYPE_CHECKING:
    from kubesim.sim.loop import Loop

Call = Callable[[Callable[[Any], None]], None]
Sequence = Generator[int | Call, Any, Any]


@final
class Steps:
    """Drives one generator to its end; `on_done` gets what it returns."""

    __slots__ = ("_generator", "_loop", "_on_done")

    def __init__(self, loop: Loop, generator: Sequence, on_done: Callable[[Any], None]) -> None:
        self._loop = loop
        self._generator: Sequence | None = generator
        self._on_done = on_done

    def resume(self, value: Any = None) -> None:
        """Carry on with the outcome of the last step; the first call starts."""
        generator = self._generator
        if generator is None:
            return
        try:
            step = generator.send(value)
        except StopIteration as stop:
            self._generator = None
            self._on_done(stop.value)
            return
        if type(step) is int:
            self._loop.post(step, self.resume, None)
        else:
            step(self.resume)  # type: ignore[operator]

    def close(self) -> None:
        """End here; `on_done` is not called."""
        generator, self._generator = self._generator, None
        if generator is not None:
            generator.close()


def together(loop: Loop, generators: Iterable[Sequence]) -> Call:
    """A call that runs sequences side by side and is done when the last of them is."""
    sequences = list(generators)

    def call(on_done: Callable[[Any], None]) -> None:
        left = len(sequences)
        if not left:
            loop.post(0, on_done, None)
            return

        def finish(_: Any) -> None:
            nonlocal left
            left -= 1
            if not left:
                on_done(None)

        for generator in sequences:
            Steps(loop, generator, finish).resume()

    return call


def within(loop: Loop, timeout_ns: int, inner: Call) -> Call:
    """A call that is done when the inner one is, or with `TIMEOUT` after `timeout_ns`."""

    def call(on_done: Callable[[Any], None]) -> None:
        is_done = False

        def finish(value: Any) -> None:
            nonlocal is_done
            if not is_done:
                is_done = True
                on_done(value)

        loop.post(timeout_ns, finish, TIMEOUT)
        inner(finish)

    return call


@final
class _Timeout:
    """The type of `TIMEOUT`."""

    __slots__ = ()


TIMEOUT = _Timeout()


@final
class Latch:
    """Something that happens once; those who wait for it go on then."""

    __slots__ = ("_waiting", "is_open")

    def __init__(self) -> None:
        self.is_open = False
        self._waiting: list[Callable[[Any], None]] = []

    def open(self) -> None:
        """It has happened."""
        self.is_open = True
        waiting, self._waiting = self._waiting, []
        for on_done in waiting:
            on_done(None)

    def wait(self, on_done: Callable[[Any], None]) -> None:
        """A call for `Steps`; only for a latch that isn't open."""
        self._waiting.append(on_done)

"""What is asked of a container runtime whose process is down waits until it is there again, in the order of asking.

A real runtime refuses meanwhile, and the kubelet asks again and again; what comes of it is the same.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, final

if TYPE_CHECKING:
    from kubesim.sim.loop import Loop


@final
class Gate:
    """Open from the start."""

    __slots__ = ("_held", "_loop", "is_open")

    def __init__(self, loop: Loop) -> None:
        self.is_open = True
        self._loop = loop
        self._held: list[tuple[Callable[[Any], None], Any]] = []

    def post(self, delay_ns: int, handler: Callable[[Any], None], value: Any) -> None:
        """Call `handler(value)` after a delay, or once the gate is open after that."""
        self._loop.post(delay_ns, self._arrive, (handler, value))

    def call(self, handler: Callable[[Any], None], value: Any) -> None:
        """Call it now, or once the gate is open."""
        if self.is_open:
            handler(value)
        else:
            self._held.append((handler, value))

    def _arrive(self, call: tuple[Callable[[Any], None], Any]) -> None:
        self.call(*call)

    def close(self) -> None:
        """Nothing passes from now on."""
        self.is_open = False

    def open(self) -> None:
        """Everything passes again, first what was held."""
        self.is_open = True
        held, self._held = self._held, []
        for handler, value in held:
            handler(value)

    def forget(self) -> None:
        """Nobody waits any more for what is held."""
        self._held.clear()

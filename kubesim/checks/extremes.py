"""The highest and lowest values that a number had in the last moments, which late readers may still go by."""

from __future__ import annotations

from collections import deque
from typing import final

from kubesim.sim.loop import Loop


@final
class Recent:
    """A number over time. Old values are forgotten `span_ns` after they were replaced."""

    __slots__ = ("_loop", "_replaced", "_span_ns", "value")

    def __init__(self, loop: Loop, span_ns: int, value: int) -> None:
        self._loop = loop
        self._span_ns = span_ns
        self.value = value
        # (when it was replaced, the value)
        self._replaced: deque[tuple[int, int]] = deque()

    def set(self, value: int) -> None:
        """The number is this from now on."""
        if value != self.value:
            self._replaced.append((self._loop.now_ns, self.value))
            self.value = value
            self._forget()

    def _forget(self) -> None:
        replaced, since_ns = self._replaced, self._loop.now_ns - self._span_ns
        while replaced and replaced[0][0] < since_ns:
            replaced.popleft()

    @property
    def highest(self) -> int:
        """The highest of the present and the recent values."""
        if not self._replaced:
            return self.value
        self._forget()
        return max(self.value, *(value for _, value in self._replaced), self.value)

    @property
    def lowest(self) -> int:
        """The lowest of the present and the recent values."""
        if not self._replaced:
            return self.value
        self._forget()
        return min(self.value, *(value for _, value in self._replaced), self.value)

"""Commands that take time, as generators: each yields what it waits for and goes on with the outcome.

What is waited for is a `Step`: a function that begins something and calls back once, or never, as when the host's power
is gone; then the command is never heard of again, as a person's terminal on that host is not.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from typing import Any, TypeVar

T = TypeVar("T")
Step = Callable[[Callable[[Any], None]], None]
Work = Generator[Step, Any, T]


def begin(work: Work[T], on_done: Callable[[T], None]) -> None:
    """Do the work from now on; `on_done` gets what it returns."""
    _go_on(work, on_done, None)


def _go_on(work: Work[T], on_done: Callable[[T], None], outcome: Any) -> None:
    try:
        step = work.send(outcome)
    except StopIteration as end:
        on_done(end.value)
        return
    step(lambda result: _go_on(work, on_done, result))


def together(works: Sequence[Work[T]]) -> Step:
    """A step that does several works at once; its outcome is the list of theirs, in their order."""

    def start(on_done: Callable[[list[Any]], None]) -> None:
        results: list[Any] = [None] * len(works)
        left = len(works)
        if not works:
            on_done(results)

        def finish(index: int, result: Any) -> None:
            nonlocal left
            results[index] = result
            left -= 1
            if not left:
                on_done(results)

        for index, work in enumerate(works):
            begin(work, lambda result, index=index: finish(index, result))  # type: ignore[misc]

    return start

"""Several small procedures at once inside one reconcile, as upstream runs goroutines and waits for all of them.

The parts advance in step: the next requests of all of them go out together, and each is resumed with its own reply.
Upstream: client-go/util/workqueue/parallelizer.go:ParallelizeUntil,
pkg/controller/statefulset/stateful_set_control.go:slowStartBatch @v1.36
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import Any, TypeVar

from kubesim.api.requests import Request
from kubesim.controllers.base import Step, Wait
from kubesim.errors import ApiError

T = TypeVar("T")
Part = Generator[Request | Wait, Any, T]


def together(parts: Sequence[Part[T]]) -> Generator[Step, Any, list[T | ApiError]]:
    """Run the parts to their ends; returns what each returned, or the `ApiError` that it raised."""
    outcomes: list[Any] = [None] * len(parts)
    ready: list[tuple[int, Any]] = [(index, None) for index in range(len(parts))]
    while ready:
        asking: list[int] = []
        requests: list[Request] = []
        pausing: list[int] = []
        pause_ns = 0
        for index, reply in ready:
            part = parts[index]
            try:
                step = part.throw(reply) if isinstance(reply, ApiError) else part.send(reply)
            except StopIteration as stop:
                outcomes[index] = stop.value
            except ApiError as error:
                outcomes[index] = error
            else:
                if isinstance(step, Request):
                    asking.append(index)
                    requests.append(step)
                else:
                    pausing.append(index)
                    pause_ns = max(pause_ns, step.ns)
        ready = []
        if requests:
            replies = yield tuple(requests)
            ready += zip(asking, replies, strict=True)
        if pausing:
            yield Wait(pause_ns)
            ready += [(index, None) for index in pausing]
    return outcomes


def in_slow_start(parts: Sequence[Part[T]], batch_max: int) -> Generator[Step, Any, None]:
    """Run the parts in batches of 1, 2, 4, … up to `batch_max`; a failure ends it after its batch.

    Raises:
        ApiError: the first failure of a batch.
    """
    start, size = 0, 1
    while start < len(parts):
        outcomes = yield from together(parts[start : start + size])
        for outcome in outcomes:
            if isinstance(outcome, ApiError):
                raise outcome
        start += size
        size = min(2 * size, batch_max)

"""What a controller is, and the one runner that drives them all.

A controller's `reconcile(key)` is a generator: it reads listers freely, yields a `Request` and is sent the reply (or
has the `ApiError` raised at that point), or yields a tuple of them, which go out together and come back as a list in
which failures stay values. Between a yield and its reply the world moves. It returns a `Result`, or raises:

- raise `ApiError` or `NotYetError` → the key comes back after its back-off
- `Result(after_ns=n)` → forgotten, and comes back after n
- `Result()` or None → forgotten
- raise `TerminalError` → recorded by the caller of the runner, never tried again for this change

Upstream: controller-runtime pkg/internal/controller/controller.go, any k/k controller's processNextWorkItem @v1.36
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from typing import Any, NamedTuple, Protocol, final

from kubesim.api.objects import Object
from kubesim.api.requests import Request
from kubesim.client.informer import InformerFactory
from kubesim.client.port import Client, Reply
from kubesim.client.recorder import Recorder
from kubesim.client.workqueue import WorkQueue
from kubesim.errors import ApiError
from kubesim.sim.chooser import Stream
from kubesim.sim.loop import Loop


class Result(NamedTuple):
    """A reconcile that succeeded. `after_ns` asks for the key again after that long."""

    after_ns: int = 0


DONE = Result()


class TerminalError(Exception):
    """Trying again cannot help: the object itself must change first."""


class NotYetError(Exception):
    """Not now: a cache is behind, or what is needed does not exist yet. The key comes back after its back-off."""


class Wait(NamedTuple):
    """Yielded instead of a request: carry on after that long."""

    ns: int


Step = Request | tuple[Request, ...] | Wait
Reconcile = Generator[Step, Any, Result | None]


class Worker(NamedTuple):
    """A queue, what is done with its keys, and how many may be in work at once. A key that has failed `retries` times
    in a row is dropped until something adds it again; 0 never drops one."""

    queue: WorkQueue
    reconcile: Callable[[Any], Reconcile]
    concurrency: int
    retries: int = 0


class ControllerContext(NamedTuple):
    """What a controller is given. `client` carries the controller's own identity and rate limit; `informers` are the
    process's, shared with the other controllers; `stream` is the controller's own source of choices. `attach_delay_ns`
    says how much longer than usual a cloud takes for a disk at this moment."""

    loop: Loop
    client: Client
    informers: InformerFactory
    recorder: Recorder
    stream: Stream
    attach_delay_ns: Callable[[], int] = lambda: 0


class Controller(Protocol):
    """A control loop, made from a `ControllerContext`: named as in upstream's list, made of one or more workers."""

    name: str

    @property
    def workers(self) -> Sequence[Worker]:
        """Its queues with their reconcile functions."""
        ...


@final
class Runner:
    """Drives one worker: takes keys while there is room, advances their generators reply by reply."""

    def __init__(
        self,
        loop: Loop,
        client: Client,
        worker: Worker,
        on_error: Callable[[Any, Exception], None] | None = None,
    ) -> None:
        self._loop = loop
        self._client = client
        self._queue = worker.queue
        self._reconcile = worker.reconcile
        self._free = worker.concurrency
        self._retries = worker.retries
        self._on_error = on_error
        self._woken = False
        self._active: dict[Any, Reconcile] = {}
        worker.queue.on_ready = self._wake

    def start(self) -> None:
        """Look at what has been queued before the start."""
        self._wake()

    def stop(self) -> None:
        """The process dies: every reconcile ends where it stands, with nothing written after."""
        self._queue.on_ready = None
        self._free = 0
        for generator in self._active.values():
            generator.close()
        self._active.clear()

    def _wake(self) -> None:
        # One callback later, so that a batch of watch events is complete before its keys are worked on.
        if not self._woken and self._free:
            self._woken = True
            self._loop.post(0, self._pump, None)

    def _pump(self, _: None) -> None:
        self._woken = False
        queue = self._queue
        while self._free and len(queue):
            key = queue.take()
            self._free -= 1
            generator = self._reconcile(key)
            self._active[key] = generator
            self._advance(key, generator, None)

    def _advance(self, key: Any, generator: Reconcile, reply: Any) -> None:
        try:
            step = generator.throw(reply) if isinstance(reply, ApiError) else generator.send(reply)
        except StopIteration as stop:
            self._finish(key, stop.value, None)
        except (ApiError, NotYetError, TerminalError) as error:
            self._finish(key, None, error)
        else:
            if isinstance(step, Request):
                self._client.send(step, lambda reply: self._resume(key, generator, reply))
            elif isinstance(step, Wait):
                self._loop.post(step.ns, lambda _: self._resume(key, generator, None), None)
            else:
                self._send_together(key, generator, step)

    def _resume(self, key: Any, generator: Reconcile, reply: Any) -> None:
        if self._active.get(key) is generator:
            self._advance(key, generator, reply)

    def _send_together(self, key: Any, generator: Reconcile, requests: Sequence[Any]) -> None:
        replies: list[Reply | None] = [None] * len(requests)
        missing = len(requests)
        if not missing:
            self._loop.post(0, lambda _: self._resume(key, generator, []), None)
            return

        def take(position: int) -> Callable[[Reply], None]:
            def on_reply(reply: Reply) -> None:
                nonlocal missing
                replies[position] = reply
                missing -= 1
                if not missing:
                    self._resume(key, generator, replies)

            return on_reply

        for position, request in enumerate(requests):
            self._client.send(request, take(position))

    def _finish(self, key: Any, result: Result | None, error: Exception | None) -> None:
        del self._active[key]
        self._free += 1
        queue = self._queue
        if error is None or isinstance(error, TerminalError):
            queue.forget(key)
        if error is not None:
            if self._on_error is not None:
                self._on_error(key, error)
            if self._retries and queue.failures(key) >= self._retries:
                queue.give_up(key)
            elif not isinstance(error, TerminalError):
                queue.add_rate_limited(key)
        elif result is not None and result.after_ns > 0:
            queue.add_after(key, result.after_ns)
        queue.done(key)
        if len(queue):
            self._wake()


def first_error(replies: Sequence[Reply]) -> ApiError | None:
    """The first failure among the replies to a tuple of requests."""
    for reply in replies:
        if isinstance(reply, ApiError):
            return reply
    return None


def objects_among(replies: Sequence[Reply]) -> list[Object]:
    """The successes among the replies to a tuple of requests."""
    return [reply for reply in replies if not isinstance(reply, ApiError)]

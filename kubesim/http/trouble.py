"""What can be wrong between the API server and those who come over HTTP: for the control plane they are one client.

The port itself goes on, for the simulation's own paths: that nobody answers is a connection that is cut.
Upstream: apiserver/pkg/server/filters/priority-and-fairness.go:tooManyRequests @v1.36
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import final

from kubesim.api.objects import Object
from kubesim.api.requests import Request
from kubesim.api.scheme import Kind
from kubesim.client.trouble import REFUSED, Trouble, Verdict, combine, delay_of_watch_ns
from kubesim.cluster.control_plane import ControlPlane
from kubesim.errors import ApiError
from kubesim.http.pace import Pace
from kubesim.http.statuses import Reply, refusal, text

Answer = Callable[[Request], Object]


class Refused(Exception):  # noqa: N818 - it is an answer, or none
    """What trouble makes of a request: `reply`, or None where the connection breaks without one."""

    def __init__(self, error: ApiError) -> None:
        super().__init__(error.message)
        self.reply = _as_reply(error)


def _as_reply(error: ApiError) -> Reply | None:
    if not error.code:
        return None
    reply = refusal(error)
    if error.code == 429:
        # It is turned away before anybody knows what a Status is.
        return text(f"{error.message}\n", 429)._replace(headers=reply.headers)
    return reply


@final
class Way:
    """A `Connection` of the control plane, shared by all requests. Who asks it looks first whether there are
    `troubles`: most often there are none."""

    def __init__(self, plane: ControlPlane, pace: Pace) -> None:
        self._plane = plane
        self._pace = pace
        self._long: dict[asyncio.Transport, None] = {}
        self.troubles: tuple[Trouble, ...] = ()
        # Called when a trouble is over, and when watches of some kinds are to end.
        self.on_over: list[Callable[[], None]] = []
        self.on_break: list[Callable[[ApiError, Sequence[str]], None]] = []

    def add_trouble(self, trouble: Trouble) -> None:
        """Something is wrong from now on; a server that is gone cuts what takes long."""
        self.troubles = (*self.troubles, trouble)
        if self._plane.is_down:
            for transport in list(self._long):
                transport.abort()

    def end_trouble(self, trouble: Trouble) -> None:
        """It is well again."""
        self.troubles = tuple(each for each in self.troubles if each is not trouble)
        for listener in self.on_over:
            listener()

    def break_watches(self, error: ApiError, kinds: Sequence[str] = ()) -> None:
        """End the open watches (of these kinds, by their singulars) with an error for their readers."""
        for listener in self.on_break:
            listener(error, kinds)

    def close(self) -> None:
        """Nobody is served any more."""
        self.troubles = ()

    # --- for a request ---

    def refuse_if_down(self) -> None:
        """For what is about no resource.

        Raises:
            Refused: nobody is there.
        """
        if self._plane.is_down:
            raise Refused(REFUSED)

    async def admit(self, request: Request) -> Answer | None:
        """Let a request through when its delay has passed; returns who answers instead of the server, if somebody does.

        Raises:
            Refused: it is not carried out.
        """
        return await self._let_through(trouble.judge(request) for trouble in self.troubles)

    async def admit_watch(self, kind: Kind) -> Answer | None:
        """As `admit`, for a watch; what is returned lists what it begins with, if any state will do."""
        return await self._let_through(trouble.judge_watch(kind) for trouble in self.troubles)

    async def _let_through(self, verdicts: Iterable[Verdict | None]) -> Answer | None:
        verdict = combine(verdicts)
        if verdict.delay_ns:
            await self._pace.wait(verdict.delay_ns)
            self.refuse_if_down()
        if verdict.refusal is not None:
            raise Refused(verdict.refusal)
        return verdict.answer

    def lose_reply(self, request: Request) -> None:
        """For a request that has been carried out.

        Raises:
            Refused: its sender does not hear of it.
        """
        lost = [trouble.spoil_reply(request) for trouble in self.troubles]
        for error in lost:
            if error is not None:
                raise Refused(error)

    @contextmanager
    def cut_when_down(self, transport: asyncio.Transport | None) -> Iterator[None]:
        """While a connection carries what takes long, it breaks when the server is gone."""
        if transport is None:
            raise ConnectionResetError
        self._long[transport] = None
        try:
            yield
        finally:
            self._long.pop(transport, None)

    def delay_of_watch_ns(self, kind: Kind) -> int:
        """How much later the events of a watch come, or `HELD`."""
        return delay_of_watch_ns(self.troubles, kind)

"""The one port through which controllers, scheduler, kubelets and tests talk to the API server.

A call is asynchronous: `send` returns at once and `on_reply` is called later on the loop, with the object or with the
`ApiError`. Between the two the world may move; that is the point. Faults wrap a `Client` in another one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from kubesim.api.objects import Object
from kubesim.api.requests import NO_OPTIONS, Options, Request
from kubesim.api.scheme import Kind
from kubesim.errors import ApiError
from kubesim.store.watch import WatchEvent

Reply = Object | ApiError
OnReply = Callable[[Reply], None]
OnEvents = Callable[[Sequence[WatchEvent]], None]


class WatchHandle(Protocol):
    """An open watch."""

    def stop(self) -> None:
        """Close it; no further events are delivered."""
        ...


class Client(Protocol):
    """One process's connection to the API server, under one identity."""

    def send(self, request: Request, on_reply: OnReply) -> None:
        """Send a request; `on_reply` gets the outcome later, never before `send` has returned."""
        ...

    def watch(
        self, kind: Kind, resource_version: str, on_events: OnEvents, options: Options = NO_OPTIONS
    ) -> WatchHandle:
        """Open a watch from a revision. An ERROR event (410, connection lost) ends it; the reader lists again."""
        ...


def ignore_reply(reply: Reply) -> None:
    """An `on_reply` for writes whose outcome nobody waits for, such as Events."""

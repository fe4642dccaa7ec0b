"""The client port onto an API server in the same process: requests and watch events are events of the loop.

How long they take is a `Latency`; that alone, with each client's own rate limit, is what makes informers lag and
controllers race as they do for real.
"""

from __future__ import annotations

from typing import NamedTuple, final

from kubesim.api.requests import NO_OPTIONS, Options, Request
from kubesim.api.scheme import Kind
from kubesim.apiserver.pod_admission import TryAgain
from kubesim.apiserver.server import ApiServer, Identity
from kubesim.client.port import OnEvents, OnReply, Reply, WatchHandle
from kubesim.client.ratelimit import TokenBucket
from kubesim.errors import ApiError
from kubesim.sim.loop import MILLISECOND, Loop
from kubesim.store.watch import Watch, WatchEvent

_READS = ("get", "list")


class Latency(NamedTuple):
    """How long a request takes from send to reply, and a watch event from the write to its reader, in ns.

    The defaults are what an unloaded control plane on one machine shows: an etcd write takes a few milliseconds.
    """

    read_ns: int = 1 * MILLISECOND
    write_ns: int = 4 * MILLISECOND
    watch_ns: int = 1 * MILLISECOND


@final
class InProcessClient:
    """One identity's connection."""

    def __init__(
        self,
        loop: Loop,
        server: ApiServer,
        identity: Identity,
        latency: Latency,
        limit: TokenBucket | None = None,
    ) -> None:
        self._loop = loop
        self._server = server
        self._identity = identity
        self._latency = latency
        self._limit = limit

    def send(self, request: Request, on_reply: OnReply) -> None:
        """Have the request carried out after the latency, and after the wait that the client's own limit asks for."""
        loop = self._loop
        latency = self._latency
        delay_ns = latency.read_ns if request.verb in _READS else latency.write_ns
        if self._limit is not None:
            delay_ns += self._limit.reserve(loop.now_ns)
        loop.post(delay_ns, self._execute, (request, on_reply, 0))

    def _execute(self, call: tuple[Request, OnReply, int]) -> None:
        request, on_reply, attempt = call
        reply: Reply
        try:
            reply = self._server.handle(request, self._identity, attempt)
        except ApiError as error:
            reply = error
        except TryAgain as held:
            self._loop.post(held.after_ns, self._execute, (request, on_reply, attempt + 1))
            return
        on_reply(reply)

    def watch(
        self, kind: Kind, resource_version: str, on_events: OnEvents, options: Options = NO_OPTIONS
    ) -> WatchHandle:
        """Open a watch; its events arrive in batches, each a watch latency after its first write."""
        return _InProcessWatch(self._loop, self._server, kind, int(resource_version), on_events, options, self._latency)


@final
class _InProcessWatch:
    def __init__(
        self,
        loop: Loop,
        server: ApiServer,
        kind: Kind,
        since: int,
        on_events: OnEvents,
        options: Options,
        latency: Latency,
    ) -> None:
        self._loop = loop
        self._server = server
        self._kind = kind
        self._on_events = on_events
        self._delay_ns = latency.watch_ns
        self._watch: Watch | None = None
        try:
            self._watch = server.watch(kind, since, options, self._notify)
        except ApiError as error:
            loop.post(latency.watch_ns, self._fail, error)

    def _notify(self, watch: Watch) -> None:
        self._loop.post(self._delay_ns, self._deliver, watch)

    def _deliver(self, watch: Watch) -> None:
        if not watch.closed:
            self._on_events(watch.drain())

    def _fail(self, error: ApiError) -> None:
        self._on_events([WatchEvent("ERROR", error.status())])

    def stop(self) -> None:
        if self._watch is not None:
            self._server.store.unwatch(self._kind.resource, self._watch)

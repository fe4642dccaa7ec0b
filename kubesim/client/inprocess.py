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
from kubesim.sim.loop import MILLISECOND, SECOND, Loop
from kubesim.store.watch import Watch, WatchEvent

_READS = ("get", "list")
# Upstream: KubeletConfiguration and client-go give up a request to a silent API server after 10 s.
TIMEOUT_NS = 10 * SECOND
_CONNECTION_LOST = ApiError(
    504, "Timeout", "Timeout: request did not complete within requested timeout - context deadline exceeded"
)


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
        # Whether the API server can be reached.
        self.is_connected = True
        self._watches: dict[_InProcessWatch, None] = {}

    def disconnect(self) -> None:
        """The way to the API server is cut: requests fail after `TIMEOUT_NS`, nothing more comes from watches."""
        self.is_connected = False

    def connect(self) -> None:
        """The way is there again. Watches that were open are broken and say so, so that their readers list anew."""
        self.is_connected = True
        for watch in list(self._watches):
            watch.fail(_CONNECTION_LOST)

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
        if not self.is_connected:
            self._loop.post(TIMEOUT_NS, on_reply, _CONNECTION_LOST)
            return
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
        watch = _InProcessWatch(self, self._loop, self._server, kind, on_events, options, self._latency)
        self._watches[watch] = None
        watch.open(int(resource_version))
        return watch

    def has(self, watch: _InProcessWatch) -> bool:
        """For a watch: whether it is still open."""
        return watch in self._watches

    def forget(self, watch: _InProcessWatch) -> None:
        """For a watch that ends."""
        self._watches.pop(watch, None)


@final
class _InProcessWatch:
    __slots__ = ("_client", "_delay_ns", "_kind", "_loop", "_on_events", "_options", "_server", "_watch")

    def __init__(
        self,
        client: InProcessClient,
        loop: Loop,
        server: ApiServer,
        kind: Kind,
        on_events: OnEvents,
        options: Options,
        latency: Latency,
    ) -> None:
        self._client = client
        self._loop = loop
        self._server = server
        self._kind = kind
        self._on_events = on_events
        self._options = options
        self._delay_ns = latency.watch_ns
        self._watch: Watch | None = None

    def open(self, since: int) -> None:
        try:
            self._watch = self._server.watch(self._kind, since, self._options, self._notify)
        except ApiError as error:
            self._loop.post(self._delay_ns, self.fail, error)

    def _notify(self, watch: Watch) -> None:
        self._loop.post(self._delay_ns, self._deliver, watch)

    def _deliver(self, watch: Watch) -> None:
        if not watch.closed and self._client.is_connected:
            self._on_events(watch.drain())

    def fail(self, error: ApiError) -> None:
        """End the watch with an error for its reader, unless that has stopped it already."""
        if not self._client.has(self):
            return
        self.stop()
        self._on_events([WatchEvent("ERROR", error.status())])

    def stop(self) -> None:
        self._client.forget(self)
        if self._watch is not None:
            self._server.store.unwatch(self._kind.resource, self._watch)

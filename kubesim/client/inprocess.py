"""The client port onto an API server in the same process: requests and watch events are events of the loop.

How long they take is a `Latency`; that alone, with each client's own rate limit, is what makes informers lag and
controllers race as they do for real.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, final

from kubesim.api.requests import NO_OPTIONS, Options, Request
from kubesim.api.scheme import Kind
from kubesim.apiserver.pod_admission import TryAgain
from kubesim.apiserver.server import ApiServer, Identity
from kubesim.client.port import OnEvents, OnReply, Reply, WatchHandle
from kubesim.client.ratelimit import TokenBucket
from kubesim.client.trouble import HELD, NO_ANSWER, NOTHING, CutOff, Dead, Trouble, combine, delay_of_watch_ns
from kubesim.errors import ApiError
from kubesim.sim.loop import MILLISECOND, SECOND, Loop
from kubesim.store.watch import Watch, WatchEvent

_READS = ("get", "list")
# Upstream: client-go/rest/request.go:NewRequest, maxRetries @v1.36
_RETRIES_MAX = 10
_RESET_RETRY_NS = SECOND
_CUT_OFF = CutOff()
_DEAD = Dead()


class Latency(NamedTuple):
    """How long a request takes from send to reply, and a watch event from the write to its reader, in ns.

    The defaults are what an unloaded control plane on one machine shows: an etcd write takes a few milliseconds.
    """

    read_ns: int = 1 * MILLISECOND
    write_ns: int = 4 * MILLISECOND
    watch_ns: int = 1 * MILLISECOND


_Call = tuple[Request, OnReply, int]


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
        self._watches: dict[_InProcessWatch, None] = {}
        # What is wrong at this moment. Empty as long as all is well: only then is nobody asked.
        self.troubles: tuple[Trouble, ...] = ()

    def add_trouble(self, trouble: Trouble) -> None:
        """Something is wrong from now on."""
        self.troubles = (*self.troubles, trouble)

    def end_trouble(self, trouble: Trouble) -> None:
        """It is well again: what was held back of watches comes now."""
        self.troubles = tuple(each for each in self.troubles if each is not trouble)
        for watch in list(self._watches):
            watch.catch_up()

    def break_watches(self, error: ApiError, kinds: Sequence[str] = ()) -> None:
        """End the open watches (of these kinds, by their singulars) with an error for their readers."""
        for watch in list(self._watches):
            if not kinds or watch.kind.singular in kinds:
                watch.fail(error)

    def close(self) -> None:
        """The process that holds this connection is gone."""
        self.troubles = (_DEAD,)
        for watch in list(self._watches):
            watch.stop()

    def disconnect(self) -> None:
        """The way to the API server is cut: requests fail after `TIMEOUT_NS`, nothing more comes from watches."""
        self.add_trouble(_CUT_OFF)

    def connect(self) -> None:
        """The way is there again. Watches that were open are broken and say so, so that their readers list anew."""
        self.troubles = tuple(each for each in self.troubles if each is not _CUT_OFF)
        self.break_watches(NO_ANSWER)

    @property
    def is_connected(self) -> bool:
        """Whether the API server can be reached."""
        return _CUT_OFF not in self.troubles

    def send(self, request: Request, on_reply: OnReply) -> None:
        """Have the request carried out after the latency, and after the wait that the client's own limit asks for."""
        loop = self._loop
        latency = self._latency
        delay_ns = latency.read_ns if request.verb in _READS else latency.write_ns
        if self._limit is not None:
            delay_ns += self._limit.reserve(loop.now_ns)
        loop.post(delay_ns, self._execute, (request, on_reply, 0))

    def _execute(self, call: _Call) -> None:
        request, on_reply, attempt = call
        if self.troubles:
            self._execute_in_trouble(call)
            return
        reply: Reply
        try:
            reply = self._server.handle(request, self._identity, attempt)
        except ApiError as error:
            if error.retry_after_s and self._retries(call, error):
                return
            reply = error
        except TryAgain as held:
            self._loop.post(held.after_ns, self._execute, (request, on_reply, attempt + 1))
            return
        if self.troubles:
            # What was done has brought trouble itself.
            self._answer_in_trouble(call, reply)
        else:
            on_reply(reply)

    def _execute_in_trouble(self, call: _Call) -> None:
        request, on_reply, _ = call
        delay_ns, refusal, answer, is_dropped = combine(trouble.judge(request) for trouble in self.troubles)
        if is_dropped:
            return
        if refusal is not None:
            self._loop.post(delay_ns, self._refuse, (call, refusal))
        elif answer is not None:
            self._loop.post(delay_ns, lambda request: on_reply(answer(request)), request)
        elif delay_ns:
            self._loop.post(delay_ns, self._carry_out, call)
        else:
            self._carry_out(call)

    def _carry_out(self, call: _Call) -> None:
        request, on_reply, attempt = call
        reply: Reply
        try:
            reply = self._server.handle(request, self._identity, attempt)
        except ApiError as error:
            reply = error
        except TryAgain as held:
            self._loop.post(held.after_ns, self._execute, (request, on_reply, attempt + 1))
            return
        self._answer_in_trouble(call, reply)

    def _answer_in_trouble(self, call: _Call, reply: Reply) -> None:
        for trouble in self.troubles:
            spoilt = trouble.spoil_reply(call[0])
            if spoilt is NOTHING:
                return
            reply = spoilt or reply
        if isinstance(reply, ApiError):
            self._refuse((call, reply))
        else:
            call[1](reply)

    def _refuse(self, refused: tuple[_Call, ApiError]) -> None:
        call, error = refused
        if not self._retries(call, error):
            call[1](error)

    def _retries(self, call: _Call, error: ApiError) -> bool:
        """Whether the client tries again by itself: where it is told when to, and for a read whose connection broke.

        Upstream: client-go/rest/{with_retry.go:checkWait,request.go} @v1.36
        """
        request, on_reply, attempt = call
        if error.retry_after_s and (error.code == 429 or error.code >= 500):
            wait_ns = error.retry_after_s * SECOND
        elif error.code == 0 and not error.is_refused and request.verb in _READS:
            wait_ns = _RESET_RETRY_NS
        else:
            return False
        if not isinstance(on_reply, _Retrying):
            on_reply = _Retrying(on_reply)
        on_reply.tries += 1
        if on_reply.tries > _RETRIES_MAX:
            return False
        if self._limit is not None:
            wait_ns += self._limit.reserve(self._loop.now_ns + wait_ns)
        self._loop.post(wait_ns, self._execute, (request, on_reply, attempt))
        return True

    def watch(
        self, kind: Kind, resource_version: str, on_events: OnEvents, options: Options = NO_OPTIONS
    ) -> WatchHandle:
        """Open a watch; its events arrive in batches, each a watch latency after its first write."""
        watch = _InProcessWatch(self, self._loop, self._server, kind, on_events, options, self._latency)
        self._watches[watch] = None
        watch.open(int(resource_version))
        return watch

    def watch_delay_ns(self, kind: Kind) -> int:
        """For a watch: how much later its events come because of trouble, or `HELD`."""
        return delay_of_watch_ns(self.troubles, kind)

    def has(self, watch: _InProcessWatch) -> bool:
        """For a watch: whether it is still open."""
        return watch in self._watches

    def forget(self, watch: _InProcessWatch) -> None:
        """For a watch that ends."""
        self._watches.pop(watch, None)


class _Retrying:
    """An `on_reply` of a request that is tried again, with the number of tries."""

    __slots__ = ("_on_reply", "tries")

    def __init__(self, on_reply: OnReply) -> None:
        self._on_reply = on_reply
        self.tries = 0

    def __call__(self, reply: Reply) -> None:
        self._on_reply(reply)


@final
class _InProcessWatch:
    __slots__ = ("_client", "_delay_ns", "_late", "_loop", "_on_events", "_options", "_server", "_watch", "kind")

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
        self.kind = kind
        self._client = client
        self._loop = loop
        self._server = server
        self._on_events = on_events
        self._options = options
        self._delay_ns = latency.watch_ns
        self._watch: Watch | None = None
        # Events that are held back by trouble, with the instant at which they are due.
        self._late: list[tuple[int, list[WatchEvent]]] = []

    def open(self, since: int) -> None:
        try:
            refusal = combine(trouble.judge_watch(self.kind) for trouble in self._client.troubles).refusal
            if refusal is not None:
                raise refusal
            self._watch = self._server.watch(self.kind, since, self._options, self._notify)
        except ApiError as error:
            self._loop.post(self._delay_ns, self.fail, error)

    def _notify(self, watch: Watch) -> None:
        self._loop.post(self._delay_ns, self._deliver, watch)

    def _deliver(self, watch: Watch) -> None:
        if watch.closed:
            return
        if self._client.troubles or self._late:
            self._hold(watch)
        else:
            self._on_events(watch.drain())

    def _hold(self, watch: Watch) -> None:
        """Keep what has come until it is due; never does an event overtake another."""
        delay_ns = self._client.watch_delay_ns(self.kind)
        if delay_ns == HELD:
            return
        events = watch.drain()
        if events:
            last_ns = self._late[-1][0] if self._late else 0
            self._late.append((max(self._loop.now_ns + delay_ns, last_ns), events))
            self._loop.post(delay_ns, self._deliver_late, watch)

    def _deliver_late(self, watch: Watch) -> None:
        now_ns = self._loop.now_ns
        while self._late and self._late[0][0] <= now_ns and not watch.closed:
            self._on_events(self._late.pop(0)[1])

    def catch_up(self) -> None:
        """Some trouble is over: what it held back comes at once, in its order, unless another one holds it."""
        watch = self._watch
        if watch is None:
            return
        if self._client.watch_delay_ns(self.kind):
            self._hold(watch)
            return
        events = [event for _, batch in self._late for event in batch] + watch.drain()
        self._late.clear()
        if events:
            self._on_events(events)

    def fail(self, error: ApiError) -> None:
        """End the watch with an error for its reader, unless that has stopped it already."""
        if not self._client.has(self):
            return
        self.stop()
        self._on_events([WatchEvent("ERROR", error.status())])

    def stop(self) -> None:
        self._client.forget(self)
        if self._watch is not None:
            self._server.store.unwatch(self.kind.resource, self._watch)

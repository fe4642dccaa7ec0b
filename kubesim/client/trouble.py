"""What can be wrong on the way between a client and the API server, or with that server as its clients see it.

A client asks each of its troubles about every request and watch; a client without any asks nobody. What a trouble does
is what client-go sees in such a case: a refused connection, silence, an answer of the server's own filters.
Upstream: client-go/rest/with_retry.go, apiserver/pkg/server/filters/priority-and-fairness.go @v1.36
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final, NamedTuple, Protocol, final

from kubesim.api.objects import Object
from kubesim.api.requests import Request
from kubesim.api.scheme import Kind
from kubesim.errors import ApiError, no_answer, too_many_requests
from kubesim.sim.chooser import Stream
from kubesim.sim.loop import SECOND

# Upstream: the kubelet's client and the health checks of HTTP/2 give up a silent API server after some such time.
TIMEOUT_NS: Final = 10 * SECOND
# As a watch's delay: nothing comes through at all.
HELD: Final = -1
NO_ANSWER: Final = ApiError(
    504, "Timeout", "Timeout: request did not complete within requested timeout - context deadline exceeded"
)
REFUSED: Final = no_answer("dial tcp 172.18.0.2:6443: connect: connection refused", is_refused=True)
RESET: Final = no_answer("read tcp 172.18.0.2:6443: read: connection reset by peer")
NOTHING: Final = no_answer("")
END_OF_STREAM: Final = no_answer("EOF")
# Upstream: leaderelection.go: a renewal is given up after half the renew deadline of 10 s @v1.36
_RENEWAL_TIMEOUT_NS: Final = 5 * SECOND
_WRITES: Final = ("create", "update", "patch", "delete", "deletecollection")


class Verdict(NamedTuple):
    """What becomes of a request: it is late, it is refused without being carried out, it never leaves, or somebody else
    answers it."""

    delay_ns: int = 0
    refusal: ApiError | None = None
    answer: Callable[[Request], Object] | None = None
    is_dropped: bool = False


class Trouble(Protocol):
    """Base: nothing is wrong. `stops_leaders` says that a leader cannot renew its lease meanwhile."""

    stops_leaders: bool = False

    def judge(self, _request: Request) -> Verdict | None:
        """What becomes of a request that arrives now; None: nothing special."""
        return None

    def spoil_reply(self, _request: Request) -> ApiError | None:
        """What the sender of a request that has been carried out hears instead of the reply; `NOTHING`: not a word."""
        return None

    def judge_watch(self, _kind: Kind) -> Verdict | None:
        """What becomes of a watch that is to be opened now; an `answer` is what it begins with if any state will do."""
        return None

    def delay_watch_ns(self, _kind: Kind) -> int:
        """How much later the events of a watch come; `HELD`: not before this trouble is over."""
        return 0


@final
class Dead(Trouble):
    """The client's own process is gone: nothing that it meant to send leaves, and nothing reaches it."""

    def judge(self, _request: Request) -> Verdict:
        return Verdict(is_dropped=True)

    def spoil_reply(self, _request: Request) -> ApiError:
        return NOTHING

    def delay_watch_ns(self, _kind: Kind) -> int:
        return HELD


@final
class CutOff(Trouble):
    """The way is cut: requests fail after `TIMEOUT_NS`, nothing more comes from watches."""

    stops_leaders = True

    def judge(self, _request: Request) -> Verdict:
        return Verdict(TIMEOUT_NS, refusal=NO_ANSWER)

    def judge_watch(self, _kind: Kind) -> Verdict:
        return Verdict(TIMEOUT_NS, refusal=NO_ANSWER)

    def delay_watch_ns(self, _kind: Kind) -> int:
        return HELD


@final
class Down(Trouble):
    """Nobody listens at the API server's port."""

    stops_leaders = True

    def judge(self, _request: Request) -> Verdict:
        return Verdict(refusal=REFUSED)

    def judge_watch(self, _kind: Kind) -> Verdict:
        return Verdict(refusal=REFUSED)


@final
class Slow(Trouble):
    """Every request takes longer, and every event of a watch comes later."""

    def __init__(self, added_ns: int) -> None:
        self._added_ns = added_ns
        self.stops_leaders = added_ns >= _RENEWAL_TIMEOUT_NS

    def judge(self, _request: Request) -> Verdict:
        return Verdict(self._added_ns)

    def judge_watch(self, _kind: Kind) -> Verdict:
        return Verdict(self._added_ns)

    def delay_watch_ns(self, _kind: Kind) -> int:
        return self._added_ns


@final
class Overload(Trouble):
    """A share of the requests is turned away with 429 and told to come back after a second."""

    def __init__(self, share: float, stream: Stream, *, heartbeats: bool | None = None, leaders: bool = False) -> None:
        """`heartbeats` narrows it to the heartbeats of nodes (True) or to all else (False); `leaders`: and renewals."""
        self._share = share
        self._stream = stream
        self._heartbeats = heartbeats
        self.stops_leaders = leaders and share >= 1

    def judge(self, request: Request) -> Verdict | None:
        if self._heartbeats is not None and self._heartbeats is not _is_heartbeat(request):
            return None
        return self._refuse()

    def judge_watch(self, _kind: Kind) -> Verdict | None:
        return None if self._heartbeats else self._refuse()

    def _refuse(self) -> Verdict | None:
        if self._stream.fraction() >= self._share:
            return None
        refusal = too_many_requests("Too many requests, please try again later.", retry_after_s=1)
        return Verdict(refusal=refusal)


@final
class Conflicts(Trouble):
    """A share of the writes that name a resourceVersion finds somebody quicker: `touch` writes right before."""

    def __init__(
        self, share: float, kinds: tuple[str, ...], stream: Stream, touch: Callable[[Kind, str, str], None]
    ) -> None:
        self._share = share
        self._kinds = kinds
        self._stream = stream
        self._touch = touch

    def judge(self, request: Request) -> Verdict | None:
        kind, body = request.kind, request.body
        if request.verb not in ("update", "patch") or not _concerns(self._kinds, kind) or not isinstance(body, dict):
            return None
        if "resourceVersion" in (body.get("metadata") or {}) and self._stream.fraction() < self._share:
            self._touch(kind, request.namespace, request.name)
        return None


@final
class LostReplies(Trouble):
    """Writes are carried out, and the connection breaks before the reply is there. `number` of them, 0 for all."""

    def __init__(self, number: int, kinds: tuple[str, ...]) -> None:
        self._left = number or -1
        self._kinds = kinds

    def spoil_reply(self, request: Request) -> ApiError | None:
        if not self._left or request.verb not in _WRITES or not _concerns(self._kinds, request.kind):
            return None
        self._left -= 1
        return RESET


@final
class LateWatches(Trouble):
    """Events of watches come later by a span, or with `HELD` not before it is over; requests are as ever."""

    def __init__(self, delay_ns: int, kinds: tuple[str, ...]) -> None:
        self._delay_ns = delay_ns
        self._kinds = kinds

    def delay_watch_ns(self, kind: Kind) -> int:
        return self._delay_ns if _concerns(self._kinds, kind) else 0


@final
class StaleReads(Trouble):
    """Watches stand still, and who lists for the first time gets what `answer` knows: a past state.

    A list that must be at least as new as what its reader has seen, and a get, are answered from the present.
    """

    def __init__(self, answer: Callable[[Request], Object], kinds: tuple[str, ...]) -> None:
        self._answer = answer
        self._kinds = kinds

    def judge(self, request: Request) -> Verdict | None:
        if (
            request.verb != "list"
            or request.options.resource_version != "0"
            or not _concerns(self._kinds, request.kind)
        ):
            return None
        return Verdict(answer=self._answer)

    def judge_watch(self, kind: Kind) -> Verdict | None:
        return Verdict(answer=self._answer) if _concerns(self._kinds, kind) else None

    def delay_watch_ns(self, kind: Kind) -> int:
        return HELD if _concerns(self._kinds, kind) else 0


def combine(verdicts: Iterable[Verdict | None]) -> Verdict:
    """What becomes of a request that meets several troubles: it is as late as all of them make it, up to the first that
    refuses it."""
    delay_ns = 0
    answer: Callable[[Request], Object] | None = None
    for verdict in verdicts:
        if verdict is None:
            continue
        if verdict.is_dropped:
            return verdict
        delay_ns += verdict.delay_ns
        if verdict.refusal is not None:
            return Verdict(delay_ns, verdict.refusal)
        answer = answer or verdict.answer
    return Verdict(delay_ns, answer=answer)


def delay_of_watch_ns(troubles: Iterable[Trouble], kind: Kind) -> int:
    """How much later the events of a watch come that meets these troubles, or `HELD`."""
    delays = [trouble.delay_watch_ns(kind) for trouble in troubles]
    return HELD if HELD in delays else sum(delays)


def _is_heartbeat(request: Request) -> bool:
    """Upstream: apiserver/pkg/apis/flowcontrol/bootstrap/default.go:SuggestedFlowSchemaSystemNodeHigh @v1.36"""
    return request.kind.singular == "lease" or (request.kind.singular == "node" and request.subresource == "status")


def _concerns(kinds: tuple[str, ...], kind: Kind) -> bool:
    return not kinds or kind.singular in kinds

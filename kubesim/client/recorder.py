"""Events about objects, correlated as client-go does before they are sent.

Similar events are told apart by their message; an equal one raises the count of the one before, more than ten
different ones in ten minutes are combined, and one object's events from one source are limited to a burst of 25 and
then one every five minutes. What finds no API server is tried again, and what comes after it waits.
Upstream: client-go/tools/record/{event.go,events_cache.go} @v1.36
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, final

from kubesim.api.kinds import EVENT
from kubesim.api.objects import Object, new_tuple
from kubesim.api.requests import Request, create, patch
from kubesim.api.timestamps import EPOCH, to_time
from kubesim.client.port import Client, Reply
from kubesim.errors import ApiError
from kubesim.sim.loop import SECOND, Loop

_CACHE_MAX = 4096
_SIMILAR_MAX = 10
_SIMILAR_WITHIN_NS = 600 * SECOND
_SPAM_BURST = 25
_SPAM_INTERVAL_NS = 300 * SECOND
_SPAM_FULL_NS = _SPAM_BURST * _SPAM_INTERVAL_NS
# 2026-01-01T00:00:00Z in Unix nanoseconds, the instant that virtual time starts from.
_EPOCH_NS = int(EPOCH.timestamp()) * SECOND
# Upstream: event.go:maxTriesPerEvent, defaultSleepDuration, maxQueuedEvents @v1.36. The first wait is a random part of
# the others', so that components do not all come back together; here it is their mean.
_TRIES_MAX = 12
_TRY_AGAIN_NS = 10 * SECOND
_TRY_AGAIN_FIRST_NS = 5 * SECOND
_WAITING_MAX = 1000
# What no answer came to: the connection broke, or nothing was heard in time.
_NO_ANSWER = (0, 504)
_COMBINED = "(combined from similar events): "


class _Sent(NamedTuple):
    """An Event that was sent: its message as correlated, what part of the object it is about, its name, how often it
    happened, and since when it counts."""

    message: str
    field_path: str
    name: str
    times: int
    first: str


@final
class _Group:
    """What is remembered of one source's Events of one reason about one object."""

    __slots__ = ("last_ns", "messages", "sent")

    def __init__(self, message: str, now_ns: int) -> None:
        self.last_ns = now_ns
        self.messages: tuple[str, ...] = (message,)
        self.sent: list[_Sent] = []


@final
class _Subject:
    """One object's Events of one type: its groups by reason, and its bucket of 25 that refills one every 300 s.

    `tokens` are counted in ns of refill, as of `since_ns`.
    """

    __slots__ = ("groups", "since_ns", "tokens")

    def __init__(self, now_ns: int) -> None:
        self.groups: dict[str, _Group] = {}
        self.tokens = _SPAM_FULL_NS
        self.since_ns = now_ns

    def take_token(self, now_ns: int) -> bool:
        """Whether an Event may be sent now; a refused one is dropped, not kept."""
        tokens = min(self.tokens + now_ns - self.since_ns, _SPAM_FULL_NS)
        self.since_ns = now_ns
        self.tokens = tokens
        if tokens < _SPAM_INTERVAL_NS:
            return False
        self.tokens = tokens - _SPAM_INTERVAL_NS
        return True


def _aggregate(group: _Group, message: str, now_ns: int) -> str:
    """The message as it is to be sent: itself, or combined where too many different ones came lately."""
    if now_ns - group.last_ns > _SIMILAR_WITHIN_NS:
        group.messages = ()
    group.last_ns = now_ns
    if message not in group.messages:
        group.messages += (message,)
    if len(group.messages) < _SIMILAR_MAX:
        return message
    group.messages = group.messages[1:]
    return _COMBINED + message


def _reference(obj: Object, field_path: str) -> Object:
    """The `involvedObject` of an Event. Upstream: client-go/tools/reference/ref.go:GetReference @v1.36"""
    metadata = obj["metadata"]
    involved: Object = {"kind": obj["kind"], "name": metadata["name"], "apiVersion": obj["apiVersion"]}
    for field in ("namespace", "uid", "resourceVersion"):
        if field in metadata:
            involved[field] = metadata[field]
    if field_path:
        involved["fieldPath"] = field_path
    return involved


def _find_sent(group: _Group, message: str, field_path: str) -> _Sent | None:
    """The Event that this one repeats. What is combined is one, whatever part of the object each is about."""
    is_combined = message.startswith(_COMBINED)
    for sent in group.sent:
        if sent.message.startswith(_COMBINED) if is_combined else sent[:2] == (message, field_path):
            return sent
    return None


@final
class _Delivery:
    """An Event on its way; called with the answer."""

    __slots__ = ("_recorder", "build_anew", "request", "tries")

    def __init__(self, recorder: Recorder, request: Request, build_anew: Callable[[], Request] | None) -> None:
        self._recorder = recorder
        self.request = request
        self.build_anew = build_anew
        self.tries = 0

    def __call__(self, reply: Reply) -> None:
        self._recorder.handle_answer(self, reply)


@final
class Recorder:
    """Writes Events in the name of one component; `host` is the node's name for a kubelet."""

    def __init__(self, loop: Loop, client: Client, component: str, host: str = "") -> None:
        self._loop = loop
        self._client = client
        self._component = component
        self._source: Object = {"component": component, "host": host} if host else {"component": component}
        self._host = host
        self._last_ns = 0
        # By how much the clock is ahead by which Events are dated.
        self.skew_ns = 0
        # What the last Event was about; several in a row are about the same.
        self._involved: tuple[Object, str, Object] | None = None
        self._subjects: dict[str, dict[str, _Subject]] = {"Normal": {}, "Warning": {}}
        # The Event that is tried again and again, and those that wait behind it.
        self._stuck: _Delivery | None = None
        self._waiting: list[_Delivery] = []

    def event(self, obj: Object, type_: str, reason: str, message: str, field_path: str = "") -> None:
        """Record that something happened to `obj`. `type_` is Normal or Warning."""
        now_ns = self._loop.now_ns
        uid = obj["metadata"].get("uid", "")
        subjects = self._subjects[type_]
        subject = subjects.get(uid)
        if subject is None:
            subject = subjects[uid] = _Subject(now_ns)
            if len(subjects) > _CACHE_MAX:
                del subjects[next(iter(subjects))]
        group = subject.groups.get(reason)
        if group is None:
            group = subject.groups[reason] = _Group(message, now_ns)
        else:
            message = _aggregate(group, message, now_ns)
            sent = _find_sent(group, message, field_path)
            if sent is not None:
                self._count(subject, group, sent, obj, type_, reason, message)
                return
        event = self._build(obj, type_, reason, message, field_path, now_ns)
        sent = new_tuple(_Sent, (message, field_path, event["metadata"]["name"], 1, event["firstTimestamp"]))
        group.sent.append(sent)
        if subject.take_token(now_ns):
            self._send(create(EVENT, event))

    def _count(
        self, subject: _Subject, group: _Group, sent: _Sent, obj: Object, type_: str, reason: str, message: str
    ) -> None:
        """Raise the count of an Event that was sent before; a refused Event counts, but nobody is told."""
        now_ns = self._loop.now_ns
        counted = sent._replace(message=message, times=sent.times + 1)
        group.sent[group.sent.index(sent)] = counted
        if not subject.take_token(now_ns):
            return
        changes = {"count": counted.times, "lastTimestamp": to_time(now_ns + self.skew_ns), "message": message}

        def build_anew() -> Request:
            # The Event has expired meanwhile: it is created anew under its name, with the count so far.
            event = self._build(obj, type_, reason, message, counted.field_path, now_ns)
            event["metadata"]["name"] = counted.name
            return create(EVENT, {**event, "count": counted.times, "firstTimestamp": counted.first})

        namespace = obj["metadata"].get("namespace", "default")
        self._send(patch(EVENT, namespace, sent.name, changes), build_anew)

    def _send(self, request: Request, build_anew: Callable[[], Request] | None = None) -> None:
        delivery = _Delivery(self, request, build_anew)
        if self._stuck is None:
            self._client.send(request, delivery)
        elif len(self._waiting) < _WAITING_MAX:
            self._waiting.append(delivery)

    def handle_answer(self, delivery: _Delivery, reply: Reply) -> None:
        """What became of an Event on its way. Where no answer came, it and all behind it wait."""
        if not isinstance(reply, ApiError):
            if self._stuck is delivery:
                self._go_on()
        elif reply.code == 404 and delivery.build_anew is not None:
            delivery.request, delivery.build_anew = delivery.build_anew(), None
            self._client.send(delivery.request, delivery)
        elif reply.code in _NO_ANSWER:
            self._try_again(delivery)
        elif self._stuck is delivery:
            self._go_on()

    def _try_again(self, delivery: _Delivery) -> None:
        if self._stuck is not None and self._stuck is not delivery:
            self._waiting.append(delivery)
            return
        delivery.tries += 1
        if delivery.tries >= _TRIES_MAX:
            self._go_on()
            return
        self._stuck = delivery
        delay_ns = _TRY_AGAIN_NS if delivery.tries > 1 else _TRY_AGAIN_FIRST_NS
        self._loop.post(delay_ns, lambda delivery: self._client.send(delivery.request, delivery), delivery)

    def _go_on(self) -> None:
        self._stuck = None
        waiting, self._waiting = self._waiting, []
        for delivery in waiting:
            self._client.send(delivery.request, delivery)

    def _build(self, obj: Object, type_: str, reason: str, message: str, field_path: str, now_ns: int) -> Object:
        metadata = obj["metadata"]
        # Upstream names an Event by the wall clock's nanoseconds; virtual instants can coincide, so they are spread.
        self._last_ns = stamp = max(now_ns, self._last_ns + 1)
        namespace = metadata.get("namespace", "")
        about = self._involved
        if about is None or about[0] is not obj or about[1] != field_path:
            self._involved = about = (obj, field_path, _reference(obj, field_path))
        at = to_time(now_ns + self.skew_ns)
        # Upstream forgets the reporter of an Event that it combines.
        is_combined = message.startswith(_COMBINED)
        return {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"name": f"{metadata['name']}.{_EPOCH_NS + stamp:x}", "namespace": namespace or "default"},
            "involvedObject": about[2],
            "reason": reason,
            "message": message,
            "source": self._source,
            "firstTimestamp": at,
            "lastTimestamp": at,
            "count": 1,
            "type": type_,
            "reportingComponent": "" if is_combined else self._component,
            "reportingInstance": "" if is_combined else self._host,
        }

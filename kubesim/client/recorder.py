"""Events about objects, correlated as client-go does before they are sent.

Similar events are told apart by their message; an equal one raises the count of the one before, more than ten
different ones in ten minutes are combined, and one object's events from one source are limited to a burst of 25 and
then one every five minutes.
Upstream: client-go/tools/record/{event.go,events_cache.go} @v1.36
"""

from __future__ import annotations

from typing import Any, final

from kubesim.api.kinds import EVENT
from kubesim.api.objects import Object
from kubesim.api.requests import create, patch
from kubesim.api.timestamps import to_time
from kubesim.client.port import Client, Reply, ignore_reply
from kubesim.errors import ApiError
from kubesim.sim.loop import SECOND, Loop

_CACHE_MAX = 4096
_SIMILAR_MAX = 10
_SIMILAR_WITHIN_NS = 600 * SECOND
_SPAM_BURST = 25
_SPAM_INTERVAL_NS = 300 * SECOND
# 2026-01-01T00:00:00Z in Unix nanoseconds, the instant that virtual time starts from.
_EPOCH_NS = 1_767_225_600 * SECOND
_COMBINED = "(combined from similar events): "


@final
class _Spam:
    """A bucket of 25 that refills one every 300 s, refusing instead of waiting."""

    __slots__ = ("at_ns", "tokens")

    def __init__(self, now_ns: int) -> None:
        self.tokens = _SPAM_BURST * _SPAM_INTERVAL_NS
        self.at_ns = now_ns

    def take(self, now_ns: int) -> bool:
        self.tokens = min(_SPAM_BURST * _SPAM_INTERVAL_NS, self.tokens + now_ns - self.at_ns)
        self.at_ns = now_ns
        if self.tokens < _SPAM_INTERVAL_NS:
            return False
        self.tokens -= _SPAM_INTERVAL_NS
        return True


@final
class _Similar:
    """The different messages of one kind of event about one object."""

    __slots__ = ("last_ns", "messages")

    def __init__(self) -> None:
        self.messages: dict[str, None] = {}
        self.last_ns = 0


def _bounded(cache: dict[Any, Any]) -> None:
    if len(cache) > _CACHE_MAX:
        del cache[next(iter(cache))]


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
        self._spam: dict[str, _Spam] = {}
        self._similar: dict[tuple[str, str, str], _Similar] = {}
        self._sent: dict[tuple[str, str, str, str], Object] = {}

    def event(self, obj: Object, type_: str, reason: str, message: str, field_path: str = "") -> None:
        """Record that something happened to `obj`. `type_` is Normal or Warning."""
        now_ns = self._loop.now_ns
        metadata = obj["metadata"]
        uid = metadata.get("uid", "") + field_path
        message, key = self._aggregate(uid, type_, reason, message, now_ns)
        spam = self._spam.get(uid)
        if spam is None:
            spam = self._spam[uid] = _Spam(now_ns)
            _bounded(self._spam)
        before = self._sent.get(key)
        if not spam.take(now_ns):
            return
        if before is not None:
            self._count(key, before, message, now_ns)
            return
        event = self._build(obj, type_, reason, message, field_path, now_ns)
        self._sent[key] = event
        _bounded(self._sent)
        self._client.send(create(EVENT, event), ignore_reply)

    def _aggregate(
        self, uid: str, type_: str, reason: str, message: str, now_ns: int
    ) -> tuple[str, tuple[str, str, str, str]]:
        group = (uid, type_, reason)
        similar = self._similar.get(group)
        if similar is None:
            similar = self._similar[group] = _Similar()
            _bounded(self._similar)
        elif now_ns - similar.last_ns > _SIMILAR_WITHIN_NS:
            similar.messages.clear()
        similar.last_ns = now_ns
        similar.messages[message] = None
        if len(similar.messages) < _SIMILAR_MAX:
            return message, (uid, type_, reason, message)
        del similar.messages[next(iter(similar.messages))]
        return _COMBINED + message, (uid, type_, reason, _COMBINED)

    def _count(self, key: tuple[str, str, str, str], before: Object, message: str, now_ns: int) -> None:
        event = {**before, "count": before["count"] + 1, "lastTimestamp": to_time(now_ns), "message": message}
        self._sent[key] = event
        metadata = event["metadata"]
        changes = {"count": event["count"], "lastTimestamp": event["lastTimestamp"], "message": message}

        def on_reply(reply: Reply) -> None:
            if isinstance(reply, ApiError) and reply.code == 404:
                # The Event has expired meanwhile: upstream creates it anew with the count so far.
                self._client.send(create(EVENT, event), ignore_reply)

        self._client.send(patch(EVENT, metadata["namespace"], metadata["name"], changes), on_reply)

    def _build(
        self, obj: Object, type_: str, reason: str, message: str, field_path: str, now_ns: int
    ) -> Object:
        metadata = obj["metadata"]
        # Upstream names an Event by the wall clock's nanoseconds; virtual instants can coincide, so they are spread.
        self._last_ns = stamp = max(now_ns, self._last_ns + 1)
        namespace = metadata.get("namespace", "")
        involved: Object = {"kind": obj["kind"], "name": metadata["name"], "apiVersion": obj["apiVersion"]}
        if namespace:
            involved["namespace"] = namespace
        for field in ("uid", "resourceVersion"):
            if field in metadata:
                involved[field] = metadata[field]
        if field_path:
            involved["fieldPath"] = field_path
        at = to_time(now_ns)
        return {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"name": f"{metadata['name']}.{_EPOCH_NS + stamp:x}", "namespace": namespace or "default"},
            "involvedObject": involved,
            "reason": reason,
            "message": message,
            "source": self._source,
            "firstTimestamp": at,
            "lastTimestamp": at,
            "count": 1,
            "type": type_,
            "reportingComponent": self._component,
            "reportingInstance": self._host,
        }


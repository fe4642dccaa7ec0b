"""Watches on the wire: changes are pushed into open connections as they happen, made into bytes once for all alike.

Changes of a burst go out together: a flush waits as long as the one before it took, so that at least half of the time
is left for requests. A reader whose connection is full gets nothing more until it has room, and is dropped when that
takes too long or too much has come up. Upstream: apiserver/pkg/endpoints/handlers/watch.go @v1.36
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, Final, final

from kubesim.api.objects import Object
from kubesim.api.requests import Options, Request
from kubesim.api.scheme import Kind
from kubesim.apiserver.conversion import from_stored, stored_kind
from kubesim.apiserver.selection import list_objects
from kubesim.apiserver.server import ApiServer
from kubesim.client.trouble import HELD
from kubesim.errors import ApiError
from kubesim.http.encoding import Encoder
from kubesim.http.late_events import LateEvents
from kubesim.http.negotiation import JSON, Form
from kubesim.http.shapes import Shapes
from kubesim.http.targets import Target
from kubesim.http.trouble import Answer, Way
from kubesim.http.watch_requests import WatchRequest
from kubesim.store.watch import Watch, WatchEvent

_BUFFER_FULL: Final = 256 * 1024
_PENDING_MAX: Final = 20_000
_STUCK_MAX_S: Final = 30.0
_RETRY_S: Final = 0.05
_GATHER_MAX_S: Final = 0.02
_LOOK_S: Final = 1.0
_BOOKMARK_S: Final = 60.0
_TOGETHER_MAX: Final = 100
_INITIAL_END: Final = {"k8s.io/initial-events-end": "true"}
# Chunks that several streams get, by the form and the events' identities; the events live as long as they stand here.
_Made = dict[tuple[Any, ...], tuple[list[WatchEvent], bytes]]


@final
class Watching:
    """All open watches."""

    def __init__(self, server: ApiServer, encoder: Encoder, shapes: Shapes, way: Way) -> None:
        self._server = server
        self._way = way
        way.on_over.append(self._catch_up)
        way.on_break.append(self._break)
        self._encoder = encoder
        self._shapes = shapes
        self._due: list[Stream] = []
        self._flush_handle: asyncio.Handle | None = None
        self._flush_not_before = 0.0
        self.streams: dict[Stream, None] = {}
        self._looking: asyncio.TimerHandle | None = None

    def open(
        self,
        target: Target,
        request: WatchRequest,
        form: Form,
        transport: asyncio.Transport,
        past: Answer | None = None,
    ) -> Stream:
        """Begin to write events into a connection whose head has been sent; `Stream.done` tells when it is over.

        `past` lists what a watch begins with that takes any state.
        """
        stream = Stream(self, target.kind, form, transport, request)
        try:
            watch = stream.watch = self._begin(stream, target, request, past)
        except ApiError as error:
            self._fail(stream, error)
            return stream
        stream.pending_max += len(watch.pending)
        self.streams[stream] = None
        if self._looking is None:
            self._looking = stream.loop.call_later(_LOOK_S, self._look)
        self._send(stream, {})
        return stream

    def _begin(self, stream: Stream, target: Target, request: WatchRequest, past: Answer | None) -> Watch:
        """The watch, with what it begins with in its `pending`; or among what is due, as no trouble holds that back."""
        store = self._server.store
        kind, options, namespace = target.kind, request.options, target.namespace
        since = store.revision if request.since is None else request.since
        initial: list[WatchEvent] = []
        if request.has_initial:
            plain = Options(label_selector=options.label_selector, field_selector=options.field_selector)
            if past is not None and request.takes_any:
                listed = past(Request("list", kind, namespace, "", "", None, plain))
            else:
                listed = list_objects(store, kind, namespace, plain)
            since = int(listed["metadata"]["resourceVersion"])
            initial = [WatchEvent("ADDED", item) for item in listed["items"]]
            if request.ends_initial:
                metadata = {"resourceVersion": str(since), "annotations": _INITIAL_END}
                initial.append(WatchEvent("BOOKMARK", {"metadata": metadata}))
        watch = self._server.watch(kind, since, options, lambda _: self._mark(stream), namespace)
        if self._way.troubles:
            stream.late.due += initial
        else:
            watch.pending[:0] = initial
        return watch

    def _mark(self, stream: Stream) -> None:
        self._due.append(stream)
        if self._flush_handle is None:
            wait_s = self._flush_not_before - stream.loop.time()
            if wait_s <= 0:
                self._flush_handle = stream.loop.call_soon(self._flush)
            else:
                self._flush_handle = stream.loop.call_later(wait_s, self._flush)

    def _flush(self) -> None:
        self._flush_handle = None
        due, self._due = self._due, []
        clock = due[0].loop.time
        start = clock()
        made: _Made = {}
        for stream in due:
            self._send(stream, made)
        end = clock()
        self._flush_not_before = end + min(end - start, _GATHER_MAX_S)

    def _send(self, stream: Stream, made: _Made) -> None:
        watch = stream.watch
        if watch is None:
            return
        if stream.transport.is_closing():
            stream.finish()
            return
        if self._way.troubles or stream.late:
            self._send_late(stream, watch, made)
            return
        while watch.pending:
            if stream.is_full:
                self._wait(stream)
                return
            self._write(stream, watch.take(_TOGETHER_MAX), made)

    def _write(self, stream: Stream, events: list[WatchEvent], made: _Made) -> None:
        stream.stuck_since = 0.0
        key = (stream.alike, stream.has_columns, *map(id, events))
        found = made.get(key)
        if found is None:
            line = b"".join([self._encoded(stream, event) for event in events])
            found = made[key] = (events, _chunk(line))
        elif stream.form.shape:
            stream.has_columns = True
        stream.write(found[1])

    def _wait(self, stream: Stream) -> None:
        """Go on with a stream when it may have room again."""
        loop = stream.loop
        stream.stuck_since = stream.stuck_since or loop.time()
        if stream.retry is None:
            stream.retry = loop.call_later(_RETRY_S, self._retry, stream)

    def _retry(self, stream: Stream) -> None:
        stream.retry = None
        self._send(stream, {})

    # --- in trouble ---

    def _send_late(self, stream: Stream, watch: Watch, made: _Made) -> None:
        """As `_send`, but what has come waits as long as trouble holds it back; a watch that is held keeps it."""
        late, loop = stream.late, self._server.loop
        delay_ns = self._way.delay_of_watch_ns(stream.kind)
        if watch.pending and delay_ns != HELD:
            late.hold(watch.take(len(watch.pending)), loop.now_ns + delay_ns)
            if delay_ns:
                loop.post(delay_ns, self._go_on, stream)
        late.release(loop.now_ns)
        while late.due:
            if stream.is_full:
                self._wait(stream)
                return
            self._write(stream, late.take(_TOGETHER_MAX), made)

    def _go_on(self, stream: Stream) -> None:
        if stream.watch is not None:
            self._mark(stream)

    def _catch_up(self) -> None:
        """Some trouble is over: what it has held back comes now, unless another one holds it."""
        for stream in list(self.streams):
            if stream.watch is not None and not self._way.delay_of_watch_ns(stream.kind):
                stream.late.release_all()
                stream.pending_max += len(stream.watch.pending) + len(stream.late.due)
            self._mark(stream)

    def _break(self, error: ApiError, kinds: Sequence[str]) -> None:
        """End watches; who is told of an error hears of it in a last event."""
        for stream in list(self.streams):
            if not kinds or stream.kind.singular in kinds:
                self._fail(stream, error)

    def _fail(self, stream: Stream, error: ApiError) -> None:
        if error.code:
            line = self._encoder.plain({"type": "ERROR", "object": error.status()}) + b"\n"
            stream.write(_chunk(line))
        stream.finish()

    # --- events ---

    def _encoded(self, stream: Stream, event: WatchEvent) -> bytes:
        """An event's line."""
        kind = stream.kind
        obj = from_stored(kind, event.obj)
        if event.type == "BOOKMARK":
            body = self._encoder.plain(self._bookmark(stream, event.obj))
        elif stream.is_plain:
            body = self._encoder.whole(kind, obj)
        else:
            has_columns, stream.has_columns = not stream.has_columns, True
            shown = self._shapes.transformed(kind, self._encoder.shown(obj), stream.form, has_columns=has_columns)
            body = self._encoder.plain(shown)
        return b'{"type":"%b","object":%b}\n' % (event.type.encode(), body)

    @staticmethod
    def _bookmark(stream: Stream, obj: Object) -> Object:
        kind, form = stream.kind, stream.form
        if form.shape:
            named = {"kind": form.shape, "apiVersion": f"meta.k8s.io/{form.version}"}
            rest: Object = {"columnDefinitions": None, "rows": []} if form.shape == "Table" else {}
            return {**named, **obj, **rest}
        return {"kind": kind.kind, "apiVersion": kind.api_version, **obj}

    def close(self, stream: Stream) -> None:
        """The reader has gone, or its time is over."""
        self.streams.pop(stream, None)
        if stream.watch is not None:
            self._server.store.unwatch(stored_kind(stream.kind).resource, stream.watch)
            stream.watch = None

    def stop(self) -> None:
        """End all watches."""
        if self._looking is not None:
            self._looking.cancel()
            self._looking = None
        for stream in list(self.streams):
            stream.finish()

    def _look(self) -> None:
        """Once a second: drop whoever does not read, send bookmarks."""
        self._looking = None
        now = asyncio.get_running_loop().time()
        for stream in list(self.streams):
            watch = stream.watch
            if watch is None or stream.transport.is_closing():
                stream.finish()
            elif self._is_behind(stream, watch) or stream.is_stuck(now):
                stream.transport.abort()
                stream.finish()
            elif (
                watch.wants_bookmarks
                and now >= stream.bookmark_at
                and not (watch.pending or stream.late or self._way.troubles)
            ):
                stream.bookmark_at = now + _BOOKMARK_S
                stream.write(_chunk(self._encoded(stream, self._server.store.bookmark())))
        if self.streams:
            self._looking = asyncio.get_running_loop().call_later(_LOOK_S, self._look)

    def _is_behind(self, stream: Stream, watch: Watch) -> bool:
        """Whether too much has come up that its reader could have had."""
        coming = 0 if self._way.troubles else len(watch.pending)
        return coming + len(stream.late.due) > stream.pending_max


@final
class Stream:
    """One open watch: its connection, and how far it is."""

    def __init__(
        self, owner: Watching, kind: Kind, form: Form, transport: asyncio.Transport, request: WatchRequest
    ) -> None:
        self.loop = loop = asyncio.get_running_loop()
        self.kind = kind
        self.form = form
        self.alike = (id(kind), form)
        self.is_plain = form == Form(JSON)
        self.transport = transport
        self.watch: Watch | None = None
        self.late = LateEvents()
        self.done: asyncio.Future[None] = loop.create_future()
        self.pending_max = _PENDING_MAX
        self.stuck_since = 0.0
        self.retry: asyncio.TimerHandle | None = None
        self.has_columns = False
        self.bookmark_at = loop.time() + _BOOKMARK_S
        self._timer = loop.call_later(request.timeout_s, self.finish)
        self._close: Callable[[Stream], None] = owner.close

    @property
    def is_full(self) -> bool:
        """Whether what was written has not gone out yet."""
        return self.transport.get_write_buffer_size() > _BUFFER_FULL

    def is_stuck(self, now: float) -> bool:
        """Whether the reader has taken nothing for too long."""
        return bool(self.stuck_since) and now - self.stuck_since > _STUCK_MAX_S

    def write(self, chunk: bytes) -> None:
        """Chunks of the answer, with their lengths."""
        if not self.transport.is_closing():
            self.transport.write(chunk)

    def finish(self) -> None:
        """The stream is over."""
        self._timer.cancel()
        if self.retry is not None:
            self.retry.cancel()
        self._close(self)
        if not self.done.done():
            self.done.set_result(None)


def _chunk(data: bytes) -> bytes:
    """Data as HTTP frames it."""
    return b"%x\r\n%b\r\n" % (len(data), data)

"""Watches on the wire: changes are pushed into open connections as they happen, encoded once for all who get them.

A reader whose connection is full gets nothing more until it has room, and is dropped when that takes too long or too
much has come up. Upstream: apiserver/pkg/endpoints/handlers/watch.go @v1.36
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Final, final

from kubesim.api.objects import Object
from kubesim.api.requests import Options
from kubesim.api.scheme import Kind
from kubesim.apiserver.conversion import stored_kind
from kubesim.apiserver.selection import list_objects
from kubesim.apiserver.server import ApiServer
from kubesim.errors import ApiError
from kubesim.http.encoding import Encoder
from kubesim.http.negotiation import JSON, Form
from kubesim.http.shapes import Shapes
from kubesim.http.targets import Target
from kubesim.http.watch_requests import WatchRequest
from kubesim.store.watch import Watch, WatchEvent

_BUFFER_FULL: Final = 256 * 1024
_PENDING_MAX: Final = 20_000
_STUCK_MAX_S: Final = 30.0
_LOOK_S: Final = 1.0
_BOOKMARK_S: Final = 60.0
_BATCH: Final = 500
_INITIAL_END: Final = {"k8s.io/initial-events-end": "true"}


@final
class Watching:
    """All open watches."""

    def __init__(self, server: ApiServer, encoder: Encoder, shapes: Shapes) -> None:
        self._server = server
        self._encoder = encoder
        self._shapes = shapes
        self._due: list[Stream] = []
        self._is_flushing = False
        self.streams: dict[Stream, None] = {}
        self._looking: asyncio.TimerHandle | None = None
        self._line: tuple[Any, bytes] = (None, b"")

    def open(self, target: Target, request: WatchRequest, form: Form, transport: asyncio.Transport) -> Stream:
        """Begin to write events into a connection whose head has been sent; `Stream.done` tells when it is over."""
        stream = Stream(self, target.kind, form, transport, request)
        try:
            self._begin(stream, target, request)
        except ApiError as error:
            stream.write(self._encoder.plain({"type": "ERROR", "object": error.status()}) + b"\n")
            stream.finish()
            return stream
        self.streams[stream] = None
        if self._looking is None:
            self._looking = asyncio.get_running_loop().call_later(_LOOK_S, self._look)
        return stream

    def _begin(self, stream: Stream, target: Target, request: WatchRequest) -> None:
        store = self._server.store
        options = request.options
        if request.has_initial:
            plain = Options(label_selector=options.label_selector, field_selector=options.field_selector)
            listed = list_objects(store, target.kind, target.namespace, plain)
            since = store.revision
            items = listed["items"]
            for start in range(0, len(items), _BATCH):
                events = [WatchEvent("ADDED", item) for item in items[start : start + _BATCH]]
                stream.write(b"".join([self._encoded(stream, event) for event in events]))
            if request.ends_initial:
                metadata = {"resourceVersion": str(since), "annotations": _INITIAL_END}
                stream.write(self._encoded(stream, WatchEvent("BOOKMARK", {"metadata": metadata})))
        else:
            since = store.revision if request.since is None else request.since
        stream.watch = self._server.watch(target.kind, since, options, lambda _: self._mark(stream), target.namespace)
        if stream.watch.pending:
            self._mark(stream)

    def _mark(self, stream: Stream) -> None:
        self._due.append(stream)
        if not self._is_flushing:
            self._is_flushing = True
            asyncio.get_running_loop().call_soon(self._flush)

    def _flush(self) -> None:
        self._is_flushing = False
        due, self._due = self._due, []
        for stream in due:
            self._send(stream)

    def _send(self, stream: Stream) -> None:
        watch = stream.watch
        if watch is None or stream.done.done() or not watch.pending:
            return
        if stream.is_full:
            stream.stuck_since = stream.stuck_since or asyncio.get_running_loop().time()
            return
        stream.stuck_since = 0.0
        events = watch.drain()
        if len(events) == 1:
            stream.write(self._shared(stream, events[0]))
        else:
            stream.write(b"".join([self._shared(stream, event) for event in events]))

    def _shared(self, stream: Stream, event: WatchEvent) -> bytes:
        """An event's line; that of the last plain one is kept for the next reader."""
        if not stream.is_plain:
            return self._encoded(stream, event)
        last, line = self._line
        if last is not event.obj or line[9:12] != event.type[:3].encode():
            line = self._encoded(stream, event)
            self._line = (event.obj, line)
        return line

    def _encoded(self, stream: Stream, event: WatchEvent) -> bytes:
        kind = stream.kind
        obj = event.obj
        if event.type == "BOOKMARK":
            body = self._encoder.plain(self._bookmark(stream, obj))
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
        """Once a second: go on where there is room again, drop whoever does not read, send bookmarks."""
        self._looking = None
        now = asyncio.get_running_loop().time()
        for stream in list(self.streams):
            watch = stream.watch
            if watch is None or stream.transport.is_closing():
                stream.finish()
            elif len(watch.pending) > _PENDING_MAX or (stream.stuck_since and now - stream.stuck_since > _STUCK_MAX_S):
                stream.transport.abort()
                stream.finish()
            else:
                self._send(stream)
                if watch.wants_bookmarks and now >= stream.bookmark_at and not watch.pending:
                    stream.bookmark_at = now + _BOOKMARK_S
                    stream.write(self._encoded(stream, self._server.store.bookmark()))
        if self.streams:
            self._looking = asyncio.get_running_loop().call_later(_LOOK_S, self._look)


@final
class Stream:
    """One open watch: its connection, and how far it is."""

    def __init__(
        self, owner: Watching, kind: Kind, form: Form, transport: asyncio.Transport, request: WatchRequest
    ) -> None:
        loop = asyncio.get_running_loop()
        self.kind = kind
        self.form = form
        self.is_plain = form == Form(JSON)
        self.transport = transport
        self.watch: Watch | None = None
        self.done: asyncio.Future[None] = loop.create_future()
        self.stuck_since = 0.0
        self.has_columns = False
        self.bookmark_at = loop.time() + _BOOKMARK_S
        self._timer = loop.call_later(request.timeout_s, self.finish)
        self._close: Callable[[Stream], None] = owner.close

    @property
    def is_full(self) -> bool:
        """Whether what was written has not gone out yet."""
        return self.transport.get_write_buffer_size() > _BUFFER_FULL

    def write(self, data: bytes) -> None:
        """One chunk of the answer."""
        if not self.transport.is_closing():
            self.transport.write(b"%x\r\n%b\r\n" % (len(data), data))

    def finish(self) -> None:
        """The stream is over."""
        self._timer.cancel()
        self._close(self)
        if not self.done.done():
            self.done.set_result(None)

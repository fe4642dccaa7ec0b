"""Whole lists as bytes, kept while nothing of their kind is written."""

from __future__ import annotations

from typing import Any, Final, NamedTuple, final

from kubesim.api.objects import Object
from kubesim.api.requests import Request
from kubesim.apiserver.conversion import stored_kind
from kubesim.apiserver.server import ApiServer, Identity
from kubesim.http.encoding import Encoder

_KEPT_BYTES: Final = 64 * 1024 * 1024
_ONLY_REVISION: Final = {"resourceVersion"}


class _Kept(NamedTuple):
    """A list as it was at `revision`, `written` being the last write to its kind; its items begin at `items_at`."""

    written: int
    revision: int
    items_at: int
    body: bytes


@final
class Lists:
    """The lists that were asked for last, up to a number of bytes."""

    def __init__(self, server: ApiServer, encoder: Encoder) -> None:
        self._server = server
        self._encoder = encoder
        self._kept: dict[Any, _Kept] = {}
        self._bytes = 0

    def answer(self, request: Request, identity: Identity) -> bytes:
        """The JSON of a list.

        Raises:
            ApiError: as `ApiServer.handle`.
        """
        server, options = self._server, request.options
        store = server.store
        if options.continue_token or options.resource_version not in ("", "0") or options.resource_version_match:
            return self._made(server.handle(request, identity)).body
        key = (request.kind, request.namespace, options)
        written = store.written(stored_kind(request.kind).resource)
        kept = self._kept.pop(key, None)
        if kept is not None:
            self._bytes -= len(kept.body)
        if kept is None or kept.written != written:
            listed = server.handle(request, identity)
            kept = self._made(listed, written)
            if listed["metadata"].keys() != _ONLY_REVISION:
                return kept.body  # a page, which the next revision has another token for
        elif kept.revision != store.revision:
            head = self._head(request.kind.kind, request.kind.api_version, {"resourceVersion": str(store.revision)})
            body = b"".join((head, memoryview(kept.body)[kept.items_at :]))
            kept = _Kept(written, store.revision, len(head), body)
        self._keep(key, kept)
        return kept.body

    def _keep(self, key: Any, kept: _Kept) -> None:
        self._kept[key] = kept
        self._bytes += len(kept.body)
        while self._bytes > _KEPT_BYTES:
            self._bytes -= len(self._kept.pop(next(iter(self._kept))).body)

    def _made(self, listed: Object, written: int = 0) -> _Kept:
        """A List object whose items are stored objects, as bytes."""
        metadata = listed["metadata"]
        head = self._head(listed["kind"].removesuffix("List"), listed["apiVersion"], metadata)
        body = b"".join((head, self._encoder.items(listed["items"]), b"]}\n"))
        return _Kept(written, int(metadata["resourceVersion"]), len(head), body)

    def _head(self, kind: str, api_version: str, metadata: Object) -> bytes:
        head = {"kind": f"{kind}List", "apiVersion": api_version, "metadata": metadata}
        return self._encoder.plain(head)[:-1] + b',"items":['

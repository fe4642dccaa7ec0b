"""Objects as bytes, each encoded once for all who read it.

Stored values never change, so the bytes of one are kept beside it and shared between GET, LIST and every watch.
Upstream: apiserver/pkg/storage/cacher/caching_object.go @v1.36
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final, final

import msgspec

from kubesim.api.objects import Object
from kubesim.api.scheme import Kind

_KEPT_MAX: Final = 32_768
_encode = msgspec.json.encode
_UNSAID: Final = ("kind", "apiVersion")


@final
class Encoder:
    """The bytes of the objects that were asked for last, as `shown` makes them of stored ones."""

    def __init__(self, shown: Callable[[Object], Object]) -> None:
        self.shown = shown
        self._kept: dict[int, tuple[Object, bytes]] = {}
        self._heads: dict[Kind, bytes] = {}

    def inner(self, obj: Object) -> bytes:
        """An object without kind and apiVersion, as lists have their items."""
        number = id(obj)
        kept = self._kept
        found = kept.get(number)
        if found is not None and found[0] is obj:
            return found[1]
        encoded = _encode({name: value for name, value in self.shown(obj).items() if name not in _UNSAID})
        if len(kept) >= _KEPT_MAX:
            # The object is kept as well, so its number cannot become another's while it stands here.
            for oldest in list(kept)[: _KEPT_MAX // 8]:
                del kept[oldest]
        kept[number] = (obj, encoded)
        return encoded

    def whole(self, kind: Kind, obj: Object) -> bytes:
        """A stored object of this kind."""
        head = self._heads.get(kind)
        if head is None:
            head = self._heads[kind] = _encode({"kind": kind.kind, "apiVersion": kind.api_version})[:-1]
        inner = self.inner(obj)
        return head + b"," + inner[1:] if len(inner) > 2 else head + b"}"

    def items(self, objects: Sequence[Object]) -> bytes:
        """Stored objects with commas between them."""
        inner = self.inner
        return b",".join([inner(obj) for obj in objects])

    @staticmethod
    def plain(value: Any) -> bytes:
        """Anything else."""
        return _encode(value)

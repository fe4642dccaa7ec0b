"""Equal parts of different bodies as one value.

A hundred Pods that a client makes alike come as a hundred bodies. What the server knows of a part it knows by its
identity (`kubesim.api.memo`): shared, their spec is defaulted, validated and attributed once, and kept once.
"""

from __future__ import annotations

from typing import Any, Final, final

import msgspec

from kubesim.api.objects import Object

_KEPT_MAX: Final = 1024
_LENGTH_MAX: Final = 8192
_encode = msgspec.json.encode


@final
class Sharing:
    """The parts that came last, by how they are written. Nobody changes a value once it is shared."""

    def __init__(self) -> None:
        self._kept: dict[bytes, Any] = {}

    def of_object(self, obj: Object) -> Object:
        """A JSON body's object, with parts that others have had before."""
        metadata = obj.get("metadata")
        if type(metadata) is dict:
            for name in ("labels", "annotations"):
                if name in metadata:
                    metadata[name] = self._shared(metadata[name])
        if "spec" in obj:
            obj["spec"] = self._shared(obj["spec"])
        return obj

    def _shared(self, part: Any) -> Any:
        written = _encode(part)
        if len(written) > _LENGTH_MAX:
            return part
        kept = self._kept
        found = kept.get(written)
        if found is not None:
            return found
        if len(kept) >= _KEPT_MAX:
            for oldest in list(kept)[: _KEPT_MAX // 2]:
                del kept[oldest]
        kept[written] = part
        return part

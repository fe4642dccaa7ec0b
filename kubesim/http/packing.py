"""gzip of long answers; one that is given again, as lists and OpenAPI documents are, is packed once."""

from __future__ import annotations

import zlib
from typing import Final, final

# Upstream: apiserver/pkg/endpoints/handlers/responsewriters/writers.go:defaultGzipThresholdBytes @v1.36
PACKED_FROM: Final = 128 * 1024
_LEVEL: Final = 1
_KEPT_MAX: Final = 16
_LENGTH_MAX: Final = 4 * 1024 * 1024


@final
class Packing:
    """The bodies that were packed last."""

    def __init__(self) -> None:
        self._kept: dict[int, tuple[bytes, bytes]] = {}

    def __call__(self, body: bytes) -> bytes:
        """The body as gzip."""
        number = id(body)
        found = self._kept.pop(number, None)
        if found is None:
            packer = zlib.compressobj(_LEVEL, zlib.DEFLATED, 31)
            found = (body, packer.compress(body) + packer.flush())
            if len(body) > _LENGTH_MAX:
                return found[1]
            if len(self._kept) >= _KEPT_MAX:
                del self._kept[next(iter(self._kept))]
        # The body is kept as well, so its number cannot become another's while it stands here.
        self._kept[number] = found
        return found[1]

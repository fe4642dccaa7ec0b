"""Which images there are: those on every node from the start, those that no registry has, and all others."""

from __future__ import annotations

from functools import lru_cache
from hashlib import sha256
from typing import TYPE_CHECKING, Final, final

from kubesim.node.images import full_name
from kubesim.node.runtime import Image, RuntimeFailure

if TYPE_CHECKING:
    from collections.abc import Iterable

# The size that images are said to have: a choice.
IMAGE_BYTES: Final = 60_000_000


@lru_cache(maxsize=4096)
def image_ref(name: str) -> str:
    """The ID of an image, made from its full name."""
    return "sha256:" + sha256(name.encode()).hexdigest()


@final
class ImageCatalogue:
    """Images that are on every node from the start, and images that no registry has. Any other can be pulled."""

    __slots__ = ("added_ns", "broken", "is_unreachable", "missing", "present", "start_delays_ns")

    def __init__(self, present: Iterable[str] = (), missing: Iterable[str] = ()) -> None:
        self.present = {name: self._image(name) for image in present if (name := full_name(image)) is not None}
        self.missing = {full_name(image) for image in missing}
        # What is wrong: no registry answers, pulls take longer, images that start late, and some that never do well.
        self.is_unreachable = False
        self.added_ns = 0
        self.start_delays_ns: dict[str, int] = {}
        self.broken: dict[str, str] = {}

    @staticmethod
    def _image(name: str) -> Image:
        return Image(name, image_ref(name), IMAGE_BYTES)

    def pulled(self, image: str) -> Image | RuntimeFailure:
        """What a pull comes to."""
        name = full_name(image) or image
        if self.is_unreachable:
            host = name.partition("/")[0]
            why = f'failed to do request: Head "https://{host}": dial tcp: connect: connection refused'
            return RuntimeFailure(f'failed to pull and unpack image "{name}": failed to resolve image: {why}')
        if name in self.missing:
            return RuntimeFailure(
                f'failed to pull and unpack image "{name}": failed to resolve image: {name}: not found'
            )
        return self._image(name)

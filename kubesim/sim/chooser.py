"""The only source of chance: named streams drawn from one seed.

Each actor draws from a stream of its own, so what one draws does not shift what another gets, and a scenario keeps its
names when an unrelated actor is added. Alternative 0 is the calm one (deliver now, first come first served, no fault).
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Protocol, TypeVar

T = TypeVar("T")

# The letters of generated names. Upstream: apimachinery/pkg/util/rand/rand.go:alphanums @v1.36
ALPHANUMERICS = "bcdfghjklmnpqrstvwxz2456789"

_UID_MASK = (1 << 48) - 1
# Odd, hence prime to 2^48: no number comes twice. 2^48 over the golden ratio spreads them evenly.
_UID_STRIDE = 0x9E3779B97F4B


class Stream(Protocol):
    """The choices of one actor."""

    def below(self, count: int) -> int:
        """A whole number from 0 to `count` - 1; 0 is the calm alternative."""
        ...

    def fraction(self) -> float:
        """A number in [0, 1), for jitter and probabilities."""
        ...

    def suffix(self, length: int = 5) -> str:
        """A random name suffix as Kubernetes generates them."""
        ...

    def uid(self) -> str:
        """A random version 4 UUID."""
        ...

    def pick(self, items: Sequence[T]) -> T:
        """One of `items`."""
        ...


class SeededStream:
    """A stream from a pseudo-random generator."""

    __slots__ = ("_random", "_uid_next", "_uid_prefix")

    def __init__(self, seed: str) -> None:
        self._random = random.Random(seed)
        self._uid_prefix = ""
        self._uid_next = 0

    def below(self, count: int) -> int:
        return self._random.randrange(count)

    def fraction(self) -> float:
        return self._random.random()

    def suffix(self, length: int = 5) -> str:
        bits = self._random.getrandbits(24 * length)
        letters = []
        for _ in range(length):
            letters.append(ALPHANUMERICS[(bits & 0xFFFFFF) % 27])
            bits >>= 24
        return "".join(letters)

    def uid(self) -> str:
        # One draw per stream; then a walk through all 48-bit numbers, so that UIDs differ by more than a counter.
        if not self._uid_prefix:
            digits = f"{self._random.getrandbits(128):032x}"
            variant = "89ab"[int(digits[16], 16) & 3]
            self._uid_prefix = f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-{variant}{digits[17:20]}-"
            self._uid_next = int(digits[20:], 16)
        self._uid_next = number = (self._uid_next + _UID_STRIDE) & _UID_MASK
        return f"{self._uid_prefix}{number:012x}"

    def pick(self, items: Sequence[T]) -> T:
        return items[self._random.randrange(len(items))]


class Chooser:
    """All choices of a run, from one seed. `stream(name)` is the same for the same seed and name."""

    def __init__(self, seed: int = 0) -> None:
        self.seed = seed
        self._streams: dict[str, SeededStream] = {}

    def stream(self, name: str) -> Stream:
        """The stream of this name, made on first use."""
        stream = self._streams.get(name)
        if stream is None:
            # A string seed is hashed with SHA-512 by `random`, not with the process's own string hash.
            stream = self._streams[name] = SeededStream(f"{self.seed}/{name}")
        return stream

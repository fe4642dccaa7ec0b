"""A memo of a pure function of immutable objects, keyed by their identity.

Pods of one ReplicaSet share the `spec` subtree of its template, so whatever is computed from that subtree alone is
computed once. Hashing such a tree would cost more than most of those functions; its identity costs nothing. The memo
holds a reference to every key, so an identity cannot be reused while its entry lives.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, TypeVar, final

Value = TypeVar("Value")


@final
class IdentityMemo(Generic[Value]):
    """Calls `compute(key)` once per key object; when `size` entries are there, the older half is dropped."""

    __slots__ = ("_compute", "_entries", "_size")

    def __init__(self, compute: Callable[[Any], Value], size: int = 1024) -> None:
        self._compute = compute
        self._entries: dict[int, tuple[Any, Value]] = {}
        self._size = size

    def __call__(self, key: Any) -> Value:
        """The function's value at `key`, remembered from the last time where possible."""
        entry = self._entries.get(id(key))
        if entry is not None:
            return entry[1]
        value = self._compute(key)
        if len(self._entries) >= self._size:
            for identity in list(self._entries)[: self._size // 2]:
                del self._entries[identity]
        self._entries[id(key)] = (key, value)
        return value


@final
class IdentitiesMemo(Generic[Value]):
    """The same for a function of several objects: one call of `compute` per combination of them."""

    __slots__ = ("_compute", "_entries", "_size")

    def __init__(self, compute: Callable[..., Value], size: int = 1024) -> None:
        self._compute = compute
        self._entries: dict[tuple[int, ...], tuple[tuple[Any, ...], Value]] = {}
        self._size = size

    def __call__(self, *keys: Any) -> Value:
        """The function's value at `keys`, remembered from the last time where possible."""
        identities = tuple(map(id, keys))
        entry = self._entries.get(identities)
        if entry is not None:
            return entry[1]
        value = self._compute(*keys)
        if len(self._entries) >= self._size:
            for known in list(self._entries)[: self._size // 2]:
                del self._entries[known]
        self._entries[identities] = (keys, value)
        return value

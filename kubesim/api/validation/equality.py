"""Semantic equality of API values: what Go's decoded structs would not tell apart.

An empty list or map equals an absent one, a false flag that is left out when false equals an absent one, and
quantities are compared by amount.
Upstream: apimachinery/pkg/api/equality/semantic.go @v1.36
"""

from __future__ import annotations

from typing import Any

from kubesim.api import quantity

# Booleans that are plain values upstream, not pointers: false is not stored.
_PLAIN_FLAGS = frozenset({"hostIPC", "hostNetwork", "hostPID", "readOnly", "stdin", "stdinOnce", "tty"})
_AMOUNTS = frozenset({"limits", "overhead", "requests"})


def equivalent(left: Any, right: Any) -> bool:
    """Whether two values mean the same to the API server."""
    if left is right:
        return True
    if isinstance(left, dict) and isinstance(right, dict):
        return all(_same_field(name, left.get(name), right.get(name)) for name in left.keys() | right.keys())
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(equivalent, left, right))
    return bool(left == right) or (_is_empty(left) and _is_empty(right))


def _is_empty(value: Any) -> bool:
    return value is None or (value.__class__ in (dict, list) and not value)


def _same_field(name: str, left: Any, right: Any) -> bool:
    if name in _AMOUNTS and isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(
            quantity.compare(amount, right[resource]) == 0 for resource, amount in left.items()
        )
    if name in _PLAIN_FLAGS and not left and not right:
        return True
    return equivalent(left, right)

"""File paths and modes inside volumes: relative, never climbing out.

Upstream: pkg/apis/core/validation/validation.go:validateLocalDescendingPath, ValidateLocalNonReservedPath @v1.36
"""

from __future__ import annotations

from collections.abc import Iterator

from kubesim.api.objects import Object
from kubesim.api.validation.field import invalid, required
from kubesim.errors import Cause

_MODE = "must be a number between 0 and 0777 (octal), both inclusive"


def has_backstep(target: str) -> bool:
    """Whether one element of the path is `..`."""
    return ".." in target and ".." in target.split("/")


def no_backsteps(path: str, target: str) -> Iterator[Cause]:
    """A path without `..` elements."""
    if has_backstep(target):
        yield invalid(path, target, "must not contain '..'")


def descending_path(path: str, target: str) -> Iterator[Cause]:
    """A relative path without `..` elements."""
    if target.startswith("/"):
        yield invalid(path, target, "must be a relative path")
    yield from no_backsteps(path, target)


def non_reserved_path(path: str, target: str) -> Iterator[Cause]:
    """A descending path that does not start with `..`, which the kubelet keeps for itself."""
    yield from descending_path(path, target)
    if target.startswith("..") and not target.startswith("../"):
        yield invalid(path, target, "must not start with '..'")


def file_mode(path: str, holder: Object, name: str) -> Iterator[Cause]:
    """The optional file mode `holder[name]`."""
    mode = holder.get(name)
    if mode is not None and not 0 <= mode <= 0o777:
        yield invalid(f"{path}.{name}", mode, _MODE)


def key_to_path(path: str, item: Object) -> Iterator[Cause]:
    """One entry of a ConfigMap's or Secret's `items`."""
    if not item.get("key"):
        yield required(f"{path}.key")
    if not item.get("path"):
        yield required(f"{path}.path")
    yield from non_reserved_path(f"{path}.path", item.get("path", ""))
    yield from file_mode(path, item, "mode")

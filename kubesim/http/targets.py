"""What a path means: the kind, namespace, name and subresource that it names.

Upstream: apiserver/pkg/endpoints/request/requestinfo.go:NewRequestInfo @v1.36
"""

from __future__ import annotations

from typing import NamedTuple
from urllib.parse import unquote

from kubesim.api.kinds import ALL_KINDS, find_resource
from kubesim.api.scheme import Kind
from kubesim.errors import ApiError

_GROUPS = frozenset(kind.group for kind in ALL_KINDS)
_OF_NAMESPACE = ("status", "finalize")


class Target(NamedTuple):
    """What a request is about. `rest` is what follows a proxy's subresource; `is_watch` marks the old watch paths."""

    kind: Kind
    namespace: str
    name: str
    subresource: str
    rest: str = ""
    is_watch: bool = False


class PlainNotFound(Exception):  # noqa: N818 - it is an answer
    """No part of the API has such a path: a plain 404, without a Status."""


def resource_not_found() -> ApiError:
    """404 for a path in a group that exists."""
    return ApiError(404, "NotFound", "the server could not find the requested resource")


def read_path(path: str) -> Target | None:
    """The target of a path below `/api` or `/apis`; None for a path that is no resource's.

    Raises:
        PlainNotFound: the group does not exist.
        ApiError: 404, the version or resource does not.
    """
    parts = [unquote(part) for part in path.split("/") if part]
    if not parts or parts[0] not in ("api", "apis"):
        return None
    if parts[0] == "api":
        group, rest = "", parts[1:]
    else:
        group, rest = (parts[1], parts[2:]) if len(parts) > 1 else ("", [])
        if (len(parts) > 1 and group not in _GROUPS) or (not group and rest):
            raise PlainNotFound
    if len(rest) < 2:
        return None
    version, rest = rest[0], rest[1:]
    is_watch = rest[0] == "watch" and len(rest) > 1
    if is_watch:
        rest = rest[1:]
    namespace = ""
    is_namespaced = rest[0] == "namespaces" and len(rest) > 2 and rest[2] not in _OF_NAMESPACE
    if is_namespaced:
        namespace, rest = rest[1], rest[2:]
    kind = find_resource(group, version, rest[0])
    if kind is None or (is_namespaced and not kind.namespaced):
        raise resource_not_found()
    if kind.namespaced and not namespace and len(rest) > 1:
        raise resource_not_found()
    name = rest[1] if len(rest) > 1 else ""
    subresource = rest[2] if len(rest) > 2 else ""
    if len(rest) > 3 and subresource != "proxy":
        raise resource_not_found()
    return Target(kind, namespace, name, subresource, "/".join(rest[3:]), is_watch)

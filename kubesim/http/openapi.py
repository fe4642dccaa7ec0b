"""OpenAPI v2 and v3 of what is served: the schemas of every kind, and the paths with their parameters.

kubectl reads v3 for `explain`, for the keys of lists that it merges, and to learn that fields are validated here.
Upstream: kube-openapi/pkg/{handler,handler3} @v1.36
"""

from __future__ import annotations

import hashlib
from functools import cache
from typing import Any, Final

import msgspec

from kubesim.http.discovery import group_versions
from kubesim.http.negotiation import JSON, clauses, not_acceptable
from kubesim.http.openapi_paths import operations_of
from kubesim.http.openapi_schemas import Schemas
from kubesim.http.statuses import Reply
from kubesim.http.targets import PlainNotFound

_INFO: Final = {"title": "Kubernetes", "version": "1.36"}
_BEARER: Final = {
    "type": "apiKey",
    "description": "Bearer Token authentication",
    "name": "authorization",
    "in": "header",
}
_V2_TYPE: Final = "application/com.github.proto-openapi.spec.v2@v1.0+protobuf"
_V3_TYPE: Final = "application/com.github.proto-openapi.spec.v3@v1.0+protobuf"


def answer(parts: list[str], accept: str, if_none_match: str) -> Reply | None:
    """The answer to a path below `/openapi`, None where there is no such path."""
    if parts == ["v2"]:
        _check(accept, _V2_TYPE)
        return _unless_same(_v2(), if_none_match)
    if parts == ["v3"]:
        return _unless_same(_index(), if_none_match)
    if parts[:1] != ["v3"]:
        return None
    found = {
        _path(group, version): (group, version) for group, versions in group_versions().items() for version in versions
    }
    group_version = found.get("/".join(parts[1:]))
    if group_version is None:
        raise PlainNotFound
    _check(accept, _V3_TYPE)
    return _unless_same(_v3(*group_version), if_none_match)


def _check(accept: str, other: str) -> None:
    """Raise 406 where the client wants protobuf alone."""
    ranges = [media for media, _ in clauses(accept)]
    if accept and not any(media in (JSON, "*/*", "application/*") for media in ranges):
        raise not_acceptable(f"{JSON}, {other}")


def _unless_same(reply: Reply, if_none_match: str) -> Reply:
    return Reply(304, b"", reply.media, reply.headers) if if_none_match == reply.headers["ETag"] else reply


def _path(group: str, version: str) -> str:
    return f"apis/{group}/{version}" if group else f"api/{version}"


@cache
def _v3(group: str, version: str) -> Reply:
    schemas = Schemas("#/components/schemas/")
    paths = operations_of(group, version, schemas, is_v3=True)
    document = {
        "openapi": "3.0.0",
        "info": _INFO,
        "paths": paths,
        "components": {"schemas": schemas.found(), "securitySchemes": {"BearerToken": _BEARER}},
    }
    return _reply(document)


@cache
def _v2() -> Reply:
    schemas = Schemas("#/definitions/")
    paths: dict[str, Any] = {}
    for group, versions in group_versions().items():
        for version in versions:
            paths |= operations_of(group, version, schemas, is_v3=False)
    document = {
        "swagger": "2.0",
        "info": _INFO,
        "paths": paths,
        "definitions": schemas.found(),
        "securityDefinitions": {"BearerToken": _BEARER},
        "security": [{"BearerToken": []}],
    }
    return _reply(document)


@cache
def _index() -> Reply:
    paths = {}
    for group, versions in group_versions().items():
        for version in versions:
            path = _path(group, version)
            paths[path] = {"serverRelativeURL": f"/openapi/v3/{path}?hash={_hash(path.encode())}"}
    return _reply({"paths": paths})


def _reply(document: Any) -> Reply:
    body = msgspec.json.encode(document)
    return Reply(200, body, JSON, {"ETag": f'"{_hash(body)}"', "Vary": "Accept-Encoding"})


def _hash(data: bytes) -> str:
    """Names a document; the schema is the same for as long as the program is."""
    from importlib.metadata import version

    return hashlib.sha512(data + version("kubesim").encode()).hexdigest().upper()

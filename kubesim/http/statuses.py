"""Answers as values: a code, a media type, bytes and headers; and every error as a Status."""

from __future__ import annotations

from typing import Any, NamedTuple

import msgspec

from kubesim.errors import ApiError

JSON_TYPE = "application/json"
TEXT_TYPE = "text/plain; charset=utf-8"
_NO_HEADERS: dict[str, str] = {}


class Reply(NamedTuple):
    """A whole answer."""

    code: int
    body: bytes
    media: str = JSON_TYPE
    headers: dict[str, str] = _NO_HEADERS
    warnings: tuple[str, ...] = ()


def text(body: str, code: int = 200) -> Reply:
    """A plain answer."""
    return Reply(code, body.encode(), TEXT_TYPE)


def json(value: Any, code: int = 200, media: str = JSON_TYPE) -> Reply:
    """A value as JSON."""
    return Reply(code, msgspec.json.encode(value) + b"\n", media)


def refusal(error: ApiError) -> Reply:
    """The Status of an error."""
    status = error.status()
    headers = {"Retry-After": str(error.retry_after_s)} if error.retry_after_s else _NO_HEADERS
    return Reply(error.code, msgspec.json.encode(status) + b"\n", JSON_TYPE, headers)


def unauthorized() -> ApiError:
    """401: credentials that nobody knows."""
    return ApiError(401, "Unauthorized", "Unauthorized")


def not_implemented(message: str) -> ApiError:
    """501: Kubernetes has this, the simulator does not."""
    return ApiError(501, "NotImplemented", message)


def method_not_allowed() -> ApiError:
    """405: the path is there, but not with this method."""
    return ApiError(405, "MethodNotAllowed", "the server does not allow this method on the requested resource")

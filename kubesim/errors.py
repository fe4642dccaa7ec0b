"""Errors that cross a boundary: what an API client sees, what a user sees, and what only a bug of ours can cause.

Wire errors are one type, `ApiError`, built by a constructor per reason and tested by its `reason`.
Upstream: staging/src/k8s.io/apimachinery/pkg/api/errors/errors.go @v1.36
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple


class Cause(NamedTuple):
    """One entry of `Status.details.causes`: a machine reason, the field's path and the prose about it."""

    reason: str
    field: str
    message: str


class ApiError(Exception):
    """An answer of the API server that is not success: a `metav1.Status` as an exception."""

    def __init__(
        self,
        code: int,
        reason: str,
        message: str,
        *,
        kind: str = "",
        group: str = "",
        name: str = "",
        causes: Sequence[Cause] = (),
        retry_after_s: int = 0,
        continue_token: str = "",
    ) -> None:
        super().__init__(message)
        self.code = code
        self.reason = reason
        self.message = message
        self.kind = kind
        self.group = group
        self.name = name
        self.causes = tuple(causes)
        self.retry_after_s = retry_after_s
        self.continue_token = continue_token

    @property
    def is_refused(self) -> bool:
        """Whether nobody listened at the server's port."""
        return self.reason == "ConnectionRefused"

    @property
    def is_namespace_terminating(self) -> bool:
        """Whether it was refused because its namespace is being deleted. Upstream: api/errors:HasStatusCause @v1.36"""
        return any(cause.reason == "NamespaceTerminating" for cause in self.causes)

    def status(self) -> dict[str, Any]:
        """The wire form: a `v1.Status` object."""
        details: dict[str, Any] = {}
        if self.name:
            details["name"] = self.name
        if self.group:
            details["group"] = self.group
        if self.kind:
            details["kind"] = self.kind
        if self.causes:
            details["causes"] = [
                {name: text for name, text in cause._asdict().items() if text} for cause in self.causes
            ]
        if self.retry_after_s:
            details["retryAfterSeconds"] = self.retry_after_s
        status: dict[str, Any] = {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {"continue": self.continue_token} if self.continue_token else {},
            "status": "Failure",
            "message": self.message,
            "code": self.code,
        }
        if self.reason:
            status["reason"] = self.reason
        if details:
            status["details"] = details
        return status


def _qualified(plural: str, group: str) -> str:
    return f"{plural}.{group}" if group else plural


def not_found(plural: str, group: str, name: str) -> ApiError:
    """404: no object of that name."""
    message = f'{_qualified(plural, group)} "{name}" not found'
    return ApiError(404, "NotFound", message, kind=plural, group=group, name=name)


def already_exists(plural: str, group: str, name: str) -> ApiError:
    """409: a create met an object of the same name."""
    message = f'{_qualified(plural, group)} "{name}" already exists'
    return ApiError(409, "AlreadyExists", message, kind=plural, group=group, name=name)


def generated_name_taken(plural: str, group: str, name: str) -> ApiError:
    """409: a create whose name comes from generateName met an object of the same name.

    Upstream: apimachinery/pkg/api/errors/errors.go:NewGenerateNameConflict @v1.36
    """
    message = (
        f'{_qualified(plural, group)} "{name}" already exists, '
        "the server was not able to generate a unique name for the object"
    )
    return ApiError(409, "AlreadyExists", message, kind=plural, group=group, name=name, retry_after_s=1)


def conflict(plural: str, group: str, name: str, why: str) -> ApiError:
    """409: the write cannot be done against the object as it is now."""
    message = f'Operation cannot be fulfilled on {_qualified(plural, group)} "{name}": {why}'
    return ApiError(409, "Conflict", message, kind=plural, group=group, name=name)


STALE_WRITE = "the object has been modified; please apply your changes to the latest version and try again"


def invalid(kind: str, group: str, name: str, causes: Iterable[Cause]) -> ApiError:
    """422: the object breaks a rule; `causes` in the order in which validation met them."""
    causes = tuple(causes)
    lines = list(dict.fromkeys(f"{cause.field}: {cause.message}" for cause in causes))
    prose = lines[0] if len(lines) == 1 else f"[{', '.join(lines)}]"
    message = f'{_qualified(kind, group)} "{name}" is invalid: {prose}'
    return ApiError(422, "Invalid", message, kind=kind, group=group, name=name, causes=causes)


def bad_request(message: str) -> ApiError:
    """400: the request itself cannot be understood."""
    return ApiError(400, "BadRequest", message)


def forbidden(plural: str, group: str, name: str, why: str) -> ApiError:
    """403: an admission rule refuses the request."""
    subject = f'{_qualified(plural, group)} "{name}"' if name else _qualified(plural, group)
    return ApiError(403, "Forbidden", f"{subject} is forbidden: {why}", kind=plural, group=group, name=name)


def method_not_supported(plural: str, group: str, action: str) -> ApiError:
    """405: the resource has no such verb."""
    message = f'{action} is not supported on resources of kind "{_qualified(plural, group)}"'
    return ApiError(405, "MethodNotAllowed", message, kind=plural, group=group)


def expired(message: str) -> ApiError:
    """410: the revision asked for has been compacted away."""
    return ApiError(410, "Expired", message)


def too_many_requests(message: str, retry_after_s: int = 0, causes: Sequence[Cause] = ()) -> ApiError:
    """429: try later; evictions that a budget refuses answer so."""
    return ApiError(429, "TooManyRequests", message, retry_after_s=retry_after_s, causes=causes)


def no_answer(message: str, *, is_refused: bool = False) -> ApiError:
    """Not an answer at all, but what a client sees of a broken connection; `code` is 0 then.

    Where it was refused, nothing has been done; otherwise the request may have been carried out.
    """
    return ApiError(0, "ConnectionRefused" if is_refused else "ConnectionLost", message)


def internal_error(why: str) -> ApiError:
    """500: the API server failed on its own account."""
    message = f"Internal error occurred: {why}"
    return ApiError(500, "InternalError", message, causes=(Cause("", "", why),))


class UserError(Exception):
    """A mistake in what the user gave us: one line that says what, where and what to do. Exit code 2."""


class SimBug(Exception):  # noqa: N818 - it is called what it is
    """An invariant of the simulator itself is broken; never the user's fault."""

"""Answers that are no success, as RFC 9457 problem documents."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final

import pydantic_core
from aiohttp import web

from vehicle_api import logs
from vehicle_api.core import BadRequest, FieldError, Invalid
from vehicle_api.pool import Unavailable
from vehicle_api.store import DuplicateVin, KeyReused, NotFound, StaleETag

RETRY_AFTER_SECONDS: Final = 1
CONTENT_TYPE: Final = "application/problem+json"


def make_problem(
    status: int, detail: str, members: Mapping[str, Any] | None = None, headers: Mapping[str, str] | None = None
) -> web.Response:
    """An answer with this status and reason; `members` go into the document beside the standard ones."""
    document = {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
        "request_id": logs.request_id.get(),
        **(members or {}),
    }
    all_headers = {"Content-Type": CONTENT_TYPE, "Cache-Control": "no-store", **(headers or {})}
    if status == HTTPStatus.SERVICE_UNAVAILABLE:
        all_headers["Retry-After"] = str(RETRY_AFTER_SECONDS)
    return web.Response(status=status, body=pydantic_core.to_json(document), headers=all_headers)


def invalid_problem(errors: tuple[FieldError, ...]) -> web.Response:
    """422 with each field that is wrong."""
    detail = f"{errors[0].field}: {errors[0].detail}" if len(errors) == 1 else f"{len(errors)} fields are wrong"
    return make_problem(422, detail, {"errors": [error._asdict() for error in errors]})


def problem_of(error: Exception) -> web.Response | None:
    """The answer that an exception of the domain or of aiohttp means; None for one that is a bug of ours."""
    match error:
        case Invalid():
            return invalid_problem(error.errors)
        case BadRequest():
            return make_problem(400, str(error))
        case NotFound():
            return make_problem(404, "there is no such vehicle")
        case DuplicateVin():
            members = {"vehicle": f"/api/vehicles/{error.vehicle_id}"} if error.vehicle_id else {}
            return make_problem(409, f"another vehicle has the VIN {error.vin}", members)
        case StaleETag():
            detail = f"the vehicle has been changed meanwhile and is at {error.current} now: read it again"
            return make_problem(409, detail, headers={"ETag": error.current})
        case KeyReused():
            field = FieldError("Idempotency-Key", "it was used before, to create another vehicle")
            return invalid_problem((field,))
        case Unavailable():
            return make_problem(503, "the database is away")
        case web.HTTPMethodNotAllowed():
            allowed = ", ".join(sorted(error.allowed_methods))
            return make_problem(405, f"{error.method} is not among {allowed}", headers={"Allow": allowed})
        case web.HTTPRequestEntityTooLarge():
            return make_problem(413, "the body is too large", headers={"Connection": "close"})
        case web.HTTPNotFound():
            return make_problem(404, "there is nothing at this path")
        case web.HTTPException():
            return make_problem(error.status, error.reason)
        case web.RequestPayloadError():
            return make_problem(400, "the body cannot be read")
    return None

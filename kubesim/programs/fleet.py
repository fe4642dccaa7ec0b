"""The vehicle service's HTTP API: from a request through statements to a reply, by the rules of `vehicle_api`.

A handler is a generator: it yields what it asks of the database, gets rows or a violated constraint, and returns the
reply. That the database is away is not its concern: whoever drives it then answers for it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Generator, Mapping
from http import HTTPStatus
from typing import Any, Final, NamedTuple
from urllib.parse import parse_qsl

from kubesim.api.memo import IdentityMemo
from kubesim.network.messages import HttpReply, HttpRequest
from kubesim.programs.sql import TOKENS, Rejected, Rows, Statement

TABLE: Final = "vehicles"
UNIQUE_COLUMN: Final = "vin"
PATH: Final = "/api/vehicles"
_LIMIT_DEFAULT: Final = 50
_LIMIT_MAX: Final = 200
_SECONDS_TO_TRY_AGAIN: Final = 1

_UUID: Final = re.compile("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII)
_ETAG: Final = re.compile(r'"([0-9]+)"')
_DEFAULTS: Final = {"licence_plate": None, "mileage": 0, "status": "active"}
_FILTERS: Final = ("vin", "make", "model", "year", "licence_plate", "status")
_FIELDS: Final = (*_FILTERS, "mileage")
_DOCUMENT: Final = ("id", *_FIELDS, "created_at", "updated_at")


class Ask(NamedTuple):
    """A statement, and whether carrying it out twice does no harm."""

    statement: Statement
    is_idempotent: bool = True


Answering = Generator[Ask, Rows | Rejected, HttpReply]


def make_problem(status: int, detail: str, headers: Mapping[str, str] | None = None, **members: Any) -> HttpReply:
    """A reply that is no success, as an RFC 9457 problem document; a 503 says when to try again."""
    document = {"type": "about:blank", "title": HTTPStatus(status).phrase, "status": status, "detail": detail}
    sent = {"Content-Type": "application/problem+json", **(headers or {})}
    if status == HTTPStatus.SERVICE_UNAVAILABLE:
        sent["Retry-After"] = str(_SECONDS_TO_TRY_AGAIN)
    return HttpReply(status, {**document, **members}, sent)


def answer(request: HttpRequest, make_id: Callable[[], str]) -> Answering:
    """The handler of a request to the vehicles; `make_id` gives a new vehicle its UUID."""
    path, _, query = request.path.partition("?")
    method = request.method
    if path == PATH:
        if method == "GET":
            return _list(query)
        return _create(request, make_id()) if method == "POST" else _refuse(method, "GET, POST")
    vehicle_id = path[len(PATH) + 1 :]
    if method == "GET":
        return _get(vehicle_id, request.headers.get("If-None-Match", ""))
    if method in ("PUT", "PATCH"):
        return _change(request, vehicle_id)
    return _delete(request, vehicle_id) if method == "DELETE" else _refuse(method, "DELETE, GET, PATCH, PUT")


def _refuse(method: str, allowed: str) -> Answering:
    yield from ()
    return make_problem(405, f"{method} is not among {allowed}", {"Allow": allowed})


def _render(row: Mapping[str, Any], status: int = 200, headers: Mapping[str, str] | None = None) -> HttpReply:
    etag = f'"{row["version"]}"'
    return HttpReply(status, _document(row), {"ETag": etag, **(headers or {})})


def _document_of(row: Mapping[str, Any]) -> Mapping[str, Any]:
    return {name: row[name] for name in _DOCUMENT}


# A list shows the same rows to every user; a row that changes is another object.
_document: IdentityMemo[Mapping[str, Any]] = IdentityMemo(_document_of, 4096)
# The database answers a list with the same tuple for as long as nothing has changed.
_documents: IdentityMemo[list[Mapping[str, Any]]] = IdentityMemo(lambda rows: [*map(_document, rows)], 16)


def _list(query: str) -> Answering:
    given = dict(parse_qsl(query))
    limit, cursor = given.pop("limit", str(_LIMIT_DEFAULT)), given.pop("cursor", "0")
    if not (limit.isdigit() and 1 <= int(limit) <= _LIMIT_MAX and cursor.isdigit() and {*given} <= {*_FILTERS}):
        return make_problem(400, f"the query makes no sense: {query}")
    where = {name: int(value) if name == "year" and value.isdigit() else value for name, value in given.items()}
    found = yield Ask(Statement("select", TABLE, where=where, after=int(cursor), limit=int(limit) + 1))
    rows = found.rows if isinstance(found, Rows) else ()
    shown = _documents(rows)[: int(limit)]
    following = str(rows[len(shown) - 1]["seq"]) if len(rows) > len(shown) else None
    return HttpReply(200, {"items": shown, "next": following})


def _get(vehicle_id: str, known: str) -> Answering:
    row = yield from _find(vehicle_id)
    if row is None:
        return make_problem(404, "there is no such vehicle")
    reply = _render(row)
    is_known = known.strip() == "*" or str(row["version"]) in _ETAG.findall(known)
    return reply._replace(status=304, body=None) if is_known else reply


def _find(vehicle_id: str) -> Generator[Ask, Rows | Rejected, Mapping[str, Any] | None]:
    if not _UUID.fullmatch(vehicle_id):
        return None
    found = yield Ask(Statement("select", TABLE, vehicle_id))
    return found.rows[0] if isinstance(found, Rows) and found.rows else None


def _create(request: HttpRequest, vehicle_id: str) -> Answering:
    fields = request.body
    if wrong := explain_wrong(fields):
        return make_problem(422, "; ".join(wrong))
    once = request.headers.get("Idempotency-Key", "")
    row = {"id": vehicle_id, **_DEFAULTS, **fields}
    # The id is ours and new, so a creation is idempotent: if it is there already, this very call has put it there.
    made = yield Ask(Statement("insert", TABLE, vehicle_id, row, once=once))
    if isinstance(made, Rejected):
        made = yield Ask(Statement("select", TABLE, where={UNIQUE_COLUMN: fields[UNIQUE_COLUMN]}))
        other = made.rows[0]["id"] if isinstance(made, Rows) and made.rows else ""
        if other != vehicle_id:
            detail = f"another vehicle has the VIN {fields[UNIQUE_COLUMN]}"
            return make_problem(409, detail, vehicle=f"{PATH}/{other}")
    elif not made.rows and once:
        return (yield from _replay(once, row))
    elif not made.rows:
        made = yield Ask(Statement("select", TABLE, vehicle_id))
    if isinstance(made, Rejected) or not made.rows:
        return make_problem(503, "the database is away")
    return _render(made.rows[0], 201, {"Location": f"{PATH}/{vehicle_id}"})


def _replay(once: str, row: Mapping[str, Any]) -> Answering:
    """What was answered to the first creation with this Idempotency-Key, if it was the same one."""
    kept = yield Ask(Statement("select", TOKENS, once))
    first = kept.rows[0] if isinstance(kept, Rows) and kept.rows else None
    if first is None or {**first["row"], "id": row["id"]} != row:
        return make_problem(422, "Idempotency-Key: it was used before, to create another vehicle")
    times = {"created_at": first["created_at"], "updated_at": first["created_at"]}
    headers = {"Location": f"{PATH}/{first['key']}"}
    if first["key"] != row["id"]:
        headers["Idempotent-Replayed"] = "true"
    return _render({**first["row"], **times, "version": 1}, 201, headers)


def _versions(request: HttpRequest) -> tuple[int, ...] | HttpReply | None:
    """The versions at which a change is wanted, None for any, or why the request cannot be understood."""
    match = request.headers.get("If-Match", "")
    if not match:
        return make_problem(428, "If-Match is missing: send the ETag that the vehicle had when you read it, or *")
    if match.strip() == "*":
        return None
    tags = _ETAG.findall(match)
    return tuple(map(int, tags)) or make_problem(400, 'an entity tag stands in double quotes, as in "7"')


def _current(request: HttpRequest, vehicle_id: str) -> Generator[Ask, Rows | Rejected, Mapping[str, Any] | HttpReply]:
    """The vehicle as it is, if the caller means that one."""
    versions = _versions(request)
    if isinstance(versions, HttpReply):
        return versions
    row = yield from _find(vehicle_id)
    if row is None:
        return make_problem(404, "there is no such vehicle")
    if versions is not None and row["version"] not in versions:
        etag = f'"{row["version"]}"'
        return make_problem(409, f"the vehicle has been changed meanwhile and is at {etag} now", {"ETag": etag})
    return row


def _change(request: HttpRequest, vehicle_id: str) -> Answering:
    while True:
        old = yield from _current(request, vehicle_id)
        if isinstance(old, HttpReply):
            return old
        fields = request.body
        if request.method == "PATCH" and isinstance(fields, dict):
            merged = {**{name: old[name] for name in _FIELDS}, **fields}
            fields = {name: value for name, value in merged.items() if value is not None}
        if wrong := explain_wrong(fields):
            return make_problem(422, "; ".join(wrong))
        statement = Statement("update", TABLE, vehicle_id, {**old, **_DEFAULTS, **fields}, version=old["version"])
        made = yield Ask(statement, is_idempotent=False)
        if isinstance(made, Rejected):
            return make_problem(409, f"another vehicle has the VIN {fields[UNIQUE_COLUMN]}")
        if made.rows:
            return _render(made.rows[0])


def _delete(request: HttpRequest, vehicle_id: str) -> Answering:
    while True:
        old = yield from _current(request, vehicle_id)
        if isinstance(old, HttpReply):
            return old
        gone = yield Ask(Statement("delete", TABLE, vehicle_id, version=old["version"]), is_idempotent=False)
        if isinstance(gone, Rows) and gone.rows:
            return HttpReply(204)


def _is_text(value: Any, length_max: int = 80) -> bool:
    return type(value) is str and bool(value.strip()) and len(value) <= length_max and value.isprintable()


def _is_between(value: Any, minimum: int, maximum: int) -> bool:
    return type(value) is int and minimum <= value <= maximum


_RULES: Final[Mapping[str, tuple[Callable[[Any], bool], str]]] = {
    "vin": (
        lambda value: type(value) is str and bool(re.fullmatch("[A-HJ-NPR-Z0-9]{17}", value)),
        "must have 17 characters, digits and capitals but I, O and Q",
    ),
    "make": (_is_text, "must be a text of 1 to 80 characters"),
    "model": (_is_text, "must be a text of 1 to 80 characters"),
    "year": (lambda value: _is_between(value, 1886, 2100), "must be a year from 1886 to 2100"),
    "licence_plate": (lambda value: value is None or _is_text(value, 16), "must be a text of 1 to 16 characters"),
    "mileage": (lambda value: _is_between(value, 0, 10_000_000), "must be from 0 to 10000000 kilometres"),
    "status": (lambda value: value in ("active", "maintenance", "retired"), "must be active, maintenance or retired"),
}


def explain_wrong(document: Any) -> list[str]:
    """What keeps a JSON value from being a vehicle, each with its field; nothing if it is one."""
    if type(document) is not dict:
        return [f"(document): must be an object, not {json.dumps(document)[:40]}"]
    wrong = [f"{name}: is missing" for name in _FIELDS if name not in document and name not in _DEFAULTS]
    for name, value in document.items():
        if name not in _RULES:
            wrong.append(f"{name}: there is no such field")
        elif not _RULES[name][0](value):
            wrong.append(f"{name}: {_RULES[name][1]}")
    return wrong

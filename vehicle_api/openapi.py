"""The OpenAPI 3.1 document: schemas and query parameters from the pydantic models, paths from one table."""

from __future__ import annotations

from functools import cache
from typing import Any, Final

from pydantic.json_schema import models_json_schema

from vehicle_api.core import IDEMPOTENCY_KEY_PATTERN, ListQuery, Problem, Vehicle, VehicleFields, VehicleList

_REF = "#/components/schemas/{model}"
_ID: Final = {
    "name": "id",
    "in": "path",
    "required": True,
    "schema": {"type": "string", "format": "uuid"},
    "description": "the `id` of a vehicle",
}
_IF_MATCH: Final = {
    "name": "If-Match",
    "in": "header",
    "required": True,
    "schema": {"type": "string", "pattern": r'^(\*|"[0-9]{1,18}"(, ?"[0-9]{1,18}")*)$'},
    "description": "the ETag that the vehicle had when it was read, or * for any",
}
_IF_NONE_MATCH: Final = {
    "name": "If-None-Match",
    "in": "header",
    "schema": {"type": "string"},
    "description": "the ETag of what the caller has; ignored if it is none",
}
_KEY: Final = {
    "name": "Idempotency-Key",
    "in": "header",
    "schema": {"type": "string", "pattern": IDEMPOTENCY_KEY_PATTERN, "format": "idempotency-key"},
    "description": "for 24 hours, the same key and body create no second vehicle but get the first answer again",
}
_REASONS: Final = {
    400: "the request cannot be understood",
    404: "there is no such vehicle",
    408: "the body took too long",
    409: "another vehicle has this VIN, or the vehicle was changed meanwhile",
    413: "the body is larger than 64 KiB",
    415: "the body is of another type",
    422: "no vehicle; `errors` names each field",
    428: "If-Match is missing",
    503: "the database is away: try again after `Retry-After` seconds",
}
_BODY_PROBLEMS: Final = (400, 408, 413, 415, 422)


def _header(description: str) -> dict[str, Any]:
    return {"description": description, "schema": {"type": "string"}}


def _schema(model: str) -> dict[str, str]:
    return {"$ref": _REF.format(model=model)}


def _problem(status: int) -> dict[str, Any]:
    answer: dict[str, Any] = {
        "description": _REASONS[status],
        "content": {"application/problem+json": {"schema": _schema("Problem")}},
    }
    if status == 503:
        answer["headers"] = {"Retry-After": _header("seconds")}
    return answer


def _ok(description: str, schema: dict[str, Any], headers: tuple[str, ...] = ()) -> dict[str, Any]:
    answer: dict[str, Any] = {"description": description, "content": {"application/json": {"schema": schema}}}
    if headers:
        answer["headers"] = {name: _header(_HEADERS[name]) for name in headers}
    return answer


_HEADERS: Final = {"ETag": "the vehicle's version", "Location": "where the vehicle is", "Link": "the next page"}


def _operation(
    name: str, summary: str, answers: dict[int, dict[str, Any]], problems: tuple[int, ...] = (), **more: Any
) -> dict[str, Any]:
    responses = {**answers, **{status: _problem(status) for status in problems}}
    return {
        "operationId": name,
        "summary": summary,
        "responses": {str(status): responses[status] for status in sorted(responses)},
        **more,
    }


def _body(*types: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"required": True, "content": {each: {"schema": schema} for each in types}}


def _query_parameters() -> list[dict[str, Any]]:
    properties = ListQuery.model_json_schema()["properties"]
    return [{"name": name, "in": "query", "schema": _without_null(schema)} for name, schema in properties.items()]


def _without_null(schema: dict[str, Any]) -> dict[str, Any]:
    """A parameter is left out, never null."""
    variants = [each for each in schema.get("anyOf", ()) if each != {"type": "null"}]
    return variants[0] if variants else {name: value for name, value in schema.items() if name != "default"}


def _patch_schema(fields: dict[str, Any]) -> dict[str, Any]:
    """A merge patch: every field may be missing, and null takes those back that have a default."""
    properties = dict(fields["properties"])
    for name in set(properties) - set(fields["required"]) - {"licence_plate"}:
        properties[name] = {"anyOf": [properties[name], {"type": "null"}]}
    return {**fields, "title": "VehiclePatch", "properties": properties, "required": []}


def _vehicle_paths() -> dict[str, Any]:
    vehicle, fields, etag = _schema("Vehicle"), _schema("VehicleFields"), ("ETag",)
    json = "application/json"
    return {
        "/api/vehicles": {
            "get": _operation(
                "listVehicles",
                "One page of the vehicles that fit, in order of creation",
                {200: _ok("a page", _schema("VehicleList"))},
                (400, 503),
                parameters=_query_parameters(),
            ),
            "post": _operation(
                "createVehicle",
                "Add a vehicle",
                {201: _ok("the vehicle", vehicle, ("ETag", "Location"))},
                (*_BODY_PROBLEMS, 409, 503),
                parameters=[_KEY],
                requestBody=_body(json, schema=fields),
            ),
        },
        "/api/vehicles/{id}": {
            "parameters": [_ID],
            "get": _operation(
                "getVehicle",
                "Read a vehicle",
                {200: _ok("the vehicle", vehicle, etag), 304: {"description": "the caller has it"}},
                (404, 503),
                parameters=[_IF_NONE_MATCH],
            ),
            "put": _operation(
                "replaceVehicle",
                "Replace all that a caller decides",
                {200: _ok("the vehicle", vehicle, etag)},
                (*_BODY_PROBLEMS, 404, 409, 428, 503),
                parameters=[_IF_MATCH],
                requestBody=_body(json, schema=fields),
            ),
            "patch": _operation(
                "patchVehicle",
                "Change some fields (RFC 7396)",
                {200: _ok("the vehicle", vehicle, etag)},
                (*_BODY_PROBLEMS, 404, 409, 428, 503),
                parameters=[_IF_MATCH],
                requestBody=_body("application/merge-patch+json", json, schema=_schema("VehiclePatch")),
            ),
            "delete": _operation(
                "deleteVehicle",
                "Remove a vehicle",
                {204: {"description": "it is gone"}},
                (400, 404, 409, 428, 503),
                parameters=[_IF_MATCH],
            ),
        },
    }


def _other_paths() -> dict[str, Any]:
    status = {"type": "object", "properties": {"status": {"const": "ok"}}, "required": ["status"]}
    html = {"content": {"text/html": {"schema": {"type": "string"}}}}
    text = {"content": {"text/plain": {"schema": {"type": "string"}}}}
    yes = {200: _ok("yes", status)}
    page_away = {"description": _REASONS[503], "headers": {"Retry-After": _header("seconds")}, **html}
    return {
        "/": {
            "get": _operation(
                "showPage", "The fleet, for people", {200: {"description": "it", **html}, 503: page_away}
            ),
        },
        "/healthz": {"get": _operation("healthz", "Whether the process is alive", yes)},
        "/readyz": {"get": _operation("readyz", "Whether requests should come here", yes, (503,))},
        "/metrics": {"get": _operation("metrics", "For Prometheus", {200: {"description": "metrics", **text}})},
        "/openapi.json": {"get": _operation("openapi", "This document", {200: _ok("OpenAPI 3.1", {"type": "object"})})},
    }


@cache
def document() -> dict[str, Any]:
    """The whole document; the same object each time, not to be changed."""
    answers = (Vehicle, VehicleList, Problem)
    _, definitions = models_json_schema(
        [(VehicleFields, "validation"), *((model, "serialization") for model in answers)], ref_template=_REF
    )
    schemas: dict[str, Any] = definitions["$defs"]
    schemas["VehiclePatch"] = _patch_schema(schemas["VehicleFields"])
    return {
        "openapi": "3.1.0",
        "info": {"title": "Vehicle API", "version": "1.0.0", "description": "The vehicles of a fleet."},
        "paths": {**_vehicle_paths(), **_other_paths()},
        "components": {"schemas": schemas},
    }

"""The domain without input or output: what a vehicle is, how a list is paged, what an ETag says.

Field names are those of the JSON documents. Whatever a caller sends goes through the models here before anything else
sees it; the OpenAPI document is made from the same models.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Final, Literal, NamedTuple

import pydantic_core
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, WithJsonSchema

from vehicle_api.vin import VIN_PATTERN, explain_wrong_check_digit

LIMIT_DEFAULT: Final = 50
LIMIT_MAX: Final = 200
IDEMPOTENCY_KEY_PATTERN: Final = "^[!-~]{1,128}$"
# No control characters (PostgreSQL stores no NUL, and nobody means the others), and not only blanks.
_TEXT = r"^[^\x00-\x1f\x7f-\x9f]*[^\x00-\x20\x7f-\xa0][^\x00-\x1f\x7f-\x9f]*$"


class BadRequest(ValueError):  # noqa: N818 - named for the answer that it becomes
    """The request cannot be understood: 400. The text says what and where."""


class FieldError(NamedTuple):
    """One thing that is wrong in a document: where (dotted), and what."""

    field: str
    detail: str


class Invalid(ValueError):  # noqa: N818 - named for the answer that it becomes
    """A well-formed document that is no vehicle: 422, with each field that is wrong."""

    def __init__(self, errors: tuple[FieldError, ...]) -> None:
        super().__init__(", ".join(f"{error.field}: {error.detail}" for error in errors))
        self.errors = errors


def _check_vin(vin: str) -> str:
    if why := explain_wrong_check_digit(vin):
        raise pydantic_core.PydanticCustomError("vin_check_digit", "{why}", {"why": why})
    return vin


def _as_integer(value: object) -> object:
    """In JSON Schema, 2003.0 is an integer."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _as_plain_integer(value: object) -> object:
    """Numbers in a query are plain digits; pydantic alone would also take `1_0`, ` 10` and `10.0`."""
    if isinstance(value, str) and not re.fullmatch(r"-?[0-9]{1,18}", value):
        raise pydantic_core.PydanticCustomError("int_parsing", "Input should be a valid integer")
    return value


Vin = Annotated[
    str,
    Field(pattern=VIN_PATTERN),
]
CheckedVin = Annotated[
    Vin,
    AfterValidator(_check_vin),
    WithJsonSchema(
        {
            "type": "string",
            "pattern": VIN_PATTERN,
            "format": "vin",
            "description": "17 characters, no I, O or Q; with a check digit if it begins with 1-5 or L",
            "examples": ["1HGCM82633A004352", "WVWZZZ1JZXW000001"],
        }
    ),
]
Name = Annotated[str, Field(pattern=_TEXT, max_length=80)]
Plate = Annotated[str, Field(pattern=r"^[A-Z0-9ÄÖÜ]([A-Z0-9ÄÖÜ -]{0,14}[A-Z0-9ÄÖÜ])?$")]
# The year of Benz's patent; and no one plans a model further ahead than that.
Year = Annotated[int, Field(ge=1886, le=2100), BeforeValidator(_as_integer)]
Kilometres = Annotated[int, Field(ge=0, le=10_000_000, description="kilometres"), BeforeValidator(_as_integer)]
Status = Literal["active", "maintenance", "retired"]


class VehicleFields(BaseModel):
    """What a caller decides about a vehicle."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    vin: CheckedVin
    make: Name
    model: Name
    year: Year
    licence_plate: Plate | None = None
    mileage: Kilometres = 0
    status: Status = "active"


class Vehicle(BaseModel):
    """A vehicle as the service keeps it."""

    model_config = ConfigDict(extra="forbid")

    id: Annotated[str, Field(json_schema_extra={"format": "uuid"})]
    vin: Vin
    make: str
    model: str
    year: int
    licence_plate: str | None
    mileage: int
    status: Status
    created_at: Annotated[str, Field(json_schema_extra={"format": "date-time"})]
    updated_at: Annotated[str, Field(json_schema_extra={"format": "date-time"})]


class VehicleList(BaseModel):
    """One page of the fleet, in order of creation."""

    model_config = ConfigDict(extra="forbid")

    items: list[Vehicle]
    next: Annotated[str | None, Field(description="cursor of the next page; null at the end")]


class ListQuery(BaseModel):
    """Which vehicles to list."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    limit: Annotated[int, Field(ge=1, le=LIMIT_MAX), BeforeValidator(_as_plain_integer)] = LIMIT_DEFAULT
    cursor: Annotated[str, Field(max_length=512, description="`next` of the page before")] = ""
    vin: Vin | None = None
    make: Name | None = None
    model: Name | None = None
    year: Annotated[Year, BeforeValidator(_as_plain_integer)] | None = None
    licence_plate: Plate | None = None
    status: Status | None = None

    @property
    def filters(self) -> dict[str, str | int]:
        """The conditions that were given, by column."""
        return self.model_dump(exclude={"limit", "cursor"}, exclude_none=True)


class Problem(BaseModel):
    """Why there is no answer (RFC 9457)."""

    type: str
    title: str
    status: int
    detail: str
    request_id: str
    errors: list[ProblemField] | None = None
    vehicle: str | None = None


class ProblemField(BaseModel):
    """One field that is wrong."""

    field: str
    detail: str


class StoredVehicle(NamedTuple):
    """A row of the database; the first eight and the two times are the document, in this order."""

    id: str
    vin: str
    make: str
    model: str
    year: int
    licence_plate: str | None
    mileage: int
    status: str
    created_at: str
    updated_at: str
    version: int
    seq: int

    @property
    def etag(self) -> str:
        """Changes with each write: `"7"`."""
        return f'"{self.version}"'

    def to_document(self) -> dict[str, Any]:
        """The JSON document, a `Vehicle`."""
        return dict(zip(_DOCUMENT, self, strict=False))

    def to_fields(self) -> dict[str, Any]:
        """What the caller decided, the start of a merge patch."""
        return {name: value for name, value in zip(_DOCUMENT, self, strict=False) if name in VehicleFields.model_fields}


_DOCUMENT = tuple(Vehicle.model_fields)


def _field_errors(error: ValidationError) -> tuple[FieldError, ...]:
    return tuple(
        FieldError(".".join(str(part) for part in each["loc"]) or "(document)", each["msg"])
        for each in error.errors(include_url=False, include_context=False, include_input=False)
    )


def parse_json(body: bytes) -> Any:
    """The value that a body holds; BadRequest if it is no JSON."""
    try:
        return pydantic_core.from_json(body, allow_inf_nan=False)
    except ValueError as error:
        raise BadRequest(f"the body is no JSON: {error}") from None


def parse_vehicle(document: Any) -> VehicleFields:
    """The vehicle that a JSON value describes; Invalid, with every field that is wrong, if it does not."""
    try:
        return VehicleFields.model_validate(document)
    except ValidationError as error:
        raise Invalid(_field_errors(error)) from None


def merge_patch(target: Any, patch: Any) -> Any:
    """`target` with `patch` applied (RFC 7396); neither is changed."""
    if not isinstance(patch, dict):
        return patch
    merged = dict(target) if isinstance(target, dict) else {}
    for name, value in patch.items():
        if value is None:
            merged.pop(name, None)
        else:
            merged[name] = merge_patch(merged.get(name), value)
    return merged


def parse_query(pairs: Sequence[tuple[str, str]]) -> ListQuery:
    """The query of a list; BadRequest if a parameter is unknown, given twice or out of its range."""
    given = dict(pairs)
    if len(given) != len(pairs):
        counts = Counter(name for name, _ in pairs)
        raise BadRequest(f"the query parameter {counts.most_common(1)[0][0]!r} is given twice")
    try:
        return ListQuery.model_validate(given)
    except ValidationError as error:
        first = _field_errors(error)[0]
        raise BadRequest(f"the query parameter {first.field!r}: {first.detail}") from None


def encode_cursor(seq: int, filters: Mapping[str, str | int]) -> str:
    """Where the next page begins, opaque to callers: it also holds the filters, for a cursor fits no other list."""
    return base64.urlsafe_b64encode(pydantic_core.to_json([seq, _digest(filters)])).decode().rstrip("=")


def decode_cursor(cursor: str, filters: Mapping[str, str | int]) -> int:
    """The place after which the page begins; BadRequest for what `encode_cursor` did not make for these filters."""
    if not cursor:
        return 0
    try:
        padded = cursor.encode("ascii") + b"=" * (-len(cursor) % 4)
        seq, digest = pydantic_core.from_json(base64.b64decode(padded, altchars=b"-_", validate=True))
        is_ours = type(seq) is int and 0 <= seq < 2**63
    except (ValueError, TypeError, binascii.Error):
        is_ours = False
    if not is_ours:
        raise BadRequest("the query parameter 'cursor': not one that this service made")
    if digest != _digest(filters):
        raise BadRequest("the query parameter 'cursor': it was made for other filters")
    return int(seq)


def _digest(filters: Mapping[str, str | int]) -> int:
    return binascii.crc32(pydantic_core.to_json(sorted(filters.items())))


_ETAGS = re.compile(r'\s*(?:(W/)?"([\x21\x23-\x7e\x80-\xff]*)"\s*(?:,\s*|$))')


def parse_etags(header: str, *, is_weak_welcome: bool) -> tuple[str, ...] | None:
    """The versions that an If-Match or If-None-Match names; None for `*`, which is any.

    Weak tags (`W/"7"`) count for If-None-Match; for If-Match they match nothing.

    Raises:
        BadRequest: it is neither `*` nor a list of entity tags.
    """
    if header.strip() == "*":
        return None
    tags, at = [], 0
    while at < len(header):
        if not (found := _ETAGS.match(header, at)):
            raise BadRequest('an entity tag stands in double quotes, as in "7"; several are parted by commas')
        if is_weak_welcome or not found[1]:
            tags.append(found[2])
        at = found.end()
    if not tags and "W/" not in header:
        raise BadRequest("an empty list of entity tags")
    return tuple(tags)

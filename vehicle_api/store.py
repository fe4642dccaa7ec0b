"""Where vehicles are kept: what the handlers ask for, and PostgreSQL that gives it.

Each call has one deadline for all that it does, and after it the answer is Unavailable.
"""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import Any, Final, NamedTuple, Protocol, cast

import psycopg2

from vehicle_api.core import StoredVehicle, VehicleFields
from vehicle_api.migrations import migrate
from vehicle_api.pool import Pool, Row, Unavailable

# What the two seconds for an answer leave for the database.
DATABASE_SECONDS: Final = 1.25
READY_SECONDS: Final = 1.0
# Not for a request: the other replicas may be at it, and a step may have much to do.
MIGRATE_SECONDS: Final = 35.0
# A caller that sends the same creation again after this long means a new one.
KEYS_KEPT: Final = "24 hours"

_COLUMNS = (
    "id::text, vin, make, model, year, licence_plate, mileage, status, "
    + ", ".join(f"""to_char({name}, 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')""" for name in ("created_at", "updated_at"))
    + ", version, seq"
)
GET_VEHICLE: Final = f"SELECT {_COLUMNS} FROM vehicles WHERE id = %s"  # noqa: S608 - constants of this module
_GET_BY_VIN = f"SELECT {_COLUMNS} FROM vehicles WHERE vin = %s"  # noqa: S608
_FIELDS = tuple(VehicleFields.model_fields)
_CREATE = (
    f"INSERT INTO vehicles (id, {', '.join(_FIELDS)}) VALUES (%s{', %s' * len(_FIELDS)}) "  # noqa: S608
    f"ON CONFLICT (id) DO NOTHING RETURNING {_COLUMNS}"
)
# One statement, so that the key is kept if and only if the vehicle is. Of two at once, the second waits for the first.
_CREATE_WITH_KEY = (
    "WITH kept AS (INSERT INTO idempotency_keys AS old (key, vehicle_id, fields) VALUES (%s, %s, %s) "  # noqa: S608
    "ON CONFLICT (key) DO UPDATE SET vehicle_id = excluded.vehicle_id, fields = excluded.fields, created_at = now() "
    f"WHERE old.created_at < now() - interval '{KEYS_KEPT}' RETURNING key) "
    f"INSERT INTO vehicles (id, {', '.join(_FIELDS)}) "
    "SELECT %s::uuid, %s, %s, %s, %s::integer, %s, %s::integer, %s FROM kept "
    f"RETURNING {_COLUMNS}"
)
_GET_KEY = (
    "SELECT vehicle_id::text, fields::text, "
    """to_char(created_at, 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') FROM idempotency_keys WHERE key = %s"""
)
_CHANGE = (
    f"UPDATE vehicles SET {', '.join(f'{name} = %s' for name in _FIELDS)}, "  # noqa: S608
    f"version = version + 1, updated_at = now() WHERE id = %s AND version = %s RETURNING {_COLUMNS}"
)


class NotFound(Exception):  # noqa: N818 - named for the answer that it becomes
    """There is no such vehicle."""


class DuplicateVin(Exception):  # noqa: N818 - named for the answer that it becomes
    """Another vehicle has this VIN."""

    def __init__(self, vin: str, vehicle_id: str) -> None:
        super().__init__(vin)
        self.vin = vin
        self.vehicle_id = vehicle_id


class StaleETag(Exception):  # noqa: N818 - named for the answer that it becomes
    """The vehicle has been changed since the caller read it."""

    def __init__(self, current: str) -> None:
        super().__init__(current)
        self.current = current


class KeyReused(Exception):  # noqa: N818 - named for the answer that it becomes
    """The Idempotency-Key belongs to the creation of another vehicle."""


class Created(NamedTuple):
    """A vehicle that was created, now or by an earlier request with the same key."""

    vehicle: StoredVehicle
    is_replayed: bool


class Store(Protocol):
    """All that the handlers need. Every method raises Unavailable when the database cannot answer in time."""

    async def list_vehicles(self, filters: Mapping[str, str | int], after: int, limit: int) -> list[StoredVehicle]:
        """At most `limit` vehicles that fit all filters, in order of `seq`, from the first above `after`."""

    async def get_vehicle(self, vehicle_id: str) -> StoredVehicle | None:
        """The vehicle, if it is there."""

    async def create_vehicle(self, fields: VehicleFields, key: str | None) -> Created:
        """A new vehicle; with a key that was used before, the vehicle as it was created then.

        Raises: DuplicateVin, KeyReused.
        """

    async def change_vehicle(
        self, vehicle_id: str, versions: Sequence[str] | None, change: Callable[[StoredVehicle], VehicleFields]
    ) -> StoredVehicle:
        """Change a vehicle if it is at one of these versions (None: at any) to what `change` makes of it.

        Raises: NotFound, StaleETag, DuplicateVin, and what `change` raises.
        """

    async def delete_vehicle(self, vehicle_id: str, versions: Sequence[str] | None) -> None:
        """Delete a vehicle if it is at one of these versions (None: at any). Raises: NotFound, StaleETag."""

    async def ping(self) -> None:
        """Get through to the database and back."""

    async def migrate(self) -> int:
        """Bring the schema up to date; how many steps that took."""

    async def expire_keys(self) -> None:
        """Forget idempotency keys that are too old to matter."""


class _Deadline:
    """What takes longer is cut off, and is Unavailable."""

    __slots__ = ("_cancelling", "_handle", "_is_over", "_seconds", "_task")

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._is_over = False

    async def __aenter__(self) -> None:
        # As asyncio.timeout does it, at a third of the cost, which every request pays.
        self._task = cast("asyncio.Task[Any]", asyncio.current_task())
        self._cancelling = self._task.cancelling()
        self._handle = asyncio.get_running_loop().call_later(self._seconds, self._cut)

    def _cut(self) -> None:
        self._is_over = True
        self._task.cancel()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not self._is_over:
            self._handle.cancel()
        elif self._task.uncancel() <= self._cancelling and kind is asyncio.CancelledError:
            raise Unavailable(f"no answer from the database within {self._seconds} s") from None


def _vehicles(rows: list[Row]) -> list[StoredVehicle]:
    return [StoredVehicle(*row) for row in rows]


def _values(fields: VehicleFields) -> tuple[Any, ...]:
    return tuple(getattr(fields, name) for name in _FIELDS)


class PostgresStore:
    """The `Store` that keeps vehicles in PostgreSQL."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def list_vehicles(self, filters: Mapping[str, str | int], after: int, limit: int) -> list[StoredVehicle]:
        conditions = " AND ".join(["seq > %s", *(f"{column} = %s" for column in filters)])
        statement = f"SELECT {_COLUMNS} FROM vehicles WHERE {conditions} ORDER BY seq LIMIT %s"  # noqa: S608
        async with _Deadline(DATABASE_SECONDS):
            return _vehicles(await self._pool.fetch(statement, (after, *filters.values(), limit), is_idempotent=True))

    async def get_vehicle(self, vehicle_id: str) -> StoredVehicle | None:
        async with _Deadline(DATABASE_SECONDS):
            return await self._get(vehicle_id)

    async def _get(self, vehicle_id: str) -> StoredVehicle | None:
        rows = await self._pool.fetch(GET_VEHICLE, (vehicle_id,), is_idempotent=True)
        return StoredVehicle(*rows[0]) if rows else None

    async def create_vehicle(self, fields: VehicleFields, key: str | None) -> Created:
        # The id is ours and new, so a creation is idempotent: if it is there already, this very call has put it there.
        vehicle_id = str(uuid.uuid4())
        async with _Deadline(DATABASE_SECONDS):
            try:
                if key is not None:
                    return await self._create_with_key(vehicle_id, fields, key)
                rows = await self._pool.fetch(_CREATE, (vehicle_id, *_values(fields)), is_idempotent=True)
                if not rows and not (rows := await self._pool.fetch(GET_VEHICLE, (vehicle_id,), is_idempotent=True)):
                    raise Unavailable("created, but deleted at once by somebody else")
                return Created(StoredVehicle(*rows[0]), is_replayed=False)
            except psycopg2.errors.UniqueViolation:
                return Created(await self._find_own(vehicle_id, fields.vin), is_replayed=False)

    async def _create_with_key(self, vehicle_id: str, fields: VehicleFields, key: str) -> Created:
        document = fields.model_dump_json()
        parameters = (key, vehicle_id, document, vehicle_id, *_values(fields))
        if rows := await self._pool.fetch(_CREATE_WITH_KEY, parameters, is_idempotent=True):
            return Created(StoredVehicle(*rows[0]), is_replayed=False)
        [(first_id, first_fields, created_at)] = await self._pool.fetch(_GET_KEY, (key,), is_idempotent=True)
        first = json.loads(first_fields)
        if first != json.loads(document):
            raise KeyReused(key)
        then = StoredVehicle(id=first_id, **first, created_at=created_at, updated_at=created_at, version=1, seq=0)
        return Created(then, is_replayed=first_id != vehicle_id)

    async def _find_own(self, vehicle_id: str, vin: str) -> StoredVehicle:
        """After a VIN was found taken: ours if the first attempt's answer was lost, else somebody else's."""
        rows = await self._pool.fetch(_GET_BY_VIN, (vin,), is_idempotent=True)
        if not rows or rows[0][0] != vehicle_id:
            raise DuplicateVin(vin, rows[0][0] if rows else "")
        return StoredVehicle(*rows[0])

    async def change_vehicle(
        self, vehicle_id: str, versions: Sequence[str] | None, change: Callable[[StoredVehicle], VehicleFields]
    ) -> StoredVehicle:
        async with _Deadline(DATABASE_SECONDS):
            while True:
                old = await self._get_if_current(vehicle_id, versions)
                new = change(old)
                try:
                    parameters = (*_values(new), vehicle_id, old.version)
                    rows = await self._pool.fetch(_CHANGE, parameters, is_idempotent=False)
                except psycopg2.errors.UniqueViolation:
                    found = await self._pool.fetch(_GET_BY_VIN, (new.vin,), is_idempotent=True)
                    raise DuplicateVin(new.vin, found[0][0] if found else "") from None
                if rows:
                    return StoredVehicle(*rows[0])
                # Somebody else was faster; the next look says whether the caller minds.

    async def delete_vehicle(self, vehicle_id: str, versions: Sequence[str] | None) -> None:
        statement = "DELETE FROM vehicles WHERE id = %s AND version = %s RETURNING id"
        async with _Deadline(DATABASE_SECONDS):
            while True:
                old = await self._get_if_current(vehicle_id, versions)
                if await self._pool.fetch(statement, (vehicle_id, old.version), is_idempotent=False):
                    return

    async def _get_if_current(self, vehicle_id: str, versions: Sequence[str] | None) -> StoredVehicle:
        if (found := await self._get(vehicle_id)) is None:
            raise NotFound(vehicle_id)
        if versions is not None and str(found.version) not in versions:
            raise StaleETag(found.etag)
        return found

    async def ping(self) -> None:
        async with _Deadline(READY_SECONDS):
            await self._pool.fetch("SELECT 1", is_idempotent=True)

    async def migrate(self) -> int:
        async with _Deadline(MIGRATE_SECONDS):
            return await migrate(self._pool)

    async def expire_keys(self) -> None:
        statement = f"DELETE FROM idempotency_keys WHERE created_at < now() - interval '{KEYS_KEPT}'"  # noqa: S608
        async with _Deadline(DATABASE_SECONDS):
            await self._pool.fetch(statement, is_idempotent=True)

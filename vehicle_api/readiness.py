"""Whether this process should get requests: schema in place, database within reach, not on its way out."""

from __future__ import annotations

import asyncio
import logging
from typing import Final

import psycopg2

from vehicle_api.pool import SchemaMissing, Unavailable
from vehicle_api.store import Store

_RETRY_SECONDS: Final = 0.5
_EXPIRE_SECONDS: Final = 3600.0

_log = logging.getLogger(__name__)


class Readiness:
    """Brings the schema up to date, as often as it takes and again if it vanishes, and answers `/readyz`."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._is_schema_due = asyncio.Event()
        self._is_schema_due.set()
        self.is_draining = False

    @property
    def is_migrated(self) -> bool:
        """Whether the schema is known to be in place."""
        return not self._is_schema_due.is_set()

    def note_schema_missing(self) -> None:
        """A statement found no table: another, empty database has taken the old one's place."""
        self._is_schema_due.set()

    async def keep_schema(self) -> None:
        """Run the migrations whenever they are due; forever."""
        while True:
            await self._is_schema_due.wait()
            try:
                steps = await self._store.migrate()
            except (Unavailable, psycopg2.Error) as error:
                if not isinstance(error, Unavailable):
                    _log.exception("migration failed")
                await asyncio.sleep(_RETRY_SECONDS)
            else:
                self._is_schema_due.clear()
                _log.info("schema is up to date", extra={"fields": {"steps": steps}})

    async def keep_keys_few(self) -> None:
        """Forget old idempotency keys once an hour; forever."""
        while True:
            await asyncio.sleep(_EXPIRE_SECONDS)
            try:
                await self._store.expire_keys()
            except (Unavailable, psycopg2.Error) as error:
                _log.warning("idempotency keys could not be expired: %s", error)

    async def explain_unready(self) -> str:
        """Why this process should get no requests now, or nothing."""
        if self.is_draining:
            return "shutting down"
        if not self.is_migrated:
            return "the schema is not up to date yet"
        try:
            await self._store.ping()
        except SchemaMissing:
            self.note_schema_missing()
            return "the schema is missing"
        except Unavailable:
            return "the database is away"
        return ""

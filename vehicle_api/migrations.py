"""The schema, step by step. Every replica runs this at start; a lock in the database lets one at a time do it.

A step is never changed once released: a change is a new step, and one that the version before can live with, because
during a rolling update both run. A database that knows more steps than this version is left alone.
"""

from __future__ import annotations

from typing import Final

from vehicle_api.pool import Pool

# Any constant will do, so long as nobody else in this database uses it.
_LOCK: Final = 0x7665_6869
# Waiting for another replica's steps may take longer than a request may.
_TIMEOUT: Final = "30s"

STEPS: Final = (
    """
    CREATE TABLE vehicles (
        id uuid PRIMARY KEY,
        seq bigint GENERATED ALWAYS AS IDENTITY UNIQUE,
        vin text NOT NULL CONSTRAINT vehicles_vin_key UNIQUE,
        make text NOT NULL,
        model text NOT NULL,
        year integer NOT NULL,
        licence_plate text,
        mileage integer NOT NULL,
        status text NOT NULL,
        version bigint NOT NULL DEFAULT 1,
        created_at timestamptz NOT NULL DEFAULT now(),
        updated_at timestamptz NOT NULL DEFAULT now()
    )
    """,
    """
    CREATE TABLE idempotency_keys (
        key text PRIMARY KEY,
        vehicle_id uuid NOT NULL,
        fields jsonb NOT NULL,
        created_at timestamptz NOT NULL DEFAULT now()
    )
    """,
    "CREATE INDEX idempotency_keys_created_at ON idempotency_keys (created_at)",
)


async def migrate(pool: Pool) -> int:
    """Bring the database's schema up to date in one transaction; how many steps that took.

    Raises:
        Unavailable: the database cannot be reached, or another replica holds the lock for too long.
    """
    async with pool.session() as execute:
        await execute("BEGIN")
        await execute(f"SET LOCAL statement_timeout = '{_TIMEOUT}'")
        await execute("SELECT pg_advisory_xact_lock(%s)", (_LOCK,))
        await execute("CREATE TABLE IF NOT EXISTS schema_steps (step integer PRIMARY KEY, at timestamptz NOT NULL)")
        [row] = await execute("SELECT coalesce(max(step), 0) FROM schema_steps")
        done = int(row[0])
        for number, step in enumerate(STEPS[done:], done + 1):
            await execute(step)
            await execute("INSERT INTO schema_steps VALUES (%s, now())", (number,))
        await execute("COMMIT")
    return max(0, len(STEPS) - done)

"""The service while its database is killed, frozen, replaced and brought back."""

from __future__ import annotations

import asyncio
import contextlib

import pytest
from patience import with_deadlines
from running import VEHICLE, Proxy, open_pool, serving, until_ready, vehicle

from vehicle_api import readiness
from vehicle_api.migrations import STEPS, migrate

# No answer may take longer.
ANSWER_SECONDS = 2.0
# Every call that needs the database, and a body for it.
CALLS = [
    ("GET", "/api/vehicles", None),
    ("GET", "/api/vehicles/00000000-0000-4000-8000-000000000000", None),
    ("POST", "/api/vehicles", VEHICLE),
    ("PUT", "/api/vehicles/00000000-0000-4000-8000-000000000000", VEHICLE),
    ("PATCH", "/api/vehicles/00000000-0000-4000-8000-000000000000", {}),
    ("DELETE", "/api/vehicles/00000000-0000-4000-8000-000000000000", None),
    ("GET", "/readyz", None),
    ("GET", "/", None),
]


class Timed:
    """Calls with their status and the time to it."""

    def __init__(self, client) -> None:
        self._client = client
        self.slowest = 0.0

    async def __call__(self, method, path, body=None, **headers):
        clock = asyncio.get_running_loop().time
        began = clock()
        async with self._client.request(method, path, json=body, headers={"If-Match": "*", **headers}) as answer:
            text = await answer.text()
        self.slowest = max(self.slowest, clock() - began)
        if answer.status == 503:
            assert answer.headers["Retry-After"] == "1"
            assert "away" in text or "schema" in text
        return answer.status


def behind(proxy, environment):
    """What the environment says of a service that reaches its database through the proxy."""
    return {**environment, "POSTGRES_PORT": str(proxy.port)}


async def assert_all_unavailable(client):
    """Whatever needs the database says 503 in time, six times at once; what does not need it is unmoved."""
    call = Timed(client)
    with with_deadlines():
        statuses = await asyncio.gather(*(call(*each) for each in CALLS * 6))
    assert set(statuses) == {503}
    assert call.slowest < ANSWER_SECONDS
    alive = Timed(client)
    assert await alive("GET", "/healthz") == 200
    assert await alive("GET", "/metrics") == 200
    assert alive.slowest < ANSWER_SECONDS


async def test_with_the_database_killed_every_answer_comes_in_time(emptied_environment, postgres):
    """503 with Retry-After; with it back, the first request after readiness succeeds, whatever it is."""
    async with serving(emptied_environment) as client:
        call = Timed(client)
        await asyncio.gather(*(call("GET", "/api/vehicles") for _ in range(30)))
        postgres.kill()

        await assert_all_unavailable(client)
        postgres.start()
        await until_ready(client.get)

        # Another vehicle: a creation that got 503 may have been carried out all the same.
        assert await call("POST", "/api/vehicles", vehicle(1)) == 201


async def test_with_the_database_frozen_every_answer_comes_in_time(emptied_environment, postgres):
    """Connections are open and nothing answers, as when a node hangs; afterwards all goes on."""
    async with serving(emptied_environment) as client:
        call = Timed(client)
        await asyncio.gather(*(call("GET", "/api/vehicles") for _ in range(30)))
        postgres.freeze()
        try:
            await assert_all_unavailable(client)
        finally:
            postgres.thaw()
        await until_ready(client.get)

        # Another vehicle: a creation that got 503 may have been carried out all the same.
        assert await call("POST", "/api/vehicles", vehicle(1)) == 201


async def test_with_the_network_gone_every_answer_comes_in_time(emptied_environment, postgres):
    """Packets vanish, on old connections and new ones; afterwards no old connection is trusted."""
    async with Proxy(postgres.port) as proxy, serving(behind(proxy, emptied_environment)) as client:
        call = Timed(client)
        await asyncio.gather(*(call("GET", "/api/vehicles") for _ in range(30)))
        proxy.swallow()
        await assert_all_unavailable(client)
        proxy.restore()
        await until_ready(client.get)

        # Another vehicle: a creation that got 503 may have been carried out all the same.
        assert await call("POST", "/api/vehicles", vehicle(1)) == 201


async def test_no_acknowledged_write_is_lost(emptied_environment, postgres):
    """The database is killed three times under load; every 201 is found again, and nothing was answered late or wrongly."""
    acknowledged, statuses, is_over = set(), set(), asyncio.Event()
    async with serving(emptied_environment) as client:
        call = Timed(client)

        async def write(writer):
            number = writer * 1_000_000
            while not is_over.is_set():
                number += 1
                status = await call("POST", "/api/vehicles", vehicle(number))
                statuses.add(status)
                if status == 201:
                    acknowledged.add(vehicle(number)["vin"])
                else:
                    await asyncio.sleep(0.02)

        with with_deadlines():
            writers = [asyncio.create_task(write(writer)) for writer in range(6)]
            for _ in range(3):
                target = len(acknowledged) + 60
                while len(acknowledged) < target:
                    await asyncio.sleep(0.01)
                await asyncio.to_thread(postgres.kill)
                await asyncio.to_thread(postgres.start)
            await until_ready(client.get)
            is_over.set()
            await asyncio.gather(*writers)

        async with open_pool(emptied_environment) as pool:
            found = {vin for (vin,) in await pool.fetch("SELECT vin FROM vehicles", is_idempotent=True)}
        assert acknowledged - found == set()
        assert len(acknowledged) > 180
        assert statuses <= {201, 503}
        assert call.slowest < ANSWER_SECONDS


async def test_a_lost_answer_to_a_creation_is_found_again(emptied_environment, postgres):
    """The database commits, and the connection dies before it says so: the second attempt recognises its own vehicle."""
    async with Proxy(postgres.port) as proxy, serving(behind(proxy, emptied_environment)) as client:
        for number, headers in enumerate(({}, {"Idempotency-Key": "a"})):
            proxy.cut_after_next_answer()
            async with client.post("/api/vehicles", json=vehicle(number), headers=headers) as answer:
                assert answer.status == 201, await answer.text()
                assert "Idempotent-Replayed" not in answer.headers
                made = await answer.json()
            async with client.get("/api/vehicles", params={"vin": made["vin"]}) as answer:
                assert (await answer.json())["items"] == [made]
        assert proxy.cuts == 2


async def test_old_keys_are_forgotten_whatever_comes_between(emptied_environment, monkeypatch, caplog):
    """What fails is said, the next time comes, and then a key of yesterday goes while one of today stays."""
    monkeypatch.setattr(readiness, "_EXPIRE_SECONDS", 0.01)
    insert = "INSERT INTO idempotency_keys VALUES (%s, gen_random_uuid(), '{}', now() - %s::interval)"
    rename = "ALTER TABLE idempotency_keys RENAME COLUMN {} TO {}"
    async with serving(emptied_environment), open_pool(emptied_environment) as pool:
        await pool.fetch(rename.format("created_at", "other"), is_idempotent=False)
        while "could not be expired" not in caplog.text:
            await asyncio.sleep(0.01)
        await pool.fetch(rename.format("other", "created_at"), is_idempotent=False)
        await pool.fetch(insert, ("new", "1 hour"), is_idempotent=False)
        await pool.fetch(insert, ("old", "25 hours"), is_idempotent=False)
        while await pool.fetch("SELECT key FROM idempotency_keys", is_idempotent=True) != [("new",)]:
            await asyncio.sleep(0.01)

        assert "created_at" in caplog.text, "the reason is in the log"


async def test_the_service_starts_without_its_database(environment, postgres):
    """It is alive and not ready, and becomes ready by itself."""
    postgres.kill()
    async with serving(environment, is_ready=False) as client:
        call = Timed(client)
        assert await call("GET", "/healthz") == 200
        assert await call("GET", "/readyz") == 503
        postgres.start()
        await until_ready(client.get)

        assert await call("POST", "/api/vehicles", VEHICLE) == 201


async def test_another_empty_database_gets_its_schema(environment):
    """A volume lost or a backup not restored: the tables are made again, and the Pod is not ready until then."""
    async with serving(environment) as client, open_pool(environment) as pool:
        call = Timed(client)
        await pool.fetch("DROP SCHEMA public CASCADE", is_idempotent=False)
        await pool.fetch("CREATE SCHEMA public", is_idempotent=False)

        assert await call("POST", "/api/vehicles", VEHICLE) == 503
        await until_ready(client.get)

        assert await call("POST", "/api/vehicles", VEHICLE) == 201


async def test_replicas_that_start_at_once_migrate_once(environment):
    """Ten at the same moment: each step is done by one of them, and all find the schema in place."""
    async with contextlib.AsyncExitStack() as stack:
        pools = [await stack.enter_async_context(open_pool(environment)) for _ in range(10)]

        steps = await asyncio.gather(*(migrate(pool) for pool in pools))

        assert sorted(steps) == [0] * 9 + [len(STEPS)]
        done = await pools[0].fetch("SELECT step FROM schema_steps ORDER BY step", is_idempotent=True)
        assert done == [(number,) for number in range(1, len(STEPS) + 1)]


async def test_a_failed_migration_leaves_nothing(environment, monkeypatch):
    """All steps or none; and the next attempt is free to go on."""
    monkeypatch.setattr("vehicle_api.migrations.STEPS", (*STEPS, "CREATE TABLE vehicles ()"))
    async with open_pool(environment) as pool:
        with pytest.raises(Exception, match="already exists"):
            await migrate(pool)
        assert await pool.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public'", is_idempotent=True) == []
        monkeypatch.undo()

        assert await migrate(pool) == len(STEPS)


async def test_a_newer_schema_is_left_alone(environment, monkeypatch):
    """After a rollback of the service, the old version lives with what the new one has added."""
    async with open_pool(environment) as pool:
        await migrate(pool)
        monkeypatch.setattr("vehicle_api.migrations.STEPS", STEPS[:-1])

        assert await migrate(pool) == 0

"""The pool against a real PostgreSQL that dies, hangs and comes back; each trap of aiopg 1.4 has its test."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
import time

import aiopg
import psycopg2
import pytest
from patience import with_deadlines
from running import Proxy, open_pool

from vehicle_api.addresses import Resolver
from vehicle_api.pool import ConnectionLost, SchemaMissing, Unavailable
from vehicle_api.settings import read_settings

SELECT = "SELECT 1"
# Less than connecting or a request may take here (a minute): nobody waited for a deadline.
AT_ONCE_SECONDS = 30.0


@pytest.fixture
def environment(emptied_environment):
    """All tests here share a database."""
    return emptied_environment


async def fill(pool, number):
    """Have this many connections open and idle."""
    await asyncio.gather(*(pool.fetch("SELECT pg_sleep(0.02)", is_idempotent=False) for _ in range(number)))
    while pool.states["idle"] < number:
        await asyncio.sleep(0.005)  # one may have served two callers while another was still being opened


async def test_a_restart_costs_no_caller_anything(environment, postgres):
    """After a restart that the loop has not noticed, 12 callers of 4 dead connections all succeed, and at once."""
    async with open_pool(environment) as pool:
        await fill(pool, 4)
        postgres.kill()
        postgres.start()
        began = time.monotonic()

        rows = await asyncio.gather(*(pool.fetch(SELECT, is_idempotent=False) for _ in range(12)))

        assert rows == [[(1,)]] * 12
        assert time.monotonic() - began < AT_ONCE_SECONDS
        assert pool.events["discarded"] == 4


async def test_aiopgs_own_pool_fails_after_a_restart(environment, postgres):
    """What the pool is for. Should this test fail, aiopg has been mended and the pool can go."""
    database = read_settings(environment).database
    where = (
        f"host=127.0.0.1 port={database.port} dbname={database.name} user={database.user} password={database.password}"
    )
    async with aiopg.create_pool(where, minsize=0, maxsize=4, enable_hstore=False) as pool:

        async def call():
            async with pool.acquire() as connection, connection.cursor() as cursor:
                await cursor.execute(SELECT)

        async with contextlib.AsyncExitStack() as stack:
            for _ in range(4):
                await stack.enter_async_context(pool.acquire())
        assert pool.freesize == 4
        postgres.kill()
        postgres.start()

        waiting = {asyncio.create_task(call()) for _ in range(12)}
        failed = set()
        while len(failed) < 4:
            done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            failed |= done
        done, waiting = await asyncio.wait(waiting, timeout=0.3)

        assert all(isinstance(each.exception(), psycopg2.Error) for each in failed), "each dead one costs a request"
        assert (len(done), len(waiting)) == (0, 8), "and nobody wakes those who wait"
        for each in waiting:
            each.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)


async def test_giving_back_a_dead_connection_wakes_who_waits(environment):
    """The only connection dies while lent; whoever waits for it gets a new one."""
    async with open_pool(environment, size=1) as pool, open_pool(environment, size=1) as other:
        async with pool.session() as execute:
            [(pid,)] = await execute("SELECT pg_backend_pid()")
            waiting = asyncio.create_task(pool.fetch(SELECT, is_idempotent=False))
            await other.fetch("SELECT pg_terminate_backend(%s, 60000)", (pid,), is_idempotent=False)
            with pytest.raises(ConnectionLost):
                await execute(SELECT)
            assert not waiting.done()

        assert await asyncio.wait_for(waiting, AT_ONCE_SECONDS) == [(1,)]


async def test_connecting_into_a_black_hole_holds_up_nobody(environment, postgres):
    """While a connection attempt gets no answer, a connection that is given back goes to whoever waits."""
    async with Proxy(postgres.port) as proxy, open_pool({**environment, "POSTGRES_PORT": str(proxy.port)}) as pool:
        async with pool.session() as execute:
            await execute(SELECT)
            proxy.swallow()
            waiting = asyncio.create_task(pool.fetch(SELECT, is_idempotent=False))
            await proxy.arrival.wait()
            assert pool.states == {"idle": 0, "lent": 1, "connecting": 1, "waiting": 1}
        assert pool.states == {"idle": 0, "lent": 1, "connecting": 1, "waiting": 0}
        proxy.restore()

        assert await asyncio.wait_for(waiting, AT_ONCE_SECONDS) == [(1,)]


async def test_a_silent_connection_takes_the_idle_ones_with_it(environment, postgres):
    """When a deadline passes with nothing heard, the other connections are suspects, too: the next call opens its own."""
    async with Proxy(postgres.port) as proxy, open_pool({**environment, "POSTGRES_PORT": str(proxy.port)}) as pool:
        await fill(pool, 3)
        proxy.swallow()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await pool.fetch(SELECT, is_idempotent=True)
        assert pool.states["idle"] == 0
        proxy.restore()

        assert await pool.fetch(SELECT, is_idempotent=False) == [(1,)]
        assert proxy.opened == 4


async def test_a_statement_that_the_server_cancels_is_an_error(environment):
    """aiopg raises CancelledError for it, which would end the request without an answer."""
    async with open_pool(environment) as pool:
        asyncio.get_running_loop().set_exception_handler(lambda *_: None)  # aiopg reports it there, too
        async with pool.session() as execute:
            await execute("SET statement_timeout = 20")
            with pytest.raises(Unavailable, match="statement timeout"):
                await execute("SELECT pg_sleep(10)")

        assert asyncio.current_task().cancelling() == 0
        assert await pool.fetch(SELECT, is_idempotent=False) == [(1,)]


async def test_the_server_gives_up_what_nobody_waits_for(environment):
    """A caller that goes away leaves its statement running; the server's own limit ends it."""
    async with open_pool(environment) as pool:
        with with_deadlines():
            assert await pool.fetch("SHOW statement_timeout", is_idempotent=True) == [("1200ms",)]


async def test_a_caller_that_goes_away_leaves_its_place(environment):
    """Cancelled while its statement runs and while it waits: both times the pool is whole afterwards."""
    async with open_pool(environment, size=1) as pool:
        running = asyncio.create_task(pool.fetch("SELECT pg_sleep(10)", is_idempotent=False))
        while pool.states["lent"] == 0:
            await asyncio.sleep(0.005)
        waiting = asyncio.create_task(pool.fetch(SELECT, is_idempotent=False))
        while pool.states["waiting"] == 0:
            await asyncio.sleep(0)
        waiting.cancel()
        running.cancel()
        await asyncio.gather(running, waiting, return_exceptions=True)
        assert pool.states == {"idle": 0, "lent": 0, "connecting": 0, "waiting": 0}

        assert await pool.fetch(SELECT, is_idempotent=False) == [(1,)]


async def test_a_caller_cancelled_as_it_is_served_gives_the_connection_on(environment):
    """A connection that was handed over in the same turn of the loop as the cancellation is not lost."""
    async with open_pool(environment, size=1) as pool:
        async with pool.session():
            waiting = asyncio.create_task(pool.fetch(SELECT, is_idempotent=False))
            while pool.states["waiting"] == 0:
                await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)

        assert pool.states == {"idle": 1, "lent": 0, "connecting": 0, "waiting": 0}


async def test_an_idempotent_statement_survives_its_connection(environment):
    """It is tried once more on a new connection; one that is not, is not."""
    ending = "SELECT pg_terminate_backend(pid, 60000) FROM once WHERE pid = pg_backend_pid()"
    async with open_pool(environment, size=1) as pool:
        await pool.fetch("DROP TABLE IF EXISTS once", is_idempotent=False)
        await pool.fetch("CREATE TABLE once AS SELECT pg_backend_pid() AS pid", is_idempotent=False)
        assert await pool.fetch(ending, is_idempotent=True) == []
        assert pool.events["retried"] == 1
        await pool.fetch("UPDATE once SET pid = pg_backend_pid()", is_idempotent=False)

        with pytest.raises(ConnectionLost):
            await pool.fetch(ending, is_idempotent=False)


async def test_without_a_database_the_answer_comes_at_once(environment, postgres):
    """Connection refused is no reason to wait, for any number of callers; the pool is made all the same."""
    postgres.kill()
    async with open_pool(environment) as pool:
        began = time.monotonic()
        calls = [pool.fetch(SELECT, is_idempotent=True) for _ in range(12)]
        outcomes = await asyncio.gather(*calls, return_exceptions=True)

        assert [type(outcome) for outcome in outcomes] == [Unavailable] * 12
        assert time.monotonic() - began < AT_ONCE_SECONDS
        assert pool.is_away
        postgres.start()
        assert await pool.fetch(SELECT, is_idempotent=True) == [(1,)]
        assert not pool.is_away


async def test_more_callers_than_connections_all_get_one(environment):
    """Forty callers share two connections."""
    async with open_pool(environment, size=2) as pool:
        statement = "SELECT pg_backend_pid() FROM pg_sleep(0.002)"
        rows = await asyncio.gather(*(pool.fetch(statement, is_idempotent=False) for _ in range(40)))

        assert len({pid for [(pid,)] in rows}) <= 2
        assert pool.events["connected"] <= 2


async def test_an_open_transaction_ends_with_its_session(environment):
    """What a session leaves unfinished is rolled back, and its connection is not lent again."""
    async with open_pool(environment, size=1) as pool:
        async with pool.session() as execute:
            await execute("BEGIN")
            await execute("CREATE TABLE unfinished ()")

        with pytest.raises(SchemaMissing, match="unfinished"):
            await pool.fetch("SELECT * FROM unfinished", is_idempotent=True)


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        pytest.param({"POSTGRES_PASSWORD": "wrong"}, "password authentication failed", id="wrong password"),
        pytest.param({"POSTGRES_DB": "nowhere"}, "does not exist", id="no such database"),
        pytest.param(
            {"POSTGRES_HOST": "no-such-host.invalid"}, "cannot look up 'no-such-host.invalid'", id="no such name"
        ),
        pytest.param({"POSTGRES_HOST": "/nonexistent"}, "No such file", id="no such socket folder"),
        pytest.param({"POSTGRES_PORT": "1"}, "Connection refused", id="nobody listens"),
    ],
)
async def test_the_reason_is_told_without_the_password(environment, changed, reason):
    """What keeps the database away is said in one line that holds no secret."""
    async with open_pool({**environment, **changed}) as pool:
        with pytest.raises(Unavailable, match=reason) as caught:
            await pool.fetch(SELECT, is_idempotent=True)

        assert environment["POSTGRES_PASSWORD"] not in str(caught.value)
        assert "\n" not in str(caught.value)


async def test_every_address_of_a_name_is_tried(environment):
    """`localhost` is ::1 first on many machines, where this server does not listen."""
    async with open_pool({**environment, "POSTGRES_HOST": "localhost"}) as pool:
        assert await pool.fetch(SELECT, is_idempotent=True) == [(1,)]


async def test_looking_up_a_name_stops_nothing(monkeypatch):
    """libpq's own look-up would block the loop; here two callers share one thread, and the loop goes on."""
    is_asked, may_answer, questions = threading.Event(), threading.Event(), []

    def slow(host, *_arguments, **_options):
        questions.append(host)
        is_asked.set()
        may_answer.wait()
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("192.0.2.7", 0))]

    monkeypatch.setattr(socket, "getaddrinfo", slow)
    resolver = Resolver("postgres")
    both = asyncio.gather(resolver.resolve(), resolver.resolve())
    while not is_asked.is_set():
        await asyncio.sleep(0)
    may_answer.set()

    assert await both == [("192.0.2.7",), ("192.0.2.7",)]
    assert questions == ["postgres"]


async def test_a_closed_pool_serves_nobody(environment):
    """Who waits is told at once, and so is who comes later."""
    async with open_pool(environment, size=1) as pool:
        async with pool.session():
            waiting = asyncio.create_task(pool.fetch(SELECT, is_idempotent=False))
            while pool.states["waiting"] == 0:
                await asyncio.sleep(0)
            await pool.close()
            with pytest.raises(Unavailable, match="shutting down"):
                await waiting
        with pytest.raises(Unavailable, match="shutting down"):
            await pool.fetch(SELECT, is_idempotent=False)

        assert pool.states == {"idle": 0, "lent": 0, "connecting": 0, "waiting": 0}

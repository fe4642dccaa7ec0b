"""Connections to PostgreSQL, pooled: a small pool of our own over single connections of aiopg 1.4.

aiopg's own pool has habits that turn a restart of the database into hanging requests. Here:

- Giving back a dead connection wakes whoever waits for one (aiopg's pool forgets to).
- Connecting happens beside the pool, not under its lock: whoever waits takes what comes first, a new connection or one
  given back, so a connection attempt into a black hole holds nobody up.
- A connection is looked at before it is lent: the database's farewell lies in its socket even if the event loop has
  not read it yet. When one turns out dead, the idle ones of the same age are dropped with it.
- A statement that the server cancels is an error. aiopg makes it look like a cancelled task.
- Names are looked up outside of libpq, whose look-up blocks the loop (see `addresses`). One address is tried at a time,
  for aiopg watches only the first socket that libpq opens.

No call here has a deadline of its own but connecting: the caller sets one for all that it does (`asyncio.timeout`), and
the server has `statement_timeout`, so that it does not go on with what nobody waits for.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import select
from collections import Counter, deque
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any, Final, cast

import aiopg
import psycopg2
from psycopg2 import extensions

from vehicle_api.addresses import Resolver
from vehicle_api.settings import DatabaseSettings

Row = tuple[Any, ...]
Execute = Callable[..., Awaitable[list[Row]]]

CONNECT_SECONDS: Final = 1.2
STATEMENT_SECONDS: Final = 1.2
# aiopg's own limit for each statement: none, for every caller has a deadline, and a timer more each time costs much.
_NO_LIMIT: Final = cast(float, None)
# Data that was sent but not acknowledged, and silence on an idle connection: the node of the database is gone.
_UNACKNOWLEDGED_SECONDS: Final = 1.2
_KEEPALIVE: Final[dict[str, Any]] = {
    "keepalives": 1,
    "keepalives_idle": 2,
    "keepalives_interval": 1,
    "keepalives_count": 2,
}

# A connection that was in use this recently is lent without a look: the look costs a system call.
_TRUSTED_SECONDS: Final = 0.01

# SQLSTATE classes and codes that say "not now": connection, resources, operator intervention, system; serialisation
# and deadlock, a lock not to be had, and a standby that takes no writes.
_NOT_NOW: Final = ("08", "53", "57", "58", "40001", "40P01", "55P03", "25006", "28", "3D000")
_SCHEMA_MISSING: Final = ("42P01", "3F000")

_log = logging.getLogger(__name__)


class Unavailable(Exception):  # noqa: N818 - a state of the database, not an error of ours
    """The database cannot answer now: 503. The text says why."""


class ConnectionLost(Unavailable):
    """The connection died during the statement: it may have been carried out or not."""


class SchemaMissing(Unavailable):
    """The database answers but has not our tables: another one has taken the old one's place."""


def _is_alive(connection: aiopg.Connection) -> bool:
    """Whether an idle connection looks healthy. Nothing is due on it, so a byte to read is the server's farewell."""
    if connection.closed:
        return False
    if asyncio.get_running_loop().time() - connection.last_usage < _TRUSTED_SECONDS:
        return True
    poller = select.poll()
    poller.register(connection.raw.fileno(), select.POLLIN)
    return not poller.poll(0)


def _first_line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]


class Pool:
    """At most `size` connections, opened as they are needed and kept.

    Shows no password: what libpq says about a failed connection names host, port and user.
    """

    def __init__(self, database: DatabaseSettings, size: int) -> None:
        self._database = database
        self._size = size
        self._resolver = Resolver(database.host)
        self._free: deque[aiopg.Connection] = deque()
        # One cursor for each connection serves all its statements, which follow one another anyway.
        self._cursors: dict[aiopg.Connection, aiopg.Cursor] = {}
        self._lent = 0
        self._waiters: deque[asyncio.Future[aiopg.Connection]] = deque()
        self._connecting: set[asyncio.Task[None]] = set()
        self._is_closing = False
        self._away = ""
        # What has happened, for the metrics: connected, connect_failed, lost, discarded, retried.
        self.events: Counter[str] = Counter()

    @property
    def states(self) -> dict[str, int]:
        """How many connections are idle, lent and being opened, and how many callers wait for one."""
        return {
            "idle": len(self._free),
            "lent": self._lent,
            "connecting": len(self._connecting),
            "waiting": len(self._waiters),
        }

    @property
    def is_away(self) -> bool:
        """Whether the latest that was heard of the database is that it cannot be reached."""
        return bool(self._away)

    async def fetch(self, statement: str, parameters: Sequence[Any] = (), *, is_idempotent: bool) -> list[Row]:
        """The rows of one statement, which is a transaction of its own.

        An idempotent one is tried once more if the connection dies under it.

        Raises:
            Unavailable: the database cannot be reached, is busy or starting.
            psycopg2.Error: the statement is wrong, or breaks a constraint.
        """
        try:
            return await self._fetch_once(statement, parameters)
        except ConnectionLost:
            if not is_idempotent:
                raise
            self.events["retried"] += 1
            return await self._fetch_once(statement, parameters)

    async def _fetch_once(self, statement: str, parameters: Sequence[Any]) -> list[Row]:
        connection = await self._acquire()
        try:
            return await self._execute(connection, statement, parameters)
        finally:
            self._release(connection)

    @contextlib.asynccontextmanager
    async def session(self) -> AsyncIterator[Execute]:
        """One connection for several statements: `await execute(statement, parameters)`, errors as in `fetch`.

        A transaction left open is rolled back.
        """
        connection = await self._acquire()

        async def execute(statement: str, parameters: Sequence[Any] = ()) -> list[Row]:
            return await self._execute(connection, statement, parameters)

        try:
            yield execute
        finally:
            self._release(connection)

    async def close(self) -> None:
        """Close every connection, lent ones as they come back; from now on nobody gets one."""
        self._is_closing = True
        connecting = list(self._connecting)
        for task in connecting:
            task.cancel()
        self._fail_waiters(Unavailable("shutting down"))
        self._drop_idle()
        await asyncio.gather(*connecting, return_exceptions=True)

    async def _execute(self, connection: aiopg.Connection, statement: str, parameters: Sequence[Any]) -> list[Row]:
        try:
            cursor = self._cursors[connection]
            await cursor.execute(statement, parameters)
            rows: list[Row] = cursor.raw.fetchall() if cursor.description else []
        except asyncio.CancelledError as error:
            if isinstance(error.__context__, extensions.QueryCanceledError):
                raise Unavailable(_first_line(error.__context__)) from None
            # The caller's deadline passed with nothing heard: whatever keeps this connection silent may hold for all.
            self._drop_idle()
            raise
        except psycopg2.Error as error:
            if found := self._explain(connection, error):
                raise found from error
            raise
        if self._away:
            self._away = ""
            _log.info("database is there")
        return rows

    def _explain(self, connection: aiopg.Connection, error: psycopg2.Error) -> Unavailable | None:
        why, code = _first_line(error), error.pgcode or ""
        if connection.closed or isinstance(error, psycopg2.InterfaceError):
            self.events["lost"] += 1
            self._drop_idle()
            self._note_away(why)
            return ConnectionLost(why)
        if code.startswith(_SCHEMA_MISSING):
            return SchemaMissing(why)
        return Unavailable(why) if code.startswith(_NOT_NOW) else None

    def _note_away(self, why: str) -> None:
        if not self._away:
            _log.warning("database is away: %s", why)
        self._away = why

    async def _acquire(self) -> aiopg.Connection:
        if self._is_closing:
            raise Unavailable("shutting down")
        while self._free:
            connection = self._free.pop()
            if _is_alive(connection):
                self._lent += 1
                return connection
            self._discard(connection)
        waiter: asyncio.Future[aiopg.Connection] = asyncio.get_running_loop().create_future()
        self._waiters.append(waiter)
        self._connect_for_waiters()
        try:
            return await waiter
        except asyncio.CancelledError:
            if waiter.cancelled():
                with contextlib.suppress(ValueError):
                    self._waiters.remove(waiter)
            elif not waiter.exception():
                self._release(waiter.result())  # it came in the same turn of the loop as the cancellation
            raise

    def _release(self, connection: aiopg.Connection) -> None:
        self._lent -= 1
        is_idle = not connection.closed and (
            connection.raw.get_transaction_status() == extensions.TRANSACTION_STATUS_IDLE
        )
        if is_idle and not self._is_closing:
            self._give(connection)
        else:
            self._discard(connection)
            self._connect_for_waiters()

    def _give(self, connection: aiopg.Connection) -> None:
        while self._waiters:
            waiter = self._waiters.popleft()
            if not waiter.done():
                self._lent += 1
                waiter.set_result(connection)
                return
        self._free.append(connection)

    def _discard(self, connection: aiopg.Connection) -> None:
        self.events["discarded"] += 1
        self._cursors.pop(connection).close()
        connection.close()

    def _drop_idle(self) -> None:
        while self._free:
            self._discard(self._free.pop())

    def _connect_for_waiters(self) -> None:
        wanted = min(len(self._waiters), self._size - self._lent - len(self._free))
        while not self._is_closing and len(self._connecting) < wanted:
            task = asyncio.get_running_loop().create_task(self._open())
            self._connecting.add(task)

    async def _open(self) -> None:
        failure: Exception | None = None
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                connection = await self._connect()
                self._cursors[connection] = await connection.cursor()
        except (psycopg2.Error, OSError) as error:
            failure = error
        finally:
            self._connecting.discard(cast(asyncio.Task[None], asyncio.current_task()))
        if failure is not None:
            self._note_failed_connect(failure)
            return
        self.events["connected"] += 1
        if self._is_closing:
            self._discard(connection)
        else:
            self._give(connection)

    def _note_failed_connect(self, error: Exception) -> None:
        self.events["connect_failed"] += 1
        why = _first_line(error) if str(error) else f"no connection within {CONNECT_SECONDS} s"
        self._note_away(why)
        # While others are lent or under way, one of those may still serve whoever waits.
        if not self._lent and not self._connecting:
            self._fail_waiters(Unavailable(why))

    async def _connect(self) -> aiopg.Connection:
        failure: psycopg2.Error | None = None
        for address in await self._resolver.resolve() or (None,):
            try:
                return await self._connect_to(address)
            except psycopg2.Error as error:
                failure = error
        raise failure or OSError(f"{self._database.host!r} has no address")

    async def _connect_to(self, address: str | None) -> aiopg.Connection:
        database = self._database
        return await aiopg.connect(
            timeout=_NO_LIMIT,
            enable_json=False,
            enable_uuid=False,
            enable_hstore=False,
            host=database.host,
            hostaddr=address,
            port=database.port,
            dbname=database.name,
            user=database.user,
            password=database.password or None,
            # Falling back from one kind of encryption to another opens a second socket, which aiopg does not watch.
            sslmode="disable",
            gssencmode="disable",
            application_name="vehicle-api",
            options=f"-c statement_timeout={int(STATEMENT_SECONDS * 1000)} -c timezone=UTC",
            tcp_user_timeout=int(_UNACKNOWLEDGED_SECONDS * 1000),
            **_KEEPALIVE,
        )

    def _fail_waiters(self, why: Unavailable) -> None:
        while self._waiters:
            waiter = self._waiters.popleft()
            if not waiter.done():
                waiter.set_exception(why)

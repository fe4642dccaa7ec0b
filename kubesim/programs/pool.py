"""A client's pool of database connections, with the habits of the vehicle service's own.

Connections are opened when somebody waits for one, several at once if several wait, and lent last in, first out; one
whose reset has arrived is dropped instead of lent. When one turns out dead, or silent until its caller's deadline, the
idle ones are dropped with it. An idempotent statement whose connection dies under it is tried once more.
The same rules: vehicle_api/pool.py
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any, NamedTuple, final

from kubesim.network.messages import NetError
from kubesim.programs.program import Connection, Process
from kubesim.programs.sql import Rejected, Rows, Startup, Statement
from kubesim.sim.loop import MILLISECOND

# vehicle_api/pool.py: CONNECT_SECONDS, from the look-up of the name to the end of the login.
CONNECT_TIMEOUT_NS = 1200 * MILLISECOND
# SQLSTATE class 57P: the server ends the session with these.
_SESSION_OVER = "57P"

Outcome = Rows | Rejected | NetError
OnOutcome = Callable[[Any], None]

_LATE = NetError("timeout", "no answer from the database in time")


class Address(NamedTuple):
    """Where the database is and how to log in."""

    host: str
    port: int
    startup: Startup


@final
class _Call:
    """A statement that wants a connection, or has one."""

    __slots__ = ("deadline_ns", "is_waiting", "on_outcome", "retries", "statement")

    def __init__(self, statement: Statement, deadline_ns: int, retries: int, on_outcome: OnOutcome) -> None:
        self.statement = statement
        self.deadline_ns = deadline_ns
        self.retries = retries
        self.on_outcome = on_outcome
        self.is_waiting = False


@final
class Pool:
    """At most `size` connections to one database. `on_disturbed` hears when one of them may have broken."""

    def __init__(self, process: Process, address: Address, size: int, on_disturbed: Callable[[], None]) -> None:
        self._process = process
        self._address = address
        self._size = size
        self._on_disturbed = on_disturbed
        self._free: list[Connection] = []
        self._lent = 0
        self._connecting = 0
        self._waiting: deque[_Call] = deque()

    def fetch(self, statement: Statement, deadline_ns: int, on_outcome: OnOutcome, *, is_idempotent: bool) -> None:
        """Run a statement on some connection; `on_outcome` gets `Rows`, `Rejected` or a `NetError` by that instant."""
        self._acquire(_Call(statement, deadline_ns, int(is_idempotent), on_outcome))

    def _acquire(self, call: _Call) -> None:
        free = self._free
        while free:
            connection = free.pop()
            if connection.is_open:
                self._lend(connection, call)
                return
        call.is_waiting = True
        self._waiting.append(call)
        self._process.after(max(0, call.deadline_ns - self._process.loop.now_ns), lambda: self._expire(call))
        self._connect_for_waiting()

    def _expire(self, call: _Call) -> None:
        if call.is_waiting:
            call.is_waiting = False
            self._waiting.remove(call)
            call.on_outcome(_LATE)

    def _lend(self, connection: Connection, call: _Call) -> None:
        self._lent += 1

        def on_answer(answer: Any) -> None:
            self._lent -= 1
            if isinstance(answer, NetError) or (isinstance(answer, Rejected) and answer.code.startswith(_SESSION_OVER)):
                self._lose(connection, call, answer)
            else:
                self._give(connection)
                call.on_outcome(answer)

        connection.call(call.statement, max(0, call.deadline_ns - self._process.loop.now_ns), on_answer)

    def _lose(self, connection: Connection, call: _Call, why: NetError | Rejected) -> None:
        for each in (connection, *self._free):
            each.close()
        self._free.clear()
        self._on_disturbed()
        self._connect_for_waiting()
        if call.retries and self._process.loop.now_ns < call.deadline_ns:
            call.retries -= 1
            self._acquire(call)
        else:
            call.on_outcome(why)

    def _give(self, connection: Connection) -> None:
        if self._waiting:
            call = self._waiting.popleft()
            call.is_waiting = False
            self._lend(connection, call)
        else:
            self._free.append(connection)

    def _connect_for_waiting(self) -> None:
        wanted = min(len(self._waiting), self._size - self._lent - len(self._free))
        while self._connecting < wanted:
            self._connecting += 1
            self._open()

    def _open(self) -> None:
        process, address = self._process, self._address
        deadline_ns = process.loop.now_ns + CONNECT_TIMEOUT_NS

        def on_connected(connection: Any) -> None:
            if isinstance(connection, NetError):
                self._fail(connection)
                return

            def on_login(answer: Any) -> None:
                if not isinstance(answer, Rows):
                    connection.close()
                    self._fail(answer)
                    return
                self._connecting -= 1
                connection.on_disturbed = self._on_disturbed
                self._give(connection)

            connection.call(address.startup, max(0, deadline_ns - process.loop.now_ns), on_login)

        process.connect(address.host, address.port, CONNECT_TIMEOUT_NS, on_connected)

    def _fail(self, why: NetError | Rejected) -> None:
        """While others are lent or on their way, one of those may still serve who waits; else all are told."""
        self._connecting -= 1
        if self._lent or self._connecting:
            return
        waiting, self._waiting = self._waiting, deque()
        for call in waiting:
            call.is_waiting = False
        for call in waiting:
            call.on_outcome(why)

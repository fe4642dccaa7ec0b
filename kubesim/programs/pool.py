"""A client's pool of database connections, with the habits of aiopg's.

Connections are made on demand, one at a time, while callers wait in line; a connection whose reset has been noticed is
dropped when it is taken out, and one whose reset has not costs its caller an error, because nothing is checked on
checkout. Where aiopg loses a wake-up (a broken connection given back wakes nobody) this one wakes the next in line,
as the service's own wrapper does.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any, NamedTuple, final

from kubesim.network.messages import NetError
from kubesim.programs.program import Connection, Process
from kubesim.programs.sql import Rejected, Rows, Startup, Statement
from kubesim.sim.loop import SECOND

CONNECT_TIMEOUT_NS = SECOND

Outcome = Rows | Rejected | NetError
OnOutcome = Callable[[Any], None]

_LATE = NetError("timeout", "no database connection in time")


class Address(NamedTuple):
    """Where the database is and how to log in."""

    host: str
    port: int
    startup: Startup


@final
class _Job:
    """A statement that wants a connection, or has one. `retries` are left for when that connection turns out dead."""

    __slots__ = ("deadline_ns", "is_done", "on_outcome", "retries", "statement")

    def __init__(self, statement: Statement, deadline_ns: int, retries: int, on_outcome: OnOutcome) -> None:
        self.statement = statement
        self.deadline_ns = deadline_ns
        self.retries = retries
        self.on_outcome = on_outcome
        self.is_done = False

    def finish(self, outcome: Any) -> None:
        if not self.is_done:
            self.is_done = True
            self.on_outcome(outcome)


@final
class Pool:
    """At most `size_max` connections to one database. `on_disturbed` hears when one of them may have broken."""

    def __init__(self, process: Process, address: Address, size_max: int, on_disturbed: Callable[[], None]) -> None:
        self._process = process
        self._address = address
        self._size_max = size_max
        self._on_disturbed = on_disturbed
        self._free: deque[Connection] = deque()
        self._size = 0
        self._is_connecting = False
        self._waiting: deque[_Job] = deque()

    def execute(self, statement: Statement, timeout_ns: int, retries: int, on_outcome: OnOutcome) -> None:
        """Run a statement on some connection; `on_outcome` gets `Rows`, `Rejected` or a `NetError` in that time."""
        job = _Job(statement, self._process.loop.now_ns + timeout_ns, retries, on_outcome)
        free = self._free
        while free:
            connection = free.popleft()
            if connection.is_open:
                self._run(connection, job)
                return
            self._size -= 1
        self._waiting.append(job)
        self._process.after(timeout_ns, lambda: self._expire(job))
        self._fill()

    def _run(self, connection: Connection, job: _Job) -> None:
        def on_answer(answer: Any) -> None:
            if isinstance(answer, Rows):
                self._give_back(connection)
                job.finish(answer)
            else:
                self._on_refusal(connection, job, answer)

        connection.call(job.statement, job.deadline_ns - self._process.loop.now_ns, on_answer)

    def _on_refusal(self, connection: Connection, job: _Job, answer: Rejected | NetError) -> None:
        if isinstance(answer, Rejected) and not answer.code.startswith("57P"):
            self._give_back(connection)
            job.finish(answer)
            return
        connection.close()
        self._size -= 1
        self._on_disturbed()
        left_ns = job.deadline_ns - self._process.loop.now_ns
        if job.retries and left_ns > 0:
            self.execute(job.statement, left_ns, job.retries - 1, job.finish)
        else:
            job.finish(answer)
            self._fill()

    def _give_back(self, connection: Connection) -> None:
        waiting = self._waiting
        while waiting:
            job = waiting.popleft()
            if not job.is_done:
                self._run(connection, job)
                return
        self._free.append(connection)

    def _expire(self, job: _Job) -> None:
        if job in self._waiting:
            self._waiting.remove(job)
            job.finish(_LATE)

    def _fill(self) -> None:
        """Make one more connection if somebody waits for it and there may be one more."""
        if not self._waiting or self._is_connecting or self._size >= self._size_max:
            return
        self._is_connecting = True
        self._size += 1
        address = self._address
        self._process.connect(address.host, address.port, CONNECT_TIMEOUT_NS, self._on_connected)

    def _on_connected(self, connection: Any) -> None:
        if isinstance(connection, NetError):
            self._on_failed(connection)
            return

        def on_answer(answer: Any) -> None:
            if isinstance(answer, Rows):
                self._is_connecting = False
                connection.on_disturbed = self._on_disturbed
                self._give_back(connection)
                self._fill()
            else:
                connection.close()
                self._on_failed(answer)

        connection.call(self._address.startup, CONNECT_TIMEOUT_NS, on_answer)

    def _on_failed(self, error: NetError | Rejected) -> None:
        """The one at the head of the line gets the error; the next tries for itself."""
        self._is_connecting = False
        self._size -= 1
        while self._waiting:
            job = self._waiting.popleft()
            if not job.is_done:
                job.finish(error)
                break
        self._fill()

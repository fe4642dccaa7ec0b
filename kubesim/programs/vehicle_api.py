"""The vehicle service of the reference stack: an HTTP API that keeps nothing itself and needs its database.

It serves `/healthz` (the process alone), `/readyz` (a statement must get through to the database) and
`/api/vehicles`. Every answer comes within two seconds: with the database away it is 503. On SIGTERM it stops
accepting, finishes what it has begun and exits 0.

A version can be broken on purpose, for rollouts that must not succeed: by the end of its tag (`vehicle-api:2-crash`)
or the annotation `kubesim.dev/vehicle-api`, which wins: crash (exits 1 at start), unready (never ready), errors (ready,
and answers 500), slow (every answer takes 1.5 s longer) or leak (grows until the kernel kills it).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, final

from kubesim.network.messages import HttpReply, HttpRequest, NetError, OnAnswer
from kubesim.programs.pool import Address, Pool
from kubesim.programs.program import ExecResult, Process
from kubesim.programs.sql import PING, UNDEFINED_TABLE, UNIQUE_VIOLATION, Rejected, Rows, Startup, Statement
from kubesim.sim.loop import MILLISECOND, SECOND

PORT = 8080
TABLE = "vehicles"
BROKEN: Final = ("crash", "unready", "errors", "slow", "leak")

# From the start of the process until it listens: the interpreter and its imports.
START_NS = 500 * MILLISECOND
# What is left of the two seconds for the database.
DATABASE_TIMEOUT_NS = 1500 * MILLISECOND
READY_TIMEOUT_NS = SECOND
MIGRATE_RETRY_NS = SECOND
# Closing the pool and the sockets at the end.
CLEANUP_NS = 50 * MILLISECOND
POOL_SIZE_MAX = 8
SLOW_NS = 1500 * MILLISECOND

_MEMORY = 45 * 1024 * 1024
_LEAK_PER_SECOND = 16 * 1024 * 1024
_VIN_LENGTH = 17

_OK = HttpReply(200, {"status": "ok"})
_UNAVAILABLE = HttpReply(503, {"error": "database unavailable"})
_STARTING = HttpReply(503, {"error": "starting"})
_BROKEN = HttpReply(500, {"error": "internal server error"})
_NOT_FOUND = HttpReply(404, {"error": "not found"})
_NO_METHOD = HttpReply(405, {"error": "method not allowed"})
_INVALID = HttpReply(422, {"error": "vin must have 17 characters"})
_EXISTS = HttpReply(409, {"error": "a vehicle with this vin exists"})
_REFUSED = NetError("refused", "connection refused: shutting down")
_SELECT = Statement("select", TABLE)
_CREATE = Statement("create", TABLE)


def _address(env: Mapping[str, str]) -> Address:
    """Where the database is.

    Raises:
        ValueError: POSTGRES_PORT is not a number; Kubernetes sets tcp://… there for a Service named postgres.
    """
    startup = Startup(
        env.get("POSTGRES_USER", "vehicles"), env.get("POSTGRES_PASSWORD", ""), env.get("POSTGRES_DB", "vehicles")
    )
    return Address(env.get("POSTGRES_HOST", "postgres"), int(env.get("POSTGRES_PORT", "5432")), startup)


@final
class VehicleApiProgram:
    """One process of the service; `broken` is one of `BROKEN`, or empty."""

    __slots__ = (
        "_broken",
        "_in_flight",
        "_is_away",
        "_is_migrated",
        "_is_settled",
        "_is_stopping",
        "_memory",
        "_pool",
        "_process",
    )

    def __init__(self, broken: str = "") -> None:
        self._broken = broken
        self._in_flight = 0
        self._is_migrated = False
        self._is_away = False
        self._is_settled = False
        self._is_stopping = False
        self._memory = _MEMORY

    @property
    def is_steady(self) -> bool:
        """Whether `/readyz` got through to the database and nothing has happened to a connection since."""
        return self._is_settled or self._broken == "unready"

    def start(self, process: Process) -> None:
        self._process = process
        process.use_memory(self._memory)
        process.after(START_NS, self._serve)

    def _serve(self) -> None:
        process = self._process
        if self._broken == "crash":
            process.log("Traceback (most recent call last): ... RuntimeError: this version is broken")
            process.exit(1)
            return
        try:
            address = _address(process.env)
        except ValueError:
            process.log(f"POSTGRES_PORT must be a number, not {process.env['POSTGRES_PORT']!r}")
            process.exit(1)
            return
        self._pool = Pool(process, address, POOL_SIZE_MAX, self._disturb)
        process.listen(PORT, self._handle)
        process.log(f"serving on port {PORT}")
        process.health_changed()
        self._migrate()
        if self._broken == "leak":
            process.after(SECOND, self._leak)

    def _migrate(self) -> None:
        """Bring the schema up to date as soon as the database is there."""

        def on_outcome(outcome: Any) -> None:
            if isinstance(outcome, Rows):
                self._is_migrated = True
                self._note_there()
                self._process.log("schema is up to date")
                self._process.health_changed()
            else:
                self._note_away(outcome)
                self._process.after(MIGRATE_RETRY_NS, self._migrate)

        self._pool.execute(_CREATE, DATABASE_TIMEOUT_NS, 0, on_outcome)

    def _leak(self) -> None:
        self._memory += _LEAK_PER_SECOND
        self._process.after(SECOND, self._leak)
        self._process.use_memory(self._memory)

    def _disturb(self) -> None:
        self._is_settled = False
        self._process.health_changed()

    def _note_away(self, why: Rejected | NetError) -> None:
        if not self._is_away:
            self._is_away = True
            self._process.log(f"database is away: {why.text}")

    def _note_there(self) -> None:
        if self._is_away:
            self._is_away = False
            self._process.log("database is there")

    def terminate(self) -> None:
        if not self._is_stopping:
            self._is_stopping = True
            self._process.log("stopping")
            self._process.health_changed()
            self._end_if_idle()

    def _end_if_idle(self) -> None:
        if not self._in_flight:
            self._process.after(CLEANUP_NS, lambda: self._process.exit(0))

    def execute(self, command: Sequence[str]) -> ExecResult:  # noqa: ARG002 - the contract's
        return ExecResult(0)

    def _handle(self, message: Any, on_answer: OnAnswer) -> None:
        if self._is_stopping:
            on_answer(_REFUSED)
            return
        if type(message) is not HttpRequest:
            on_answer(HttpReply(400))
            return
        path = message.path
        if path == "/api/vehicles" or path.startswith("/api/vehicles/"):
            self._in_flight += 1
            if self._broken == "slow":
                self._process.after(SLOW_NS, lambda: self._handle_vehicles(message, on_answer))
            else:
                self._handle_vehicles(message, on_answer)
        elif path == "/healthz":
            on_answer(_OK)
        elif path == "/readyz":
            self._handle_ready(on_answer)
        else:
            on_answer(_NOT_FOUND)

    def _handle_ready(self, on_answer: OnAnswer) -> None:
        if self._broken == "unready" or not self._is_migrated:
            on_answer(_STARTING)
            return

        def on_outcome(outcome: Any) -> None:
            if isinstance(outcome, Rows):
                self._is_settled = True
                self._note_there()
                on_answer(_OK)
            else:
                self._is_settled = False
                self._note_away(outcome)
                on_answer(_UNAVAILABLE)

        self._pool.execute(PING, READY_TIMEOUT_NS, 1, on_outcome)

    def _handle_vehicles(self, request: HttpRequest, on_answer: OnAnswer) -> None:
        if self._broken == "errors":
            self._finish(on_answer, _BROKEN)
        elif not self._is_migrated:
            self._finish(on_answer, _STARTING)
        elif request.method == "GET":
            self._get(request.path, on_answer)
        elif request.method == "POST" and request.path == "/api/vehicles":
            self._post(request.body, on_answer)
        else:
            self._finish(on_answer, _NO_METHOD)

    def _get(self, path: str, on_answer: OnAnswer) -> None:
        vin = path[len("/api/vehicles/") :]

        def on_outcome(outcome: Any) -> None:
            if type(outcome) is not Rows:
                self._fail(on_answer, outcome)
            elif not vin:
                self._finish(on_answer, HttpReply(200, outcome.rows))
            elif outcome.rows:
                self._finish(on_answer, HttpReply(200, outcome.rows[0]))
            else:
                self._finish(on_answer, _NOT_FOUND)

        # Reading twice does no harm, so a dead connection from the pool costs the user nothing.
        self._pool.execute(Statement("select", TABLE, vin) if vin else _SELECT, DATABASE_TIMEOUT_NS, 1, on_outcome)

    def _post(self, body: Any, on_answer: OnAnswer) -> None:
        vin = body.get("vin") if type(body) is dict else None
        if type(vin) is not str or len(vin) != _VIN_LENGTH:
            self._finish(on_answer, _INVALID)
            return

        def on_outcome(outcome: Any) -> None:
            if type(outcome) is Rows:
                self._finish(on_answer, HttpReply(201, body))
            elif type(outcome) is Rejected and outcome.code == UNIQUE_VIOLATION:
                self._finish(on_answer, _EXISTS)
            else:
                self._fail(on_answer, outcome)

        self._pool.execute(Statement("insert", TABLE, vin, body), DATABASE_TIMEOUT_NS, 0, on_outcome)

    def _fail(self, on_answer: OnAnswer, why: Rejected | NetError) -> None:
        self._note_away(why)
        if type(why) is Rejected and why.code == UNDEFINED_TABLE and self._is_migrated:
            # Another, empty database has taken the old one's place.
            self._is_migrated = False
            self._disturb()
            self._migrate()
        self._finish(on_answer, _UNAVAILABLE)

    def _finish(self, on_answer: OnAnswer, reply: HttpReply) -> None:
        self._in_flight -= 1
        on_answer(reply)
        if self._is_stopping:
            self._end_if_idle()

"""The vehicle service of the reference stack: an HTTP API that keeps nothing itself and needs its database.

It serves `/healthz` (the process alone), `/readyz` (schema in place, a statement gets through to the database, not on
the way out) and `/api/vehicles` (`fleet`). Every answer comes within two seconds: with the database away it is 503. On
SIGTERM it is not ready and serves on for a second, then refuses connections, finishes what it has begun and exits 0.
Times and rules are those of the real service in `vehicle_api/`.

A version can be broken on purpose, for rollouts that must not succeed: by the end of its tag (`vehicle-api:2-crash`)
or the annotation `kubesim.dev/vehicle-api`, which wins: crash (exits 1 at start), unready (never ready), errors (ready,
and answers 500), slow (every answer takes 1.5 s longer) or leak (grows until the kernel kills it).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, final

from kubesim.network.messages import HttpReply, HttpRequest, NetError, OnAnswer
from kubesim.programs.fleet import PATH, TABLE, UNIQUE_COLUMN, Answering, answer, make_problem
from kubesim.programs.pool import Address, Pool
from kubesim.programs.program import ExecResult, Process
from kubesim.programs.sql import (
    PING,
    TOKENS,
    UNDEFINED_TABLE,
    UNIQUE_VIOLATION,
    Rejected,
    Rows,
    Startup,
    Statement,
)
from kubesim.sim.loop import MILLISECOND, SECOND

PORT = 8080
BROKEN: Final = ("crash", "unready", "errors", "slow", "leak")

# From the start of the process until it listens: the interpreter and its imports take 0.5 s of a free core.
START_NS = 500 * MILLISECOND
# vehicle_api/store.py: DATABASE_SECONDS, READY_SECONDS, MIGRATE_SECONDS; readiness.py: _RETRY_SECONDS
DATABASE_TIMEOUT_NS = 1250 * MILLISECOND
READY_TIMEOUT_NS = SECOND
MIGRATE_TIMEOUT_NS = 35 * SECOND
MIGRATE_RETRY_NS = 500 * MILLISECOND
# vehicle_api/__main__.py: LINGER_SECONDS, FINISH_SECONDS
LINGER_NS = SECOND
FINISH_NS = 10 * SECOND
# Closing the pool and the sockets at the end.
CLEANUP_NS = 50 * MILLISECOND
# vehicle_api/app.py
POOL_SIZE = 8
SLOW_NS = 1500 * MILLISECOND

_MEMORY = 45 * 1024 * 1024
_LEAK_PER_SECOND = 16 * 1024 * 1024

_OK = HttpReply(200, {"status": "ok"})
_AWAY = make_problem(503, "the database is away")
_BROKEN = make_problem(500, "an unexpected error; the log has it")
_NOT_FOUND = make_problem(404, "there is nothing at this path")
_REFUSED = NetError("refused", "connection refused: shutting down")
# The schema, step by step. vehicle_api/migrations.py
_STEPS = (Statement("create", TABLE, unique=UNIQUE_COLUMN), Statement("create", TOKENS))


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
class _Dialogue:
    """Carries out what a handler of `fleet` asks, statement after statement, before one deadline."""

    __slots__ = ("answering", "deadline_ns", "on_failure", "pool", "respond")

    def __init__(
        self,
        pool: Pool,
        deadline_ns: int,
        answering: Answering,
        respond: Callable[[HttpReply], None],
        on_failure: Callable[[Any], None],
    ) -> None:
        self.pool = pool
        self.deadline_ns = deadline_ns
        self.answering = answering
        self.respond = respond
        self.on_failure = on_failure

    def go_on(self, outcome: Any) -> None:
        """Hand the handler what came of its last statement; None at the start."""
        try:
            asked = self.answering.send(outcome)
        except StopIteration as end:
            self.respond(end.value)
        else:
            self.pool.fetch(asked.statement, self.deadline_ns, self.on_outcome, is_idempotent=asked.is_idempotent)

    def on_outcome(self, outcome: Any) -> None:
        """Rows, or a row that cannot be, is for the handler; anything else means that the database is away."""
        if isinstance(outcome, Rows) or (isinstance(outcome, Rejected) and outcome.code == UNIQUE_VIOLATION):
            self.go_on(outcome)
        else:
            self.on_failure(outcome)
            self.respond(_AWAY)


@final
class VehicleApiProgram:
    """One process of the service; `broken` is one of `BROKEN`, or empty."""

    __slots__ = (
        "_broken",
        "_in_flight",
        "_is_away",
        "_is_closed",
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
        self._is_closed = False
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
        self._pool = Pool(process, address, POOL_SIZE, self._disturb)
        process.listen(PORT, self._handle)
        process.log(f"serving on port {PORT}")
        process.health_changed()
        self._migrate()
        if self._broken == "leak":
            process.after(SECOND, self._leak)

    def _migrate(self, step: int = 0, deadline_ns: int = 0) -> None:
        """Bring the schema up to date as soon as the database is there."""
        deadline_ns = deadline_ns or self._process.loop.now_ns + MIGRATE_TIMEOUT_NS

        def on_outcome(outcome: Any) -> None:
            if not isinstance(outcome, Rows):
                self._note_away(outcome)
                self._process.after(MIGRATE_RETRY_NS, self._migrate)
            elif step + 1 < len(_STEPS):
                self._migrate(step + 1, deadline_ns)
            else:
                self._is_migrated = True
                self._note_there()
                self._process.log("schema is up to date")
                self._process.health_changed()

        self._pool.fetch(_STEPS[step], deadline_ns, on_outcome, is_idempotent=False)

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
        if self._is_stopping:
            return
        process = self._process
        self._is_stopping = True
        process.log("stopping")
        process.health_changed()
        process.after(LINGER_NS, self._close)

    def _close(self) -> None:
        self._is_closed = True
        self._process.after(FINISH_NS, self._end)
        if not self._in_flight:
            self._end()

    def _end(self) -> None:
        self._process.after(CLEANUP_NS, lambda: self._process.exit(0))

    def execute(self, command: Sequence[str]) -> ExecResult:  # noqa: ARG002 - the contract's
        return ExecResult(0)

    def _handle(self, message: Any, on_answer: OnAnswer) -> None:
        if self._is_closed:
            on_answer(_REFUSED)
            return
        if type(message) is not HttpRequest:
            on_answer(HttpReply(400))
            return
        path = message.path.partition("?")[0]
        if path == PATH or path.startswith(f"{PATH}/"):
            self._in_flight += 1

            def respond(reply: HttpReply) -> None:
                self._in_flight -= 1
                on_answer(reply)
                if self._is_closed and not self._in_flight:
                    self._end()

            if self._broken == "errors":
                respond(_BROKEN)
            elif self._broken == "slow":
                self._process.after(SLOW_NS, lambda: self._answer(message, respond))
            else:
                self._answer(message, respond)
        elif path == "/healthz":
            on_answer(_OK)
        elif path == "/readyz":
            self._answer_ready(on_answer)
        else:
            on_answer(_NOT_FOUND)

    def _answer_ready(self, on_answer: OnAnswer) -> None:
        if self._is_stopping:
            on_answer(make_problem(503, "shutting down"))
            return
        if self._broken == "unready" or not self._is_migrated:
            on_answer(make_problem(503, "the schema is not up to date yet"))
            return

        def on_outcome(outcome: Any) -> None:
            self._is_settled = isinstance(outcome, Rows)
            if self._is_settled:
                self._note_there()
                on_answer(_OK)
            else:
                self._note_away(outcome)
                on_answer(_AWAY)

        deadline_ns = self._process.loop.now_ns + READY_TIMEOUT_NS
        self._pool.fetch(PING, deadline_ns, on_outcome, is_idempotent=True)

    def _answer(self, request: HttpRequest, respond: Callable[[HttpReply], None]) -> None:
        deadline_ns = self._process.loop.now_ns + DATABASE_TIMEOUT_NS
        _Dialogue(self._pool, deadline_ns, answer(request, self._process.stream.uid), respond, self._fail).go_on(None)

    def _fail(self, why: Rejected | NetError) -> None:
        self._note_away(why)
        if type(why) is Rejected and why.code == UNDEFINED_TABLE and self._is_migrated:
            # Another, empty database has taken the old one's place.
            self._is_migrated = False
            self._disturb()
            self._migrate()

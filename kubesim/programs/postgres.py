"""PostgreSQL as a Pod sees it: what start, crash and shutdown take, and what is in the volume afterwards.

A commit is in the volume when it is acknowledged; one that is not acknowledged may or may not be there. A process
keeps the tables it has read and writes whole ones, so two servers on one data folder undo each other's commits, as
two real ones destroy it: neither notices, since in its own container each is process 1. Without a volume at PGDATA
the data lies in the container's own layer and goes with the container.

The official image's stop signal is SIGINT, not SIGTERM: what ends it is a *fast* shutdown, which closes sessions
instead of waiting for them.
Upstream: docker-library/postgres Dockerfile (STOPSIGNAL), docker-entrypoint.sh; PostgreSQL 15 manual, 19.5
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from typing import Any, Literal, final

from kubesim.network.messages import OnAnswer
from kubesim.programs.program import ExecResult, Process, Volume
from kubesim.programs.sql import UNDEFINED_TABLE, UNIQUE_VIOLATION, Rejected, Rows, Startup, Statement
from kubesim.sim.loop import MILLISECOND

PORT = 5432
_DATA_DEFAULT = "/var/lib/postgresql/data"
_MEMORY = 48 * 1024 * 1024
_CONNECTIONS_MAX_DEFAULT = 100
_CONNECTIONS_RESERVED = 3

# PostgreSQL 15 on Debian 12 with fsync: initdb takes 0.7 to 1.1 s, and the entrypoint starts and stops a temporary
# server besides; a start on a sound folder takes 0.08 s, one after a kill 0.3 to 0.9 s; a fast stop 0.04 s and more
# with work for its checkpoint. A commit is one fsync, here that of a network disk.
INITIALISE_NS = 1500 * MILLISECOND
START_NS = 100 * MILLISECOND
RECOVER_NS = 300 * MILLISECOND
COMMIT_NS = 2 * MILLISECOND
SHUTDOWN_NS = 100 * MILLISECOND

_CANNOT_CONNECT_NOW = "57P03"
_STARTING = Rejected(_CANNOT_CONNECT_NOW, "FATAL: the database system is starting up")
_STOPPING = Rejected(_CANNOT_CONNECT_NOW, "FATAL: the database system is shutting down")
_ENDED = Rejected("57P01", "FATAL: terminating connection due to administrator command")
_TOO_MANY = Rejected("53300", "FATAL: sorry, too many clients already")
_DONE = Rows()

State = Literal["initialising", "starting", "accepting", "stopping"]


def rows_in(volume: Volume | None, table: str) -> dict[str, Any]:
    """The rows of a table by key, as they lie in a volume; none without a volume, data folder or table."""
    if volume is not None:
        for path, rows in volume.files.items():
            if path.endswith(f"base/{table}"):
                return dict(rows)
    return {}


def _find_folder(process: Process) -> tuple[Volume, str]:
    """The volume that holds PGDATA and the folder's path within it."""
    path = process.env.get("PGDATA", _DATA_DEFAULT).rstrip("/")
    for mount in sorted(process.volumes, key=len, reverse=True):
        inside = path.removeprefix(mount.rstrip("/"))
        if inside != path and inside[:1] in ("", "/"):
            return process.volumes[mount], inside[1:] + "/" if inside else ""
    return Volume("container"), ""


def _connections_max(arguments: Sequence[str]) -> int:
    for argument in arguments:
        name, _, value = argument.removeprefix("-c").strip().partition("=")
        if name == "max_connections" and value.isdigit():
            return int(value)
    return _CONNECTIONS_MAX_DEFAULT


@final
class PostgresProgram:
    """One server process over a data folder."""

    __slots__ = ("_connections_max", "_files", "_folder", "_process", "_state", "_tables")

    is_steady = True

    def __init__(self) -> None:
        self._state: State = "initialising"
        self._tables: dict[str, dict[str, Any]] = {}

    def start(self, process: Process) -> None:
        self._process = process
        volume, self._folder = _find_folder(process)
        self._files = volume.files
        self._connections_max = _connections_max(process.arguments) - _CONNECTIONS_RESERVED
        process.use_memory(_MEMORY)
        if self._path("PG_VERSION") in self._files:
            self._open()
            return
        password = process.env.get("POSTGRES_PASSWORD", "")
        if not password and process.env.get("POSTGRES_HOST_AUTH_METHOD") != "trust":
            process.log("Error: Database is uninitialized and superuser password is not specified.")
            process.exit(1)
            return
        process.after(INITIALISE_NS, self._initialise)

    def rows(self, table: str) -> dict[str, Any]:
        """The rows of a table by key, as they lie in this server's data folder."""
        return dict(self._files.get(self._path(f"base/{table}"), {}))

    def _path(self, name: str) -> str:
        return self._folder + name

    def _initialise(self) -> None:
        env = self._process.env
        user = env.get("POSTGRES_USER") or "postgres"
        trusts = env.get("POSTGRES_HOST_AUTH_METHOD") == "trust"
        # The password is written once, into the folder: another one in the environment later changes nothing.
        account = (user, None if trusts else env.get("POSTGRES_PASSWORD"), env.get("POSTGRES_DB") or user)
        self._files[self._path("PG_VERSION")] = "15"
        self._files[self._path("global/pg_authid")] = account
        self._files[self._path("global/pg_control")] = "shut down"
        self._process.log("PostgreSQL init process complete; ready for start up.")
        self._open()

    def _open(self) -> None:
        """Start on an initialised folder."""
        self._state = "starting"
        process = self._process
        process.listen(PORT, self._answer)
        delay_ns = START_NS
        if self._files.get(self._path("global/pg_control")) != "shut down":
            process.log("database system was not properly shut down; automatic recovery in progress")
            delay_ns += RECOVER_NS
        self._files[self._path("global/pg_control")] = "in production"
        process.after(delay_ns, self._accept)

    def _accept(self) -> None:
        if self._state != "starting":
            return
        prefix = self._path("base/")
        self._tables = {
            path.removeprefix(prefix): dict(rows) for path, rows in self._files.items() if path.startswith(prefix)
        }
        self._state = "accepting"
        self._process.log("database system is ready to accept connections")
        self._process.health_changed()

    def terminate(self) -> None:
        process = self._process
        if self._state == "initialising":
            process.exit(1)
        elif self._state != "stopping":
            self._state = "stopping"
            process.log("received fast shutdown request")
            process.health_changed()
            process.after(SHUTDOWN_NS, self._shut_down)

    def _shut_down(self) -> None:
        self._files[self._path("global/pg_control")] = "shut down"
        self._process.log("database system is shut down")
        self._process.exit(0)

    def execute(self, command: Sequence[str]) -> ExecResult:
        text = " ".join(command)
        if "pg_isready" in text or "psql" in text:
            # Without -h it is the socket in a folder.
            host = text.partition("-h ")[2].partition(" ")[0] or "/var/run/postgresql"
            if self._state == "accepting":
                return ExecResult(0, f"{host}:{PORT} - accepting connections\n")
            if self._state == "initialising":
                return ExecResult(2, f"{host}:{PORT} - no response\n")
            return ExecResult(1, f"{host}:{PORT} - rejecting connections\n")
        return ExecResult(0)

    def _answer(self, message: Any, on_answer: OnAnswer) -> None:
        if self._state != "accepting":
            on_answer(self._refusal(message))
        elif type(message) is Statement:
            if message.verb in ("insert", "delete", "create"):
                self._process.after(COMMIT_NS, lambda: on_answer(self._commit(message)))
            else:
                on_answer(self._read(message))
        elif type(message) is Startup:
            on_answer(self._admit(message))

    def _refusal(self, message: Any) -> Rejected:
        if self._state == "stopping":
            return _STOPPING if type(message) is Startup else _ENDED
        return _STARTING

    def _admit(self, startup: Startup) -> Rows | Rejected:
        if self._process.connections(PORT) > self._connections_max:
            return _TOO_MANY
        user, password, database = self._files[self._path("global/pg_authid")]
        if startup.user != user or password not in (None, startup.password):
            return Rejected("28P01", f'FATAL: password authentication failed for user "{startup.user}"')
        if startup.database != database:
            return Rejected("3D000", f'FATAL: database "{startup.database}" does not exist')
        return _DONE

    def _read(self, statement: Statement) -> Rows | Rejected:
        if statement.verb == "ping":
            return _DONE
        table = self._tables.get(statement.table)
        if table is None:
            return _undefined(statement.table)
        if statement.key:
            row = table.get(statement.key)
            return _DONE if row is None else Rows((row,))
        return Rows(tuple(islice(table.values(), statement.limit)))

    def _commit(self, statement: Statement) -> Rows | Rejected:
        if self._state != "accepting":
            return _ENDED
        table = self._tables.get(statement.table)
        if table is None:
            if statement.verb != "create":
                return _undefined(statement.table)
            table = self._tables[statement.table] = {}
        elif statement.verb == "insert" and statement.key in table:
            text = f'duplicate key value violates unique constraint "{statement.table}_pkey"'
            return Rejected(UNIQUE_VIOLATION, text)
        if statement.verb == "insert":
            table[statement.key] = statement.row
        elif statement.verb == "delete":
            table.pop(statement.key, None)
        # The whole table is this process's: what another one has written meanwhile is gone.
        self._files[self._path(f"base/{statement.table}")] = table
        return _DONE


def _undefined(table: str) -> Rejected:
    return Rejected(UNDEFINED_TABLE, f'relation "{table}" does not exist')

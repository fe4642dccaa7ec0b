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

from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from typing import Any, Literal, final

from kubesim.api.timestamps import to_micro_time
from kubesim.network.messages import OnAnswer
from kubesim.programs.program import ExecResult, Process, Volume
from kubesim.programs.sql import TOKENS, UNDEFINED_TABLE, UNIQUE_VIOLATION, Rejected, Rows, Startup, Statement
from kubesim.sim.loop import MILLISECOND, SECOND

PORT = 5432
_DATA_DEFAULT = "/var/lib/postgresql/data"
_MEMORY = 48 * 1024 * 1024
_CONNECTIONS_MAX_DEFAULT = 100
_CONNECTIONS_RESERVED = 3

# PostgreSQL 15 on Debian 12: initdb takes 0.7 to 1.1 s, and the entrypoint starts and stops a temporary server besides;
# a start on a sound folder takes 0.08 s. Before it recovers, it fsyncs every file of the folder, about a thousand: 0.3
# to 0.9 s on a disk with little else to do, up to 3 s on a busy one; the replay itself takes next to nothing. A fast
# stop takes 0.04 s and more with work for its checkpoint. A commit is one fsync, here that of a network disk.
# Upstream: PostgreSQL src/backend/storage/file/fd.c:SyncDataDirectory
INITIALISE_NS = 1500 * MILLISECOND
START_NS = 100 * MILLISECOND
RECOVER_NS = 600 * MILLISECOND
COMMIT_NS = 2 * MILLISECOND
SHUTDOWN_NS = 100 * MILLISECOND

# vehicle_api/store.py: KEYS_KEPT, which is in the statement that inserts.
_TOKENS_KEPT_NS = 24 * 3600 * SECOND

_CANNOT_CONNECT_NOW = "57P03"
_STARTING = Rejected(_CANNOT_CONNECT_NOW, "FATAL: the database system is starting up")
_STOPPING = Rejected(_CANNOT_CONNECT_NOW, "FATAL: the database system is shutting down")
_ENDED = Rejected("57P01", "FATAL: terminating connection due to administrator command")
# To whoever speaks another language; upstream hangs up with a line in its log.
_NO_PACKET = Rejected("08P01", "invalid length of startup packet")
_TOO_MANY = Rejected("53300", "FATAL: sorry, too many clients already")
_NO_SPACE = Rejected("53100", 'could not extend file "base/16384/2619": No space left on device')
_DONE = Rows()
# How many of its fsyncs a recovery waits for one after the other: a choice.
_FSYNCS_OF_RECOVERY = 20

State = Literal["initialising", "starting", "accepting", "stopping"]


def rows_in(volume: Volume | None, table: str, column: str = "") -> dict[str, Any]:
    """The rows of a table by a column's values, else by key, as they lie in a volume; none without a volume, data
    folder or table."""
    if volume is not None:
        for path, rows in volume.files.items():
            if path.endswith(f"base/{table}"):
                return _by_column(rows, column)
    return {}


def _by_column(rows: Mapping[str, Any], column: str) -> dict[str, Any]:
    return {row[column]: row for row in rows.values()} if column else dict(rows)


@final
class _Table:
    """Rows by key in order of creation, and the keys by the column that holds no value twice, if there is one."""

    __slots__ = ("_first", "keys", "rows", "seq", "unique")

    def __init__(self, rows: dict[str, Any], unique: str) -> None:
        self.rows = rows
        self.unique = unique
        self.keys = {row[unique]: key for key, row in rows.items()} if unique else {}
        self.seq = max((row["seq"] for row in rows.values()), default=0)
        # What users ask for most, by limit, until a row changes: one tuple, which readers may remember by identity.
        self._first: dict[int, tuple[Any, ...]] = {}

    def put(self, key: str, row: Mapping[str, Any]) -> None:
        """Store a row, new or in place of the one with this key."""
        self.remove(key, keeps_place=True)
        self.rows[key] = row
        self._first.clear()
        if self.unique:
            self.keys[row[self.unique]] = key

    def remove(self, key: str, *, keeps_place: bool = False) -> None:
        """Forget the row with this key, if there is one."""
        if self.unique and key in self.rows:
            del self.keys[self.rows[key][self.unique]]
        if not keeps_place:
            self.rows.pop(key, None)
            self._first.clear()

    def select(self, statement: Statement) -> tuple[Any, ...]:
        """The rows that a `select` asks for."""
        rows, where = self.rows, statement.where
        if statement.key:
            return (rows[statement.key],) if statement.key in rows else ()
        if not where and not statement.after:
            first = self._first.get(statement.limit)
            if first is None:
                first = self._first[statement.limit] = tuple(islice(rows.values(), statement.limit))
            return first
        if self.unique in where:
            key = self.keys.get(where[self.unique], "")
            found: Iterable[Any] = (rows[key],) if key else ()
        else:
            found = rows.values()
        if where or statement.after:
            found = (
                row
                for row in found
                if row["seq"] > statement.after and all(row[name] == value for name, value in where.items())
            )
        return tuple(islice(found, statement.limit))


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

    __slots__ = (
        "_connections_max",
        "_files",
        "_folder",
        "_process",
        "_state",
        "_tables",
        "_volume",
        "crashes_at_commit",
        "taken",
    )

    is_steady = True

    def __init__(self) -> None:
        self._state: State = "initialising"
        self._tables: dict[str, _Table] = {}
        # The next commit is its last one: in the volume, and answered by nobody.
        self.crashes_at_commit = False
        # How many connections somebody else holds.
        self.taken = 0

    def start(self, process: Process) -> None:
        self._process = process
        volume, self._folder = _find_folder(process)
        self._files = volume.files
        self._volume = volume
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

    def rows(self, table: str, column: str) -> dict[str, Any]:
        """The rows of a table by a column's values, as they lie in this server's data folder."""
        return _by_column(self._files.get(self._path(f"base/{table}"), {}), column)

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
            delay_ns += RECOVER_NS + _FSYNCS_OF_RECOVERY * self._volume.added_ns
        self._files[self._path("global/pg_control")] = "in production"
        process.after(delay_ns, self._accept)

    def _accept(self) -> None:
        if self._state != "starting":
            return
        prefix = self._path("base/")
        unique = self._files.get(self._path("global/pg_index"), {})
        for path, rows in self._files.items():
            if path.startswith(prefix):
                name = path.removeprefix(prefix)
                self._tables[name] = _Table(dict(rows), unique.get(name, ""))
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
            if message.verb in ("ping", "select"):
                on_answer(self._read(message))
            else:
                self._process.after(COMMIT_NS + self._volume.added_ns, lambda: self._finish_commit(message, on_answer))
        elif type(message) is Startup:
            on_answer(self._admit(message))
        else:
            on_answer(_NO_PACKET)

    def _finish_commit(self, statement: Statement, on_answer: OnAnswer) -> None:
        trouble = self._volume.trouble
        if trouble == "full":
            on_answer(_NO_SPACE)
        elif trouble:
            # A failed fsync says nothing about what is on the disk: the server goes down rather than go on.
            self._process.log("PANIC: could not fsync file: Input/output error")
            self._process.exit(1)
        else:
            outcome = self._commit(statement)
            if self.crashes_at_commit:
                self._process.log("server process was terminated by signal 9: Killed")
                self._process.exit(2)
            else:
                on_answer(outcome)

    def _refusal(self, message: Any) -> Rejected:
        if self._state == "stopping":
            return _STOPPING if type(message) is Startup else _ENDED
        return _STARTING

    def _admit(self, startup: Startup) -> Rows | Rejected:
        if self._process.connections(PORT) + self.taken > self._connections_max:
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
        return _undefined(statement.table) if table is None else Rows(table.select(statement))

    def _commit(self, statement: Statement) -> Rows | Rejected:
        if self._state != "accepting":
            return _ENDED
        name, key = statement.table, statement.key
        table = self._tables.get(name)
        if statement.verb == "create":
            if table is None:
                index = self._path("global/pg_index")
                self._files[index] = {**self._files.get(index, {}), name: statement.unique}
                self._tables[name] = _Table({}, statement.unique)
                self._write(name)
            return _DONE
        if table is None:
            return _undefined(name)
        if statement.verb == "insert":
            return self._insert(table, statement)
        old = table.rows.get(key)
        if old is None or statement.version not in (0, old["version"]):
            return _DONE
        if statement.verb == "delete":
            table.remove(key)
        else:
            now = to_micro_time(self._process.loop.now_ns)
            new = {**statement.row, "version": old["version"] + 1, "updated_at": now}
            if table.unique and table.keys.get(new[table.unique], key) != key:
                return _duplicate(name, table.unique)
            table.put(key, new)
            old = new
        self._write(name)
        return Rows((old,))

    def _insert(self, table: _Table, statement: Statement) -> Rows | Rejected:
        key, row, once, now_ns = statement.key, statement.row, statement.once, self._process.loop.now_ns
        tokens = self._tables.get(TOKENS)
        if once:
            if tokens is None:
                return _undefined(TOKENS)
            used = tokens.rows.get(once)
            if used is not None and now_ns - used["at_ns"] < _TOKENS_KEPT_NS:
                return _DONE
        if key in table.rows:
            return _DONE
        if table.unique and row[table.unique] in table.keys:
            return _duplicate(statement.table, table.unique)
        now = to_micro_time(now_ns)
        table.seq += 1
        new = {**row, "seq": table.seq, "version": 1, "created_at": now, "updated_at": now}
        table.put(key, new)
        self._write(statement.table)
        if once and tokens is not None:
            tokens.put(once, {"key": key, "row": row, "created_at": now, "at_ns": now_ns, "seq": 0})
            self._write(TOKENS)
        return Rows((new,))

    def _write(self, name: str) -> None:
        """Whole tables are written, each this process's own: what another one has written meanwhile is gone."""
        self._files[self._path(f"base/{name}")] = self._tables[name].rows


def _duplicate(table: str, column: str) -> Rejected:
    text = f'duplicate key value violates unique constraint "{table}_{column}_key"'
    return Rejected(UNIQUE_VIOLATION, text)


def _undefined(table: str) -> Rejected:
    return Rejected(UNDEFINED_TABLE, f'relation "{table}" does not exist')

"""What a client and the simulated PostgreSQL say to each other: enough SQL for one table of rows by key."""

from __future__ import annotations

from typing import Any, Literal, NamedTuple


class Startup(NamedTuple):
    """The first message of a session: who, and to which database."""

    user: str
    password: str
    database: str


class Statement(NamedTuple):
    """One statement in a transaction of its own.

    `ping` is `SELECT 1`, `create` is `CREATE TABLE IF NOT EXISTS`; `select` returns at most `limit` rows, or the one
    with `key`; `insert` stores `row` under `key`, and `delete` removes it.
    """

    verb: Literal["ping", "create", "select", "insert", "delete"]
    table: str = ""
    key: str = ""
    row: Any = None
    limit: int = 100


class Rows(NamedTuple):
    """A statement that succeeded; a write is durable by then."""

    rows: tuple[Any, ...] = ()


class Rejected(NamedTuple):
    """A statement or session that the server refuses, with its SQLSTATE. Upstream: PostgreSQL appendix A."""

    code: str
    text: str


PING = Statement("ping")
UNIQUE_VIOLATION = "23505"
UNDEFINED_TABLE = "42P01"

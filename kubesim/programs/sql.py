"""What a client and the simulated PostgreSQL say to each other: enough SQL for rows by key, each a transaction."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final, Literal, NamedTuple

ANY_ROW: Final[Mapping[str, Any]] = MappingProxyType({})


class Startup(NamedTuple):
    """The first message of a session: who, and to which database."""

    user: str
    password: str
    database: str


class Statement(NamedTuple):
    """One statement in a transaction of its own.

    - `ping` is `SELECT 1`.
    - `create` is `CREATE TABLE IF NOT EXISTS`; the column `unique` holds no value twice.
    - `select` gives the row with `key`; without one, at most `limit` rows in order of creation, those whose `seq` is
      above `after` and whose columns are as `where` says.
    - `insert` adds `row` under `key`, unless the key is there. What is given as `once` is kept with it, and the
      next insertion with the same does nothing. The server adds `seq`, `version` and the times.
    - `update` puts `row` in place of the one with `key`, if that is at `version`; `delete` removes it if it is.

    What a statement has made, changed or removed comes back as rows; none means that there was nothing to do.
    """

    verb: Literal["ping", "create", "select", "insert", "update", "delete"]
    table: str = ""
    key: str = ""
    row: Any = None
    limit: int = 100
    after: int = 0
    where: Mapping[str, Any] = ANY_ROW
    once: str = ""
    version: int = 0
    unique: str = ""


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
# Where what was given as `once` is kept, each with the key that it was used for and the row as the caller gave it.
TOKENS = "idempotency_keys"

"""The writes that users were told are done, to be compared with what the database's volume holds in the end."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple, final

from kubesim.programs.postgres import rows_in
from kubesim.programs.program import Volume


class Audit(NamedTuple):
    """The ledger against a volume.

    `kept` acknowledged writes are there, the `lost` ones are not. Of the writes that got no answer or an error,
    `unknown` in number, `unknown_kept` are there; either way is correct for them.
    """

    kept: int
    lost: tuple[str, ...]
    unknown: int
    unknown_kept: int


@final
class Ledger:
    """Keys of rows by what users know about them."""

    __slots__ = ("_acknowledged", "_unknown", "column", "table")

    def __init__(self, table: str, column: str) -> None:
        """The rows are those of a table, the keys the values of one of its columns."""
        self.table = table
        self.column = column
        self._acknowledged: dict[str, int] = {}
        self._unknown: dict[str, int] = {}

    def acknowledge(self, key: str, at_ns: int) -> None:
        """A user was told at this instant that the row is stored."""
        self._acknowledged[key] = at_ns

    def acknowledged_ns(self, key: str) -> int:
        """When a user was told that the row is stored."""
        return self._acknowledged[key]

    def doubt(self, key: str, at_ns: int) -> None:
        """A user's write ended at this instant without a success; nobody knows whether the row is stored."""
        self._unknown[key] = at_ns

    def check(self, volume: Volume | None) -> Audit:
        """Compare with the table in a volume; None is a volume that is gone with all it held."""
        return self.compare(rows_in(volume, self.table, self.column))

    def compare(self, rows: Mapping[str, Any]) -> Audit:
        """Compare with the rows that are there, by key."""
        lost = tuple(key for key in self._acknowledged if key not in rows)
        kept = len(self._acknowledged) - len(lost)
        return Audit(kept, lost, len(self._unknown), sum(key in rows for key in self._unknown))

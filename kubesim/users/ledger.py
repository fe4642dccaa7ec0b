"""The writes that users were told are done, to be compared with what the database's volume holds in the end."""

from __future__ import annotations

from typing import NamedTuple, final

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

    __slots__ = ("_acknowledged", "_table", "_unknown")

    def __init__(self, table: str) -> None:
        self._table = table
        self._acknowledged: dict[str, int] = {}
        self._unknown: dict[str, int] = {}

    def acknowledge(self, key: str, at_ns: int) -> None:
        """A user was told at this instant that the row is stored."""
        self._acknowledged[key] = at_ns

    def doubt(self, key: str, at_ns: int) -> None:
        """A user's write ended at this instant without a success; nobody knows whether the row is stored."""
        self._unknown[key] = at_ns

    def check(self, volume: Volume | None) -> Audit:
        """Compare with the table in a volume; None is a volume that is gone with all it held."""
        rows = rows_in(volume, self._table)
        lost = tuple(key for key in self._acknowledged if key not in rows)
        kept = len(self._acknowledged) - len(lost)
        return Audit(kept, lost, len(self._unknown), sum(key in rows for key in self._unknown))

    def acknowledged_at_ns(self, key: str) -> int | None:
        """When the row was acknowledged, or None."""
        return self._acknowledged.get(key)

"""What a comparison has shown, as values for reports. Instants in ns from the first request; shares from 0 to 1."""

from __future__ import annotations

import msgspec

from kubesim.users.report import Counts


class Deed(msgspec.Struct, frozen=True, kw_only=True):
    """Something that a person had to do, and how long after the fault."""

    text: str
    after_ns: int


class Side(msgspec.Struct, frozen=True, kw_only=True):
    """How one side fared with one fault. `recovery_ns` is None where users were not served again within its time.

    `subject` is what the fault was done to; `without` says why there was nothing to do here, else empty.
    """

    counts: Counts
    recovery_ns: int | None
    lost_writes: int
    by_hand: tuple[Deed, ...] = ()
    subject: str = ""
    without: str = ""

    @property
    def unserved(self) -> int:
        """The requests that were not served."""
        return self.counts.unserved


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One fault, from its instant to the next one's."""

    title: str
    start_ns: int
    end_ns: int
    kubernetes: Side
    compose: Side


class Total(msgspec.Struct, frozen=True, kw_only=True):
    """One side over the whole run. `series` has the shares served in spans of `bucket_ns`, None without requests."""

    counts: Counts
    kept_writes: int
    lost_writes: int
    series: tuple[float | None, ...]


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """A whole comparison."""

    name: str
    seed: int
    nodes: int
    rate_per_second: float
    write_percent: int
    operator_after_ns: int
    end_ns: int
    bucket_ns: int
    rows: tuple[Row, ...]
    kubernetes: Total
    compose: Total
    notes: tuple[str, ...]

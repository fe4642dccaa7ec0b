"""The typed, append-only record of a run: what happened, when, to whom, and why.

A record is data, not prose; renderers make the timeline. Its canonical form is one JSON array a line, and the digest
over those lines is the identity of a run: same seed, same digest.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import msgspec


class Record(NamedTuple):
    """One thing that happened.

    `actor` did it, `verb` names it (`created`, `started`, `crashed`, …), `subject` is what it was done to
    (`pod/vehicles/postgres-0`), `detail` says why or how in one line, `data` holds figures for machines.
    """

    at_ns: int
    actor: str
    verb: str
    subject: str
    detail: str = ""
    data: dict[str, Any] | None = None


class Trace:
    """The records of one run, in order; listeners see each as it is added."""

    def __init__(self) -> None:
        self.records: list[Record] = []
        self.listeners: list[Callable[[Record], None]] = []

    def add(self, record: Record) -> None:
        """Append a record and tell the listeners."""
        self.records.append(record)
        for listener in self.listeners:
            listener(record)

    def lines(self) -> Iterator[bytes]:
        """The canonical form, one JSON array a line."""
        encode = msgspec.json.Encoder(order="deterministic").encode
        return (encode(record) + b"\n" for record in self.records)

    def digest(self) -> str:
        """SHA-256 over the canonical form, in hexadecimal."""
        digest = hashlib.sha256()
        for line in self.lines():
            digest.update(line)
        return digest.hexdigest()

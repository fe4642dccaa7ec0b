"""What a campaign has found so far, on disk: a line when it begins and one for each chain, so that it can go on later.

A campaign that is killed loses the chains that were under way, which are then played again; since every schedule
follows from the seed and from the results before it, the whole comes out the same.
"""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path
from typing import Any, Final, TextIO

import msgspec

from kubesim.errors import UserError
from kubesim.search.chains import ChainResult
from kubesim.search.running import Setting

FILE: Final = "campaign.jsonl"


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """What a campaign was asked to do. `manifests` is a digest of what its files said."""

    setting: Setting
    faults: tuple[str, ...]
    seed: int
    schedules: int
    varies_cluster: bool
    manifests: str


def digest_of(setting: Setting) -> str:
    """What the manifests of a setting say, as a digest."""
    digest = sha256()
    for source in setting.sources:
        path = Path(source)
        files = sorted(each for each in path.rglob("*") if each.is_file()) if path.is_dir() else [path]
        for file in files:
            digest.update(file.read_bytes())
    return digest.hexdigest()


class Journal:
    """An open journal; every line is on disk when `write` returns."""

    def __init__(self, folder: Path, order: Order | None) -> None:
        """Begin a new journal for an order, or with None go on with the one that is there.

        Raises:
            UserError: the folder cannot be written.
        """
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._file: TextIO = (folder / FILE).open("a" if order is None else "w", encoding="utf-8")
        except OSError as error:
            why = (error.strerror or "unknown").lower()
            raise UserError(f"{folder}: the campaign cannot be kept there: {why}; name another --folder") from error
        if order is not None:
            self._write(msgspec.to_builtins(order))

    def write(self, result: ChainResult) -> None:
        """Keep a chain's result."""
        self._write(msgspec.to_builtins(result))

    def _write(self, line: Any) -> None:
        self._file.write(msgspec.json.encode(line).decode() + "\n")
        self._file.flush()

    def close(self) -> None:
        """No more lines."""
        self._file.close()


def read_journal(folder: Path) -> tuple[Order, dict[int, ChainResult]]:
    """What was asked for, and the results so far. A last line that was cut off is as if it had not been begun.

    Raises:
        UserError: there is no campaign, or its manifests have changed since.
    """
    path = folder / FILE
    try:
        lines = path.read_bytes().split(b"\n")
    except OSError:
        raise UserError(f"{path}: there is no campaign to go on with; begin one with: kubesim test SPEC") from None
    try:
        order = msgspec.json.decode(lines[0], type=Order)
    except msgspec.DecodeError as error:
        raise UserError(f"{path}:1: this is no campaign ({error}); begin one with: kubesim test SPEC") from error
    if digest_of(order.setting) != order.manifests:
        names = ", ".join(order.setting.sources)
        raise UserError(f"{names}: changed since the campaign was begun, so it cannot go on; begin a new one")
    results: dict[int, ChainResult] = {}
    whole = 0
    for line in lines[1:-1]:
        try:
            result = msgspec.json.decode(line, type=ChainResult)
        except msgspec.DecodeError:
            break
        results[result.number] = result
        whole += 1
    if whole < len(lines) - 2 or lines[-1]:
        path.write_bytes(b"".join(line + b"\n" for line in lines[: whole + 1]))
    return order, results

"""`sequences`: random requests to a real API server and to the simulator, and every answer that differs."""

from __future__ import annotations

import argparse
import asyncio
import sys
from pathlib import Path
from typing import Final

from adapters.connection import Connection
from adapters.contexts import choose_target
from adapters.parity.drawing import LENGTH, draw_sequences
from adapters.parity.playing import differences_from, play_real
from adapters.parity.sequences import Kept, count_requests, write_trials
from kubesim.errors import UserError

_SHARE: Final = 0.99


def sequences(arguments: argparse.Namespace) -> int:
    """Play them on both; returns the exit code: 1 where fewer than 99 in a hundred answers are the same."""
    if arguments.requests < 1:
        raise UserError(f"--requests {arguments.requests}: at least one")
    target = choose_target(arguments.context, arguments.namespace, arguments.kubeconfig, Path())
    drawn = draw_sequences(-(-arguments.requests // LENGTH), arguments.seed)
    named = [(f"sequence-{number:04d}", steps) for number, steps in enumerate(drawn)]

    async def go() -> Kept:
        async with Connection(target) as connection:
            version = (await connection.version())["gitVersion"]
            return Kept(version, await play_real(connection, named, _tell))

    kept = asyncio.run(go())
    if arguments.into:
        write_trials(Path(arguments.into), kept)
    found = differences_from(kept)
    sys.stdout.writelines(f"{line}\n" for each in found for line in each.lines())
    requests = count_requests(kept.trials)
    same = requests - len(found)
    sys.stdout.write(f"{same} of {requests} requests were answered alike ({100 * same / requests:.2f} %)\n")
    return 0 if same >= _SHARE * requests else 1


def _tell(namespace: str) -> None:
    sys.stderr.write(f"{namespace}\r")


COMMANDS: Final = {"sequences": sequences}

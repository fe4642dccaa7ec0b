"""What a container runs whose image nobody has described: healthy at once, and it ends when it is told to."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, final

from kubesim.network.messages import HttpReply, OnAnswer
from kubesim.network.sockets import ANY_PORT
from kubesim.programs.program import ExecResult, Process

_OK = HttpReply(200)
_DONE = ExecResult(0)


def _answer(_: Any, on_answer: OnAnswer) -> None:
    on_answer(_OK)


@final
class PlainProgram:
    """Answers 200 on every port, exits 0 on SIGTERM; every command run in it succeeds."""

    __slots__ = ("_process",)

    is_steady = True

    def start(self, process: Process) -> None:
        self._process = process
        process.listen(ANY_PORT, _answer)

    def terminate(self) -> None:
        self._process.exit(0)

    def execute(self, command: Sequence[str]) -> ExecResult:  # noqa: ARG002 - the contract's
        return _DONE


@final
class FinishedProgram:
    """What an init container runs whose image nobody has described: it has nothing to do, and succeeds."""

    is_steady = True

    def start(self, process: Process) -> None:
        process.after(0, lambda: process.exit(0))

    def terminate(self) -> None:
        """It ends by itself."""

    def execute(self, command: Sequence[str]) -> ExecResult:  # noqa: ARG002 - the contract's
        return _DONE

"""What the recordings' containers ran where it was Python: a server, and one that takes too much memory."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from kubesim.network.messages import HttpReply
from kubesim.programs.catalog import Catalog, Found
from kubesim.programs.program import ExecResult, Process
from kubesim.sim.loop import SECOND


class PythonProgram:
    """Process 1 without a handler for SIGTERM."""

    is_steady = True

    def start(self, process: Process) -> None:
        script = process.arguments[2] if process.arguments[:2] == ("python3", "-c") else ""
        if not script:
            # An interpreter without a terminal and a script has nothing to do, and nor have files that are not there.
            process.after(SECOND // 50, lambda: process.exit(0))
        elif "HTTPServer" in script:
            process.after(SECOND // 3, lambda: process.listen(8080, _answer))
        else:
            process.after(2 * SECOND, lambda: process.use_memory(100_000_000))

    def terminate(self) -> None:
        pass

    def execute(self, command: Sequence[str]) -> ExecResult:  # noqa: ARG002 - the contract's
        return ExecResult(0)


def _answer(message: Any, on_answer: Any) -> None:
    on_answer(HttpReply(503 if "bad" in message.path else 200, "body text") if message is not None else HttpReply(200))


class RecordedPrograms:
    """The simulator's own catalogue, but for the image that the recordings used."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog

    def find_program(self, image: str, annotations: Any, container: str = "") -> Found:
        if image.startswith("python:"):
            return Found(PythonProgram, is_known=False)
        return self._catalog.find_program(image, annotations, container)

"""What the recordings' containers ran: a little of sh and Python, as a program of the simulator.

PID 1 ignores a SIGTERM that it has no trap for; a trap waits for the command in the foreground, but not for `wait`.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from typing import Any

from kubesim.network.messages import HttpReply
from kubesim.programs.catalog import Catalog, Found
from kubesim.programs.program import ExecResult, Process
from kubesim.sim.loop import SECOND

WAIT = -1.0


class ShellProgram:
    """Runs its container's arguments."""

    is_steady = True

    def __init__(self) -> None:
        self._files: set[str] = set()
        self._trap: str | None = None
        self._is_waiting = self._is_told = False
        self._turn = 0

    def start(self, process: Process) -> None:
        self._process = process
        arguments = list(process.arguments)
        if arguments[:2] == ["python3", "-c"]:
            self._python(arguments[2])
        else:
            # No process ends at the instant at which it starts.
            self._process.after(SECOND // 50, lambda: self._run(_script(arguments)))

    def terminate(self) -> None:
        if self._trap is None:
            return
        self._is_told = True
        if self._is_waiting:
            self._run(self._trap)

    def execute(self, command: Sequence[str]) -> ExecResult:
        output: list[str] = []
        duration = 0.0
        code = 0
        steps = self._steps(_script(command), output)
        while True:
            try:
                duration += next(steps)
            except StopIteration as end:
                code = end.value or 0
                break
        return ExecResult(code, "\n".join(output) + "\n" if output else "", round(duration * SECOND))

    def _python(self, code: str) -> None:
        if "HTTPServer" in code:
            self._process.after(SECOND // 3, lambda: self._process.listen(8080, _answer))
        else:
            self._process.after(2 * SECOND, lambda: self._process.use_memory(100_000_000))

    def _run(self, script: str) -> None:
        self._turn += 1
        self._is_waiting = False
        self._resume(self._steps(script, []), self._turn)

    def _resume(self, steps: Iterator[float], turn: int) -> None:
        if turn != self._turn:
            return
        if self._is_told and self._trap is not None:
            trap, self._trap = self._trap, None
            self._run(trap)
            return
        try:
            pause = next(steps)
        except StopIteration as end:
            self._process.exit(end.value or 0)
            return
        if pause == WAIT:
            self._is_waiting = True
        else:
            self._process.after(round(pause * SECOND), lambda: self._resume(steps, turn))

    def _steps(self, script: str, output: list[str]) -> Any:
        """Yields seconds to sleep, returns the exit code."""
        code = 0
        lexer = shlex.shlex(script, posix=True, punctuation_chars=";&")
        lexer.whitespace_split = True
        words: list[str] = []
        chain = ";"
        for token in [*lexer, ";"]:
            if token not in {";", "&", "&&"}:
                words.append(token)
                continue
            if words and words[0] == "exit" and not (chain == "&&" and code):
                return int(words[1])
            if words and token != "&" and not (chain == "&&" and code):
                code = yield from self._command(words, output)
            words, chain = [], token
        return code

    def _command(self, words: list[str], output: list[str]) -> Any:
        name, *operands = words
        files, path = self._place(operands[-1] if operands else "")
        if name == "sleep":
            yield float(operands[0])
        elif name == "wait":
            yield WAIT
        elif name == "trap":
            self._trap = operands[0]
        elif name == "touch":
            for operand in operands:
                files, path = self._place(operand)
                files.add(path) if isinstance(files, set) else files.__setitem__(path, "")
            self._process.health_changed()
        elif name == "rm":
            self._files.discard(path)
            self._process.health_changed()
        elif name in {"test", "cat"}:
            if path not in files:
                if name == "cat":
                    output.append(f"cat: {path}: No such file or directory")
                return 1
        elif name == "echo":
            output.append(" ".join(operands))
        elif name == "kill":
            self._process.after(0, self.terminate)
        return 0

    def _place(self, path: str) -> tuple[Any, str]:
        for mount, volume in self._process.volumes.items():
            if path.startswith(mount + "/"):
                return volume.files, path
        return self._files, path


def _script(command: Sequence[str]) -> str:
    if list(command[:2]) == ["sh", "-c"]:
        return command[2]
    return shlex.join(command)


def _answer(message: Any, on_answer: Any) -> None:
    on_answer(HttpReply(503 if "bad" in message.path else 200, "body text") if message is not None else HttpReply(200))


class ShellCatalog:
    """Like the simulator's own catalogue, but for the image that the recordings used."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog

    def find_program(self, image: str, annotations: Any, container: str = "") -> Found:
        if image.startswith("python:"):
            return Found(ShellProgram, is_known=True)
        return self._catalog.find_program(image, annotations, container)

"""A command beside a container's own process, in virtual time: what `kubectl exec` starts.

Its output comes as it is written, its input as it is given; it ends by itself, by a signal, or with its container.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final, final

from kubesim.programs.program import Process, Program
from kubesim.programs.shell.files import Files
from kubesim.programs.shell.interpreter import LoopJump, Shell, ShellExit, Steps, Streams, signal_number
from kubesim.programs.shell.language import ShellSyntaxError, parse
from kubesim.programs.shell.program import new_shell
from kubesim.programs.shell.utilities import SHELLS, UTILITIES, has_script

# Between two looks at whether more has been typed.
_LOOK_NS: Final = 10_000_000
_KILLED_BY: Final = 128


@final
class Input:
    """Standard input, which may still be coming. `has_prompt`: somebody sits in front of it."""

    def __init__(self, *, is_open: bool = False, has_prompt: bool = False) -> None:
        self.has_prompt = has_prompt
        self.is_open = is_open
        self.text = ""

    def feed(self, text: str) -> None:
        """Some more has come."""
        self.text += text

    def close(self) -> None:
        """No more will."""
        self.is_open = False


@final
class Session:
    """One command that runs. `on_end` hears once of its exit code."""

    def __init__(
        self,
        process: Process,
        program: Program,
        command: Sequence[str],
        given: Input,
        *,
        output: Callable[[str], None],
        error: Callable[[str], None],
        on_end: Callable[[int], None],
    ) -> None:
        self._process = process
        self._program = program
        self._given = given
        self._output = output
        self._error = error
        self._on_end = on_end
        self._is_over = False
        self._steps = self._main(list(command))

    def start(self) -> None:
        """Begin at this instant."""
        self._resume()

    def signal(self, name: str) -> None:
        """End by a signal; a command beside the first process is not protected from any."""
        self._end(_KILLED_BY + signal_number(name))

    def _resume(self) -> None:
        if self._is_over:
            return
        try:
            pause_ns = next(self._steps)
        except StopIteration as end:
            self._end(end.value or 0)
            return
        self._process.health_changed()
        self._process.after(max(0, pause_ns), self._resume)

    def _end(self, code: int) -> None:
        if not self._is_over:
            self._is_over = True
            self._steps.close()
            self._process.health_changed()
            self._on_end(code)

    def _main(self, command: list[str]) -> Steps:
        name = command[0].rpartition("/")[2]
        if name not in UTILITIES and name not in SHELLS:
            result = self._program.execute(command)
            if result.duration_ns:
                yield result.duration_ns
            self._output(result.output)
            return result.exit_code
        shell = self._open_shell()
        if name in SHELLS and not has_script(command[1:]):
            return (yield from self._interactive(shell))
        given = self._given
        while given.is_open:
            yield _LOOK_NS
        return (yield from shell.call(command, Streams(given.text, self._output, self._error)))

    def _open_shell(self) -> Shell:
        open_shell: Any = getattr(self._program, "open_shell", None)
        if open_shell is not None:
            return open_shell()  # type: ignore[no-any-return]
        return new_shell(self._process, Files(self._process.volumes, assumes=True))

    def _interactive(self, shell: Shell) -> Steps:
        """A shell that is talked to: line by line, until there are no more."""
        given = self._given
        streams = Streams("", self._output, self._error)
        try:
            while True:
                if given.has_prompt:
                    self._output(f"{shell.folder} # ")
                while "\n" not in given.text and given.is_open:
                    yield _LOOK_NS
                if not given.text:
                    return shell.code
                line, _, given.text = given.text.partition("\n")
                try:
                    yield from shell.run_sequence(parse(line), streams)
                except ShellSyntaxError as mistake:
                    self._error(f"sh: 1: {mistake}\n")
                except LoopJump:
                    continue  # there is no loop around it
        except ShellExit as ended:
            return ended.code

"""A container whose command the simulated shell understands: it is process 1, and lives in virtual time.

Process 1 ignores a SIGTERM that it has no trap for, as the kernel protects it; so `sleep 3600` ends by SIGKILL when the
grace period is over.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, final

from kubesim.programs.program import ExecResult, Process
from kubesim.programs.shell.files import Files, NoSuchFile
from kubesim.programs.shell.interpreter import WAIT, LoopJump, Shell, ShellExit, Steps, Streams, signal_number
from kubesim.programs.shell.language import ShellSyntaxError, parse
from kubesim.programs.shell.utilities import SHELLS, UTILITIES, take_script
from kubesim.sim.loop import MILLISECOND

# From the start of a container until its first command has been loaded and run.
_START_NS: Final = 20 * MILLISECOND
_TERM: Final = signal_number("TERM")


@final
class ShellProgram:
    """Runs its container's arguments; commands beside it share its files."""

    is_steady = True

    def __init__(self) -> None:
        self._jobs = 0
        # What goes on when the jobs are done or a signal comes, and the signals that have come meanwhile.
        self._trap: Steps | None = None
        self._is_waiting = False
        self._pending: dict[int, None] = {}

    def start(self, process: Process) -> None:
        self._process = process
        self._files = Files(process.volumes)
        self._shell = new_shell(process, self._files)
        self._shell.signal = self._signal
        self._shell.start_job = self._start_job
        process.after(_START_NS, self._begin)

    def terminate(self) -> None:
        self._signal(_TERM)

    def execute(self, command: Sequence[str]) -> ExecResult:
        """A command beside process 1: what it changes is there at once, how long it takes is counted."""
        return run_beside(command, self.open_shell(), self._process)

    def open_shell(self) -> Shell:
        """A shell beside process 1, which its signals reach."""
        shell = new_shell(self._process, self._files)
        shell.signal = self._signal
        return shell

    def _streams(self) -> Streams:
        writer = LineWriter(self._process)
        return Streams("", writer.write, writer.write)

    # --- process 1 ---

    def _begin(self) -> None:
        name, *operands = self._process.arguments
        streams = self._streams()
        if name.rpartition("/")[2] not in SHELLS:
            self._run(self._shell.call([name, *operands], streams))
            return
        try:
            script = take_script(self._shell, operands, "")
        except NoSuchFile as error:
            streams.error(f"sh: 0: cannot open {operands[-1]}: {error}\n")
            self._process.exit(2)
            return
        self._run(self._shell.run(script, streams))

    def _run(self, steps: Steps) -> None:
        self._script = steps
        self._resume()

    def _resume(self) -> None:
        self._is_waiting = False
        pause_ns = self._next_pause()
        self._process.health_changed()
        if pause_ns is None:
            return
        self._is_waiting = pause_ns == WAIT and self._jobs > 0
        if not self._is_waiting:
            self._process.after(max(0, pause_ns), self._resume)

    def _next_pause(self) -> int | None:
        """How long process 1 waits next; None when it has ended. A trap comes between two steps of the script."""
        while True:
            if self._trap is None and self._pending:
                number = min(self._pending)
                del self._pending[number]
                self._trap = self._trapped(self._shell.traps.get(number, ""))
            try:
                return next(self._trap or self._script)
            except StopIteration as end:
                if self._trap is None:
                    self._process.exit(end.value or 0)
                    return None
                self._trap = None
            except ShellExit as ended:
                self._trap = None
                self._pending.clear()
                self._script = self._shell.end(ended.code, self._streams())

    def _signal(self, number: int) -> None:
        if self._shell.traps.get(number):
            # As with a real process, one that has come and has not been seen to is not counted.
            self._pending[number] = None
            # Who sends it goes on first.
            self._process.after(0, self._wake)

    def _wake(self) -> None:
        if self._pending and self._is_waiting:
            self._resume()

    def _trapped(self, action: str) -> Steps:
        """The steps of a trap, which may end the shell."""
        try:
            return (yield from self._shell.run_sequence(parse(action), self._streams()))
        except ShellSyntaxError:
            raise ShellExit(2) from None
        except LoopJump:
            return 0  # there is no loop around it

    # --- jobs in the background ---

    def _start_job(self, job: Steps) -> None:
        self._jobs += 1
        self._advance(job)

    def _advance(self, job: Steps) -> None:
        try:
            pause_ns = next(job)
        except StopIteration:
            self._jobs -= 1
            self._process.health_changed()
            if not self._jobs and self._is_waiting:
                self._resume()
            return
        self._process.health_changed()
        self._process.after(max(0, pause_ns), lambda: self._advance(job))


@final
class LineWriter:
    """Hands texts over to a container's log, line by line."""

    def __init__(self, process: Process) -> None:
        self._process = process
        self._rest = ""

    def write(self, text: str) -> None:
        """Take a text; what has no end yet waits for the rest of its line."""
        *lines, self._rest = (self._rest + text).split("\n")
        for line in lines:
            self._process.log(line)


def new_shell(process: Process, files: Files) -> Shell:
    """A shell in a container, with its environment."""
    return Shell(files, {"HOSTNAME": process.pod_name, **process.env}, UTILITIES)


def run_beside(command: Sequence[str], shell: Shell, process: Process) -> ExecResult:
    """Run a command to its end in no time; returns how it ends and how long it would have taken."""
    output: list[str] = []
    steps = shell.call(list(command), Streams("", output.append, output.append))
    duration_ns = 0
    while True:
        try:
            duration_ns += max(0, next(steps))
        except StopIteration as end:
            process.health_changed()
            return ExecResult(end.value or 0, "".join(output), duration_ns)

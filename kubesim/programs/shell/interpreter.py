"""Runs a script as a generator: it yields how long it waits, and is resumed when that time is over.

A shell that is told to end by a signal that it traps runs the trap when the command in the foreground is done; `wait`
alone is interrupted. Facts: POSIX.1-2024, 2.12 Signals and Error Handling.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any, Final, final

from kubesim.programs.shell.expansion import Expander
from kubesim.programs.shell.files import Files, NoSuchFile
from kubesim.programs.shell.language import (
    Chain,
    Command,
    For,
    Group,
    If,
    Loop,
    Pipeline,
    Redirect,
    Sequence,
    ShellSyntaxError,
    Simple,
    parse,
)

# What a step of a script yields: nanoseconds to wait, or WAIT until the jobs in the background are done or a signal
# comes. It returns the exit code.
WAIT: Final = -1
# It takes a program at least this long to be started; a loop without a pause comes round no faster.
START_NS: Final = 1_000_000
Steps = Generator[int, None, int]
# A script that goes round and round within one instant is stopped.
_ROUNDS_MAX: Final = 100_000
_SIGNALS: Final = {"HUP": 1, "INT": 2, "QUIT": 3, "KILL": 9, "USR1": 10, "USR2": 12, "TERM": 15}


class ShellExit(Exception):  # noqa: N818 - it is no mistake
    """`exit`."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


class LoopJump(Exception):  # noqa: N818 - it is no mistake
    """`break` or `continue`."""

    def __init__(self, is_break: bool) -> None:
        super().__init__()
        self.is_break = is_break


@final
class Streams:
    """Where a command's input comes from and its output goes to; a descriptor without a place is dropped."""

    __slots__ = ("error", "input", "output")

    def __init__(self, source: str, output: Callable[[str], None], error: Callable[[str], None]) -> None:
        self.input = source
        self.output = output
        self.error = error


@final
class Shell:
    """One shell: its variables, traps and jobs. `utilities` are the programs that it finds by name."""

    def __init__(
        self, files: Files, variables: dict[str, str], utilities: dict[str, Any], parent: Shell | None = None
    ) -> None:
        self.files = files
        self.variables = variables
        self.utilities = utilities
        self.folder: str = "/" if parent is None else parent.folder
        self.traps: dict[int, str] = {} if parent is None else dict(parent.traps)
        self.jobs: list[Steps] = []
        self.start_job: Callable[[Steps], None] = self._run_at_once if parent is None else parent.start_job
        self.signal: Callable[[int], None] = _nobody if parent is None else parent.signal
        self.exits_on_error = False
        self.shows_commands: bool = parent is not None and parent.shows_commands
        self.code = 0
        self.positional: tuple[str, ...] = ()
        self._expander = Expander(self)
        self._rounds = 0

    def path(self, name: str) -> str:
        """A path of a command's, from the shell's folder."""
        return name if name.startswith("/") else f"{self.folder.rstrip('/')}/{name}"

    def run(self, script: str, streams: Streams) -> Steps:
        """The steps of a whole script."""
        try:
            code = yield from self.run_sequence(parse(script), streams)
        except ShellSyntaxError as error:
            streams.error(f"sh: 1: {error}\n")
            return 2
        except ShellExit as ended:
            code = ended.code
        except LoopJump:
            code = 0
        return (yield from self.end(code, streams))

    def end(self, code: int, streams: Streams) -> Steps:
        """The steps of the shell's end: what it traps EXIT with."""
        trap = self.traps.pop(0, None)
        if trap:
            yield from self.run(trap, streams)
        return code

    def run_sequence(self, body: Sequence, streams: Streams) -> Steps:
        """The steps of a list of commands."""
        for chain in body.chains:
            if chain.is_background:
                inner = Shell(self.files, dict(self.variables), self.utilities, self)
                self.start_job(_ended(inner.run_chain(chain, streams), streams))
                self.code = 0
            else:
                self.code = yield from self.run_chain(chain, streams)
                if self.code and self.exits_on_error and len(chain.parts) == 1:
                    raise ShellExit(self.code)
        return self.code if body.chains else 0

    def _condition(self, body: Sequence, streams: Streams) -> Steps:
        """The steps of commands whose failure is an answer, and no error that `set -e` would end at."""
        exits, self.exits_on_error = self.exits_on_error, False
        try:
            return (yield from self.run_sequence(body, streams))
        finally:
            self.exits_on_error = exits

    def run_chain(self, chain: Chain, streams: Streams) -> Steps:
        """The steps of pipelines joined by && and ||."""
        code = 0
        for operator, pipeline in chain.parts:
            if (operator == "&&" and code) or (operator == "||" and not code):
                continue
            code = self.code = yield from self._pipeline(pipeline, streams)
        return code

    def _pipeline(self, pipeline: Pipeline, streams: Streams) -> Steps:
        *before, last = pipeline.commands
        source = streams.input
        for command in before:
            taken: list[str] = []
            inner = Shell(self.files, dict(self.variables), self.utilities, self)
            yield from _ended(inner.run_command(command, Streams(source, taken.append, streams.error)), streams)
            source = "".join(taken)
        inner = self if not before else Shell(self.files, dict(self.variables), self.utilities, self)
        code = yield from inner.run_command(last, Streams(source, streams.output, streams.error))
        return int(not code) if pipeline.is_negated else code

    def run_command(self, command: Command, streams: Streams) -> Steps:
        """The steps of one command."""
        match command:
            case Simple():
                return (yield from self._simple(command, streams))
            case Group():
                placed = yield from self._redirected(command.redirects, streams)
                if placed is None:
                    return 2
                if not command.is_subshell:
                    return (yield from self.run_sequence(command.body, placed))
                inner = Shell(self.files, dict(self.variables), self.utilities, self)
                return (yield from _ended(inner.run_sequence(command.body, placed), placed))
            case If():
                for condition, body in command.branches:
                    if not (yield from self._condition(condition, streams)):
                        return (yield from self.run_sequence(body, streams))
                return (yield from self.run_sequence(command.otherwise, streams)) if command.otherwise else 0
            case Loop():
                return (yield from self._loop(command, streams))
            case For():
                return (yield from self._for(command, streams))

    def _loop(self, loop: Loop, streams: Streams) -> Steps:
        code = 0
        while bool((yield from self._condition(loop.condition, streams))) == loop.is_until:
            self._count_round()
            try:
                code = yield from self.run_sequence(loop.body, streams)
            except LoopJump as jump:
                if jump.is_break:
                    break
            # However fast, a round takes time: what waits for others in a loop lets them come to their turn.
            yield START_NS
        return code

    def _for(self, loop: For, streams: Streams) -> Steps:
        code = 0
        for value in (yield from self._expander.fields(loop.words, streams)):
            self._count_round()
            self.variables[loop.name] = value
            try:
                code = yield from self.run_sequence(loop.body, streams)
            except LoopJump as jump:
                if jump.is_break:
                    break
        return code

    def _count_round(self) -> None:
        self._rounds += 1
        if self._rounds > _ROUNDS_MAX:
            raise ShellExit(1)

    def _simple(self, command: Simple, streams: Streams) -> Steps:
        words = yield from self._expander.fields(command.words, streams)
        values = {}
        for name, word in command.assignments:
            values[name] = yield from self._expander.text(word, streams)
        if not words:
            self.variables.update(values)
        if self.shows_commands and (words or values):
            set_first = (f"{name}={value}" for name, value in values.items())
            streams.error(f"+ {' '.join((*set_first, *words))}\n")
        placed = yield from self._redirected(command.redirects, streams)
        if placed is None:
            return 2
        if not words:
            return 0
        return (yield from self.call(words, placed, values))

    def call(self, words: list[str], streams: Streams, variables: dict[str, str] | None = None) -> Steps:
        """The steps of a program by name with its arguments."""
        name = words[0].rpartition("/")[2]
        utility = self.utilities.get(name)
        if utility is None:
            streams.error(f"sh: 1: {words[0]}: not found\n")
            return 127
        before = self.variables
        if variables:
            self.variables = {**before, **variables}
        try:
            code: int = yield from utility(self, words[1:], streams)
        except NoSuchFile as error:
            streams.error(f"{name}: {error}\n")
            code = 1
        except (ValueError, IndexError):
            streams.error(f"{name}: invalid operands\n")
            code = 1
        finally:
            if variables:
                self.variables = before
        return code

    def _redirected(self, redirects: tuple[Redirect, ...], streams: Streams) -> Generator[int, None, Streams | None]:
        """The streams of a command; None, once it has been said, where a file cannot be opened."""
        for redirect in redirects:
            target = yield from self._expander.text(redirect.target, streams)
            try:
                streams = self._placed(redirect, target, streams)
            except NoSuchFile as error:
                streams.error(f"sh: 1: cannot open {error}\n")
                return None
        return streams

    def _placed(self, redirect: Redirect, target: str, streams: Streams) -> Streams:
        if redirect.operator == ">&":
            place = streams.output if target == "1" else streams.error
            return _with(streams, redirect.descriptor, place)
        if redirect.operator == "<":
            return Streams(self._read(target), streams.output, streams.error)
        return _with(streams, redirect.descriptor, self._writer(target, redirect.operator == ">>", streams))

    def _read(self, name: str) -> str:
        try:
            return self.files.read(self.path(name))
        except NoSuchFile as error:
            raise NoSuchFile(f"{name}: {error}") from error

    def _writer(self, name: str, appends: bool, streams: Streams) -> Callable[[str], None]:
        if name in ("/dev/stdout", "/proc/1/fd/1"):
            return streams.output
        if name in ("/dev/stderr", "/proc/1/fd/2"):
            return streams.error
        path = self.path(name)
        try:
            self.files.write(path, "", appends=appends)
        except NoSuchFile as error:
            raise NoSuchFile(f"{name}: {error}") from error
        return lambda text: self.files.write(path, text, appends=True)

    def _run_at_once(self, job: Steps) -> None:
        """Where nobody drives jobs, as in a probe: its effects are there at once."""
        for _ in job:
            pass


def _nobody(_: int) -> None:
    """Where there is no process 1 that a signal could reach."""


def signal_number(name: str) -> int:
    """The number of a signal by name, with or without SIG, or by number; -1 for one that is not known."""
    if name.isdigit():
        return int(name)
    return {"EXIT": 0, **_SIGNALS}.get(name.removeprefix("SIG").upper(), -1)


def _with(streams: Streams, descriptor: int, place: Callable[[str], None]) -> Streams:
    if descriptor == 2:
        return Streams(streams.input, streams.output, place)
    return Streams(streams.input, place, streams.error)


def _ended(steps: Steps, streams: Streams) -> Steps:
    """The steps of a shell within a shell: its `exit` and its mistakes end it alone."""
    try:
        return (yield from steps)
    except ShellSyntaxError as mistake:
        streams.error(f"sh: 1: {mistake}\n")
        return 2
    except ShellExit as ended:
        return ended.code
    except LoopJump:
        return 0

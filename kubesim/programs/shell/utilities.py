"""The programs that a simulated shell finds by name: each a generator over its waits that returns its exit code.

Facts: POSIX.1-2024, Utilities; error texts as dash and GNU coreutils print them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

from kubesim.programs.shell.files import NoSuchFile
from kubesim.programs.shell.interpreter import (
    WAIT,
    LoopJump,
    Shell,
    ShellExit,
    Steps,
    Streams,
    signal_number,
)
from kubesim.programs.shell.timing import FOREVER_NS, sleep, timeout
from kubesim.sim.loop import SECOND

Utility = Callable[[Shell, Sequence[str], Streams], Steps]
# How long nothing happens between two looks of `tail -f`.
_TAIL_NS: Final = SECOND


def _at_once(work: Callable[[Shell, Sequence[str], Streams], int]) -> Utility:
    """A utility that takes no time worth counting."""

    def run(shell: Shell, operands: Sequence[str], streams: Streams) -> Steps:
        return work(shell, operands, streams)
        yield  # a generator, as the others are

    return run


def _exit(shell: Shell, operands: Sequence[str], streams: Streams) -> int:
    del streams
    raise ShellExit(int(operands[0]) & 0xFF if operands and operands[0].isdigit() else shell.code)


def _jump(is_break: bool) -> Utility:
    def jump(shell: Shell, operands: Sequence[str], streams: Streams) -> int:
        del shell, operands, streams
        raise LoopJump(is_break)

    return _at_once(jump)


def _code(code: int) -> Utility:
    return _at_once(lambda *_: code)


def _echo(shell: Shell, operands: Sequence[str], streams: Streams) -> int:
    del shell
    has_end = True
    words = list(operands)
    while words and words[0] in ("-n", "-e", "-ne", "-en"):
        has_end = has_end and "n" not in words[0]
        words.pop(0)
    streams.output(_unescaped(" ".join(words)) + ("\n" if has_end else ""))
    return 0


def _printf(shell: Shell, operands: Sequence[str], streams: Streams) -> int:
    del shell
    if not operands:
        return 2
    pattern, left = _unescaped(operands[0]), list(operands[1:])
    text, rest = "", pattern
    while True:
        before, mark, rest = rest.partition("%")
        text += before
        if not mark:
            break
        kind, rest = rest[:1], rest[1:]
        text += "%" if kind == "%" else (left.pop(0) if left else "")
    streams.output(text)
    return 0


def _unescaped(text: str) -> str:
    for mark, char in (("\\n", "\n"), ("\\t", "\t"), ("\\\\", "\\")):
        text = text.replace(mark, char)
    return text


def _test(shell: Shell, operands: Sequence[str], streams: Streams) -> int:
    words = list(operands)
    try:
        return int(not _holds(shell, words))
    except (ValueError, LookupError):
        streams.error(f"sh: 1: test: {' '.join(words)}: unexpected operator\n")
        return 2


def _bracket(shell: Shell, operands: Sequence[str], streams: Streams) -> int:
    if not operands or operands[-1] != "]":
        streams.error("sh: 1: [: missing ]\n")
        return 2
    return _test(shell, operands[:-1], streams)


_COMPARISONS: Final[dict[str, Callable[[Any, Any], bool]]] = {
    "=": lambda a, b: a == b,
    "==": lambda a, b: a == b,
    "!=": lambda a, b: a != b,
    "-eq": lambda a, b: int(a) == int(b),
    "-ne": lambda a, b: int(a) != int(b),
    "-lt": lambda a, b: int(a) < int(b),
    "-le": lambda a, b: int(a) <= int(b),
    "-gt": lambda a, b: int(a) > int(b),
    "-ge": lambda a, b: int(a) >= int(b),
}


def _holds(shell: Shell, words: list[str]) -> bool:
    if "-o" in words:
        at = words.index("-o")
        return _holds(shell, words[:at]) or _holds(shell, words[at + 1 :])
    if "-a" in words:
        at = words.index("-a")
        return _holds(shell, words[:at]) and _holds(shell, words[at + 1 :])
    if words[:1] == ["!"]:
        return not _holds(shell, words[1:])
    if len(words) == 3:
        return _COMPARISONS[words[1]](words[0], words[2])
    if len(words) == 2:
        return _is_so(shell, *words)
    return bool(words and words[0])


def _is_so(shell: Shell, question: str, operand: str) -> bool:
    if question in ("-n", "-z"):
        return bool(operand) == (question == "-n")
    files, path = shell.files, shell.path(operand)
    if question == "-d":
        return files.is_folder(path)
    if question == "-s":
        return files.exists(path) and not files.is_folder(path) and bool(files.read(path))
    if question == "-f":
        return files.exists(path) and not files.is_folder(path)
    if question in ("-e", "-r", "-w", "-x"):
        return files.exists(path)
    raise ValueError(question)


def _touch(shell: Shell, operands: Sequence[str], streams: Streams) -> int:
    for name in _names(operands):
        try:
            shell.files.write(shell.path(name), "", appends=True)
        except NoSuchFile as error:
            streams.error(f"touch: cannot touch '{name}': {error}\n")
            return 1
    return 0


def _rm(shell: Shell, operands: Sequence[str], streams: Streams) -> int:
    is_forced = any(each.startswith("-") and "f" in each for each in operands)
    code = 0
    for name in _names(operands):
        if not shell.files.exists(shell.path(name)) and not is_forced:
            streams.error(f"rm: cannot remove '{name}': No such file or directory\n")
            code = 1
        shell.files.remove(shell.path(name))
    return code


def _cat(shell: Shell, operands: Sequence[str], streams: Streams) -> int:
    names, code = _names(operands), 0
    if not names:
        streams.output(streams.input)
    for name in names:
        try:
            streams.output(shell.files.read(shell.path(name)))
        except NoSuchFile as error:
            streams.error(f"cat: {name}: {error}\n")
            code = 1
    return code


def _mkdir(shell: Shell, operands: Sequence[str], streams: Streams) -> int:
    for name in _names(operands):
        if shell.files.exists(shell.path(name)) and "-p" not in operands:
            streams.error(f"mkdir: cannot create directory '{name}': File exists\n")
            return 1
        shell.files.make_folder(shell.path(name))
    return 0


def _ls(shell: Shell, operands: Sequence[str], streams: Streams) -> int:
    for name in _names(operands) or [shell.folder]:
        path = shell.path(name)
        if not shell.files.exists(path):
            streams.error(f"ls: cannot access '{name}': No such file or directory\n")
            return 2
        found = shell.files.names_in(path) if shell.files.is_folder(path) else [name]
        streams.output("".join(f"{each}\n" for each in found))
    return 0


def _copy(removes: bool) -> Utility:
    said = "renamed " if removes else ""

    def copy(shell: Shell, operands: Sequence[str], streams: Streams) -> int:
        is_verbose = any(each.startswith("-") and "v" in each for each in operands)
        *sources, target = _names(operands)
        for source in sources:
            path = shell.path(target)
            if shell.files.is_folder(path):
                path = f"{path}/{source.rpartition('/')[2]}"
            shell.files.write(path, shell.files.read(shell.path(source)))
            if removes:
                shell.files.remove(shell.path(source))
            if is_verbose:
                shown = f"{target.rstrip('/')}/{path.rpartition('/')[2]}" if path != shell.path(target) else target
                streams.output(f"{said}'{source}' -> '{shown}'\n")
        return 0

    return _at_once(copy)


def _grep(shell: Shell, operands: Sequence[str], streams: Streams) -> int:
    names = _names(operands)
    if not names:
        return 2
    text = streams.input if len(names) == 1 else "".join(shell.files.read(shell.path(each)) for each in names[1:])
    is_inverse = any(each.startswith("-") and "v" in each for each in operands)
    found = [line for line in text.splitlines() if (names[0] in line) != is_inverse]
    if not any(each.startswith("-") and "q" in each for each in operands):
        streams.output("".join(f"{line}\n" for line in found))
    return int(not found)


def _tail(shell: Shell, operands: Sequence[str], streams: Streams) -> Steps:
    names = _names([each for index, each in enumerate(operands) if not (index and operands[index - 1] == "-n")])
    is_following = any(each in ("-f", "-F", "--follow") for each in operands)
    seen = 0
    while True:
        text = "".join(shell.files.read(shell.path(each)) for each in names) if names else streams.input
        if len(text) > seen:
            streams.output(text[seen:])
            seen = len(text)
        if not is_following:
            return 0
        yield _TAIL_NS if names != ["/dev/null"] else FOREVER_NS


def _head(shell: Shell, operands: Sequence[str], streams: Streams) -> int:
    names = _names([each for index, each in enumerate(operands) if not (index and operands[index - 1] == "-n")])
    text = "".join(shell.files.read(shell.path(each)) for each in names) if names else streams.input
    count = next((int(operands[index + 1]) for index, each in enumerate(operands) if each == "-n"), 10)
    streams.output("".join(text.splitlines(keepends=True)[:count]))
    return 0


def _trap(shell: Shell, operands: Sequence[str], streams: Streams) -> int:
    del streams
    action, *names = operands or ("-",)
    for name in names:
        number = signal_number(name)
        if action == "-":
            shell.traps.pop(number, None)
        else:
            shell.traps[number] = action
    return 0


def _wait(shell: Shell, operands: Sequence[str], streams: Streams) -> Steps:
    del shell, operands, streams
    yield WAIT
    return 0


def _kill(shell: Shell, operands: Sequence[str], streams: Streams) -> int:
    del streams
    number = signal_number("TERM")
    for operand in operands:
        if operand.startswith("-") and operand not in ("-s", "--"):
            number = signal_number(operand[1:])
        elif signal_number(operand) > 0 and not operand.isdigit():
            number = signal_number(operand)
        elif operand == "1":
            shell.signal(number)
    return 0


def _export(shell: Shell, operands: Sequence[str], streams: Streams) -> int:
    del streams
    for operand in operands:
        name, mark, value = operand.partition("=")
        if mark:
            shell.variables[name] = value
    return 0


def _set(shell: Shell, operands: Sequence[str], streams: Streams) -> int:
    del streams
    for operand in operands:
        if operand[:1] in ("-", "+"):
            is_on = operand[0] == "-"
            shell.exits_on_error = is_on if "e" in operand else shell.exits_on_error
            shell.shows_commands = is_on if "x" in operand else shell.shows_commands
    return 0


def _cd(shell: Shell, operands: Sequence[str], streams: Streams) -> int:
    name = operands[0] if operands else "/"
    if not shell.files.is_folder(shell.path(name)):
        streams.error(f"sh: 1: cd: can't cd to {name}\n")
        return 2
    shell.folder = shell.path(name)
    return 0


def _sh(shell: Shell, operands: Sequence[str], streams: Streams) -> Steps:
    inner = Shell(shell.files, dict(shell.variables), shell.utilities, shell)
    inner.traps = {}
    return (yield from inner.run(take_script(inner, operands, streams.input), streams))


def has_script(operands: Sequence[str]) -> bool:
    """Whether a shell with these arguments has a script to run, and does not ask for commands."""
    return any(not each.startswith("-") for each in operands)


def take_script(shell: Shell, operands: Sequence[str], source: str) -> str:
    """The script that a shell with these arguments runs; the shell takes over its options and parameters.

    Raises:
        NoSuchFile: the script's file is not there.
    """
    options = [each for each in operands if each.startswith("-")]
    words = [each for each in operands if not each.startswith("-")]
    is_given = any("c" in each for each in options)
    shell.exits_on_error = any("e" in each for each in options)
    shell.shows_commands = any("x" in each for each in options)
    shell.positional = tuple(words[1:] if is_given else words)
    if is_given:
        return words[0] if words else ""
    return shell.files.read(shell.path(words[0])) if words else source


def _exec(shell: Shell, operands: Sequence[str], streams: Streams) -> Steps:
    if not operands:
        return 0
    raise ShellExit((yield from shell.call(list(operands), streams)))


def _env(shell: Shell, operands: Sequence[str], streams: Streams) -> Steps:
    words = list(operands)
    values = {} if words[:1] == ["-i"] else dict(shell.variables)
    words = [each for each in words if each != "-i"]
    while words and "=" in words[0]:
        name, _, value = words.pop(0).partition("=")
        values[name] = value
    if words:
        return (yield from shell.call(words, streams, values))
    streams.output("".join(f"{name}={value}\n" for name, value in values.items()))
    return 0


def _printenv(shell: Shell, operands: Sequence[str], streams: Streams) -> int:
    for name in operands:
        if name not in shell.variables:
            return 1
        streams.output(f"{shell.variables[name]}\n")
    return 0


def _seq(shell: Shell, operands: Sequence[str], streams: Streams) -> int:
    del shell
    first, last = (1, int(operands[0])) if len(operands) == 1 else (int(operands[0]), int(operands[-1]))
    streams.output("".join(f"{number}\n" for number in range(first, last + 1)))
    return 0


def _hostname(shell: Shell, operands: Sequence[str], streams: Streams) -> int:
    del operands
    streams.output(shell.variables.get("HOSTNAME", "localhost") + "\n")
    return 0


def _names(operands: Sequence[str]) -> list[str]:
    return [each for each in operands if not each.startswith("-") or each == "-"]


UTILITIES: Final[dict[str, Utility]] = {
    "sleep": sleep,
    "exit": _at_once(_exit),
    "return": _at_once(_exit),
    "break": _jump(is_break=True),
    "continue": _jump(is_break=False),
    "true": _code(0),
    ":": _code(0),
    "sync": _code(0),
    "chmod": _code(0),
    "chown": _code(0),
    "umask": _code(0),
    "false": _code(1),
    "echo": _at_once(_echo),
    "printf": _at_once(_printf),
    "test": _at_once(_test),
    "[": _at_once(_bracket),
    "touch": _at_once(_touch),
    "rm": _at_once(_rm),
    "cat": _at_once(_cat),
    "mkdir": _at_once(_mkdir),
    "ls": _at_once(_ls),
    "cp": _copy(removes=False),
    "mv": _copy(removes=True),
    "grep": _at_once(_grep),
    "tail": _tail,
    "head": _at_once(_head),
    "trap": _at_once(_trap),
    "wait": _wait,
    "kill": _at_once(_kill),
    "export": _at_once(_export),
    "set": _at_once(_set),
    "cd": _at_once(_cd),
    "pwd": _at_once(lambda shell, _, streams: streams.output(shell.folder + "\n") or 0),
    **dict.fromkeys(("sh", "bash", "ash", "dash"), _sh),
    "exec": _exec,
    "timeout": timeout,
    "env": _env,
    "printenv": _at_once(_printenv),
    "seq": _at_once(_seq),
    "hostname": _at_once(_hostname),
}


SHELLS: Final = ("sh", "bash", "ash", "dash")


def is_understood(command: Sequence[str]) -> bool:
    """Whether a container's command is one that is run here: a shell with a script, or a utility by name."""
    return bool(command) and command[0].rpartition("/")[2] in UTILITIES

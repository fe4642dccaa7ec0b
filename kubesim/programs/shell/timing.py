"""The utilities that wait: `sleep`, and `timeout`, which waits for another.

Facts: GNU coreutils 9.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from kubesim.programs.shell.interpreter import WAIT, Shell, Steps, Streams, signal_number
from kubesim.sim.loop import SECOND

_UNITS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86400}
# A century: nobody sees its end.
FOREVER_NS: Final = 100 * 365 * 86400 * SECOND
# What only a shell can do: no program of that name is there to be started.
_BUILT_IN: Final = frozenset(
    {"exit", "return", "break", "continue", ":", "umask", "trap", "wait", "export", "set", "cd", "exec"}
)


def sleep(shell: Shell, operands: Sequence[str], streams: Streams) -> Steps:
    """Wait."""
    del shell
    total_ns = 0
    try:
        for operand in operands or ("",):
            total_ns += _span_ns(operand)
    except ValueError as mistake:
        streams.error(f"sleep: {mistake}\n")
        return 1
    yield total_ns
    return 0


def _span_ns(operand: str) -> int:
    """A time as `sleep` and `timeout` take it, such as 0.5, 2m or infinity; none is longer than `FOREVER_NS`.

    Raises:
        ValueError: it is none, in the words of both.
    """
    unit = _UNITS.get(operand[-1:], 0)
    try:
        span_s = float(operand[:-1] if unit else operand) * (unit or 1)
    except ValueError:
        span_s = -1
    if not span_s >= 0:
        raise ValueError(f"invalid time interval ‘{operand}’")  # noqa: RUF001 - as it is printed
    return round(min(span_s * SECOND, FOREVER_NS))


def timeout(shell: Shell, operands: Sequence[str], streams: Streams) -> Steps:
    """Run a command for a time at most: 124 says that it is over, 125 wrong operands, 127 no such program."""
    words, number, keeps_status = list(operands), signal_number("TERM"), False
    try:
        while words and words[0].startswith("-"):
            option, mark, value = words.pop(0).partition("=")
            if option in ("-s", "--signal"):
                number = _known_signal(value if mark else words.pop(0))
            elif option in ("-k", "--kill-after"):
                _span_ns(value if mark else words.pop(0))
            elif option == "--preserve-status":
                keeps_status = True
            elif option not in ("-v", "--verbose", "--foreground"):
                raise ValueError(f"unrecognized option '{option}'")  # noqa: TRY301 - as all other mistakes
        name = words[1]
        # Without a limit at 0.
        limit_ns = _span_ns(words[0]) or FOREVER_NS
    except (ValueError, IndexError) as mistake:
        said = f"timeout: {mistake}\n" if isinstance(mistake, ValueError) else ""
        streams.error(f"{said}Try 'timeout --help' for more information.\n")
        return 125
    if name.rpartition("/")[2] not in shell.utilities or name in _BUILT_IN:
        streams.error(f"timeout: failed to run command ‘{name}’: No such file or directory\n")  # noqa: RUF001 - as printed
        return 127
    steps = shell.call(words[1:], streams)
    while True:
        try:
            pause_ns = next(steps)
        except StopIteration as end:
            return int(end.value or 0)
        if pause_ns == WAIT or pause_ns >= limit_ns:
            yield limit_ns
            steps.close()
            # It cannot say more of a program that it has killed outright.
            return 128 + number if keeps_status or number == signal_number("KILL") else 124
        limit_ns -= pause_ns
        yield pause_ns


def _known_signal(name: str) -> int:
    number = signal_number(name)
    if number < 0:
        raise ValueError(f"‘{name}’: invalid signal")  # noqa: RUF001 - as it is printed
    return number

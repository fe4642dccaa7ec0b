"""From the words of a script to the arguments of a command: parameters, substitutions, arithmetic, field splitting.

Facts: POSIX.1-2024, 2.6 Word Expansions.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Generator, Iterable
from typing import TYPE_CHECKING, Any, Final, final

from kubesim.programs.shell.language import Arithmetic, Parameter, ShellSyntaxError, Substitution, Text, Word

if TYPE_CHECKING:
    from kubesim.programs.shell.interpreter import Shell, Streams

_OPERATORS: Final[dict[str, Callable[[int, int], int]]] = {
    "Add": operator.add,
    "Sub": operator.sub,
    "Mult": operator.mul,
    "Div": lambda left, right: int(left / right),
    "Mod": operator.mod,
    "Lt": operator.lt,
    "LtE": operator.le,
    "Gt": operator.gt,
    "GtE": operator.ge,
    "Eq": operator.eq,
    "NotEq": operator.ne,
}


@final
class Expander:
    """Expands words with one shell's variables."""

    def __init__(self, shell: Shell) -> None:
        self._shell = shell

    def fields(self, words: Iterable[Word], streams: Streams) -> Generator[int, None, list[str]]:
        """The arguments that the words come to; what is not quoted is split at blanks."""
        found: list[str] = []
        for word in words:
            found += yield from self._fields_of(word, streams)
        return found

    def text(self, word: Word, streams: Streams) -> Generator[int, None, str]:
        """What a word comes to where nothing is split, as in an assignment."""
        parts = []
        for part in word:
            parts.append((yield from self._value(part, streams)))
        return "".join(parts)

    def _fields_of(self, word: Word, streams: Streams) -> Generator[int, None, list[str]]:
        fields: list[str] = []
        current: str | None = None
        for part in word:
            value = yield from self._value(part, streams)
            if isinstance(part, Text) or getattr(part, "is_quoted", False):
                if value or getattr(part, "is_quoted", False):
                    current = (current or "") + value
                continue
            pieces = value.split()
            if value[:1].isspace() and current is not None:
                fields.append(current)
                current = None
            for index, piece in enumerate(pieces):
                current = (current or "") + piece if not index else piece
                if index < len(pieces) - 1 or value[-1:].isspace():
                    fields.append(current)
                    current = None
        return fields if current is None else [*fields, current]

    def _value(self, part: Any, streams: Streams) -> Generator[int, None, str]:
        if isinstance(part, Text):
            return part.text
        if isinstance(part, Parameter):
            return (yield from self._parameter(part, streams))
        if isinstance(part, Substitution):
            return (yield from self._substitution(part, streams))
        if isinstance(part, Arithmetic):
            expression = yield from self.text(part.expression, streams)
            return str(self._calculate(expression))
        raise TypeError(part)

    def _parameter(self, part: Parameter, streams: Streams) -> Generator[int, None, str]:
        value = self._lookup(part.name)
        sign = part.operator
        if sign == "#":
            return str(len(value or ""))
        is_missing = value is None or (sign.startswith(":") and not value)
        if sign.endswith("+"):
            return "" if is_missing else (yield from self.text(part.argument, streams))
        if sign and is_missing:
            value = yield from self.text(part.argument, streams)
            if sign.endswith("="):
                self._shell.variables[part.name] = value
        return value or ""

    def _lookup(self, name: str) -> str | None:
        shell = self._shell
        if name == "?":
            return str(shell.code)
        if name == "$":
            return "1"
        if name in ("@", "*"):
            return " ".join(shell.positional[1:])
        if name == "#":
            return str(max(0, len(shell.positional) - 1))
        if name.isdigit():
            return shell.positional[int(name)] if int(name) < len(shell.positional) else None
        return shell.variables.get(name)

    def _substitution(self, part: Substitution, streams: Streams) -> Generator[int, None, str]:
        from kubesim.programs.shell.interpreter import Shell, ShellExit, Streams

        shell = self._shell
        taken: list[str] = []
        inner = Shell(shell.files, dict(shell.variables), shell.utilities, shell)
        try:
            code = yield from inner.run_sequence(part.body, Streams("", taken.append, streams.error))
        except ShellExit as ended:
            code = ended.code
        shell.code = code
        return "".join(taken).rstrip("\n")

    def _calculate(self, expression: str) -> int:
        import ast

        try:
            return self._number(ast.parse(expression.strip() or "0", mode="eval").body)
        except (SyntaxError, ZeroDivisionError, KeyError) as error:
            raise ShellSyntaxError(f"arithmetic expression: {expression}") from error

    def _number(self, node: Any) -> int:
        """The value of a node of Python's syntax tree, whose arithmetic is written as the shell's."""
        kind = type(node).__name__
        if kind == "Constant" and isinstance(node.value, int):
            return node.value
        if kind == "Name":
            text = self._shell.variables.get(node.id, "0")
            return int(text) if text.lstrip("-").isdigit() else 0
        if kind == "UnaryOp" and type(node.op).__name__ == "USub":
            return -self._number(node.operand)
        if kind == "BinOp":
            return _OPERATORS[type(node.op).__name__](self._number(node.left), self._number(node.right))
        if kind == "Compare" and len(node.ops) == 1:
            compare = _OPERATORS[type(node.ops[0]).__name__]
            return int(compare(self._number(node.left), self._number(node.comparators[0])))
        raise KeyError(kind)

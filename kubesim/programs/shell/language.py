"""From the text of a script to its commands: a recursive descent through the part of the shell's grammar that is run.

Not read: functions, `case`, here-documents and globs. A script with those is refused, as a shell refuses bad syntax.
"""

from __future__ import annotations

from typing import Final, NamedTuple

_BLANKS: Final = " \t"
_OPERATORS: Final = ("&&", "||", ">>", "<<", ";;", "2>&1", ";", "&", "|", "<", ">", "(", ")", "\n")
_RESERVED: Final = ("then", "elif", "else", "fi", "do", "done", "}", "case", "esac", "function")
_NAME_START: Final = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_")
_NAME: Final = _NAME_START | frozenset("0123456789")
_SPECIAL: Final = "?$!#@*0123456789"


class ShellSyntaxError(ValueError):
    """The script cannot be read."""


class Text(NamedTuple):
    """Characters as they are; what was quoted is not split into words."""

    text: str
    is_quoted: bool


class Parameter(NamedTuple):
    """`$NAME`, `${NAME:-word}`: `operator` is empty or one of :- - :+ + := = # (as a prefix: the length)."""

    name: str
    operator: str
    argument: Word
    is_quoted: bool


class Substitution(NamedTuple):
    """`$(list)`."""

    body: Sequence
    is_quoted: bool


class Arithmetic(NamedTuple):
    """`$((expression))`."""

    expression: Word


Word = tuple["Text | Parameter | Substitution | Arithmetic", ...]


class Redirect(NamedTuple):
    """`2>> file`: `operator` is < > >> or >&, the target of the last a descriptor's number."""

    descriptor: int
    operator: str
    target: Word


class Simple(NamedTuple):
    """Assignments, then words, with the redirections among them."""

    assignments: tuple[tuple[str, Word], ...]
    words: tuple[Word, ...]
    redirects: tuple[Redirect, ...]


class Group(NamedTuple):
    """`{ list; }`, or `( list )` in a shell of its own."""

    body: Sequence
    is_subshell: bool
    redirects: tuple[Redirect, ...]


class If(NamedTuple):
    """Conditions with what follows each, and what else."""

    branches: tuple[tuple[Sequence, Sequence], ...]
    otherwise: Sequence | None


class Loop(NamedTuple):
    """`while`, or `until`."""

    condition: Sequence
    body: Sequence
    is_until: bool


class For(NamedTuple):
    """`for NAME in words`."""

    name: str
    words: tuple[Word, ...]
    body: Sequence


Command = Simple | Group | If | Loop | For


class Pipeline(NamedTuple):
    """Commands, each one's output being the next one's input."""

    commands: tuple[Command, ...]
    is_negated: bool


class Chain(NamedTuple):
    """Pipelines joined by && and ||; the operator of the first is empty."""

    parts: tuple[tuple[str, Pipeline], ...]
    is_background: bool


class Sequence(NamedTuple):
    """Chains one after the other."""

    chains: tuple[Chain, ...]


def parse(script: str) -> Sequence:
    """The commands of a script.

    Raises:
        ShellSyntaxError: it is none, or uses what is not read here.
    """
    reader = _Reader(script)
    try:
        body = reader.sequence(())
    except RecursionError:
        raise ShellSyntaxError("nested too deeply") from None
    if not reader.is_at_end():
        raise ShellSyntaxError(f'Syntax error: "{reader.peek()}" unexpected')
    return body


class _Reader:
    def __init__(self, script: str) -> None:
        self._text = script.replace("\\\n", "")
        self._at = 0

    # --- characters and tokens ---

    def is_at_end(self) -> bool:
        self._skip_blanks()
        return self._at >= len(self._text)

    def peek(self) -> str:
        """The operator or the bare word that comes next; an empty text at the end."""
        self._skip_blanks()
        rest = self._text[self._at :]
        for operator in _OPERATORS:
            if rest.startswith(operator):
                return operator
        end = 0
        while end < len(rest) and rest[end] not in " \t\n;&|<>()":
            end += 1
        return rest[:end]

    def _skip_blanks(self) -> None:
        text = self._text
        while self._at < len(text) and text[self._at] in _BLANKS:
            self._at += 1
        if text.startswith("#", self._at):
            end = text.find("\n", self._at)
            self._at = len(text) if end < 0 else end

    def _take(self, token: str) -> bool:
        if self.peek() == token:
            self._at += len(token)
            return True
        return False

    def _expect(self, token: str) -> None:
        self._skip_newlines()
        if not self._take(token):
            raise ShellSyntaxError(f'Syntax error: "{self.peek() or "end of file"}" unexpected (expecting "{token}")')

    def _skip_newlines(self) -> None:
        while self._take("\n"):
            pass

    # --- commands ---

    def sequence(self, ends: tuple[str, ...]) -> Sequence:
        """The commands up to one of the words that may end them, or to the end."""
        chains: list[Chain] = []
        while True:
            while self._take("\n") or (chains and self._take(";")):
                pass
            token = self.peek()
            if not token or token in ends or token == ")":
                return Sequence(tuple(chains))
            chains.append(self._chain())

    def _chain(self) -> Chain:
        parts = [("", self._pipeline())]
        while (operator := self.peek()) in ("&&", "||"):
            self._at += 2
            self._skip_newlines()
            parts.append((operator, self._pipeline()))
        is_background = self._take("&")
        if not is_background:
            self._take(";")
        return Chain(tuple(parts), is_background)

    def _pipeline(self) -> Pipeline:
        is_negated = self._take("!")
        commands = [self._command()]
        while self._take("|"):
            self._skip_newlines()
            commands.append(self._command())
        return Pipeline(tuple(commands), is_negated)

    def _command(self) -> Command:
        token = self.peek()
        if token == "(":
            self._at += 1
            body = self.sequence((")",))
            self._expect(")")
            return Group(body, True, self._redirects())
        if token == "{":
            self._at += 1
            body = self.sequence(("}",))
            self._expect("}")
            return Group(body, False, self._redirects())
        if token == "if":
            return self._if()
        if token in ("while", "until"):
            self._at += len(token)
            condition = self.sequence(("do",))
            return Loop(condition, self._body(), token == "until")
        if token == "for":
            return self._for()
        if token in _RESERVED or token in _OPERATORS or not token:
            raise ShellSyntaxError(f'Syntax error: "{token or "end of file"}" unexpected')
        return self._simple()

    def _if(self) -> If:
        branches, otherwise, word = [], None, "if"
        while True:
            self._expect(word)
            condition = self.sequence(("then",))
            self._expect("then")
            branches.append((condition, self.sequence(("elif", "else", "fi"))))
            word = self.peek()
            if word != "elif":
                break
        if word == "else":
            self._expect("else")
            otherwise = self.sequence(("fi",))
        self._expect("fi")
        return If(tuple(branches), otherwise)

    def _for(self) -> For:
        self._expect("for")
        name = self.peek()
        self._at += len(name)
        words: list[Word] = []
        if self._take("in"):
            while self.peek() not in ("\n", ";", "do", ""):
                words.append(self.word())
        self._take(";")
        return For(name, tuple(words), self._body())

    def _body(self) -> Sequence:
        self._expect("do")
        body = self.sequence(("done",))
        self._expect("done")
        return body

    def _simple(self) -> Simple:
        assignments: list[tuple[str, Word]] = []
        words: list[Word] = []
        redirects: list[Redirect] = []
        while True:
            redirect = self._redirect()
            if redirect is not None:
                redirects.append(redirect)
                continue
            token = self.peek()
            if not token or token in _OPERATORS:
                return Simple(tuple(assignments), tuple(words), tuple(redirects))
            name = self._assigned_name() if not words else ""
            if name:
                assignments.append((name, self.word(may_be_empty=True)))
            else:
                words.append(self.word())

    def _assigned_name(self) -> str:
        """The NAME of `NAME=`, past which it then stands; an empty text where there is none."""
        end = self._at
        while end < len(self._text) and self._text[end] in _NAME:
            end += 1
        if end == self._at or self._text[self._at] not in _NAME_START or not self._text.startswith("=", end):
            return ""
        name, self._at = self._text[self._at : end], end + 1
        return name

    def _redirects(self) -> tuple[Redirect, ...]:
        found = []
        while (redirect := self._redirect()) is not None:
            found.append(redirect)
        return tuple(found)

    def _redirect(self) -> Redirect | None:
        self._skip_blanks()
        text, at = self._text, self._at
        descriptor = -1
        if at + 1 < len(text) and text[at].isdigit() and text[at + 1] in "<>":
            descriptor, at = int(text[at]), at + 1
        if not text.startswith(("<", ">"), at):
            return None
        operator = next(each for each in (">>", ">&", "<<", "<", ">") if text.startswith(each, at))
        if operator == "<<":
            raise ShellSyntaxError("here-documents are not known here")
        self._at = at + len(operator)
        self._skip_blanks()
        return Redirect(descriptor if descriptor >= 0 else int(operator[0] == ">"), operator, self.word())

    # --- words ---

    def word(self, *, may_be_empty: bool = False) -> Word:
        """The parts of the word that comes next."""
        self._skip_blanks() if not may_be_empty else None
        parts: list[Text | Parameter | Substitution | Arithmetic] = []
        text = self._text
        while self._at < len(text) and text[self._at] not in " \t\n;&|<>()":
            char = text[self._at]
            if char == "'":
                end = self._find("'", self._at + 1)
                parts.append(Text(text[self._at + 1 : end], True))
                self._at = end + 1
            elif char == '"':
                self._at += 1
                parts += self._quoted()
            elif char == "\\":
                parts.append(Text(text[self._at + 1 : self._at + 2], True))
                self._at += 2
            elif char == "$":
                parts.append(self._dollar(is_quoted=False))
            elif char == "`":
                raise ShellSyntaxError("backquotes are not known here; write $(…)")
            else:
                start = self._at
                while self._at < len(text) and text[self._at] not in " \t\n;&|<>()'\"\\$`":
                    self._at += 1
                parts.append(Text(text[start : self._at], False))
        if not parts and not may_be_empty:
            raise ShellSyntaxError(f'Syntax error: "{self.peek() or "end of file"}" unexpected')
        return tuple(parts)

    def _quoted(self) -> list[Text | Parameter | Substitution | Arithmetic]:
        """The inside of double quotes, up to and past the closing one."""
        parts: list[Text | Parameter | Substitution | Arithmetic] = [Text("", True)]
        text = self._text
        while True:
            if self._at >= len(text):
                raise ShellSyntaxError("Syntax error: Unterminated quoted string")
            char = text[self._at]
            if char == '"':
                self._at += 1
                return parts
            if char == "$":
                parts.append(self._dollar(is_quoted=True))
            elif char == "\\" and text[self._at + 1 : self._at + 2] in ('"', "\\", "$", "`"):
                parts.append(Text(text[self._at + 1], True))
                self._at += 2
            else:
                parts.append(Text(char, True))
                self._at += 1

    def _dollar(self, *, is_quoted: bool) -> Text | Parameter | Substitution | Arithmetic:
        text = self._text
        self._at += 1
        if text.startswith("((", self._at):
            end = text.find("))", self._at)
            if end < 0:
                raise ShellSyntaxError("Syntax error: Missing '))'")
            inner = text[self._at + 2 : end]
            self._at = end + 2
            return Arithmetic(_Reader(f'"{inner}"').word())
        if text.startswith("(", self._at):
            self._at += 1
            body = self.sequence((")",))
            self._expect(")")
            return Substitution(body, is_quoted)
        if text.startswith("{", self._at):
            return self._braced(is_quoted=is_quoted)
        if self._at < len(text) and text[self._at] in _SPECIAL:
            self._at += 1
            return Parameter(text[self._at - 1], "", (), is_quoted)
        start = self._at
        while self._at < len(text) and text[self._at] in (_NAME if self._at > start else _NAME_START):
            self._at += 1
        if self._at == start:
            return Text("$", True)
        return Parameter(text[start : self._at], "", (), is_quoted)

    def _braced(self, *, is_quoted: bool) -> Parameter:
        end = self._find("}", self._at)
        inner = self._text[self._at + 1 : end]
        self._at = end + 1
        if inner.startswith("#") and len(inner) > 1:
            return Parameter(inner[1:], "#", (), is_quoted)
        length = next((index for index, char in enumerate(inner) if char not in _NAME | set("?$!@*")), len(inner))
        name, rest = inner[:length], inner[length:]
        operator = next((each for each in (":-", ":+", ":=", "-", "+", "=") if rest.startswith(each)), "")
        if not name or (rest and not operator):
            raise ShellSyntaxError(f"Bad substitution: ${{{inner}}}")
        argument = rest[len(operator) :]
        return Parameter(name, operator, _Reader(f'"{argument}"').word() if argument else (), is_quoted)

    def _find(self, char: str, start: int) -> int:
        end = self._text.find(char, start)
        if end < 0:
            raise ShellSyntaxError("Syntax error: Unterminated quoted string")
        return end

"""The string form of label selectors: `app=web,env in (a,b),!canary,size>3`.

Upstream: apimachinery/pkg/labels/selector.go:Parse @v1.36
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

from kubesim.api import names
from kubesim.api.selectors import (
    Predicate,
    Requirement,
    SelectorError,
    compile_requirements,
    new_requirement,
    quoted,
)

_TOKEN = re.compile(r"[ \t\r\n]*(?:(==|!=|[=!(),<>])|([^=!(),<> \t\r\n]+))")
_BINARY = {"=": "=", "==": "==", "!=": "!=", "in": "in", "notin": "notin", ">": "gt", "<": "lt"}
_EXPECTED_OPERATORS = "in, notin, =, ==, !=, gt, lt"
_IDENTIFIER, _SYMBOL, _END = "identifier", "symbol", "end"


class LabelSelector(NamedTuple):
    """A parsed selector: its requirements by key, and the predicate that they make."""

    requirements: tuple[Requirement, ...]
    matches: Predicate


class _Token(NamedTuple):
    kind: str
    text: str

    def is_symbol(self, *symbols: str) -> bool:
        return self.kind == _SYMBOL and self.text in symbols


def _tokens(text: str) -> list[_Token]:
    tokens = []
    for symbol, word in _TOKEN.findall(text):
        tokens.append(_Token(_SYMBOL, symbol) if symbol else _Token(_IDENTIFIER, word))
    return [*tokens, _Token(_END, "")]


class _Parser:
    def __init__(self, text: str) -> None:
        self.tokens = _tokens(text)
        self.at = 0

    def peek(self) -> _Token:
        return self.tokens[self.at]

    def take(self) -> _Token:
        token = self.tokens[self.at]
        # Upstream reads past the end only to fail; the end token stays for whoever asks again.
        self.at = min(self.at + 1, len(self.tokens) - 1)
        return token

    def parse(self) -> list[Requirement]:
        requirements: list[Requirement] = []
        while True:
            token = self.peek()
            if token.kind == _END:
                return requirements
            if token.kind != _IDENTIFIER and not token.is_symbol("!"):
                raise SelectorError(f"found '{token.text}', expected: !, identifier, or 'end of string'")
            try:
                requirements.append(self.requirement())
            except SelectorError as error:
                raise SelectorError(f"unable to parse requirement: {error}") from None
            token = self.take()
            if token.kind == _END:
                return requirements
            if not token.is_symbol(","):
                raise SelectorError(f"found '{token.text}', expected: ',' or 'end of string'")
            after = self.peek()
            if after.kind != _IDENTIFIER and not after.is_symbol("!"):
                raise SelectorError(f"found '{after.text}', expected: identifier after ','")

    def requirement(self) -> Requirement:
        token = self.take()
        negated = token.is_symbol("!")
        if negated:
            token = self.take()
        if token.kind != _IDENTIFIER:
            raise SelectorError(f"found '{token.text}', expected: identifier")
        key = token.text
        problems = names.qualified_name(key)
        if problems:
            raise SelectorError(f"<nil>: Invalid value: {quoted(key)}: {'; '.join(problems)}")
        if negated:
            return new_requirement(key, "!", ())
        if self.peek().kind == _END or self.peek().is_symbol(","):
            return new_requirement(key, "exists", ())
        token = self.take()
        operator = _BINARY.get(token.text)
        if operator is None:
            raise SelectorError(f"found '{token.text}', expected: {_EXPECTED_OPERATORS}")
        values = self.value_set() if operator in {"in", "notin"} else {self.exact_value()}
        return new_requirement(key, operator, sorted(values))

    def exact_value(self) -> str:
        if self.peek().kind == _END or self.peek().is_symbol(","):
            return ""
        token = self.take()
        if token.kind != _IDENTIFIER:
            raise SelectorError(f"found '{token.text}', expected: identifier")
        return token.text

    def value_set(self) -> set[str]:
        token = self.take()
        if not token.is_symbol("("):
            raise SelectorError(f"found '{token.text}' expected: '('")
        token = self.peek()
        if token.is_symbol(")"):
            self.take()
            return {""}
        if token.kind != _IDENTIFIER and not token.is_symbol(","):
            raise SelectorError(f"found '{token.text}', expected: ',', ')' or identifier")
        values = self.identifiers()
        if not self.take().is_symbol(")"):
            raise SelectorError(f"found '{token.text}', expected: ')'")
        return values

    def identifiers(self) -> set[str]:
        """Values up to the closing parenthesis; a comma with nothing beside it stands for the empty value."""
        values: set[str] = set()
        while True:
            token = self.take()
            after = self.peek()
            if token.kind == _IDENTIFIER:
                values.add(token.text)
                if after.is_symbol(")"):
                    return values
                if not after.is_symbol(","):
                    raise SelectorError(f"found '{after.text}', expected: ',' or ')'")
            elif token.is_symbol(","):
                if not values or after.is_symbol(",", ")"):
                    values.add("")
                if after.is_symbol(")"):
                    return values
            else:
                raise SelectorError(f"found '{token.text}', expected: ',', or identifier")


@lru_cache(4096)
def parse_label_selector(text: str) -> LabelSelector:
    """The selector that `text` writes; the empty text selects everything.

    Raises:
        SelectorError: with the text that the API server answers in its 400.
    """
    requirements = sorted(_Parser(text).parse(), key=lambda requirement: requirement.key)
    return LabelSelector(tuple(requirements), compile_requirements(requirements))

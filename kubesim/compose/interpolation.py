"""Variables in a Compose file's values: `$X`, `${X}`, and `${X:-default}`, `${X:?why}`, `${X:+other}` and their kin.

With a colon an empty variable counts as unset; `$$` is a dollar sign; defaults may hold variables themselves.
Upstream: compose-spec 12-interpolation.md
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

_NAME: Final = re.compile(r"[A-Za-z_]\w*", re.ASCII)
_OPERATORS: Final = (":-", ":?", ":+", "-", "?", "+")


class MalformedError(ValueError):
    """A `$` that begins no variable, or a required variable that is missing; the text says which."""


def interpolate(text: str, variables: Mapping[str, str], unset: dict[str, None]) -> str:
    """The text with its variables replaced; names without a value or default become empty and are put into `unset`.

    Raises:
        MalformedError: it cannot be done.
    """
    if "$" not in text:
        return text
    parts: list[str] = []
    at = 0
    while at < len(text):
        if text[at] != "$":
            end = text.find("$", at)
            end = len(text) if end < 0 else end
            parts.append(text[at:end])
            at = end
        elif text.startswith("$$", at):
            parts.append("$")
            at += 2
        elif text.startswith("${", at):
            end = _closing(text, at)
            parts.append(_braced(text[at + 2 : end], variables, unset))
            at = end + 1
        else:
            match = _NAME.match(text, at + 1)
            if match is None:
                raise MalformedError(f"the $ in {text!r} begins no variable")
            parts.append(_value(match[0], variables, unset))
            at = match.end()
    return "".join(parts)


def _closing(text: str, at: int) -> int:
    """Where the brace ends that opens after the `$` at this place; braces inside it count."""
    depth = 0
    for index in range(at + 1, len(text)):
        if text[index] == "{":
            depth += 1
        elif text[index] == "}":
            depth -= 1
            if not depth:
                return index
    raise MalformedError(f"the ${{ in {text!r} is never closed")


def _braced(inside: str, variables: Mapping[str, str], unset: dict[str, None]) -> str:
    match = _NAME.match(inside)
    rest = inside[match.end() :] if match is not None else ""
    operator = next((each for each in _OPERATORS if rest.startswith(each)), "")
    if match is None or bool(rest) != bool(operator):
        raise MalformedError(f"${{{inside}}} is no variable")
    name, word = match[0], rest[len(operator) :]
    if not operator:
        return _value(name, variables, unset)
    is_set = bool(variables.get(name)) if operator[0] == ":" else name in variables
    if operator[-1] == "+":
        return interpolate(word, variables, unset) if is_set else ""
    if is_set:
        return variables[name]
    if operator[-1] == "?":
        why = interpolate(word, variables, unset) or "it is required"
        raise MalformedError(f"the variable {name} has no value: {why}")
    return interpolate(word, variables, unset)


def _value(name: str, variables: Mapping[str, str], unset: dict[str, None]) -> str:
    if name not in variables:
        unset[name] = None
    return variables.get(name, "")

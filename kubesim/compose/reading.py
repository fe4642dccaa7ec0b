"""Walking through a Compose file: values with their places, and every mistake reported instead of raised."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple, TypeVar, final

from kubesim.compose.interpolation import MalformedError, interpolate
from kubesim.compose.keys import REFUSED, Keys
from kubesim.compose.units import parse_bytes, parse_duration
from kubesim.manifests.document import Spot

T = TypeVar("T")


class Part(NamedTuple):
    """A value of the file, its place, and what it is called in messages: `services.postgres.ports`."""

    value: Any
    spot: Spot
    name: str

    def at(self, key: str | int) -> Part:
        """A part of a mapping or list."""
        inside: Any = self.spot.inside
        name = f"{self.name}[{key}]" if isinstance(key, int) else f"{self.name}.{key}" if self.name else key
        return Part(self.value[key], inside[key], name)


@final
class Findings:
    """What reading has found besides values: mistakes, keys without effect, variables without value."""

    def __init__(self, path: str, variables: Mapping[str, str]) -> None:
        self.errors: dict[tuple[int, int, str], None] = {}
        self.ignored: dict[str, dict[str, None]] = {}
        self.unset: dict[str, None] = {}
        self._path = path
        self._variables = variables

    def report(self, spot: Spot, what: str, remedy: str) -> None:
        """There is a mistake."""
        text = f"{self._path}:{spot.line + 1}:{spot.column + 1}: {what}; {remedy}"
        self.errors[spot.line, spot.column, text] = None

    def interpolated(self, value: Any, spot: Spot) -> Any:
        """The value with the variables in all its texts replaced."""
        inside: Any = spot.inside
        if isinstance(value, dict):
            return {key: self.interpolated(each, inside[key]) for key, each in value.items()}
        if isinstance(value, list):
            return [self.interpolated(each, inside[index]) for index, each in enumerate(value)]
        if not isinstance(value, str):
            return value
        try:
            return interpolate(value, self._variables, self.unset)
        except MalformedError as error:
            self.report(spot, str(error), "correct it, or write $$ for a dollar sign")
            return ""

    # --- shapes ---

    def members(self, part: Part) -> dict[str, Part]:
        """The values of a mapping by key; of a null there are none."""
        if part.value is None:
            return {}
        if not isinstance(part.value, dict):
            self.report(
                part.spot, f"{_called(part)} must be a mapping, not {shown(part.value)}", "write KEY: VALUE lines"
            )
            return {}
        return {key: part.at(key) for key in part.value}

    def fields(self, part: Part, keys: Keys, owner: str = "") -> dict[str, Part]:
        """The modelled keys of a mapping, nulls left out; the others are noted or reported."""
        found: dict[str, Part] = {}
        for key, inner in self.members(part).items():
            if key in REFUSED and (key in keys.modelled or key in keys.ignored):
                self.report(inner.spot, f'"{key}" is not modelled, and what runs depends on it', REFUSED[key])
            elif key in keys.modelled:
                if inner.value is not None:
                    found[key] = inner
            elif key in keys.ignored:
                self.ignore(key, owner)
            elif not key.startswith("x-"):
                self.report(inner.spot, f'{_called(part)} has no key "{key}"', _nearest(key, keys))
        return found

    def ignore(self, key: str, owner: str) -> None:
        """A key that has no effect here."""
        self.ignored.setdefault(key, {})[owner] = None

    def entries(self, part: Part, what: str) -> Iterator[Part]:
        """The entries of a list."""
        if isinstance(part.value, list):
            yield from (part.at(index) for index in range(len(part.value)))
        elif part.value is not None:
            self.report(
                part.spot, f"{_called(part)} must be a list, not {shown(part.value)}", f"write {what} after a dash"
            )

    # --- single values ---

    def text(self, part: Part) -> str:
        """A text; a bare number is one, too."""
        if isinstance(part.value, (str, int, float)) and not isinstance(part.value, bool):
            return str(part.value)
        self.report(part.spot, f"{_called(part)} must be a text, not {shown(part.value)}", "put it in quotes")
        return ""

    def number(self, part: Part, low: int, high: int) -> int:
        """A whole number within limits."""
        text = str(part.value)
        if not isinstance(part.value, bool) and text.isascii() and text.isdecimal() and low <= int(text) <= high:
            return int(text)
        what = f"{_called(part)} must be a whole number from {low} to {high}, not {shown(part.value)}"
        self.report(part.spot, what, "correct it")
        return low

    def truth(self, part: Part) -> bool:
        """True or false."""
        if isinstance(part.value, bool) or part.value in ("true", "false"):
            return part.value in (True, "true")
        self.report(part.spot, f"{_called(part)} must be true or false, not {shown(part.value)}", "correct it")
        return False

    def duration(self, part: Part) -> int:
        """A span of time, in ns."""
        span_ns = parse_duration(part.value) if isinstance(part.value, str) else None
        if span_ns is None:
            what = f"{_called(part)} must be a time, not {shown(part.value)}"
            self.report(part.spot, what, "write it as in 10s, 1m30s or 500ms")
        return span_ns or 0

    def size(self, part: Part) -> int:
        """A size of memory, in bytes."""
        size = None if isinstance(part.value, bool) else parse_bytes(str(part.value))
        if size is None:
            self.report(
                part.spot, f"{_called(part)} must be a size, not {shown(part.value)}", "write it as in 512M or 1g"
            )
        return size or 0

    def choice(self, part: Part, known: tuple[T, ...]) -> T:
        """One of a few words."""
        if part.value in known:
            chosen: T = part.value
            return chosen
        what = f"{_called(part)} cannot be {shown(part.value)}"
        words = tuple(str(each) for each in known)
        self.report(part.spot, what, _nearest(str(part.value), Keys(words)))
        return known[0]


def shown(value: Any) -> str:
    """A value in a message."""
    return "a mapping" if isinstance(value, dict) else "a list" if isinstance(value, list) else repr(value)


def _called(part: Part) -> str:
    return part.name or "a Compose file"


def _nearest(word: str, keys: Keys) -> str:
    from difflib import get_close_matches

    found = get_close_matches(word.lower(), [*keys.modelled, *keys.ignored], 1, 0.6)
    return f'did you mean "{found[0]}"?' if found else f"known are {', '.join(keys.modelled)}"

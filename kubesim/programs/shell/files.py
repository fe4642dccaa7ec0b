"""What a container's commands read and write: its own small file system over the volumes that are mounted in it.

A file is a text, a folder None. What nobody has written is not there, but for a few places that every system has.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final, final

from kubesim.programs.program import Volume

_FOLDERS: Final = ("bin", "dev", "etc", "home", "root", "tmp", "usr", "var", "var/log", "var/run")
_DEVICES: Final = ("dev/null", "dev/stdout", "dev/stderr", "dev/tty")
_NOT_THERE: Final = "No such file or directory"


class NoSuchFile(Exception):  # noqa: N818 - as it is called
    """There is no file or folder of that name; the text is the reason as programs print it."""


@final
class Files:
    """Paths to contents. With `assumes` what nobody has removed is there, for images whose files are not known."""

    def __init__(self, volumes: Mapping[str, Volume], *, assumes: bool = False) -> None:
        self._own: dict[str, Any] = dict.fromkeys(_FOLDERS)
        # The innermost first: it hides what is below.
        self._mounts = {_normal(mount): volumes[mount] for mount in sorted(volumes, key=len, reverse=True)}
        self._assumes = assumes
        self._removed: set[tuple[int, str]] = set()

    def exists(self, path: str) -> bool:
        """Whether there is a file or folder of that name."""
        files, place = self._place(path)
        if place in files or place in _DEVICES or self.is_folder(path):
            return True
        return self._assumes and (id(files), place) not in self._removed

    def is_folder(self, path: str) -> bool:
        """Whether it is there and a folder."""
        files, place = self._place(path)
        if not place or (place in files and files[place] is None):
            return True
        return any(each.startswith(place + "/") for each in (*files, *self._mounts))

    def read(self, path: str) -> str:
        """The content of a file.

        Raises:
            NoSuchFile: it is not there, or is a folder.
        """
        files, place = self._place(path)
        if self.is_folder(path):
            raise NoSuchFile("Is a directory")
        if place in files:
            return str(files[place])
        if not self.exists(path):
            raise NoSuchFile(_NOT_THERE)
        return ""

    def write(self, path: str, text: str, *, appends: bool = False) -> None:
        """Write a file.

        Raises:
            NoSuchFile: its folder is not there, or it is a folder itself.
        """
        files, place = self._place(path)
        if place in _DEVICES:
            return
        if self.is_folder(path):
            raise NoSuchFile("Is a directory")
        if not self._assumes and not self.is_folder(path.rstrip("/").rpartition("/")[0] or "/"):
            raise NoSuchFile(_NOT_THERE)
        files[place] = str(files.get(place) or "") + text if appends else text

    def make_folder(self, path: str) -> None:
        """Make a folder, with those around it."""
        files, place = self._place(path)
        parts = place.split("/")
        for count in range(1, len(parts) + 1):
            files.setdefault("/".join(parts[:count]), None)

    def remove(self, path: str) -> None:
        """Remove a file, or a folder with all that is in it; nothing happens where there is none."""
        files, place = self._place(path)
        self._removed.add((id(files), place))
        for each in [each for each in files if each == place or each.startswith(place + "/")]:
            del files[each]

    def names_in(self, path: str) -> Iterator[str]:
        """The names in a folder, sorted."""
        files, place = self._place(path)
        prefix = place + "/" if place else ""
        inside = [*files, *self._mounts] if files is self._own else list(files)
        return iter(sorted({each[len(prefix) :].partition("/")[0] for each in inside if each.startswith(prefix)}))

    def _place(self, path: str) -> tuple[dict[str, Any], str]:
        """The files among which a path stands, and its name there, without a leading slash."""
        place = _normal(path)
        for mount, volume in self._mounts.items():
            if place == mount or place.startswith(mount + "/"):
                return volume.files, place[len(mount) + 1 :]
        return self._own, place


def _normal(path: str) -> str:
    parts: list[str] = []
    for part in path.split("/"):
        if part == "..":
            parts[-1:] = []
        elif part not in ("", "."):
            parts.append(part)
    return "/".join(parts)

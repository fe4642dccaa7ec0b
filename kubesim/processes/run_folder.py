"""The folder of a running stack: logs, volumes, Pods' files and the socket for commands. It goes when the stack does.

Only its owner may look into it: it holds what Secrets hold.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
import time
from pathlib import Path
from typing import Final, final

from kubesim.errors import UserError

_PREFIX: Final = "run-"
_REMOVE_TRIES: Final = 100
_SOCKET_PATH_MAX: Final = 100


def home() -> Path:
    """Where the folders of all stacks of this user are."""
    return Path(tempfile.gettempdir()) / f"kubesim-{os.getuid()}"


@final
class RunFolder:
    """One stack's folder."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.control = path / "control"
        self.logs = path / "logs"
        self.pods = path / "pods"
        self.volumes = path / "volumes"
        self.host_paths = path / "host"
        self.staging = path / "staging"
        self.templates = path / "templates"

    @classmethod
    def create(cls) -> RunFolder:
        """A new one for this process.

        Raises:
            UserError: it cannot be made.
        """
        path = home() / f"{_PREFIX}{os.getpid()}"
        if len(str(path / "control")) > _SOCKET_PATH_MAX:
            raise UserError(f"{path}: is too long a path for a socket; set TMPDIR to a shorter one")
        try:
            path.parent.mkdir(mode=0o700, exist_ok=True)
            if path.parent.stat().st_uid != os.getuid():
                raise UserError(f"{path.parent}: belongs to somebody else; set TMPDIR to a folder of your own")
            shutil.rmtree(path, ignore_errors=True)
            path.mkdir(mode=0o700)
            folder = cls(path)
            parts = (folder.logs, folder.pods, folder.volumes, folder.host_paths, folder.staging, folder.templates)
            for part in parts:
                part.mkdir()
        except OSError as error:
            raise UserError(f"{path}: cannot be made: {(error.strerror or 'unknown').lower()}") from error
        return folder

    def remove(self) -> None:
        """Delete it with all that it holds; who is still ending in it is waited for a little."""
        for _ in range(_REMOVE_TRIES):
            shutil.rmtree(self.path, ignore_errors=True)
            if not self.path.exists():
                break
            time.sleep(0.05)
        with contextlib.suppress(OSError):
            self.path.parent.rmdir()


def find_running(name: str = "") -> RunFolder:
    """The stack that runs, or the one of several with that process ID.

    Raises:
        UserError: none runs, there is none of that name, or there are several and no name is given.
    """
    found = sorted(path for path in home().glob(f"{_PREFIX}*") if (path / "control").exists() and _is_alive(path))
    names = [path.name.removeprefix(_PREFIX) for path in found]
    if name:
        if name not in names:
            raise UserError(f"no stack {name} runs; there {'are ' + ', '.join(names) if names else 'is none'}")
        return RunFolder(found[names.index(name)])
    if not found:
        raise UserError("no stack runs; start one: kubesim run specs/stack.yaml --runtime process")
    if len(found) > 1:
        raise UserError(f"several stacks run; say which one is meant by --run: {', '.join(names)}")
    return RunFolder(found[0])


def _is_alive(path: Path) -> bool:
    """Whether the supervisor of a folder is there: its process ID is the folder's name."""
    try:
        os.kill(int(path.name.removeprefix(_PREFIX)), 0)
    except (ProcessLookupError, ValueError):
        return False
    except PermissionError:
        return True
    return True

"""What this machine lets us do for a process: whether it can have files, names and process numbers of its own."""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Final, NamedTuple

LAUNCHER: Final = str(Path(__file__).with_name("launch.py"))
# What a Python process of this environment needs to start, wherever volumes are mounted.
_PROJECT: Final = str(Path(__file__).parents[2])
_CHECK_SECONDS: Final = 20


class Status(NamedTuple):
    """What `launch.py` has said: the process that it has made, 0 for none yet, and why it could not go on."""

    pid: int
    error: str


def read_status(said: bytes) -> Status:
    """The meaning of what has been read from the launcher's status pipe; a line that is not complete may be cut."""
    pid, error = 0, ""
    for line in said.decode(errors="replace").splitlines(keepends=True):
        word, _, rest = line.partition(" ")
        if word == "pid" and line.endswith("\n"):
            pid = int(rest)
        elif word == "error":
            error = error or rest.rstrip("\n")
    return Status(pid, error)


def launcher_command(spec: dict[str, Any], *descriptors: int) -> tuple[list[str], int]:
    """The words that start `launch.py` with a spec, and the descriptor that it reads the spec from, to be closed."""
    file, name = tempfile.mkstemp()
    os.unlink(name)
    os.write(file, json.dumps(spec, ensure_ascii=True).encode())
    os.lseek(file, 0, os.SEEK_SET)
    words = [sys.executable, "-I", "-S", LAUNCHER, str(file), *(str(each) for each in descriptors)]
    return words, file


def kept_paths() -> list[str]:
    """Folders that must stay visible in a container for the shipped images' commands to be found."""
    paths = [sys.prefix, sys.base_prefix, _PROJECT]
    return [str(Path(path)) for path in dict.fromkeys(paths) if path not in ("/", "/usr", "/usr/local")]


def find_obstacle() -> str:
    """Why containers can't have namespaces here, or an empty text where they can."""
    if sys.platform != "linux":
        return f"{sys.platform} has no namespaces"
    with tempfile.TemporaryDirectory() as staging:
        spec = {
            "isolate": True,
            "uid": 1000,
            "gid": 1000,
            "hostname": "check",
            "mounts": [[staging, "/kubesim/check", False]],
            "staging": staging,
            "keep": [],
            "directory": "/",
            "command": ["true"],
            "environment": {"PATH": os.defpath},
        }
        status_read, status = os.pipe()
        go, go_write = os.pipe()
        words, file = launcher_command(spec, status, go)
        with subprocess.Popen(words, pass_fds=(file, status, go), stdin=subprocess.DEVNULL) as launcher:
            for descriptor in (file, status, go):
                os.close(descriptor)
            os.write(go_write, b"g")
            said = _read_all(status_read, _CHECK_SECONDS)
            if said is None:
                launcher.kill()
        os.close(go_write)
        os.close(status_read)
    return f"making one takes longer than {_CHECK_SECONDS} s" if said is None else read_status(said).error


def _read_all(descriptor: int, seconds: float) -> bytes | None:
    """All that comes out of a pipe until nobody can write to it any more; None if that takes longer."""
    said, end = b"", time.monotonic() + seconds
    while select.select([descriptor], [], [], max(0.0, end - time.monotonic()))[0]:
        chunk = os.read(descriptor, 4096)
        if not chunk:
            return said
        said += chunk
    return None

"""What this machine lets us do for a process: whether it can have files, names and process numbers of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, Final

LAUNCHER: Final = str(Path(__file__).with_name("launch.py"))
# What a Python process of this environment needs to start, wherever volumes are mounted.
_PROJECT: Final = str(Path(__file__).parents[2])


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
        descriptors = (file, status, go)
        try:
            subprocess.run(words, pass_fds=descriptors, check=False, stdin=subprocess.DEVNULL, timeout=20)
            os.write(go_write, b"g")
        finally:
            for descriptor in (*descriptors, go_write):
                os.close(descriptor)
        with open(status_read, "rb") as answer:
            lines = answer.read().decode().splitlines()
    errors = [line.removeprefix("error ") for line in lines if line.startswith("error ")]
    return errors[0] if errors else ""

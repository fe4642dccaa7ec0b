"""Becomes a container's process, or joins one: `python -I -S launch.py SPEC_FD STATUS_FD GO_FD`. Runs alone.

With namespaces, the process is number 1 of its own PID namespace, so that all that it starts ends with it, and sees its
Pod's host name, files and volumes. What it may not reach outside is no concern here: it is no sandbox.

The spec is a JSON object, from the file descriptor SPEC_FD; `start` and `enter` say which fields. Status lines: `pid N`
when the process is made, `error TEXT` when it can't be; the end of that pipe without an error is success.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import signal
import sys
from typing import Any, NoReturn

Spec = dict[str, Any]

_NEWNS, _NEWUTS, _NEWIPC, _NEWUSER, _NEWPID = 0x20000, 0x4000000, 0x8000000, 0x10000000, 0x20000000
_MS_RDONLY, _MS_REMOUNT, _MS_BIND, _MS_REC, _MS_PRIVATE = 1, 32, 4096, 16384, 1 << 18
_MNT_DETACH = 2
_PR_SET_PDEATHSIG = 1
_EXIT_NOT_STARTED = 127


class Mounts:
    """Binds files and folders over paths, also where nothing is: there the nearest folder is replaced by a copy of
    itself, made of binds, in which the path can be created. The machine's own files stay as they are."""

    def __init__(self, libc: Any, staging: str, keep: list[str], targets: list[str]) -> None:
        self._libc = libc
        self._staging = staging
        self._copies: list[str] = []
        self.mount("none", "/", None, _MS_REC | _MS_PRIVATE)
        if not all(os.path.exists("/" + target.split("/")[1]) for target in targets):
            self._copy("/")  # before anything is opened: what is open now is of the root that goes
        self._kept = [(path, os.open(path, os.O_PATH | os.O_CLOEXEC)) for path in keep if os.path.exists(path)]

    def mount(self, source: str, target: str, kind: str | None, flags: int, data: str | None = None) -> None:
        """mount(2)"""
        words = [None if word is None else os.fsencode(word) for word in (source, target, kind, data)]
        if self._libc.mount(words[0], words[1], words[2], flags, words[3]) != 0:
            code = ctypes.get_errno()
            raise OSError(code, os.strerror(code), target)

    def bind(self, descriptor: int, target: str, *, is_folder: bool, is_read_only: bool) -> None:
        """Show what an O_PATH descriptor stands for at an absolute path."""
        target = self.make(target, is_folder)
        self.mount(f"/proc/self/fd/{descriptor}", target, None, _MS_BIND | _MS_REC)
        if is_read_only:
            with contextlib.suppress(OSError):  # a mount with flags of its own can't lose them here
                self.mount("none", target, None, _MS_BIND | _MS_REMOUNT | _MS_RDONLY)
        self._copies.append(target)
        self._restore_kept(target)

    def tmpfs(self, target: str) -> None:
        """An empty file system in memory, where the folder exists."""
        if os.path.isdir(target):
            self.mount("tmpfs", target, "tmpfs", 0, "mode=1777")

    def make(self, target: str, is_folder: bool) -> str:
        """Make sure that there is something to mount over; returns the path without symbolic links."""
        missing: list[str] = []
        above = target.rstrip("/") or "/"
        while not os.path.lexists(above):
            above, _, name = above.rpartition("/")
            above = above or "/"
            missing.insert(0, name)
        above = os.path.realpath(above)
        if not missing:
            return above
        if not self._is_own(above):
            self._copy(above)
        path = os.path.join(above, *missing)
        os.makedirs(path if is_folder else os.path.dirname(path), exist_ok=True)
        if not is_folder:
            os.close(os.open(path, os.O_CREAT, 0o644))
        return path

    def _is_own(self, folder: str) -> bool:
        """Whether a path in this folder can be created without touching the machine's files."""
        if folder in self._copies:
            return True
        parent = os.path.dirname(folder)
        return parent != folder and self._is_own(parent) and not os.path.ismount(folder)

    def _copy(self, folder: str) -> None:
        self.mount("tmpfs", self._staging, "tmpfs", 0, "mode=755")
        for entry in os.scandir(folder):
            place = os.path.join(self._staging, entry.name)
            if entry.is_symlink():
                os.symlink(os.readlink(entry.path), place)
                continue
            if entry.is_dir():
                os.mkdir(place)
            else:
                os.close(os.open(place, os.O_CREAT, 0o600))
            self.mount(entry.path, place, None, _MS_BIND | _MS_REC)
        if folder == "/":
            # A mount over the root would be seen by nobody: it has to become the root.
            os.chdir(self._staging)
            _call(self._libc, "pivot_root", b".", b".")
            _call(self._libc, "umount2", b".", _MNT_DETACH)
            os.chdir("/")
        else:
            self.mount(self._staging, folder, None, _MS_BIND | _MS_REC)
        self._copies.append(folder)

    def _restore_kept(self, hidden: str) -> None:
        """What the process needs to start stays where it is, also below a volume."""
        for path, descriptor in self._kept:
            if path.startswith(f"{hidden}/"):
                os.makedirs(path, exist_ok=True)
                self.mount(f"/proc/self/fd/{descriptor}", path, None, _MS_BIND | _MS_REC)


def _call(libc: Any, name: str, *arguments: int | bytes) -> None:
    if getattr(libc, name)(*arguments) != 0:
        code = ctypes.get_errno()
        raise OSError(code, f"{name}: {os.strerror(code)}")


def _write(path: str, text: str) -> None:
    descriptor = os.open(path, os.O_WRONLY)
    os.write(descriptor, text.encode())
    os.close(descriptor)


def _die_with_parent(libc: Any) -> None:
    if sys.platform == "linux":
        _call(libc, "prctl", _PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def _prepare(libc: Any, spec: Spec) -> None:
    """Within the new namespaces: host name, files and volumes."""
    name = spec["hostname"].encode()
    libc.sethostname(name, len(name))
    mounts = Mounts(libc, spec["staging"], spec["keep"], [target for _, target, _ in spec["mounts"]])
    sources = []
    for source, target, is_read_only in spec["mounts"]:
        sources.append((os.open(source, os.O_PATH | os.O_CLOEXEC), target, os.path.isdir(source), is_read_only))
    with contextlib.suppress(OSError):  # not where /proc is itself restricted; the machine's is seen then
        mounts.mount("proc", "/proc", "proc", 0)
    mounts.tmpfs("/dev/shm")
    targets = [target for _, target, _, _ in sources]
    for _, target, is_folder, _ in sources:
        # Copies are made while the staging folder can still be seen: a volume may hide it.
        if not any(target.startswith(f"{other}/") for other in targets):
            mounts.make(target, is_folder)
    for descriptor, target, is_folder, is_read_only in sources:
        mounts.bind(descriptor, target, is_folder=is_folder, is_read_only=is_read_only)


def _execute(spec: Spec) -> NoReturn:
    for number in (signal.SIGPIPE, signal.SIGINT, signal.SIGTERM, signal.SIGXFSZ):
        signal.signal(number, signal.SIG_DFL)
    os.chdir(spec["directory"] or "/")
    command, environment = spec["command"], spec["environment"]
    try:
        os.execvpe(command[0], command, environment)
    except FileNotFoundError:
        raise OSError(2, f'exec: "{command[0]}": executable file not found in $PATH') from None
    except OSError as error:
        raise OSError(error.errno, f'exec: "{command[0]}": {(error.strerror or "").lower()}') from None


def _start(libc: Any, spec: Spec, status: int, go: int) -> None:
    """Fields: isolate, uid, gid, hostname, mounts, staging, keep, directory, command, environment."""
    if not spec["isolate"]:
        os.write(status, f"pid {os.getpid()}\n".encode())
        _die_with_parent(libc)
        os.read(go, 1)
        _execute(spec)
    outer_uid, outer_gid = os.getuid(), os.getgid()
    _call(libc, "unshare", _NEWUSER | _NEWNS | _NEWPID | _NEWIPC | _NEWUTS)
    _write("/proc/self/setgroups", "deny")
    _write("/proc/self/uid_map", f"{spec['uid']} {outer_uid} 1")
    _write("/proc/self/gid_map", f"{spec['gid']} {outer_gid} 1")
    pid = os.fork()
    if pid:
        os.write(status, f"pid {pid}\n".encode())
        os._exit(0)
    # Our parent ends now; who reaps it says go, and from then on is the parent with whom we end.
    if os.read(go, 1) != b"g":
        os._exit(_EXIT_NOT_STARTED)
    os.setsid()
    _prepare(libc, spec)
    _die_with_parent(libc)
    _execute(spec)


def _enter(libc: Any, spec: Spec, status: int) -> None:
    """Fields: enter (a PID, 0 for no namespaces), directory, command, environment. Ends as the command does."""
    if spec["enter"]:
        opened = [
            os.open(f"/proc/{spec['enter']}/ns/{name}", os.O_RDONLY) for name in ("user", "uts", "ipc", "pid", "mnt")
        ]
        for descriptor in opened:
            _call(libc, "setns", descriptor, 0)
    _die_with_parent(libc)
    pid = os.fork()
    if not pid:
        _die_with_parent(libc)
        _execute(spec)
    os.write(status, f"pid {pid}\n".encode())
    os.close(status)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    _, how = os.waitpid(pid, 0)
    code = os.waitstatus_to_exitcode(how)
    os._exit(code if code >= 0 else 128 - code)


def main() -> None:
    """Read the spec and become what it says."""
    spec_fd, status, go = (int(word) for word in sys.argv[1:4])
    for descriptor in (status, go):
        os.set_inheritable(descriptor, False)
    try:
        with open(spec_fd, "rb") as file:
            spec = json.load(file)
        libc = ctypes.CDLL(None, use_errno=True)
        if "enter" in spec:
            _enter(libc, spec, status)
        else:
            _start(libc, spec, status, go)
    except OSError as error:
        text = error.strerror or str(error)
        where = f": {error.filename}" if error.filename else ""
        os.write(status, f"error {text}{where}\n".encode())
        os._exit(_EXIT_NOT_STARTED)


if __name__ == "__main__":
    main()

"""A child process under supervision: made by the launcher, heard of when it starts and ends, told to end by signals."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final, final

from kubesim.processes.isolation import launcher_command, read_status

_PR_SET_CHILD_SUBREAPER: Final = 36
_STATUS_MAX: Final = 65_536


def adopt_orphans() -> None:
    """Become the parent of grandchildren whose parent has ended: the launcher hands its process over that way."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def descendants(pid: int) -> list[int]:
    """All processes that a process and its children have started and not lost, where the machine says so."""
    try:
        found = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()
    except OSError:
        return []
    return [each for child in found for each in (int(child), *descendants(int(child)))]


def watch_exit(aio: asyncio.AbstractEventLoop, pid: int, on_exit: Callable[[int], None]) -> None:
    """Reap a child when it ends; `on_exit` gets its exit code, 128 + N for a signal N, in the asyncio loop."""

    def reap() -> None:
        try:
            _, how = os.waitpid(pid, 0)
            code = os.waitstatus_to_exitcode(how)
        except ChildProcessError:
            code = -signal.SIGKILL
        on_exit(code if code >= 0 else 128 - code)

    if hasattr(os, "pidfd_open"):
        descriptor = os.pidfd_open(pid)

        def ready() -> None:
            aio.remove_reader(descriptor)
            os.close(descriptor)
            reap()

        aio.add_reader(descriptor, ready)
        return

    def wait() -> None:
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
        with contextlib.suppress(RuntimeError):  # the loop has been closed
            aio.call_soon_threadsafe(reap)

    threading.Thread(target=wait, daemon=True).start()


def start_launcher(words: Sequence[str], descriptors: Sequence[int], output: int) -> int:
    """Start a command of the launcher's; returns its PID, which the caller has to reap.

    It alone has the descriptors afterwards. `output` is where standard output and error go; it stays the caller's.
    """
    try:
        process = subprocess.Popen(
            words,
            pass_fds=descriptors,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    finally:
        for descriptor in descriptors:
            os.close(descriptor)
    process.returncode = 0  # it is reaped by its number: nothing is left for the object to do
    return process.pid


def start_apart(spec: dict[str, Any]) -> int:
    """Start an isolated process that nobody watches, and return its PID. It ends with us at the latest."""
    status_reader, status = os.pipe()
    go, go_writer = os.pipe()
    words, file = launcher_command(spec, status, go)
    quiet = subprocess.DEVNULL
    launcher = subprocess.Popen(
        words, pass_fds=(file, status, go), stdin=quiet, stdout=quiet, stderr=quiet, start_new_session=True
    )
    said = os.read(status_reader, _STATUS_MAX)
    launcher.wait()
    os.write(go_writer, b"g")
    for descriptor in (file, status_reader, status, go, go_writer):
        os.close(descriptor)
    return read_status(said).pid


@final
class Child:
    """One process. `on_started` gets an empty text or why it did not start; `on_exit` its exit code, if it did."""

    def __init__(
        self,
        aio: asyncio.AbstractEventLoop,
        spec: dict[str, Any],
        output: int,
        on_started: Callable[[str], None],
        on_exit: Callable[[int], None],
    ) -> None:
        """`output` is where standard output and error go; it stays the caller's to close."""
        self.pid = 0
        self.exit_code = 0
        self._has_started = False
        self._has_ended = False
        self._early_signals: list[int] = []
        self._aio = aio
        self._is_isolated = bool(spec["isolate"])
        self._on_started = on_started
        self._on_exit = on_exit
        self._answer = b""
        self._status, status = os.pipe()
        go, self._go = os.pipe()
        words, file = launcher_command(spec, status, go)
        launcher = start_launcher(words, (file, status, go), output)
        os.set_blocking(self._status, False)
        aio.add_reader(self._status, self._read_status)
        watch_exit(aio, launcher, self._launcher_ended)

    @property
    def is_alive(self) -> bool:
        """Whether there is a process, or will be in a moment."""
        return not self._has_ended

    def kill(self, number: int) -> None:
        """Send a signal: to the process, and SIGKILL or SIGSTOP and SIGCONT to all that it has started.

        What comes before it runs is sent when it does.
        """
        if not self._has_started:
            self._early_signals.append(number)
            return
        if self._has_ended:
            return
        whole = number in (signal.SIGKILL, signal.SIGSTOP, signal.SIGCONT)
        for pid in [self.pid, *(descendants(self.pid) if whole else ())]:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, number)

    def _read_status(self) -> None:
        try:
            chunk = os.read(self._status, _STATUS_MAX)
        except BlockingIOError:
            return
        self._answer += chunk
        pid, error = read_status(self._answer)
        if pid and not self.pid:
            self.pid = pid
            if not self._is_isolated:
                self._let_go()
        if chunk:
            return
        self._aio.remove_reader(self._status)
        os.close(self._status)
        self._close_go()
        if not self.pid and not error:
            error = "the launcher ended without a word"
        self._has_started = True
        self._on_started(error)
        for number in self._early_signals:
            self.kill(number)

    def _launcher_ended(self, code: int) -> None:
        if not self._is_isolated:
            self._ended(code)
            return
        if not self.pid and not self._has_started:
            self._read_status()  # what it wrote may not have been read yet
        if self.pid:
            watch_exit(self._aio, self.pid, self._ended)
            self._let_go()
        else:
            self._has_ended = True

    def _let_go(self) -> None:
        if self._go >= 0:
            with contextlib.suppress(BrokenPipeError):
                os.write(self._go, b"g")
        self._close_go()

    def _close_go(self) -> None:
        if self._go >= 0:
            os.close(self._go)
            self._go = -1

    def _ended(self, code: int) -> None:
        self._has_ended = True
        self.exit_code = code
        self._on_exit(code)

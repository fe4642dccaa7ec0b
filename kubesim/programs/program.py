"""The contract between a container and what runs in it.

A runtime starts a `Program` with a `Process`, the program's only way to the world: time, environment, volumes,
network, logs, memory and its own exit. The program keeps all its state in itself, so a crash loses exactly what a
real one would: everything but what it wrote to a `Volume`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol, final

from kubesim.network.messages import Handler, OnAnswer
from kubesim.sim.chooser import Stream
from kubesim.sim.loop import Loop

SIGKILL = 9
# What a process that ends by a signal reports: 128 + the signal's number.
EXIT_KILLED = 128 + SIGKILL


@final
class Volume:
    """A file system's content: path → any value. It outlives the process; its owner says whether also the Pod."""

    __slots__ = ("added_ns", "files", "name", "troubles")

    def __init__(self, name: str) -> None:
        self.name = name
        self.files: dict[str, Any] = {}
        # By how much longer an fsync takes, and what is wrong with the disk: it is "full" or "broken".
        self.added_ns = 0
        self.troubles: list[str] = []

    @property
    def trouble(self) -> str:
        """What a write meets: the worst that is wrong, or an empty text."""
        return "broken" if "broken" in self.troubles else "full" if self.troubles else ""


class Connection(Protocol):
    """An established connection. When the peer's process or this one ends, it is reset; when a node or link is lost,
    nothing is heard any more."""

    # Called, if set, when the connection is reset, or when what lies between the ends has changed: a program whose
    # health depends on the connection then says `health_changed`. It tells nothing about what a call would meet.
    on_disturbed: Callable[[], None] | None

    @property
    def is_open(self) -> bool:
        """False once closed or reset, as far as this end has noticed."""
        ...

    def call(self, message: Any, timeout_ns: int, on_answer: OnAnswer) -> None:
        """Send a message; exactly one answer or `NetError` comes back."""
        ...

    def close(self) -> None:
        """Close from this end."""
        ...


class ExecResult(NamedTuple):
    """How a command inside the container ends, and how long it takes till then."""

    exit_code: int
    output: str = ""
    duration_ns: int = 0


class Process(Protocol):
    """A container's process as the program inside sees it. Everything ends by itself when the process does: timers are
    dropped, connections reset, listeners closed."""

    loop: Loop
    stream: Stream
    namespace: str
    pod_name: str
    pod_ip: str
    node_name: str
    env: Mapping[str, str]
    arguments: Sequence[str]
    annotations: Mapping[str, str]
    volumes: Mapping[str, Volume]  # by mount path

    def after(self, delay_ns: int, callback: Callable[[], None]) -> None:
        """Call back after a delay, unless the process has ended."""
        ...

    def listen(self, port: int, handler: Handler) -> None:
        """Answer calls to a port of the Pod's address; port 0 means every port that nothing else listens on."""
        ...

    def connections(self, port: int) -> int:
        """How many connections are established to a port that this process listens on."""
        ...

    def connect(self, host: str, port: int, timeout_ns: int, on_result: Callable[[Any], None]) -> None:
        """Resolve `host` and connect; `on_result` gets a `Connection` or a `NetError`. That a connection breaks later
        is heard through `on_disturbed`, `is_open` and the failure of its calls."""
        ...

    def log(self, line: str) -> None:
        """A line on standard output."""
        ...

    def use_memory(self, total_bytes: int) -> None:
        """Set the resident size; above the container's limit the kernel kills the process (OOMKilled, 137)."""
        ...

    def exit(self, code: int) -> None:
        """End the process."""
        ...

    def health_changed(self) -> None:
        """Say that a probe's outcome may differ from now on; without it a steady prober need not look again."""
        ...


class Program(Protocol):
    """What an image does. Made anew for every container start."""

    @property
    def is_steady(self) -> bool:
        """Whether the outcome of probes can only change after `Process.health_changed`. It may itself change over
        time: ask after each probe. A program that waits for somebody else is not steady."""
        ...

    def start(self, process: Process) -> None:
        """Begin; called once, at the instant the container starts."""
        ...

    def terminate(self) -> None:
        """SIGTERM: finish and call `exit`, or ignore it and be killed when the grace period ends."""
        ...

    def execute(self, command: Sequence[str]) -> ExecResult:
        """Run a command in the container: exec probes and hooks."""
        ...

"""A program that runs: the `Process` it sees, and the handles that a container runtime has on it.

When it ends, by itself or by a signal, everything ends at once: its sockets close, its timers are dropped, and the
runtime hears how. Only its volumes remain.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, final

from kubesim.network.messages import Handler
from kubesim.network.sockets import ANY_PORT, Sockets
from kubesim.programs.program import EXIT_KILLED, ExecResult, Program, Volume
from kubesim.sim.chooser import Stream
from kubesim.sim.loop import Loop

# How many lines of output are kept; the oldest go first.
LOG_LINES_MAX = 1000
# What a process has that says nothing of its memory: a choice.
LITTLE_MEMORY = 16 << 20


class Place(NamedTuple):
    """Where and with what a program runs. `limit_bytes` is the container's memory limit, 0 without one."""

    namespace: str
    pod_name: str
    node_name: str
    env: Mapping[str, str]
    arguments: Sequence[str] = ()
    annotations: Mapping[str, str] = {}
    volumes: Mapping[str, Volume] = {}
    limit_bytes: int = 0


class Ending(NamedTuple):
    """How a process ended. `reason` is the runtime's word for it: Completed, Error or OOMKilled."""

    exit_code: int
    reason: str


@final
class RunningProcess:
    """One process. `on_end` hears once of its end, `on_health_changed` whenever a probe may turn out differently."""

    __slots__ = (
        "_has_begun",
        "_limit_bytes",
        "_on_end",
        "_on_health_changed",
        "_program",
        "_sockets",
        "annotations",
        "arguments",
        "ending",
        "env",
        "loop",
        "memory_bytes",
        "namespace",
        "node_name",
        "output",
        "pod_ip",
        "pod_name",
        "stream",
        "volumes",
        "written",
    )

    def __init__(
        self,
        program: Program,
        place: Place,
        loop: Loop,
        stream: Stream,
        sockets: Sockets,
        *,
        on_end: Callable[[Ending], None],
        on_health_changed: Callable[[], None],
    ) -> None:
        self.loop = loop
        self.stream = stream
        self.namespace = place.namespace
        self.pod_name = place.pod_name
        self.pod_ip = sockets.host.ip
        self.node_name = place.node_name
        self.env = place.env
        self.arguments = place.arguments
        self.annotations = place.annotations
        self.volumes = place.volumes
        self.ending: Ending | None = None
        self.memory_bytes = LITTLE_MEMORY
        # Lines with the instants at which they were written.
        self.output: list[tuple[int, str]] = []
        self.written = 0  # how many lines that were in all
        self._limit_bytes = place.limit_bytes
        self._program = program
        self._has_begun = False
        self._sockets = sockets
        self._on_end = on_end
        self._on_health_changed = on_health_changed

    @property
    def program(self) -> Program:
        """What runs in it."""
        return self._program

    def start(self) -> None:
        """Run the program from now on."""
        self._has_begun = True
        self._program.start(self)

    def terminate(self) -> None:
        """Send the image's stop signal; the first process of a container that has no handler yet does not get it."""
        if self.ending is None and self._has_begun:
            self._program.terminate()

    def kill(self) -> None:
        """Send SIGKILL."""
        self._end(Ending(EXIT_KILLED, "Error"))

    def lose(self) -> None:
        """The node has lost power: the process is gone, and nobody is told."""
        if self.ending is None:
            self.ending = Ending(EXIT_KILLED, "Error")
            self._sockets.vanish()

    def execute(self, command: Sequence[str]) -> ExecResult:
        """Run a command beside the program."""
        return self._program.execute(command)

    @property
    def is_steady(self) -> bool:
        """See `Program.is_steady`."""
        return self._program.is_steady

    def after(self, delay_ns: int, callback: Callable[[], None]) -> None:
        self.loop.post(delay_ns, self._run, callback)

    def _run(self, callback: Callable[[], None]) -> None:
        if self.ending is None:
            callback()

    def listen(self, port: int, handler: Handler) -> None:
        # Of a Pod's containers that answer on any port the first does so; that is no conflict.
        if not self._sockets.listen(port, handler) and port != ANY_PORT:
            self.log(f"cannot listen on port {port}: address already in use")
            self.exit(1)

    def connections(self, port: int) -> int:
        return self._sockets.connections(port)

    def connect(self, host: str, port: int, timeout_ns: int, on_result: Callable[[Any], None]) -> None:
        self._sockets.connect(host, port, timeout_ns, on_result)

    def log(self, line: str) -> None:
        output = self.output
        output.append((self.loop.now_ns, line))
        self.written += 1
        if len(output) > LOG_LINES_MAX:
            del output[0]

    def use_memory(self, total_bytes: int) -> None:
        self.memory_bytes = total_bytes
        if self._limit_bytes and total_bytes > self._limit_bytes:
            self._end(Ending(EXIT_KILLED, "OOMKilled"))

    def limit_memory(self, limit_bytes: int) -> None:
        """Another limit from now on, 0 for none; it is held against what the program uses next."""
        self._limit_bytes = limit_bytes

    def exit(self, code: int) -> None:
        self._end(Ending(code, "Error" if code else "Completed"))

    def _end(self, ending: Ending) -> None:
        if self.ending is None:
            self.ending = ending
            self._sockets.close()
            self._on_end(ending)

    def health_changed(self) -> None:
        if self.ending is None:
            self._on_health_changed()

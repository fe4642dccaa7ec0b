"""A program described by a few values: in the annotation `kubesim.dev/program`, or by image in a scenario file.

All fields are optional; times are seconds, in steps of a microsecond.

    startSeconds       before that it listens nowhere (default 0)
    listen             ports it listens on once started; without it every port
    readyPath          a path that answers 200 when ready and 503 before; other paths answer 200 (default /readyz)
    readyAfterSeconds  from start until it is ready (default: at once when started)
    unreadyAfterSeconds, unready again from then on
    exitAfterSeconds   ends by itself after that long (default: never)
    exitCode           with this code (default 0)
    terminateSeconds   how long it takes to end after SIGTERM, answering until then (default 0)
    ignoreTerminate    true: SIGTERM does nothing, only the end of the grace period helps (default false)
    memory             resident size, a quantity such as 64Mi (default 0)
    memoryPerSecond    growth, a quantity, added every second: a leak (default 0)
    requestSeconds     how long a request takes (default 0)
    status             HTTP status of its answers (default 200)
    execExitCode       how commands run in it end (default 0)
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, final

from kubesim.api import quantity
from kubesim.errors import UserError
from kubesim.network.messages import HttpReply, HttpRequest, OnAnswer
from kubesim.network.sockets import ANY_PORT
from kubesim.programs.program import ExecResult, Process
from kubesim.sim.loop import SECOND

_SECONDS = (
    "startSeconds",
    "readyAfterSeconds",
    "unreadyAfterSeconds",
    "exitAfterSeconds",
    "terminateSeconds",
    "requestSeconds",
)
_INTEGERS = {"exitCode": (0, 255), "execExitCode": (0, 255), "status": (100, 599)}
_QUANTITIES = ("memory", "memoryPerSecond")
_FIELDS = (*_SECONDS, *_INTEGERS, *_QUANTITIES, "listen", "readyPath", "ignoreTerminate")


@final
class Description:
    """The checked form of a declared program; times in nanoseconds, -1 for never."""

    __slots__ = (
        "exec_exit_code",
        "exit_after_ns",
        "exit_code",
        "ignores_terminate",
        "memory",
        "memory_per_second",
        "ports",
        "ready_after_ns",
        "ready_path",
        "request_ns",
        "start_ns",
        "status",
        "terminate_ns",
        "unready_after_ns",
    )

    def __init__(self, fields: Mapping[str, Any], where: str) -> None:
        for name in fields:
            if name not in _FIELDS:
                raise UserError(f"{where}: unknown field {name!r}; known are {', '.join(sorted(_FIELDS))}")
        self.start_ns = _seconds(fields, "startSeconds", 0, where)
        self.ready_after_ns = max(self.start_ns, _seconds(fields, "readyAfterSeconds", 0, where))
        self.unready_after_ns = _seconds(fields, "unreadyAfterSeconds", -1, where)
        self.exit_after_ns = _seconds(fields, "exitAfterSeconds", -1, where)
        self.terminate_ns = _seconds(fields, "terminateSeconds", 0, where)
        self.request_ns = _seconds(fields, "requestSeconds", 0, where)
        self.exit_code = _integer(fields, "exitCode", 0, where)
        self.exec_exit_code = _integer(fields, "execExitCode", 0, where)
        self.status = _integer(fields, "status", 200, where)
        self.memory = _quantity(fields, "memory", where)
        self.memory_per_second = _quantity(fields, "memoryPerSecond", where)
        self.ports = _ports(fields, where)
        self.ready_path = _ready_path(fields, where)
        self.ignores_terminate = fields.get("ignoreTerminate", False)
        if not isinstance(self.ignores_terminate, bool):
            raise UserError(f"{where}: ignoreTerminate must be true or false, not {self.ignores_terminate!r}")


def _seconds(fields: Mapping[str, Any], name: str, default_ns: int, where: str) -> int:
    value = fields.get(name)
    if value is None:
        return default_ns
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= 1e9:
        raise UserError(f"{where}: {name} must be a number of seconds from 0, not {value!r}")
    return round(value * 1_000_000) * 1000


def _integer(fields: Mapping[str, Any], name: str, default: int, where: str) -> int:
    value = fields.get(name, default)
    low, high = _INTEGERS[name]
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise UserError(f"{where}: {name} must be a whole number from {low} to {high}, not {value!r}")
    return value


def _quantity(fields: Mapping[str, Any], name: str, where: str) -> int:
    value = fields.get(name, "0")
    try:
        return quantity.value(str(value))
    except ValueError:
        raise UserError(f"{where}: {name} must be a quantity such as 64Mi, not {value!r}") from None


def _ports(fields: Mapping[str, Any], where: str) -> tuple[int, ...]:
    ports = fields.get("listen", [ANY_PORT])
    if not isinstance(ports, list) or not all(type(port) is int and 0 <= port <= 65535 for port in ports):
        raise UserError(f"{where}: listen must be a list of port numbers, not {ports!r}")
    return tuple(dict.fromkeys(ports))


def _ready_path(fields: Mapping[str, Any], where: str) -> str:
    path = fields.get("readyPath", "/readyz")
    if not isinstance(path, str) or not path.startswith("/"):
        raise UserError(f"{where}: readyPath must be a path that begins with /, not {path!r}")
    return path


@lru_cache(maxsize=1024)
def parse_description(text: str, where: str) -> Description:
    """The description in a JSON text; `where` names its place in messages.

    Raises:
        UserError: it is not a JSON object, or a field is unknown or has a wrong value.
    """
    try:
        fields = json.loads(text)
    except ValueError as error:
        raise UserError(f'{where}: not JSON ({error}); write an object such as {{"startSeconds": 2}}') from None
    if not isinstance(fields, dict):
        raise UserError(f'{where}: must be a JSON object such as {{"startSeconds": 2}}, not {text!r}')
    return Description(fields, where)


@final
class DeclaredProgram:
    """Does what its description says."""

    __slots__ = ("_description", "_is_ready", "_memory", "_process")

    is_steady = True

    def __init__(self, description: Description) -> None:
        self._description = description
        self._is_ready = False
        self._memory = description.memory

    def is_ready_on(self, path: str) -> bool:
        """What a probe of this path would find now."""
        return self._is_ready or path != self._description.ready_path

    def start(self, process: Process) -> None:
        self._process = process
        description = self._description
        if description.memory:
            process.use_memory(description.memory)
        if description.memory_per_second:
            process.after(SECOND, self._grow)
        if description.exit_after_ns >= 0:
            process.after(description.exit_after_ns, self._exit)
        _after(process, description.start_ns, self._listen)
        _after(process, description.ready_after_ns, lambda: self._set_ready(is_ready=True))
        if description.unready_after_ns >= 0:
            process.after(description.unready_after_ns, lambda: self._set_ready(is_ready=False))

    def terminate(self) -> None:
        if not self._description.ignores_terminate:
            _after(self._process, self._description.terminate_ns, lambda: self._process.exit(0))

    def execute(self, command: Sequence[str]) -> ExecResult:  # noqa: ARG002 - the contract's
        return ExecResult(self._description.exec_exit_code)

    def _listen(self) -> None:
        for port in self._description.ports:
            self._process.listen(port, self._answer)
        self._process.health_changed()

    def _set_ready(self, *, is_ready: bool) -> None:
        self._is_ready = is_ready
        self._process.health_changed()

    def _exit(self) -> None:
        self._process.exit(self._description.exit_code)

    def _grow(self) -> None:
        self._memory += self._description.memory_per_second
        self._process.after(SECOND, self._grow)
        self._process.use_memory(self._memory)

    def _answer(self, message: Any, on_answer: OnAnswer) -> None:
        description = self._description
        status = description.status
        if isinstance(message, HttpRequest) and message.path == description.ready_path:
            status = 200 if self._is_ready else 503
        if description.request_ns:
            self._process.after(description.request_ns, lambda: on_answer(HttpReply(status)))
        else:
            on_answer(HttpReply(status))


def _after(process: Process, delay_ns: int, callback: Any) -> None:
    if delay_ns:
        process.after(delay_ns, callback)
    else:
        callback()

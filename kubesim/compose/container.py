"""A container as dockerd knows it, and the process in it while it runs."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Final, Literal, final

from kubesim.compose.model import Service
from kubesim.compose.restart_policy import Restarts
from kubesim.network.messages import HttpRequest
from kubesim.network.sockets import Host, Sockets
from kubesim.programs.hanging import Hang
from kubesim.programs.program import Volume
from kubesim.programs.running import RunningProcess

State = Literal["created", "running", "restarting", "exited"]
# `none` without a healthcheck.
Health = Literal["none", "starting", "healthy", "unhealthy"]

_LOCAL_URL: Final = re.compile(r"https?://(?:localhost|127\.0\.0\.1|\[::1\])(?::(\d+))?(/[^\s'\"|;&]*)?")
_VEHICLE_CHECK: Final = "vehicle_api.healthcheck"


@final
class Container:
    """One container. `token` changes whenever what was to happen with it later is to happen no more."""

    __slots__ = (
        "anonymous",
        "exit_code",
        "finished_ns",
        "hang",
        "health",
        "host",
        "is_manually_stopped",
        "is_oom_killed",
        "mounts",
        "name",
        "number",
        "on_end",
        "process",
        "restarts",
        "service",
        "sockets",
        "started_ns",
        "state",
        "token",
    )

    def __init__(
        self, service: Service, number: int, name: str, mounts: dict[str, Volume], anonymous: list[str]
    ) -> None:
        self.service = service
        self.number = number
        self.name = name
        self.mounts = mounts
        # The names of its anonymous volumes, which go with it when it is removed with its volumes.
        self.anonymous = anonymous
        self.state: State = "created"
        self.health: Health = "none"
        self.exit_code = 0
        self.is_oom_killed = False
        self.is_manually_stopped = False
        self.started_ns = 0
        self.finished_ns = 0
        self.restarts = Restarts(service.restart)
        self.token = 0
        self.process: RunningProcess | None = None
        self.sockets: Sockets | None = None
        self.host: Host | None = None
        self.hang: Hang | None = None
        self.on_end: list[Callable[[], None]] = []

    @property
    def names(self) -> tuple[str, ...]:
        """What it is called in the network. Upstream: compose pkg/compose/create.go:getAliases"""
        return (self.service.name, self.name, *self.service.aliases)


def asked_over_http(command: Sequence[str]) -> tuple[int, HttpRequest] | None:
    """The request to its own container that a command makes: of curl or wget, or the vehicle service's own check."""
    text = " ".join(command)
    if _VEHICLE_CHECK in text:
        return 8080, HttpRequest("GET", "/readyz")
    match = _LOCAL_URL.search(text)
    return None if match is None else (int(match[1] or 80), HttpRequest("GET", match[2] or "/"))

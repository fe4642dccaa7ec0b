"""A Compose file as values: what is modelled of it, checked and with all defaults filled in. Spans in ns."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

import msgspec

from kubesim.compose.restart_policy import RestartPolicy
from kubesim.sim.loop import SECOND

STARTED, HEALTHY, COMPLETED = "service_started", "service_healthy", "service_completed_successfully"
CONDITIONS: Final = (STARTED, HEALTHY, COMPLETED)
STOP_GRACE_NS: Final = 10 * SECOND


class Healthcheck(msgspec.Struct, frozen=True, kw_only=True):
    """What dockerd asks a container, and how often. `test` is CMD or CMD-SHELL and the words of the command.

    The defaults are dockerd's. Upstream: moby daemon/health.go; docs /reference/compose-file/services#healthcheck
    """

    test: tuple[str, ...]
    interval_ns: int = 30 * SECOND
    timeout_ns: int = 30 * SECOND
    retries: int = 3
    start_period_ns: int = 0
    start_interval_ns: int = 5 * SECOND


class Dependency(NamedTuple):
    """One entry of depends_on. `restarts`: a command that restarts or recreates the other restarts this one, too."""

    condition: str = STARTED
    restarts: bool = False
    is_required: bool = True


class PublishedPort(NamedTuple):
    """A port of the container and the ports of the host from which one is taken; 0 is any that is free."""

    target: int
    first: int = 0
    last: int = 0


class Mount(NamedTuple):
    """A volume at a path. `source` is a named volume, a path of the host (`is_bind`), or empty: an anonymous volume."""

    target: str
    source: str = ""
    is_bind: bool = False


class Service(msgspec.Struct, frozen=True, kw_only=True):
    """One service. `limit_bytes` is 0 without a memory limit; `notes` are its labels, which may describe programs."""

    name: str
    image: str
    command: tuple[str, ...] = ()
    environment: Mapping[str, str] = {}
    notes: Mapping[str, str] = {}
    replicas: int = 1
    container_name: str = ""
    restart: RestartPolicy = RestartPolicy()
    stop_grace_ns: int = STOP_GRACE_NS
    healthcheck: Healthcheck | None = None
    ports: tuple[PublishedPort, ...] = ()
    mounts: tuple[Mount, ...] = ()
    depends_on: Mapping[str, Dependency] = {}
    aliases: tuple[str, ...] = ()
    limit_bytes: int = 0

    def has_same_containers(self, other: Service) -> bool:
        """Whether containers of the one will do for the other: number, dependencies and build do not count.

        Upstream: compose pkg/compose/hash.go:ServiceHash
        """
        replace = msgspec.structs.replace
        return replace(self, replicas=1, depends_on={}) == replace(other, replicas=1, depends_on={})


class Project(msgspec.Struct, frozen=True, kw_only=True):
    """A Compose file. `ignored` are keys that Compose knows and nothing models, each with the services that have it."""

    name: str
    services: Mapping[str, Service]
    volumes: tuple[str, ...] = ()
    ignored: Mapping[str, tuple[str, ...]] = {}
    unset: tuple[str, ...] = ()

    def with_service(self, service: Service) -> Project:
        """The project with one service changed, as by an edit of its file."""
        return msgspec.structs.replace(self, services={**self.services, service.name: service})

    def layers(self) -> list[list[Service]]:
        """The services in the order of their dependencies; those of one layer do not wait for each other.

        Upstream: compose pkg/compose/dependencies.go:InDependencyOrder
        """
        layers: list[list[Service]] = []
        placed: dict[str, None] = {}
        left = list(self.services.values())
        while left:
            ready = [
                each for each in left if all(name in placed or name not in self.services for name in each.depends_on)
            ]
            layers.append(ready)
            placed.update(dict.fromkeys(each.name for each in ready))
            left = [each for each in left if each.name not in placed]
        return layers

    def followers(self, name: str) -> list[Service]:
        """The services that a command restarts together with this one: `restart: true`, from one to the next.

        Upstream: docs /reference/compose-file/services#depends_on; compose pkg/compose/restart.go
        """
        found: dict[str, None] = {name: None}
        for layer in self.layers():
            for service in layer:
                if any(other in found and each.restarts for other, each in service.depends_on.items()):
                    found[service.name] = None
        return [self.services[each] for each in found if each != name]

"""The person behind a Compose host: some time after a fault they look, and do by hand what nothing else does.

They are told by their users, find the cause at once, make no mistake and have at hand whatever it takes: the file, the
images, another machine. Of several faults they mend each in its own time, and what a scenario's own later step does
they leave to it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Final

import msgspec

from kubesim.comparison.acting import ComposeActor, NothingToDo
from kubesim.compose.container import Container
from kubesim.compose.host import ComposeHost
from kubesim.compose.model import PublishedPort, Service
from kubesim.compose.restart_policy import NO
from kubesim.compose.work import Work

MACHINE: Final = (
    "another machine with empty volumes, then docker compose up -d; older data is in a backup, if there is one"
)
_ENDS: Final = ("removed", "died", "refused")
_NO_PORT: Final = ("ports are allocated", "port is already allocated")


class Person:
    """Watches one host. `on_deed(index, text)` hears of all that is done, with the index of the fault it answers."""

    def __init__(
        self, host: ComposeHost, actor: ComposeActor, after_ns: int, on_deed: Callable[[int, str], None]
    ) -> None:
        self._host = host
        self._actor = actor
        self._after_ns = after_ns
        self._on_deed = on_deed

    def watch(self, index: int, lasts_ns: int, left: Sequence[str]) -> None:
        """A fault has happened, and none other does for so long: look later whether it has left something to do.

        `left` are the actions that the scenario still does by itself.
        """
        now_ns = self._host.now_ns
        self._host.loop.post(self._after_ns, self._look, (index, (now_ns, now_ns + lasts_ns), left))

    def _look(self, call: tuple[int, tuple[int, int], Sequence[str]]) -> None:
        index, span, left = call
        for deed in self._mend(span, left):
            self._on_deed(index, deed)

    def _mend(self, span: tuple[int, int], left: Sequence[str]) -> Iterator[str]:
        engine, actor = self._host.engine, self._actor
        if not engine.has_power:
            if "restorePower" not in left and _is_in(actor.dark_ns, span):
                engine.replace_machine()
                actor.up(self._host.compose.project)
                yield MACHINE
            return
        if _is_in(actor.error_ns, span) and actor.error.endswith(_NO_PORT):
            yield from self._publish_more()
            return
        for container in list(engine.containers.values()):
            if container.hang is not None and "wake" not in left and _is_in(actor.hung[container.name], span):
                self._host.begin(self._restart(container))
                yield f"docker restart {container.name}"
        if "undoRollout" not in left and "setImage" not in left:
            yield from self._take_back(span)
        short = [
            each.name
            for each in self._host.compose.project.services.values()
            if self._is_short(each) and _is_in(self._since_ns(each), span)
        ]
        if short:
            actor.up(self._host.compose.project)
            yield f"docker compose up -d, for {', '.join(short)}"

    def _restart(self, container: Container) -> Work[str]:
        yield from self._host.engine.stop(container)
        return (yield from self._host.engine.start(container))

    def _publish_more(self) -> Iterator[str]:
        """As many ports of the host for each service as it has containers."""
        for service in self._host.compose.project.services.values():
            ports = tuple(_widened(port, service.replicas) for port in service.ports)
            if ports != service.ports:
                self._actor.edit(msgspec.structs.replace(service, ports=ports))
                yield f"more ports for {service.name} in the file, then docker compose up -d, which replaces all"
                return

    def _take_back(self, span: tuple[int, int]) -> Iterator[str]:
        """A version that does not run is taken back, if there was another one before."""
        for service in list(self._host.compose.project.services.values()):
            containers = self._host.engine.of_service(service.name)
            is_broken = all(each.state == "restarting" or each.health == "unhealthy" for each in containers)
            if containers and is_broken and _is_in(self._actor.edited.get(service.name, -1), span):
                try:
                    self._actor.take_back(service)
                except NothingToDo:
                    continue
                yield f"the earlier image of {service.name} in the file, then docker compose up -d"

    def _is_short(self, service: Service) -> bool:
        """Whether a container is missing or down that nothing will start; one that has finished is neither."""
        containers = self._host.engine.of_service(service.name)
        down = [
            each
            for each in containers
            if each.state in ("created", "exited") and not (each.exit_code == 0 and service.restart.name == NO)
        ]
        return len(containers) < service.replicas or bool(down)

    def _since_ns(self, service: Service) -> int:
        """When a container of the service last ended, was removed or could not be started."""
        # Without a name of its own, a container's is this and its number.
        stem = service.container_name or f"{self._host.compose.project.name}-{service.name}"
        ends = (
            record.at_ns
            for record in reversed(self._host.engine.trace.records)
            if record.verb in _ENDS
            and stem in (name := record.subject.removeprefix("container/"), name.rpartition("-")[0])
        )
        return next(ends, -1)


def _is_in(at_ns: int, span: tuple[int, int]) -> bool:
    return span[0] <= at_ns < span[1]


def _widened(port: PublishedPort, count: int) -> PublishedPort:
    return port._replace(last=max(port.last, port.first + count - 1)) if port.first else port

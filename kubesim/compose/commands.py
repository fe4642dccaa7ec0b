"""`docker compose`: up, restart and down, as the command does them through dockerd; between commands nobody looks.

An update is no rolling one: of a service whose configuration has changed, all containers are stopped and replaced, and
only when all are there are they started.
Upstream: compose pkg/compose/create.go, convergence.go, start.go, restart.go, down.go
Upstream: docs /reference/cli/docker/compose/up
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, final

from kubesim.compose.container import Container
from kubesim.compose.engine import Engine
from kubesim.compose.model import COMPLETED, STARTED, Dependency, Project, Service
from kubesim.compose.work import Work, together
from kubesim.sim.loop import MILLISECOND

# Upstream: compose pkg/compose/convergence.go:waitDependencies
_LOOK_NS: Final = 500 * MILLISECOND


@final
class ComposeCommands:
    """The commands of one project on one host. `project` is the file as of the last `up`."""

    def __init__(self, engine: Engine, project: Project) -> None:
        self._engine = engine
        self.project = project

    # --- up ---

    def up(self, project: Project, recreated: Sequence[str] = ()) -> Work[str]:
        """`docker compose up -d`; the services in `recreated` as with `--force-recreate`. Returns an error's text."""
        self.project = project
        for layer in project.layers():
            yield together([self._ensure(service, is_forced=service.name in recreated) for service in layer])
        for layer in project.layers():
            errors: list[str] = yield together([self._start_service(service) for service in layer])
            failed = [error for error in errors if error]
            if failed:
                return failed[0]
        return ""

    def _ensure(self, service: Service, *, is_forced: bool) -> Work[None]:
        """As many containers as the file says, all of the file's making; none is started yet.

        Upstream: compose pkg/compose/convergence.go:ensureService
        """

        def is_obsolete(container: Container) -> bool:
            return is_forced or not container.service.has_same_containers(service)

        present = self._engine.of_service(service.name)
        # Those that stay come first: current ones before obsolete ones, low numbers before high ones.
        present.sort(key=lambda each: (is_obsolete(each), each.number))
        kept, surplus = present[: service.replicas], present[service.replicas :]
        works: list[Work[Any]] = [self._stop_and_remove(each) for each in surplus]
        replaced = [each for each in kept if is_obsolete(each)]
        if replaced:
            yield together([self._engine.stop(each) for each in self._containers_of_followers(service)])
        works += [self._recreate(service, each) for each in replaced]
        first = max((each.number for each in present), default=0) + 1
        works += [self._create(service, first + index) for index in range(service.replicas - len(kept))]
        yield together(works)

    def _containers_of_followers(self, service: Service) -> list[Container]:
        followers = self.project.followers(service.name)
        return [each for follower in followers for each in self._engine.of_service(follower.name)]

    def _name(self, service: Service, number: int) -> str:
        return service.container_name or f"{self.project.name}-{service.name}-{number}"

    def _create(self, service: Service, number: int) -> Work[Container]:
        return self._engine.create(service, number, self._name(service, number), self.project.name)

    def _recreate(self, service: Service, old: Container) -> Work[None]:
        """A new container is made under another name, the old one stopped and removed, the new one renamed.

        Upstream: compose pkg/compose/convergence.go:recreateContainer
        """
        engine = self._engine
        name = old.name
        new = yield from engine.create(service, old.number, f"new_{name}", self.project.name, heir_of=old)
        yield from engine.stop(old)
        yield from engine.remove(old)
        engine.rename(new, name)

    def _stop_and_remove(self, container: Container) -> Work[None]:
        yield from self._engine.stop(container)
        yield from self._engine.remove(container)

    def _start_service(self, service: Service) -> Work[str]:
        """Wait for what it depends on, then start its containers one after the other, up to the first that fails.

        Upstream: compose pkg/compose/convergence.go:startService
        """
        for name, dependency in service.depends_on.items():
            error: str = yield from self._wait_for(name, dependency)
            if error and dependency.is_required:
                return error
        for container in self._engine.of_service(service.name):
            error = yield from self._engine.start(container)
            if error:
                return f"container {container.name}: {error}"
        return ""

    def _wait_for(self, name: str, dependency: Dependency) -> Work[str]:
        """Look twice a second until the condition holds; returns why it never will.

        Upstream: compose pkg/compose/convergence.go:waitDependencies, isServiceHealthy, isServiceCompleted
        """
        service = self.project.services.get(name)
        if dependency.condition == STARTED or service is None or not service.replicas:
            return ""
        while True:
            yield self._engine.pause(_LOOK_NS)
            containers = self._engine.of_service(name)
            is_so = _has_completed(containers) if dependency.condition == COMPLETED else _is_healthy(containers)
            if is_so is None:
                continue
            return is_so

    # --- restart and down ---

    def restart(self, names: Sequence[str]) -> Work[str]:
        """`docker compose restart`: the same containers, stopped and started, with the services that follow them.

        Upstream: compose pkg/compose/restart.go; docs /reference/cli/docker/compose/restart
        """
        wanted = dict.fromkeys(names)
        for name in names:
            wanted.update(dict.fromkeys(each.name for each in self.project.followers(name)))
        for layer in self.project.layers():
            for service in layer:
                if service.name in wanted:
                    containers = self._engine.of_service(service.name)
                    errors: list[str] = yield together([self._restart_container(each) for each in containers])
                    if any(errors):
                        return next(error for error in errors if error)
        return ""

    def _restart_container(self, container: Container) -> Work[str]:
        yield from self._engine.stop(container)
        return (yield from self._engine.start(container))

    def down(self, *, with_volumes: bool = False) -> Work[None]:
        """`docker compose down`: containers go, dependents first; with `-v` also named and anonymous volumes.

        Upstream: compose pkg/compose/down.go; docs /reference/cli/docker/compose/down
        """
        for layer in reversed(self.project.layers()):
            containers = [each for service in layer for each in self._engine.of_service(service.name)]
            yield together([self._engine.stop(each) for each in containers])
            yield together([self._engine.remove(each, with_volumes=with_volumes) for each in containers])
        for name in self.project.volumes if with_volumes else ():
            self._engine.volumes.pop(f"{self.project.name}_{name}", None)


def _is_healthy(containers: Sequence[Container]) -> str | None:
    """An empty text where all are healthy, why they will not be, or None where that is still open."""
    for container in containers:
        if container.state == "exited":
            return f"dependency failed to start: container {container.name} exited ({container.exit_code})"
        if container.health == "unhealthy":
            return f"dependency failed to start: container {container.name} is unhealthy"
        if container.health != "healthy":
            return None
    return ""


def _has_completed(containers: Sequence[Container]) -> str | None:
    """An empty text where one has ended well, why it has not, or None where none has ended."""
    ended = next((each for each in containers if each.state == "exited"), None)
    if ended is None:
        return None
    service = ended.service.name
    return f'service "{service}" didn\'t complete successfully: exit {ended.exit_code}' if ended.exit_code else ""

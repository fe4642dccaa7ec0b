"""What a scenario's actions are on a Compose host, and which of them it has nothing for.

A workload's reference means the service of its name. What a person does as planned work, such as an update, is an edit
of the Compose file and `docker compose up -d`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import msgspec

from kubesim.compose.container import Container
from kubesim.compose.host import ComposeHost
from kubesim.compose.model import Project, Service
from kubesim.errors import UserError
from kubesim.faults.arguments import Crash, Delete, PodTarget, Reference, Scale, SetImage, Undo, Workload
from kubesim.scenario.fields import near

_UNLIMITED: Final = 1 << 62
_WITHOUT: Final = {
    "evict": "nothing is evicted: nothing moves between hosts",
    "drain": "there is no other host to drain to",
    "cordon": "there is no scheduler to keep away",
    "uncordon": "there is no scheduler to keep away",
    "stopKubelet": "there is no kubelet",
    "startKubelet": "there is no kubelet",
    "pauseRollout": "an update cannot be paused",
    "resumeRollout": "an update cannot be paused",
    "patch": "a patch of a Kubernetes object has no counterpart",
    "apply": "manifests are no Compose file",
}


class NothingToDo(Exception):  # noqa: N818 - it is no mistake
    """There is no counterpart, or nothing in the state for it; the text says why."""


def service_of(project: Project, reference: str) -> Service:
    """The Compose service that a workload or Pod of the scenario corresponds to: the one of its name.

    Raises:
        UserError: there is none.
    """
    name = reference.rpartition("/")[2]
    stem, _, ordinal = name.rpartition("-")
    for candidate in (name, stem if ordinal.isdecimal() else ""):
        if candidate in project.services:
            return project.services[candidate]
    nearest = near(name, tuple(project.services))
    hint = f"did you mean {nearest}?" if nearest else f"there are {', '.join(project.services)}"
    raise UserError(f"the Compose file has no service for {reference}; {hint}")


class ComposeActor:
    """Does actions to a host. `error` is what `docker compose up` said last where it failed, at `error_ns`."""

    def __init__(self, host: ComposeHost) -> None:
        self._host = host
        self._earlier: list[Project] = []
        # When the host went dark, and what is in these containers and services came to be so.
        self.dark_ns = 0
        self.hung: dict[str, int] = {}
        self.edited: dict[str, int] = {}
        self.error = ""
        self.error_ns = 0
        self._own: dict[str, Callable[[Any], str]] = {
            "crash": self._crash,
            "oom": self._oom,
            "hang": self._hang,
            "wake": self._wake,
            "delete": self._delete,
            "losePower": self._lose_power,
            "restorePower": self._restore_power,
            "isolate": self._isolate,
            "rejoin": self._rejoin,
            "scale": self._scale,
            "setImage": self._set_image,
            "restartRollout": self._restart_rollout,
            "undoRollout": self._undo_rollout,
        }

    def act(self, name: str, argument: Any) -> str:
        """Do it now; returns what it was done to.

        Raises:
            NothingToDo: Compose has no counterpart, or nothing that it could be done to.
        """
        do = self._own.get(name)
        if do is None:
            raise NothingToDo(_WITHOUT.get(name, f"{name} has no counterpart here"))
        return do(argument)

    @property
    def _project(self) -> Project:
        return self._host.compose.project

    def _running(self, of: Reference, index: int | None) -> Container:
        """The running container with that index by number, without one the first healthy one, or just the first."""
        name = service_of(self._project, of).name
        running = [
            each for each in self._host.engine.of_service(name) if each.process is not None and each.hang is None
        ]
        if not running:
            raise NothingToDo(f"no container of {name} runs at this moment")
        if index is not None:
            return running[index % len(running)]
        return next((each for each in running if each.health in ("healthy", "none")), running[0])

    # --- containers ---

    def _crash(self, crash: Crash) -> str:
        container = self._running(crash.of, crash.index)
        self._host.engine.end(container, crash.exit_code)
        return container.name

    def _oom(self, target: PodTarget) -> str:
        container = self._running(target.of, target.index)
        if not container.service.limit_bytes or container.process is None:
            raise NothingToDo(f"{container.name} has no memory limit, so nothing kills it")
        container.process.use_memory(_UNLIMITED)
        return container.name

    def _hang(self, target: PodTarget) -> str:
        container = self._running(target.of, target.index)
        self._host.engine.hang(container)
        self.hung[container.name] = self._host.now_ns
        return container.name

    def _wake(self, target: PodTarget | None) -> str:
        name = None if target is None else service_of(self._project, target.of).name
        hanging = [
            each
            for each in self._host.engine.containers.values()
            if each.hang is not None and name in (None, each.service.name)
        ]
        if not hanging:
            raise NothingToDo("what hung has been restarted meanwhile")
        self._host.engine.wake(hanging[0])
        return hanging[0].name

    def _delete(self, delete: Delete) -> str:
        if not delete.pod and delete.index is None and not delete.of.rpartition("/")[0].endswith(("pod", "pods", "po")):
            raise NothingToDo(f"a deletion of {delete.of} has no counterpart")
        container = self._running(delete.of, delete.index)
        self._host.begin(self._host.engine.remove(container))
        return container.name

    # --- the host ---

    def _lose_power(self, _: Any) -> str:
        self._host.engine.lose_power()
        self.dark_ns = self._host.now_ns
        return "the one host"

    def _restore_power(self, _: Any) -> str:
        if self._host.engine.has_power:
            raise NothingToDo("another host has taken its place")
        self._host.engine.restore_power()
        return "the one host"

    def _isolate(self, _: Any) -> str:
        self._host.engine.isolate()
        return "the one host"

    def _rejoin(self, _: Any) -> str:
        self._host.engine.rejoin()
        return "the one host"

    # --- planned work ---

    def edit(self, service: Service, recreated: tuple[str, ...] = ()) -> str:
        """Change a service in the file, then `docker compose up -d`."""
        self._earlier.append(self._project)
        self.edited[service.name] = self._host.now_ns
        return self.up(self._project.with_service(service), recreated)

    def up(self, project: Project, recreated: tuple[str, ...] = ()) -> str:
        """`docker compose up -d`, as far as there is a host to type it on."""
        if not self._host.engine.has_power:
            raise NothingToDo("the one host is down")
        self.error = ""
        self._host.begin(self._host.compose.up(project, recreated), self._note_error)
        return "docker compose up -d"

    def _note_error(self, error: str) -> None:
        self.error, self.error_ns = error, self._host.now_ns

    def _scale(self, scale: Scale) -> str:
        service = service_of(self._project, scale.of)
        self.edit(msgspec.structs.replace(service, replicas=scale.replicas))
        return service.name

    def _set_image(self, change: SetImage) -> str:
        service = service_of(self._project, change.of)
        self.edit(msgspec.structs.replace(service, image=change.image))
        return service.name

    def _restart_rollout(self, workload: Workload) -> str:
        service = service_of(self._project, workload.of)
        self.up(self._project, (service.name,))
        return service.name

    def _undo_rollout(self, undo: Undo) -> str:
        service = service_of(self._project, undo.of)
        self.take_back(service)
        return service.name

    def take_back(self, service: Service) -> None:
        """Give a service the image again that it had before, then `docker compose up -d`."""
        for project in reversed(self._earlier):
            image = project.services[service.name].image
            if image != service.image:
                self.edit(msgspec.structs.replace(service, image=image))
                return
        raise NothingToDo(f"{service.name} has had no other image")

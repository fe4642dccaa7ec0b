"""dockerd on one host: containers that are created, started, stopped, removed and restarted by policy, and volumes.

Upstream: moby daemon/start.go, stop.go, kill.go, monitor.go, daemon.go:restore
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final, final

from kubesim.compose.container import Container, asked_over_http
from kubesim.compose.health import Monitor
from kubesim.compose.host_network import HOST, HOST_IP, HostNames, HostPorts
from kubesim.compose.model import Service
from kubesim.compose.restart_policy import is_wanted
from kubesim.compose.work import Step, Work, begin
from kubesim.network.fabric import Fabric
from kubesim.network.messages import HttpReply
from kubesim.programs.catalog import Catalog, image_name
from kubesim.programs.hanging import Hang
from kubesim.programs.plain import find_command
from kubesim.programs.program import EXIT_KILLED, Volume
from kubesim.programs.running import Ending, Place, RunningProcess
from kubesim.sim.chooser import Chooser
from kubesim.sim.loop import MILLISECOND, SECOND, Loop
from kubesim.sim.trace import Record, Trace

# Measured on dockerd 20.10: `docker start` 0.24 s, `docker stop` 0.13 s longer than the process lives, a command in a
# container 0.07 s, and 2 s from dockerd's start to the first container's.
CREATE_NS: Final = 40 * MILLISECOND
START_NS: Final = 240 * MILLISECOND
STOP_NS: Final = 130 * MILLISECOND
REMOVE_NS: Final = 30 * MILLISECOND
EXECUTE_NS: Final = 70 * MILLISECOND
DAEMON_START_NS: Final = 2 * SECOND
# What a container whose end nobody saw has as its exit code. Seen so on dockerd 20.10.
# Upstream: moby daemon/daemon.go:restore
EXIT_UNSEEN: Final = 255
# Where images declare a volume: without one of the user's there, each container gets an anonymous one.
# Upstream: docker-library/postgres Dockerfile (VOLUME)
_IMAGE_VOLUMES: Final = {"postgres": "/var/lib/postgresql/data"}


@final
class Engine:
    """The daemon and all that it keeps. `trace` has what happened to containers, for tests and reports."""

    def __init__(self, loop: Loop, chooser: Chooser, catalog: Catalog) -> None:
        self.loop = loop
        self.trace = Trace()
        self.names = HostNames(chooser.stream("compose/dns"))
        self.ports = HostPorts()
        self.fabric = Fabric(loop, chooser, self.names, self.ports)
        self.fabric.attach(HOST_IP, HOST, is_node=True)
        self.containers: dict[str, Container] = {}
        self.volumes: dict[str, Volume] = {}
        self.has_power = True
        self._stream = chooser.stream("compose/programs")
        self._catalog = catalog
        self._boots = 0

    # --- time ---

    def pause(self, span_ns: int) -> Step:
        """A step that lasts; it never ends where the host loses power meanwhile."""

        def start(on_done: Callable[[None], None]) -> None:
            self.loop.post(span_ns, self._fire, (self._boots, on_done))

        return start

    def _fire(self, call: tuple[int, Callable[[None], None]]) -> None:
        boots, on_done = call
        if boots == self._boots and self.has_power:
            on_done(None)

    def note(self, container: Container, verb: str, detail: str = "") -> None:
        """Keep a record of what happened."""
        self.trace.add(Record(self.loop.now_ns, "dockerd", verb, f"container/{container.name}", detail))

    # --- commands ---

    def create(
        self, service: Service, number: int, name: str, project: str, heir_of: Container | None = None
    ) -> Work[Container]:
        """`docker create`: an heir takes over the anonymous volumes of the container that it replaces.

        Upstream: docs /reference/cli/docker/compose/up ("preserving mounted volumes")
        """
        yield self.pause(CREATE_NS)
        mounts: dict[str, Volume] = {}
        anonymous: list[str] = []
        given = {mount.target: mount for mount in service.mounts}
        own = _IMAGE_VOLUMES.get(image_name(service.image)[0])
        targets = [*given, *([own] if own is not None and own not in given else [])]
        for target in targets:
            mount = given.get(target)
            if mount is not None and mount.source:
                key = mount.source if mount.is_bind else f"{project}_{mount.source}"
                mounts[target] = self.volumes.setdefault(key, Volume(key))
                continue
            inherited = heir_of.mounts.get(target) if heir_of is not None else None
            volume = inherited or Volume(self._stream.uid().replace("-", ""))
            mounts[target] = self.volumes.setdefault(volume.name, volume)
            anonymous.append(volume.name)
        container = Container(service, number, name, mounts, anonymous)
        self.containers[name] = container
        self.note(container, "created")
        return container

    def start(self, container: Container) -> Work[str]:
        """`docker start`: forgets earlier stops and restarts; returns why it failed, or an empty text."""
        if container.state == "running":
            return ""
        container.token += 1
        container.restarts.renew(resets_count=True)
        container.is_manually_stopped = False
        return (yield from self._begin(container))

    def _begin(self, container: Container) -> Work[str]:
        token = container.token
        yield self.pause(START_NS)
        if container.token != token or container.state == "running":
            return ""
        ip = self.names.free_address()
        refusal = self.ports.publish(ip, container.service.ports)
        if refusal:
            # No policy tries again after this. Upstream: moby daemon/monitor.go:handleContainerExit
            container.state = "created" if container.state == "created" else "exited"
            self.note(container, "refused", refusal)
            return refusal
        self._run(container, ip)
        return ""

    def _run(self, container: Container, ip: str) -> None:
        service = container.service
        container.host = self.fabric.attach(ip, HOST)
        container.sockets = self.fabric.open(container.host, "")
        container.state = "running"
        container.started_ns = self.loop.now_ns
        container.is_oom_killed = False
        self.names.join(container.names, ip)
        place = Place(
            "",
            container.name,
            HOST,
            service.environment,
            service.command,
            service.notes,
            container.mounts,
            service.limit_bytes,
        )
        found = self._catalog.find_program(service.image, service.notes, service.name)
        factory = found.factory if found.is_known else find_command(service.command) or found.factory
        container.process = RunningProcess(
            factory(),
            place,
            self.loop,
            self._stream,
            container.sockets,
            on_end=lambda ending: self._on_end(container, ending),
            on_health_changed=lambda: None,
        )
        self.note(container, "started")
        if service.healthcheck is not None:
            note = lambda: self.note(container, container.health)  # noqa: E731
            Monitor(self.loop, container, service.healthcheck, self.execute, note)
        container.process.start()

    def _on_end(self, container: Container, ending: Ending) -> None:
        self._leave_network(container)
        container.token += 1
        container.process = container.sockets = container.hang = None
        container.exit_code = ending.exit_code
        container.is_oom_killed = ending.reason == "OOMKilled"
        container.finished_ns = self.loop.now_ns
        container.state = "exited"
        self.note(container, "died", f"exit code {ending.exit_code}")
        ran_ns = container.finished_ns - container.started_ns
        is_stopped = container.is_manually_stopped
        delay_ns = container.restarts.decide(ending.exit_code, ran_ns, is_manually_stopped=is_stopped)
        waiting, container.on_end = container.on_end, []
        for heard in waiting:
            heard()
        if delay_ns is not None:
            container.state = "restarting"
            begin(self._restart(container, delay_ns), _forget)

    def _restart(self, container: Container, delay_ns: int) -> Work[str]:
        token = container.token
        yield self.pause(delay_ns)
        if container.token != token or container.state != "restarting":
            return ""
        return (yield from self._begin(container))

    def _leave_network(self, container: Container) -> None:
        host, container.host = container.host, None
        if host is not None:
            self.names.leave(container.names, host.ip)
            self.ports.withdraw(host.ip)
            self.fabric.detach(host)

    def stop(self, container: Container, grace_ns: int | None = None) -> Work[None]:
        """`docker stop`: the stop signal, then SIGKILL after the grace; no policy restarts it until it is started.

        Upstream: moby daemon/stop.go:containerStop; docs /reference/compose-file/services#stop_grace_period
        """
        if not self._mark_stopped(container):
            return
        process = container.process
        if process is None:
            return
        if container.hang is not None:
            container.hang.is_told_to_end = True
        else:
            process.terminate()
        if container.process is process:
            yield self._end_of(container, container.service.stop_grace_ns if grace_ns is None else grace_ns)
        if container.process is process:
            process.kill()
        yield self.pause(STOP_NS)

    def _mark_stopped(self, container: Container) -> bool:
        """A command ends it: whether there is a process to end."""
        if container.state not in ("running", "restarting"):
            return False
        container.restarts.cancel()
        container.is_manually_stopped = True
        if container.state == "restarting":
            container.token += 1
            container.state = "exited"
        return container.process is not None

    def _end_of(self, container: Container, within_ns: int) -> Step:
        """A step that lasts until the container's process ends, but not longer than a time."""

        def start(on_done: Callable[[None], None]) -> None:
            is_over = False

            def finish(_: Any = None) -> None:
                nonlocal is_over
                if not is_over:
                    is_over = True
                    on_done(None)

            container.on_end.append(finish)
            self.pause(within_ns)(finish)

        return start

    def kill(self, container: Container) -> None:
        """`docker kill`: SIGKILL, and as with `docker stop` no policy restarts it.

        Upstream: moby daemon/kill.go:killWithSignal
        """
        if self._mark_stopped(container) and container.process is not None:
            container.process.kill()

    def remove(self, container: Container, *, with_volumes: bool = False) -> Work[None]:
        """`docker rm -f`: the container's own layer is gone, and with `-v` its anonymous volumes."""
        self.kill(container)
        yield self.pause(REMOVE_NS)
        container.token += 1
        self.containers = {name: each for name, each in self.containers.items() if each is not container}
        for name in container.anonymous if with_volumes else ():
            self.volumes.pop(name, None)
        self.note(container, "removed")

    def rename(self, container: Container, name: str) -> None:
        """`docker rename`."""
        self.containers = {name if each is container else key: each for key, each in self.containers.items()}
        container.name = name

    def execute(
        self, container: Container, command: tuple[str, ...], timeout_ns: int, on_done: Callable[[int], None]
    ) -> None:
        """`docker exec`; a command that asks its own container over HTTP really does."""

        def run(_: None) -> None:
            process, sockets = container.process, container.sockets
            if process is None or sockets is None:
                on_done(-1)
                return
            asked = asked_over_http(command)
            if asked is not None:
                port, request = asked
                answered = lambda reply: on_done(0 if type(reply) is HttpReply and reply.status < 400 else 1)  # noqa: E731
                sockets.request("127.0.0.1", port, request, timeout_ns, answered)
            elif container.hang is not None:
                self.pause(timeout_ns)(lambda _: on_done(-1))
            else:
                result = process.execute(command)
                is_late = result.duration_ns > timeout_ns
                span_ns = timeout_ns if is_late else result.duration_ns
                self.pause(span_ns)(lambda _: on_done(-1 if is_late else result.exit_code))

        self.pause(EXECUTE_NS)(run)

    # --- faults ---

    def end(self, container: Container, exit_code: int) -> bool:
        """The process in it ends by itself, or for 137 by the kernel; False when there is none."""
        process = container.process
        if process is None:
            return False
        if exit_code == EXIT_KILLED:
            process.kill()
        else:
            process.exit(exit_code)
        return True

    def hang(self, container: Container) -> bool:
        """The process in it stops as by SIGSTOP; False when there is none, or it hangs already."""
        if container.sockets is None or container.hang is not None:
            return False
        container.hang = Hang(container.sockets)
        return True

    def wake(self, container: Container) -> None:
        """The end of `hang`."""
        hang, container.hang = container.hang, None
        if hang is not None and container.process is not None:
            hang.end()
            if hang.is_told_to_end:
                container.process.terminate()

    def lose_power(self) -> None:
        """The host is gone from one instant to the next; what dockerd last wrote down says that all is running."""
        if not self.has_power:
            return
        self.has_power = False
        self._boots += 1
        # The network goes first: it knows by the processes' connections who will miss them.
        self.fabric.lose_node(HOST)
        for container in self.containers.values():
            if container.process is not None:
                container.process.lose()
            container.process = container.sockets = container.hang = None
            container.on_end = []
            container.token += 1

    def restore_power(self) -> None:
        """The host boots, dockerd starts and does what the policies say, for all containers at once.

        `depends_on` is Compose's and means nothing to dockerd.
        Upstream: moby daemon/daemon.go:restore; docs /compose/how-tos/startup-order
        """
        if self.has_power:
            return
        self.has_power = True
        self._boots += 1
        for container in self.containers.values():
            self._leave_network(container)
        self.fabric.restore_node(HOST)
        self.pause(DAEMON_START_NS)(lambda _: self._restore())

    def _restore(self) -> None:
        for container in self.containers.values():
            if container.state in ("running", "restarting"):
                container.state = "exited"
                container.exit_code = EXIT_UNSEEN
                container.finished_ns = self.loop.now_ns
            container.restarts.renew(resets_count=False)
            policy, code, count = container.service.restart, container.exit_code, container.restarts.count
            is_stopped = container.is_manually_stopped
            if container.state == "exited" and is_wanted(policy, code, count, is_manually_stopped=is_stopped):
                begin(self._begin(container), _forget)

    def isolate(self) -> None:
        """The host runs on and nobody outside reaches it; its containers still reach each other."""
        self.fabric.isolate_node(HOST)

    def rejoin(self) -> None:
        """The end of `isolate`."""
        self.fabric.rejoin_node(HOST)

    def replace_machine(self) -> None:
        """Another machine takes the host's name and address: nothing is on it, neither containers nor volumes."""
        for container in self.containers.values():
            self._leave_network(container)
            container.token += 1
        self.containers = {}
        self.volumes = {}
        self.has_power = True
        self._boots += 1
        self.fabric.restore_node(HOST)

    # --- what is there ---

    def of_service(self, name: str) -> list[Container]:
        """A service's containers, by number."""
        return sorted(
            (each for each in self.containers.values() if each.service.name == name), key=lambda each: each.number
        )

    def processes(self) -> Iterator[RunningProcess]:
        """All processes that run."""
        for container in self.containers.values():
            if container.process is not None:
                yield container.process


def _forget(_: Any) -> None:
    pass

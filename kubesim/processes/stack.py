"""A stack of real processes: the cluster, what its nodes are made of here, and everything that must go when it ends."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Final, final

from kubesim.api.kinds import PERSISTENT_VOLUME
from kubesim.api.objects import Object
from kubesim.client.informer import InformerFactory
from kubesim.cluster import Cluster, ClusterOptions
from kubesim.controllers.external_provisioner import ExternalProvisioner
from kubesim.controllers.local_path_provisioner import LOCAL_PATH_PROVISIONER
from kubesim.errors import UserError
from kubesim.node.runtime import RuntimeFailure
from kubesim.processes.addresses import Addresses
from kubesim.processes.child import adopt_orphans, start_apart
from kubesim.processes.command import Machine, prepare_spec
from kubesim.processes.database import rows_of
from kubesim.processes.images import ImageMap, Program
from kubesim.processes.isolation import find_obstacle
from kubesim.processes.names import HostsFiles
from kubesim.processes.network import ProcessNetwork
from kubesim.processes.pacing import Pacer
from kubesim.processes.proxy import ServiceProxies
from kubesim.processes.run_folder import RunFolder
from kubesim.processes.runtime import Container, ProcessRuntime
from kubesim.processes.users import RealUsers, ask_at
from kubesim.sim.loop import MILLISECOND, SECOND, Loop

# The cluster is older than its first Pod, as real ones are: kubelets that have just started spread their probes.
_WARM_UP_NS: Final = 30 * SECOND
_ENDING_NS: Final = 2 * SECOND
_FOLDER_NS: Final = 50 * MILLISECOND
_NODES_MAX: Final = 64
_WATCHDOG: Final = str(Path(__file__).with_name("watchdog.py"))


@final
class Bodies:
    """Satisfies `cluster.data_plane.Bodies`."""

    def __init__(self, machine: Machine) -> None:
        self.loop = machine.pacer.loop
        self.runtimes: dict[str, ProcessRuntime] = {}
        self._machine = machine

    def make_runtime(self, node_name: str) -> ProcessRuntime:
        runtime = self.runtimes[node_name] = ProcessRuntime(self._machine, node_name)
        return runtime

    def make_network(self, node_name: str) -> ProcessNetwork:  # noqa: ARG002 - all nodes are this machine
        return ProcessNetwork(self._machine.pacer, self._machine.addresses.local)


@final
class ProcessStack:
    """A cluster whose Pods are processes. Real time passes in `pacer.run` only; `close` ends everything."""

    def __init__(
        self, options: ClusterOptions | None = None, images: Path | None = None, objects: Sequence[Object] = ()
    ) -> None:
        """`images` is a file that says more of images; `objects` are those that will be applied first.

        Raises:
            UserError: this machine lacks something, or an option is out of range.
        """
        options = options or ClusterOptions()
        if options.nodes > _NODES_MAX:
            raise UserError(f"the process runtime has from 1 to {_NODES_MAX} nodes, not {options.nodes}")
        obstacle = find_obstacle()
        self._closing = contextlib.ExitStack()
        with contextlib.ExitStack() as undo:
            self.addresses = Addresses()
            undo.callback(self.addresses.close)
            self.folder = RunFolder.create()
            undo.callback(self.folder.remove)
            self.images = ImageMap(self.folder.path, images)
            programs = self._find_programs(objects)
            self._start_watchdog(undo)
            adopt_orphans()
            if not obstacle:
                self._prepare(programs, undo)
            loop = Loop()
            self.pacer = Pacer(loop, lambda: self.cluster.store.revision)
            undo.callback(self.pacer.close)
            self.machine = Machine(self.pacer, self.folder, self.addresses, self.images, is_isolated=not obstacle)
            self.bodies = Bodies(self.machine)
            self.cluster = Cluster(options, bodies=self.bodies)
            undo.callback(self.cluster.close)
            self._follow_cluster()
            self.cluster.run(_WARM_UP_NS / SECOND)
            self.pacer.start()
            undo.callback(self._end_processes)
            self._closing = undo.pop_all()
        if obstacle:
            self.machine.note(
                f"processes share this machine's files, names and process numbers here ({obstacle}): paths of volumes "
                "and names of Services are replaced in their environment and arguments instead"
            )

    def __enter__(self) -> ProcessStack:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End all processes, close all sockets, remove the folder. Idempotent."""
        self._closing.close()

    def _start_watchdog(self, undo: contextlib.ExitStack) -> None:
        watchdog = subprocess.Popen(
            [sys.executable, "-I", "-S", _WATCHDOG, str(self.folder.path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        undo.callback(watchdog.wait)
        if watchdog.stdin is not None:
            undo.callback(watchdog.stdin.close)

    def _follow_cluster(self) -> None:
        cluster, local = self.cluster, self.addresses.local
        informers = InformerFactory(self.bodies.loop, cluster.plane.client("system:kube-proxy"))
        self.proxies = ServiceProxies(self.pacer, informers, local, self.machine.note)
        self.machine.hosts = HostsFiles(self.bodies.loop, informers, cluster.data_plane.names, local)
        informers.informer(PERSISTENT_VOLUME).add_handler(on_delete=self._volume_deleted)
        informers.start()
        provisioner = cluster.controller_manager.controllers[LOCAL_PATH_PROVISIONER]
        if isinstance(provisioner, ExternalProvisioner):
            provisioner.take(_FOLDER_NS)

    def _volume_deleted(self, volume: Object) -> None:
        if volume["spec"].get("persistentVolumeReclaimPolicy") == "Delete":
            self.machine.volumes.forget(volume["metadata"]["name"])

    def _end_processes(self) -> None:
        """Ask all to end, and after a while end those that are still there."""
        self.proxies.close()
        for node in self.cluster.data_plane.nodes.values():
            node.kubelet.stop()
        for number, within_ns in ((None, _ENDING_NS), (signal.SIGKILL, _ENDING_NS)):
            for container in self.containers():
                if container.child is not None:
                    container.child.kill(number or container.program.stop_signal)
            # Exits are no writes: without a condition to look at, time passes in short spans.
            end_ns = self.pacer.wall_ns() + within_ns
            while any(self.containers()) and self.pacer.wall_ns() < end_ns:
                self.pacer.run(self.pacer.wall_ns() + 20 * MILLISECOND)
        for runtime in self.bodies.runtimes.values():
            runtime.close_logs()

    def _find_programs(self, objects: Sequence[Object]) -> list[Program]:
        """The programs of all containers of the objects.

        Raises:
            UserError: this machine has none for one of them.
        """
        programs: dict[str, Program] = {}
        for obj in objects:
            pod = obj if obj["kind"] == "Pod" else (obj.get("spec") or {}).get("template") or {}
            spec = pod.get("spec") or {} if isinstance(pod, dict) else {}
            for container in (*(spec.get("initContainers") or ()), *(spec.get("containers") or ())):
                found = self.images.find(container.get("image", ""))
                if isinstance(found, RuntimeFailure):
                    raise UserError(f"{obj['kind']} {obj['metadata'].get('name', '')}: {found.text}")
                programs[container["image"]] = found
        return [*programs.values()]

    def _prepare(self, programs: Sequence[Program], undo: contextlib.ExitStack) -> None:
        """Begin what images need before their first start. A Pod that comes sooner waits for it itself."""
        for words, path in dict.fromkeys((program.prepare, program.path) for program in programs if program.prepare):
            pid = start_apart(prepare_spec(self.folder, words, path))
            undo.callback(_end, pid)

    # What runs.

    def containers(self) -> Iterator[Container]:
        """All containers whose process is there."""
        for runtime in self.bodies.runtimes.values():
            yield from runtime.containers()

    def container_of(self, reference: str, name: str = "", namespace: str = "") -> Container:
        """A container of a Pod, or of a workload's first Ready Pod; its first one without a name.

        Raises:
            UserError: there is none.
        """
        pod = self.cluster.ready_pod_of(reference, namespace)
        names = [each["name"] for each in pod["spec"]["containers"]]
        if name and name not in names:
            raise UserError(f'pod/{pod["metadata"]["name"]} has no container "{name}"; it has {", ".join(names)}')
        runtime = self.bodies.runtimes.get(pod["spec"].get("nodeName", ""))
        container = runtime.find(pod["metadata"]["uid"], name or names[0]) if runtime is not None else None
        if container is None:
            raise UserError(f"pod/{pod['metadata']['name']}: container {name or names[0]} has not been started yet")
        return container

    def log_of(self, reference: str, name: str = "", namespace: str = "", *, is_previous: bool = False) -> Path:
        """The file that a container's output goes to, or that of the one before its last restart.

        Raises:
            UserError: there is none.
        """
        container = self.container_of(reference, name, namespace)
        path = container.log.path if container.log is not None else None
        if path is not None and is_previous:
            path = path.with_name(f"{container.record.attempt - 1}.log")
        if path is None or not path.exists():
            which = "previous " if is_previous else ""
            raise UserError(f"{reference}: there is no {which}log of container {container.record.name}")
        return path

    def tell_notes(self, on_note: Callable[[str], None]) -> None:
        """Hear what there is to say about this machine: what it lacks, and programs that it has not."""
        self.machine.tell_notes(on_note)

    # Users.

    def service_address(self, name: str, namespace: str = "") -> tuple[str, int] | None:
        """Where the first port of a Service is on this machine."""
        service = self.cluster.get(f"service/{name}", namespace)
        metadata = service["metadata"]
        return self.proxies.address(metadata["namespace"], metadata["name"], service["spec"]["ports"][0]["port"])

    def start_users(
        self, service: str, namespace: str = "", rate: float = 10, write_percent: int = 20, **more: Any
    ) -> RealUsers:
        """Start users of a Service; `more` are further arguments of `RealUsers`."""
        users = RealUsers(
            self.pacer,
            ask_at(lambda: self.service_address(service, namespace)),
            self.database_rows,
            rate,
            write_percent,
            **more,
        )
        users.start()
        return users

    def database_rows(self, table: str, column: str) -> Mapping[str, bool]:
        """The rows of a table in all databases, by a column's values."""
        return rows_of(self.containers(), table, column)


def _end(pid: int) -> None:
    """Kill and reap a process that nobody watches."""
    with contextlib.suppress(ProcessLookupError, ChildProcessError):
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)

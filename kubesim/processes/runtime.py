"""The container runtime of one node whose containers are child processes of this machine.

Its records are the simulated runtime's; what is real is what they stand for: a process with its own session, its exit
code, its output in a file. Delays are what the machine takes.
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator, Mapping, Sequence
from hashlib import sha256
from typing import Final, final

from kubesim.api.objects import Object
from kubesim.node.runtime import (
    ContainerConfig,
    ContainerRecord,
    Image,
    OnDone,
    PodSandbox,
    RuntimeFailure,
)
from kubesim.processes.child import Child
from kubesim.processes.command import Command, Machine, exec_spec, plan_command, start_spec
from kubesim.processes.execution import Execution
from kubesim.processes.images import Program
from kubesim.processes.logs import LogFile
from kubesim.processes.watchdog import start_time
from kubesim.sim.loop import SECOND

_LOST_EXIT_CODE: Final = 255


def _ignore(*_: object) -> None:
    pass


@final
class Container:
    """A container with its process. `command` is what it was started with."""

    def __init__(self, pod: Object, config: ContainerConfig, record: ContainerRecord, program: Program) -> None:
        self.pod = pod
        self.config = config
        self.record = record
        self.program = program
        self.child: Child | None = None
        self.command: Command | None = None
        self.log: LogFile | None = None
        self.stop_calls: list[OnDone] = []
        self.is_hanging = False

    @property
    def pid(self) -> int:
        """The process, 0 while there is none."""
        return (
            self.child.pid if self.child is not None and self.child.is_alive and self.record.state == "running" else 0
        )


@final
class ProcessRuntime:
    """Satisfies `node.runtime.Runtime` and what fault injection asks of one."""

    def __init__(self, machine: Machine, node_name: str) -> None:
        self.on_exit: Callable[[str], None] = _ignore
        self.on_health_changed: Callable[[str, str], None] = _ignore
        self._machine = machine
        self._loop = machine.pacer.loop
        self._node_name = node_name
        self._pods: dict[str, PodSandbox] = {}
        self._images: dict[str, Image] = {}
        self._lost: list[ContainerRecord] = []
        self._is_down = False
        self._boots = 0

    @property
    def version(self) -> str:
        return "processes://1"

    @property
    def boot_id(self) -> str:
        digits = sha256(f"{self._node_name}/{self._boots}".encode()).hexdigest()
        return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-8{digits[17:20]}-{digits[20:32]}"

    # Images.

    def images(self) -> Sequence[Image]:
        return [*self._images.values()]

    def find_image(self, image: str) -> Image | None:
        found = self._images.get(image) or self._machine.images.image(image)
        if found is not None:
            self._images[image] = found
        return found

    def pull_image(self, image: str, on_done: OnDone) -> None:
        found = self.find_image(image)
        failure = self._machine.images.find(image)
        if found is None and isinstance(failure, RuntimeFailure):
            self._machine.note(failure.text)
        self._loop.post(0, on_done, found if found is not None else failure)

    # Pods and containers.

    def pods(self) -> Mapping[str, PodSandbox]:
        return self._pods

    def run_sandbox(self, pod: Object, ip: str, on_done: OnDone) -> None:
        metadata = pod["metadata"]
        uid = metadata["uid"]
        sandbox = self._pods.get(uid)
        if sandbox is None:
            sandbox = self._pods[uid] = PodSandbox(uid, metadata["namespace"], metadata["name"], ip)
        else:
            sandbox.attempt += 1
            sandbox.ip = ip
            sandbox.is_ready = True
        self._machine.open_pod(pod, ip)
        self._loop.post(0, self._unless_down, (on_done, sandbox))

    def stop_sandbox(self, uid: str, on_done: OnDone) -> None:
        sandbox = self._pods.get(uid)
        if sandbox is not None:
            sandbox.is_ready = False
        self._loop.post(0, self._unless_down, (on_done, None))

    def _unless_down(self, call: tuple[OnDone, object]) -> None:
        on_done, result = call
        if not self._is_down:
            on_done(result)

    def remove_pod(self, uid: str) -> None:
        sandbox = self._pods.pop(uid, None)
        if sandbox is None:
            return
        alive = [each for each in self._of(sandbox) if each.child is not None and each.child.is_alive]
        for container in alive:
            self._signal(container, signal.SIGKILL)
        for container in self._of(sandbox):
            if container.log is not None and container not in alive:
                container.log.close()
        self._machine.close_pod(uid)

    def create_container(self, pod: Object, config: ContainerConfig, on_done: OnDone) -> None:
        uid = pod["metadata"]["uid"]
        sandbox = self._pods.get(uid)
        program = self._machine.images.find(config.spec.get("image", ""))
        if isinstance(program, RuntimeFailure):
            self._machine.note(program.text)
            self._loop.post(0, on_done, program)
            return
        if sandbox is None or not sandbox.is_ready:
            self._loop.post(0, on_done, RuntimeFailure(f'failed to find sandbox id "{uid}" in store: not found'))
            return
        name = config.spec["name"]
        digest = sha256(f"{uid}/{sandbox.attempt}/{name}/{config.attempt}".encode()).hexdigest()
        record = ContainerRecord(f"process://{digest}", name, config.image.name, config.image.ref, config.attempt)
        before = sandbox.containers.get(name)
        if before is not None:
            if before.handle is not None and before.handle.log is not None:
                before.handle.log.close()
            before.previous = before.handle = None
            record.previous = before
        sandbox.containers[name] = record
        record.handle = Container(pod, config, record, program)
        self._loop.post(0, self._unless_down, (on_done, record))

    def start_container(self, uid: str, record: ContainerRecord, on_done: OnDone) -> None:
        container: Container | None = record.handle
        sandbox = self._pods.get(uid)
        if container is None or sandbox is None or container.child is not None:
            self._loop.post(0, on_done, RuntimeFailure("container not found"))
            return
        machine, pacer = self._machine, self._machine.pacer
        try:
            container.command = plan_command(
                machine, container.pod, self._node_name, sandbox.ip, container.config, container.program
            )
            log = container.log = LogFile(pacer.aio, machine.log_path(container.pod, record.name, record.attempt))
        except OSError as error:
            self._loop.post(0, on_done, RuntimeFailure(f"failed to create containerd task: {error}"))
            return

        def started(error: str) -> None:
            pacer.hand_in(self._started, container, error, on_done)

        def ended(code: int) -> None:
            pacer.hand_in(self._ended, uid, container, code)

        container.child = Child(pacer.aio, start_spec(machine, container.command), log.writer, started, ended)
        log.close_writer()

    def _started(self, container: Container, error: str, on_done: OnDone) -> None:
        record = container.record
        if error:
            record.state = "exited"
            record.exit_code, record.reason, record.message = (
                128,
                "StartError",
                f"failed to create containerd task: {error}",
            )
            record.finished_at_ns = self._loop.now_ns
            self._machine.note(f"{container.pod['metadata']['name']}: {error}")
            on_done(RuntimeFailure(record.message))
            return
        child = container.child
        if self._is_down or child is None:
            return
        if not self._machine.is_isolated and child.pid:
            self._machine.remember(child.pid, start_time(child.pid))
        if record.state == "created":
            record.state = "running"
            record.started_at_ns = self._loop.now_ns
            on_done(None)
            if not child.is_alive:  # ended before we heard that it had started
                self._end(container, child.exit_code)
                self.on_exit(container.pod["metadata"]["uid"])

    def _ended(self, uid: str, container: Container, code: int) -> None:
        if container.record.state != "running":
            return
        self._end(container, code)
        if not self._is_down:
            self.on_exit(uid)

    def _end(self, container: Container, code: int) -> None:
        record = container.record
        record.state = "exited"
        record.exit_code = code
        record.reason = "Completed" if code == 0 else "Error"
        record.finished_at_ns = self._loop.now_ns
        container.is_hanging = False
        calls, container.stop_calls = container.stop_calls, []
        for on_done in calls:
            self._loop.post(0, on_done, None)

    def update_container(self, record: ContainerRecord, limit_bytes: int, on_done: OnDone) -> None:  # noqa: ARG002
        """See `Runtime`; no limit is held here."""
        self._loop.post(0, on_done, None)

    def stop_container(self, record: ContainerRecord, grace_ns: int, on_done: OnDone) -> None:
        container: Container | None = record.handle
        if container is None or record.state == "exited":
            self._loop.post(0, on_done, None)
            return
        container.stop_calls.append(on_done)
        self._signal(container, container.program.stop_signal)
        self._loop.post(grace_ns, self._kill_if_alive, container)

    def _kill_if_alive(self, container: Container) -> None:
        if container.record.state != "exited":
            self._signal(container, signal.SIGKILL)

    @staticmethod
    def _signal(container: Container, number: int) -> None:
        if container.child is not None:
            container.child.kill(number)

    def execute(self, record: ContainerRecord, command: Sequence[str], timeout_ns: int, on_done: OnDone) -> None:
        container: Container | None = record.handle
        if container is None or container.command is None or not container.pid:
            state = f"CONTAINER_{record.state.upper()}"
            text = f"rpc error: code = Unknown desc = failed to exec in container: container is in {state} state"
            self._loop.post(0, on_done, RuntimeFailure(text))
            return
        spec = exec_spec(self._machine, container.command, container.pid, command)
        Execution(self._machine.pacer, spec, command, timeout_ns / SECOND, on_done)

    def is_steady(self, record: ContainerRecord) -> bool:  # noqa: ARG002 - real processes never are
        return False

    # Faults and observation.

    def _of(self, sandbox: PodSandbox) -> list[Container]:
        return [record.handle for record in sandbox.containers.values() if record.handle is not None]

    def containers(self) -> Iterator[Container]:
        """All containers whose process is there."""
        for sandbox in self._pods.values():
            yield from (each for each in self._of(sandbox) if each.child is not None and each.child.is_alive)

    def close_logs(self) -> None:
        """Write no more to log files."""
        for sandbox in self._pods.values():
            for container in self._of(sandbox):
                if container.log is not None:
                    container.log.close()

    def find(self, uid: str, name: str) -> Container | None:
        """The container of that name of a Pod, with or without a process."""
        sandbox = self._pods.get(uid)
        record = sandbox.containers.get(name) if sandbox is not None else None
        return record.handle if record is not None else None

    def crash(self) -> None:
        """The node loses power: every process is killed, and nobody is told."""
        self._is_down = True
        for container in self.containers():
            self._lost.append(container.record)
            self._signal(container, signal.SIGKILL)
            container.stop_calls = []

    def boot(self) -> None:
        """Power is back: sandboxes are down, and whatever ran has exited."""
        self._is_down = False
        self._boots += 1
        for sandbox in self._pods.values():
            sandbox.is_ready = False
            self._lost += [record for record in sandbox.containers.values() if record.state != "exited"]
        for record in self._lost:
            record.state = "exited"
            record.exit_code, record.reason = _LOST_EXIT_CODE, "Unknown"
            record.finished_at_ns = self._loop.now_ns
        self._lost = []

    def end_container(self, uid: str, name: str, exit_code: int) -> bool:  # noqa: ARG002 - a process chooses its own
        """Kill a container's process by SIGKILL, whatever the code; False when it doesn't run."""
        container = self.find(uid, name)
        if container is None or not container.pid:
            return False
        self._signal(container, signal.SIGKILL)
        return True

    def hang_container(self, uid: str, name: str) -> bool:
        """SIGSTOP; False when it doesn't run or hangs already."""
        container = self.find(uid, name)
        if container is None or not container.pid or container.is_hanging:
            return False
        container.is_hanging = True
        self._signal(container, signal.SIGSTOP)
        return True

    def resume_container(self, uid: str, name: str) -> bool:
        """SIGCONT; False when it doesn't hang."""
        container = self.find(uid, name)
        if container is None or not container.is_hanging:
            return False
        container.is_hanging = False
        self._signal(container, signal.SIGCONT)
        return True

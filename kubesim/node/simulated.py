"""The simulated container runtime of one node: programs in virtual time, images by catalogue, durations by constants.

Its records outlive a stop of the kubelet. A crash of the node ends all processes without a word; after the next boot
their containers are there, exited, as containerd shows them.
"""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final, Protocol, final

from kubesim.node.env import expand_arguments
from kubesim.node.gate import Gate
from kubesim.node.image_catalogue import ImageCatalogue
from kubesim.node.images import full_name
from kubesim.node.runtime import ContainerConfig, ContainerRecord, Image, OnDone, PodSandbox, RuntimeFailure
from kubesim.node.simulated_pods import SimContainer, SimPod
from kubesim.programs.hanging import Hang
from kubesim.programs.plain import find_default
from kubesim.programs.program import EXIT_KILLED, ExecResult
from kubesim.programs.running import Place, RunningProcess
from kubesim.sim.loop import MILLISECOND, SECOND, Loop

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from kubesim.api.objects import Object
    from kubesim.network.fabric import Fabric
    from kubesim.programs.program import Program
    from kubesim.sim.chooser import Stream

# Measured on the real node (containerd 2.2.9, one Pod at a time): 0.42 s from the binding to the sandbox, 0.3 s of
# which are the kubelet's wait for volumes; then 12 ms to create a container, 55 ms to start it.
SANDBOX_START_NS: Final = 110 * MILLISECOND
CONTAINER_CREATE_NS: Final = 12 * MILLISECOND
CONTAINER_START_NS: Final = 55 * MILLISECOND
# From the status that a resize is under way to the one that it is through there are 20 to 35 ms, there.
CONTAINER_UPDATE_NS: Final = 20 * MILLISECOND
# From the end of the last container to the final status, there.
SANDBOX_STOP_NS: Final = 120 * MILLISECOND
# An exec probe's round trip, there.
EXECUTE_NS: Final = 20 * MILLISECOND
# An image from a registry nearby, or that registry's answer that there is none: a choice.
PULL_NS: Final = 1500 * MILLISECOND
PULL_FAILS_NS: Final = 500 * MILLISECOND
# A version that cannot start finds that out soon: a choice.
_BREAKS_AFTER_NS: Final = SECOND
# What containerd says of a container whose end it hasn't seen.
_LOST_EXIT_CODE: Final = 255
_KILLED: Final = ExecResult(EXIT_KILLED)


class FindProgram(Protocol):
    """How the program of a container is found; `programs.catalog.Catalog.find_program` is one."""

    def __call__(
        self, image: str, annotations: Mapping[str, str], container: str
    ) -> tuple[Callable[[], Program], bool]:
        """A factory for the program, and whether anybody has said what the image is."""
        ...


def _ignore(*_: Any) -> None:
    pass


@final
class SimRuntime:
    """Satisfies `runtime.Runtime`; `on_process` and the methods below `faults` are for observation and fault injection.

    `on_process(sandbox, container, is_there)` tells when a process begins and when it is gone, whoever else knows.
    """

    def __init__(
        self,
        loop: Loop,
        stream: Stream,
        fabric: Fabric,
        node_name: str,
        catalogue: ImageCatalogue,
        find_program: FindProgram,
    ) -> None:
        self.loop = loop
        self.on_exit: Callable[[str], None] = _ignore
        self.on_health_changed: Callable[[str, str], None] = _ignore
        self.on_process: Callable[[PodSandbox, str, bool], None] = _ignore
        self.output: dict[str, list[tuple[int, str]]] = {}
        self._stream = stream
        self._fabric = fabric
        self._node_name = node_name
        self._catalogue = catalogue
        self._find_program = find_program
        self._pulled: dict[str, Image] = {}
        self._pods: dict[str, SimPod] = {}
        self._is_down = False
        self._boots = 0
        # Closed while the runtime's own process is down; containers run on meanwhile.
        self.gate = Gate(loop)
        # By how much the node's clock is ahead.
        self.skew_ns = 0

    @property
    def version(self) -> str:
        """As `nodeInfo.containerRuntimeVersion` has it."""
        return "containerd://2.2.9"

    @property
    def boot_id(self) -> str:
        """Changes with every `boot`."""
        digits = sha256(f"{self._node_name}/{self._boots}".encode()).hexdigest()
        return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-8{digits[17:20]}-{digits[20:32]}"

    # Images.

    def images(self) -> Sequence[Image]:
        """The images on the node."""
        return [*self._catalogue.present.values(), *self._pulled.values()]

    def find_image(self, image: str) -> Image | None:
        """An image that is on the node."""
        name = full_name(image)
        if name is None:
            return None
        return self._catalogue.present.get(name) or self._pulled.get(name)

    def pull_image(self, image: str, on_done: OnDone) -> None:
        """See `Runtime`; what was pulled stays."""
        result = self.find_image(image) or self._catalogue.pulled(image)

        def finish(boots: int) -> None:
            if boots != self._boots or self._is_down:
                return
            if isinstance(result, Image) and result.name not in self._catalogue.present:
                self._pulled[result.name] = result
            on_done(result)

        took_ns = PULL_NS + self._catalogue.added_ns if isinstance(result, Image) else PULL_FAILS_NS
        self.gate.post(took_ns, finish, self._boots)

    # Pods and containers.

    def pods(self) -> Mapping[str, PodSandbox]:
        """What there is, by Pod UID."""
        return {uid: pod.sandbox for uid, pod in self._pods.items()}

    def run_sandbox(self, pod: Object, ip: str, on_done: OnDone) -> None:
        """See `Runtime`."""
        self.gate.post(SANDBOX_START_NS, self._sandbox_started, (pod, ip, on_done))

    def _sandbox_started(self, call: tuple[Object, str, OnDone]) -> None:
        pod, ip, on_done = call
        if self._is_down:
            return
        metadata = pod["metadata"]
        uid = metadata["uid"]
        host = self._fabric.attach(ip, self._node_name)
        before = self._pods.get(uid)
        if before is not None:
            sandbox = before.sandbox
            sandbox.attempt += 1
            sandbox.ip = ip
            sandbox.is_ready = True
            before.host = host
        else:
            sandbox = PodSandbox(uid, metadata["namespace"], metadata["name"], ip)
            self._pods[uid] = SimPod(sandbox, host, pod)
        on_done(sandbox)

    def stop_sandbox(self, uid: str, on_done: OnDone) -> None:
        """See `Runtime`."""
        self.gate.post(SANDBOX_STOP_NS, self._sandbox_stopped, (uid, on_done))

    def _sandbox_stopped(self, call: tuple[str, OnDone]) -> None:
        uid, on_done = call
        pod = self._pods.get(uid)
        if self._is_down:
            return
        if pod is not None:
            self._take_down(pod)
        on_done(None)

    def _take_down(self, pod: SimPod) -> None:
        pod.sandbox.is_ready = False
        if pod.host is not None:
            self._fabric.detach(pod.host)
            pod.host = None

    def remove_pod(self, uid: str) -> None:
        """See `Runtime`."""
        pod = self._pods.pop(uid, None)
        if pod is None:
            return
        for container in pod.containers():
            if container.process is not None:
                container.process.kill()
            self.output.pop(container.record.id, None)
        self._take_down(pod)

    def create_container(self, pod: Object, config: ContainerConfig, on_done: OnDone) -> None:
        """See `Runtime`."""
        self.gate.post(CONTAINER_CREATE_NS, self._container_created, (pod["metadata"]["uid"], config, on_done))

    def _container_created(self, call: tuple[str, ContainerConfig, OnDone]) -> None:
        uid, config, on_done = call
        pod = self._pods.get(uid)
        if self._is_down:
            return
        if pod is None or not pod.sandbox.is_ready:
            on_done(RuntimeFailure(f'failed to find sandbox id "{uid}" in store: not found'))
            return
        name = config.spec["name"]
        digest = sha256(f"{uid}/{pod.sandbox.attempt}/{name}/{config.attempt}".encode()).hexdigest()
        record = ContainerRecord(f"containerd://{digest}", name, config.image.name, config.image.ref, config.attempt)
        before = pod.sandbox.containers.get(name)
        if before is not None:
            if before.previous is not None:
                self.output.pop(before.previous.id, None)
            before.previous = before.handle = None
            record.previous = before
        pod.sandbox.containers[name] = record
        record.handle = SimContainer(self, pod, config, record)
        on_done(record)

    def start_container(self, uid: str, record: ContainerRecord, on_done: OnDone) -> None:
        """See `Runtime`; the program starts at the instant at which the call is done."""
        self.gate.post(CONTAINER_START_NS, self._container_started, (uid, record, on_done))

    def _container_started(self, call: tuple[str, ContainerRecord, OnDone]) -> None:
        uid, record, on_done = call
        pod = self._pods.get(uid)
        container = self._of(record)
        if self._is_down:
            return
        if pod is None or pod.host is None or container is None:
            on_done(RuntimeFailure("container not found"))
            return
        config, container.config = container.config, None
        if config is None:
            on_done(RuntimeFailure("container has been started before"))
            return
        spec = config.spec
        sandbox = pod.sandbox
        arguments = expand_arguments(spec, config.env)
        factory, is_known = self._find_program(spec.get("image", ""), pod.annotations, record.name)
        if not is_known:
            factory = find_default(spec, config.role, arguments) or factory
        place = Place(
            sandbox.namespace,
            sandbox.name,
            self._node_name,
            config.env,
            arguments,
            pod.annotations,
            config.volumes,
            config.limit_bytes,
        )
        container.sockets = self._fabric.open(pod.host, sandbox.namespace)
        container.process = RunningProcess(
            factory(),
            place,
            self.loop,
            self._stream,
            container.sockets,
            on_end=container.handle_end,
            on_health_changed=container.handle_health_changed,
        )
        record.state = "running"
        record.started_at_ns = self.loop.now_ns
        record.skew_ns = self.skew_ns
        self.on_process(sandbox, record.name, True)
        self._begin(record, container.process)
        on_done(None)

    def _begin(self, record: ContainerRecord, process: RunningProcess) -> None:
        """Let the program run, late or badly where its image is said to."""
        catalogue = self._catalogue
        delay_ns = catalogue.start_delays_ns.get(record.image, 0)
        if delay_ns:
            process.after(delay_ns, process.start)
        else:
            process.start()
        how = catalogue.broken.get(record.image)
        if how == "neverReady":
            record.is_unready = True
        elif how == "crashes":
            process.after(_BREAKS_AFTER_NS, lambda: process.exit(1))

    def update_container(self, record: ContainerRecord, limit_bytes: int, on_done: OnDone) -> None:
        """See `Runtime`."""
        self.gate.post(CONTAINER_UPDATE_NS, self._container_updated, (record, limit_bytes, on_done))

    def _container_updated(self, call: tuple[ContainerRecord, int, OnDone]) -> None:
        record, limit_bytes, on_done = call
        container = self._of(record)
        if self._is_down:
            return
        if container is not None and container.process is not None:
            container.process.limit_memory(limit_bytes)
        on_done(None)

    def stop_container(self, record: ContainerRecord, grace_ns: int, on_done: OnDone) -> None:
        """See `Runtime`."""
        container = self._of(record)
        if container is None or container.process is None:
            self.loop.post(0, on_done, None)
            return
        if container.stop_calls is None:
            container.stop_calls = []
        container.stop_calls.append(on_done)
        self.gate.post(grace_ns, self._kill_if_alive, (container, container.process))
        self.gate.post(0, self._terminate, (container, container.process))

    @staticmethod
    def _terminate(call: tuple[SimContainer, RunningProcess]) -> None:
        container, process = call
        if container.hang is not None:
            container.hang.is_told_to_end = True
        else:
            process.terminate()

    @staticmethod
    def _kill_if_alive(call: tuple[SimContainer, RunningProcess]) -> None:
        container, process = call
        if container.process is process:
            process.kill()

    def execute(self, record: ContainerRecord, command: Sequence[str], timeout_ns: int, on_done: OnDone) -> None:
        """See `Runtime`."""
        container = self._of(record)

        def finish(_: None) -> None:
            process = container.process if container is not None else None
            if process is None:
                state = f"CONTAINER_{record.state.upper()}"
                text = f"rpc error: code = Unknown desc = failed to exec in container: container is in {state} state"
                on_done(RuntimeFailure(text))
                return
            result: ExecResult = process.execute(command)
            if not result.duration_ns:
                on_done(result)
            elif timeout_ns and result.duration_ns > timeout_ns:
                self._time_out(command, timeout_ns, on_done)
            else:
                self.loop.post(result.duration_ns, self._executed, (process, result, on_done))

        if container is None or container.hang is None:
            self.gate.post(EXECUTE_NS, finish, None)
        elif timeout_ns:
            self._time_out(command, timeout_ns, on_done)
        else:
            container.hang.commands.append(finish)

    @staticmethod
    def _executed(call: tuple[RunningProcess, ExecResult, OnDone]) -> None:
        process, result, on_done = call
        # All processes of a container end with its first one.
        on_done(result if process.ending is None else _KILLED)

    def _time_out(self, command: Sequence[str], timeout_ns: int, on_done: OnDone) -> None:
        text = f'command timed out: "{" ".join(command)}" timed out after {timeout_ns // SECOND}s'
        self.loop.post(timeout_ns, on_done, RuntimeFailure(text, is_timeout=True))

    def is_steady(self, record: ContainerRecord) -> bool:
        """See `Runtime`."""
        container = self._of(record)
        if container is None or container.process is None:
            return False
        return container.hang is None and container.process.is_steady

    def _find(self, uid: str, name: str) -> SimContainer | None:
        pod = self._pods.get(uid)
        record = pod.sandbox.containers.get(name) if pod is not None else None
        return self._of(record) if record is not None else None

    @staticmethod
    def _of(record: ContainerRecord) -> SimContainer | None:
        container: SimContainer | None = record.handle
        return container

    # Faults and observation.

    def crash(self) -> None:
        """The node loses power: every process is gone, nobody is told, and nothing asked of the runtime is answered."""
        self._is_down = True
        self.gate.forget()
        for pod in self._pods.values():
            for container in pod.containers():
                if container.process is not None:
                    container.process.lose()
                    container.process = container.sockets = container.hang = None
                    self.on_process(pod.sandbox, container.record.name, False)
                container.stop_calls = None

    def boot(self) -> None:
        """Power is back: sandboxes are down, and whatever ran or was about to has exited."""
        self._is_down = False
        self.gate.open()
        self._boots += 1
        for pod in self._pods.values():
            self._take_down(pod)
            for record in pod.sandbox.containers.values():
                if record.state != "exited":
                    record.state = "exited"
                    record.exit_code = _LOST_EXIT_CODE
                    record.reason = "Unknown"
                    record.finished_at_ns = self.loop.now_ns

    def tell_exit(self, uid: str) -> None:
        """The kubelet hears that a container of the Pod has ended."""
        self.on_exit(uid)

    def restart(self) -> None:
        """The runtime's process is started anew, and everything that it ran ends with the old one."""
        for pod in list(self._pods.values()):
            for container in pod.containers():
                if container.process is not None:
                    container.process.kill()
            self._take_down(pod)

    def memory_bytes(self, uid: str) -> dict[str, int]:
        """The memory of a Pod's containers that run."""
        pod = self._pods.get(uid)
        running = pod.containers() if pod is not None else ()
        return {each.record.name: each.process.memory_bytes for each in running if each.process is not None}

    def remove_unused_images(self) -> int:
        """Remove the images that were pulled and that no container has; returns their size in bytes."""
        used = {record.image for pod in self._pods.values() for record in pod.sandbox.containers.values()}
        unused = [image for name, image in self._pulled.items() if name not in used]
        for image in unused:
            del self._pulled[image.name]
        return sum(image.size_bytes for image in unused)

    def processes(self) -> Iterator[RunningProcess]:
        """The processes of all containers that run."""
        for pod in self._pods.values():
            for container in pod.containers():
                if container.process is not None:
                    yield container.process

    def process_of(self, uid: str, name: str) -> RunningProcess | None:
        """The process of a container that runs."""
        container = self._find(uid, name)
        return container.process if container is not None else None

    def end_container(self, uid: str, name: str, exit_code: int) -> bool:
        """Let a container's process end now with this code, or by SIGKILL for 137; False when it doesn't run."""
        process = self.process_of(uid, name)
        if process is None:
            return False
        if exit_code == 128 + 9:
            process.kill()
        else:
            process.exit(exit_code)
        return True

    def set_unready(self, uid: str, name: str, *, is_unready: bool) -> bool:
        """Let a container's readiness probes fail while its process lives; False when it doesn't run."""
        container = self._find(uid, name)
        if container is None or container.process is None:
            return False
        container.record.is_unready = is_unready
        container.handle_health_changed()
        return True

    def hang_container(self, uid: str, name: str) -> bool:
        """Stop a container's process as SIGSTOP does: what it is asked stays unanswered. False when it doesn't run."""
        container = self._find(uid, name)
        if container is None or container.sockets is None or container.hang is not None:
            return False
        container.hang = Hang(container.sockets)
        container.handle_health_changed()
        return True

    def resume_container(self, uid: str, name: str) -> bool:
        """The end of `hang_container`; what was asked meanwhile is answered now."""
        container = self._find(uid, name)
        if container is None or container.hang is None or container.process is None:
            return False
        hang, container.hang = container.hang, None
        hang.end()
        for finish in hang.commands:
            finish(None)
        if hang.is_told_to_end:
            container.process.terminate()
        container.handle_health_changed()
        return True

"""What the simulated runtime keeps of each Pod and container beside the records that the kubelet reads."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, final

if TYPE_CHECKING:
    from collections.abc import Mapping

    from kubesim.api.objects import Object
    from kubesim.network.sockets import Host, Sockets
    from kubesim.node.runtime import ContainerConfig, ContainerRecord, OnDone, PodSandbox
    from kubesim.node.simulated import SimRuntime
    from kubesim.programs.hanging import Hang
    from kubesim.programs.running import Ending, RunningProcess

_NO_ANNOTATIONS: Final[Mapping[str, str]] = {}


@final
class SimContainer:
    """A container with its process, and who waits for its end."""

    __slots__ = ("config", "hang", "pod", "process", "record", "runtime", "sockets", "stop_calls")

    def __init__(self, runtime: SimRuntime, pod: SimPod, config: ContainerConfig, record: ContainerRecord) -> None:
        self.runtime = runtime
        self.pod = pod
        self.config: ContainerConfig | None = config
        self.record = record
        self.process: RunningProcess | None = None
        self.sockets: Sockets | None = None
        self.hang: Hang | None = None
        self.stop_calls: list[OnDone] | None = None

    def handle_end(self, ending: Ending) -> None:
        """The process has ended."""
        runtime = self.runtime
        record = self.record
        record.state = "exited"
        record.exit_code, record.reason = ending
        record.finished_at_ns = runtime.loop.now_ns
        runtime.output[record.id] = self.process.output if self.process is not None else []
        hang, stop_calls = self.hang, self.stop_calls
        self.process = self.sockets = self.hang = self.stop_calls = None
        runtime.on_process(self.pod.sandbox, record.name, False)
        for finish in hang.commands if hang is not None else ():
            finish(None)
        for on_done in stop_calls or ():
            on_done(None)
        runtime.gate.call(runtime.tell_exit, self.pod.sandbox.uid)

    def handle_health_changed(self) -> None:
        """A probe may turn out differently."""
        self.runtime.on_health_changed(self.pod.sandbox.uid, self.record.name)


@final
class SimPod:
    """A sandbox with its place in the network and what is needed to start its containers."""

    __slots__ = ("annotations", "host", "sandbox")

    def __init__(self, sandbox: PodSandbox, host: Host, pod: Object) -> None:
        self.sandbox = sandbox
        self.host: Host | None = host
        self.annotations: Mapping[str, str] = pod["metadata"].get("annotations") or _NO_ANNOTATIONS

    def containers(self) -> list[SimContainer]:
        """The latest container of each name; a record's handle is its container."""
        return [record.handle for record in self.sandbox.containers.values()]

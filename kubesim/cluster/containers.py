"""Containers by their Pods' names, as who looks into them needs them: the process that runs, and what was written.

The refusals are those of API server and kubelet.
Upstream: pkg/registry/core/pod/strategy.go:LogLocation, streamLocation; pkg/kubelet/kubelet_pods.go @v1.36
"""

from __future__ import annotations

from typing import NamedTuple, final

from kubesim.api.objects import Object
from kubesim.cluster.data_plane import DataPlane
from kubesim.errors import ApiError, bad_request
from kubesim.node.runtime import ContainerRecord
from kubesim.node.simulated import SimRuntime
from kubesim.programs.running import RunningProcess

Line = tuple[int, str]


class Output(NamedTuple):
    """What a container has written, with instants; and its process, where it still may write."""

    lines: list[Line]
    process: RunningProcess | None


@final
class Containers:
    """Finds containers."""

    def __init__(self, data_plane: DataPlane) -> None:
        self._data_plane = data_plane

    def process(self, pod: Object, container: str) -> RunningProcess:
        """The process of a container that runs.

        Raises:
            ApiError: 400, there is no such container; 500, it does not run.
        """
        name = _container_name(pod, container)
        if not pod["spec"].get("nodeName"):
            raise bad_request(f"pod {pod['metadata']['name']} does not have a host assigned")
        runtime = self._runtime(pod)
        process = runtime.process_of(pod["metadata"]["uid"], name) if runtime is not None else None
        if process is None:
            raise ApiError(500, "InternalError", f'unable to upgrade connection: container not found ("{name}")')
        return process

    def output(self, pod: Object, container: str, *, previous: bool) -> Output:
        """What a container has written, or the one before its last restart.

        Raises:
            ApiError: 400, there is no such container, or it has not begun.
        """
        name = _container_name(pod, container)
        runtime = self._runtime(pod)
        if runtime is None:
            return Output([], None)
        uid, pod_name = pod["metadata"]["uid"], pod["metadata"]["name"]
        sandbox = runtime.pods().get(uid)
        record: ContainerRecord | None = sandbox.containers.get(name) if sandbox is not None else None
        if previous:
            if record is None or record.previous is None:
                raise bad_request(f'previous terminated container "{name}" in pod "{pod_name}" not found')
            record = record.previous
        if record is None or record.state == "created":
            raise bad_request(f'container "{name}" in pod "{pod_name}" is waiting to start: {_waiting(pod, name)}')
        process = None if previous else runtime.process_of(uid, name)
        return Output(process.output if process is not None else runtime.output.get(record.id, []), process)

    def _runtime(self, pod: Object) -> SimRuntime | None:
        node = self._data_plane.nodes.get(pod["spec"].get("nodeName", ""))
        return node.runtime if node is not None and isinstance(node.runtime, SimRuntime) else None


def _container_name(pod: Object, given: str) -> str:
    spec, name = pod["spec"], pod["metadata"]["name"]
    own = [each["name"] for each in spec["containers"]]
    initial = [each["name"] for each in spec.get("initContainers") or ()]
    if given:
        ephemeral = [each["name"] for each in spec.get("ephemeralContainers") or ()]
        if given not in (*own, *initial, *ephemeral):
            raise bad_request(f"container {given} is not valid for pod {name}")
        return given
    if len(own) == 1:
        return str(own[0])
    choices = f"choose one of: [{' '.join(own)}]"
    if initial:
        choices += f" or one of the init containers: [{' '.join(initial)}]"
    raise bad_request(f"a container name must be specified for pod {name}, {choices}")


def _waiting(pod: Object, name: str) -> str:
    status = pod.get("status") or {}
    for field in ("containerStatuses", "initContainerStatuses", "ephemeralContainerStatuses"):
        for each in status.get(field) or ():
            if each["name"] == name:
                return str(((each.get("state") or {}).get("waiting") or {}).get("reason", "ContainerCreating"))
    return "ContainerCreating"

"""What can be done to a cluster's Pods and nodes, each noted in the trace. Every fault has its healing twin."""

from __future__ import annotations

from typing import Final, NamedTuple, final

from kubesim.api.objects import Object
from kubesim.apiserver.server import Identity
from kubesim.cluster.data_plane import DataPlane
from kubesim.cluster.recording import Recording
from kubesim.errors import UserError
from kubesim.node.simulated import SimRuntime
from kubesim.sim.loop import Loop

EXIT_SIGKILL = 137
# Who writes objects where a fault wants that somebody is quicker.
SOMEBODY_ELSE: Final = Identity("system:serviceaccount:default:somebody-else", is_trusted=True)


class Noted(NamedTuple):
    """That something was done to the cluster, or ended: `losePower`, `restorePower`, …"""

    at_ns: int
    verb: str
    subject: str


@final
class Faults:
    """Disturbances of the data plane, by objects and names; `log` holds all that was done."""

    def __init__(self, loop: Loop, data_plane: DataPlane, recording: Recording | None) -> None:
        self.log: list[Noted] = []
        # By what is on: whoever has begun it and has not ended it yet.
        self.holders: dict[str, list[object]] = {}
        self._loop = loop
        self._data_plane = data_plane
        self._recording = recording

    def crash(self, pod: Object, container: str = "", exit_code: int = 1) -> None:
        """End the process of a Pod's container, its first one without a name. 137 is a SIGKILL.

        Raises:
            UserError: the Pod has no such container, or it does not run.
        """
        name = self._container(pod, container)
        runtime = self._data_plane.node_of(pod).runtime
        if not runtime.end_container(pod["metadata"]["uid"], name, exit_code):
            raise self._not_running(pod, name)
        how = "is killed (SIGKILL)" if exit_code == EXIT_SIGKILL else f"exits with code {exit_code}"
        self.note("crash", _pod(pod), f"the process of container {name} {how}")

    def exhaust_memory(self, pod: Object, container: str = "") -> None:
        """Let a container's process ask for more memory than its limit.

        Raises:
            UserError: the container has no memory limit, or does not run.
        """
        name = self._container(pod, container)
        spec = next(each for each in pod["spec"]["containers"] if each["name"] == name)
        limit = ((spec.get("resources") or {}).get("limits") or {}).get("memory")
        if limit is None:
            raise UserError(f"{_pod(pod)}: container {name} has no memory limit, so nothing kills it; set one")
        runtime = self._data_plane.node_of(pod).runtime
        process = runtime.process_of(pod["metadata"]["uid"], name) if isinstance(runtime, SimRuntime) else None
        if process is None:
            raise self._not_running(pod, name)
        process.use_memory(1 << 62)
        self.note("oom", _pod(pod), f"container {name} asks for more than its limit of {limit} and is killed")

    def hang(self, pod: Object, container: str = "") -> None:
        """Stop a container's process as SIGSTOP does: it answers nothing any more.

        Raises:
            UserError: it does not run, or hangs already.
        """
        name = self._container(pod, container)
        if not self._data_plane.node_of(pod).runtime.hang_container(pod["metadata"]["uid"], name):
            raise self._not_running(pod, name)
        self.note("hang", _pod(pod), f"the process of container {name} hangs: it lives and answers nothing")

    def wake(self, pod: Object, container: str = "") -> None:
        """The end of `hang`; nothing happens where the container has been replaced meanwhile."""
        name = self._container(pod, container)
        if self._data_plane.node_of(pod).runtime.resume_container(pod["metadata"]["uid"], name):
            self.note("wake", _pod(pod), f"the process of container {name} goes on")

    def lose_power(self, node: str) -> None:
        """A node is gone from one instant to the next."""
        self._data_plane.lose_power(node)
        self.note("losePower", f"node/{node}", "loses power: its Pods are gone, and nobody is told")

    def restore_power(self, node: str) -> None:
        """The node boots again."""
        self._data_plane.restore_power(node)
        self.note("restorePower", f"node/{node}", "has power again and boots")

    def isolate(self, node: str) -> None:
        """A node runs on and reaches nobody."""
        self._data_plane.isolate(node)
        self.note("isolate", f"node/{node}", "is cut off from the network; what runs on it runs on")

    def rejoin(self, node: str) -> None:
        """The end of `isolate`."""
        self._data_plane.rejoin(node)
        self.note("rejoin", f"node/{node}", "has its network again")

    def stop_kubelet(self, node: str) -> None:
        """The kubelet's process is gone; containers and network run on."""
        self._data_plane.node(node).kubelet.stop()
        self.note("stopKubelet", f"node/{node}", "its kubelet stops; containers run on")

    def start_kubelet(self, node: str) -> None:
        """The end of `stop_kubelet`."""
        self._data_plane.start_kubelet(node)
        self.note("startKubelet", f"node/{node}", "its kubelet starts again")

    def note(self, verb: str, subject: str, detail: str) -> None:
        """Keep in mind that this was done, in the trace too where there is one."""
        self.log.append(Noted(self._loop.now_ns, verb, subject))
        if self._recording is not None:
            self._recording.note("fault", verb, subject, detail)

    @staticmethod
    def _container(pod: Object, container: str) -> str:
        names = [each["name"] for each in pod["spec"]["containers"]]
        if container and container not in names:
            raise UserError(f'{_pod(pod)} has no container "{container}"; it has {", ".join(names)}')
        return container or str(names[0])

    @staticmethod
    def _not_running(pod: Object, name: str) -> UserError:
        return UserError(f"{_pod(pod)}: container {name} does not run now; wait until it does")


def _pod(pod: Object) -> str:
    return f"pod/{pod['metadata']['namespace']}/{pod['metadata']['name']}"

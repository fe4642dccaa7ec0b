"""The scenario port's body for real processes: the simulator's cluster, but the wall's time and real users.

What cannot be done to a process here is not offered: its memory has no limit, and a node cannot be cut off from others
that are the same machine.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, final

from kubesim.api.objects import Object
from kubesim.cluster.faults import EXIT_SIGKILL
from kubesim.network.messages import Answer, HttpRequest
from kubesim.processes.stack import ProcessStack
from kubesim.processes.users import RealUsers, ask_at, path_for
from kubesim.scenario.simulated import SimulatedPort
from kubesim.sim.loop import MILLISECOND, SECOND

_SETTLE_NS: Final = 5 * SECOND
_LOOK_NS: Final = 20 * MILLISECOND


@final
class ProcessPort(SimulatedPort):
    """A stack of processes, for a scenario."""

    disturbances = ("crash", "hang", "wake", "losePower", "restorePower", "stopKubelet", "startKubelet")

    def __init__(self, stack: ProcessStack) -> None:
        super().__init__(stack.cluster)
        self._stack = stack
        self._users: list[RealUsers] = []

    def wait_until(self, holds: Callable[[], bool], within_ns: int) -> bool:
        return self._stack.pacer.run(self.now_ns + within_ns, holds) or holds()

    def pass_time(self, span_ns: int, on_change: Callable[[], None] | None = None) -> None:
        def look() -> bool:
            if on_change is not None:
                on_change()
            return False

        self._stack.pacer.run(self.now_ns + span_ns, look)

    def logs(self, pod: Object, container: str = "", *, is_previous: bool = False) -> str:
        metadata = pod["metadata"]
        where = (f"pod/{metadata['name']}", container, metadata["namespace"])
        return self._stack.log_of(*where, is_previous=is_previous).read_text(errors="replace")

    def call(self, service: str, request: HttpRequest, namespace: str = "") -> Answer:
        async def go() -> Answer:
            return await ask_at(lambda: self._stack.service_address(service, namespace))(request)

        pacer = self._stack.pacer
        task = pacer.aio.create_task(go())
        while not task.done():
            pacer.run(pacer.wall_ns() + _LOOK_NS)
        return task.result()

    def settle(self) -> None:
        pacer = self._stack.pacer
        end_ns = pacer.wall_ns() + _SETTLE_NS
        while any(users.is_waiting for users in self._users) and pacer.wall_ns() < end_ns:
            pacer.run(pacer.wall_ns() + _LOOK_NS)

    def disturb_pod(self, name: str, pod: Object, container: str, exit_code: int) -> None:
        # Nobody can make a real process exit with a code of our choice.
        super().disturb_pod(name, pod, container, EXIT_SIGKILL if name == "crash" else exit_code)

    def start_users(self, service: str, namespace: str, rate_per_second: float, write_percent: int) -> RealUsers:
        users = self._stack.start_users(
            service, namespace, rate_per_second, write_percent, path=path_for(write_percent)
        )
        self._users.append(users)
        return users

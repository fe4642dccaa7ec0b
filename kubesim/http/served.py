"""A cluster with its server and its pace: what `kubesim serve` runs, and a test in a thread of its own.

with ServedCluster(nodes=2) as served:
    client = kubernetes.config.new_client_from_config_dict(served.kubeconfig)
"""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Callable, Coroutine
from types import TracebackType
from typing import Any, Final, TypeVar, final

from kubesim.api.timestamps import EPOCH
from kubesim.cluster import Cluster
from kubesim.errors import UserError
from kubesim.http.activity import Activity
from kubesim.http.control import Control
from kubesim.http.faults import Faults, read_wish
from kubesim.http.pace import MAX, Pace
from kubesim.sim.loop import SECOND

LOOPBACK: Final = "127.0.0.1"
# Upstream: kube-apiserver --etcd-compaction-interval=5m
_COMPACTION_S: Final = 300.0
# How a cluster is made that is served: nobody reads a trace of it, and clients are slower than its time.
SERVED: Final[dict[str, Any]] = {"records": False, "compacts": False}
T = TypeVar("T")


def wall_ns() -> int:
    """The wall clock as an instant of the simulation."""
    return time.time_ns() - int(EPOCH.timestamp()) * SECOND


def bind(port: int) -> socket.socket:
    """A socket at this port of the loopback address; 0 is any that is free.

    Raises:
        UserError: it is taken.
    """
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        sock.bind((LOOPBACK, port))
    except OSError as error:
        sock.close()
        why = (error.strerror or "unknown").lower()
        raise UserError(f"port {port}: {why}; name another one, or 0 for any") from error
    sock.setblocking(False)
    return sock


@final
class Endpoint:
    """A cluster's server, to be started within an asyncio loop."""

    def __init__(self, cluster: Cluster, speed: float, *, is_plain: bool = False) -> None:
        from kubesim.http.serving import Serving

        self.pace = Pace(cluster.loop, Activity(cluster.store), speed)
        self.faults = Faults(cluster)
        self._server = cluster.plane.server
        self._compaction: asyncio.TimerHandle | None = None
        certificates = tls = None
        if not is_plain:
            from kubesim.http.certificates import make_certificates, server_context

            certificates = make_certificates(LOOPBACK)
            tls = server_context(certificates)
        self._certificates = certificates
        self._serving = Serving(cluster.plane, cluster.data_plane, self.pace, Control(self.pace, self.faults), tls)

    @property
    def url(self) -> str:
        """Where it listens, once started."""
        return self._serving.url

    def kubeconfig(self) -> dict[str, Any]:
        """What a client needs to know."""
        from kubesim.http.kubeconfig import kubeconfig

        return kubeconfig(self.url, self._certificates)

    async def start(self, sock: socket.socket) -> None:
        """Answer, and let time pass."""
        await self._serving.start(sock)
        self._schedule_compaction()

    async def stop(self) -> None:
        """The end of `start`."""
        if self._compaction is not None:
            self._compaction.cancel()
        await self._serving.stop()

    def _schedule_compaction(self) -> None:
        self._compaction = asyncio.get_running_loop().call_later(_COMPACTION_S, self._compact)

    def _compact(self) -> None:
        self._server.compact()
        self._schedule_compaction()


@final
class ServedCluster:
    """A cluster behind HTTP in a thread of this process, for tests with clients that block."""

    def __init__(self, *, speed: float = MAX, insecure_http: bool = False, **options: Any) -> None:
        """`speed` is that of virtual time, `MAX` for as fast as it can; `options` are those of the cluster.

        Raises:
            UserError: an option is out of range.
        """
        self.cluster = Cluster(**SERVED, **options)
        self._endpoint = Endpoint(self.cluster, speed, is_plain=insecure_http)
        self._aio = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._aio.run_forever, name="kubesim serve", daemon=True)
        self._thread.start()
        self._await(self._endpoint.start(bind(0)))
        self.url = self._endpoint.url
        self.kubeconfig = self._endpoint.kubeconfig()

    def __enter__(self) -> ServedCluster:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Stop server and cluster."""
        if self._aio.is_closed():
            return
        self._await(self._endpoint.stop())
        self.call(lambda cluster: cluster.close())
        self._aio.call_soon_threadsafe(self._aio.stop)
        self._thread.join()
        self._aio.close()

    def call(self, function: Callable[[Cluster], T]) -> T:
        """Do something with the cluster between two requests: inject a fault, look at an object."""

        async def carried_out() -> T:
            self._endpoint.pace.catch_up()
            try:
                return function(self.cluster)
            finally:
                self._endpoint.pace.nudge()

        return self._await(carried_out())

    def inject(self, fault: str, argument: Any = None, *, seconds: float | None = None) -> dict[str, Any]:
        """Do a fault of the catalogue now, as in `inject("losePower", {"node": "node-1"}, seconds=90)`.

        Returns what it was done to and, where it lasts, its `id`; without `seconds` it lasts until it is healed.

        Raises:
            UserError: there is no such fault, the argument is wrong, or it cannot be done now.
            ApiError: the API server refuses it.
        """
        span = {} if seconds is None else {"for": f"{seconds}s"}
        wish = read_wish({fault: argument, **span})
        return self.call(lambda _: self._endpoint.faults.inject(wish))

    def faults(self) -> list[dict[str, Any]]:
        """The faults that are on, as `inject` has returned them."""
        return self.call(lambda _: self._endpoint.faults.active())

    def heal(self, number: int | None = None) -> None:
        """End the fault with this `id`, if it is on still; without one all that are."""
        faults = self._endpoint.faults
        self.call(lambda _: faults.heal_all() if number is None else faults.heal(number))

    def set_speed(self, speed: float) -> None:
        """Virtual seconds a second, or `MAX`; ends a pause."""
        self.call(lambda _: self._endpoint.pace.set_speed(speed))

    def pause(self) -> None:
        """Let virtual time stand still."""
        self.call(lambda _: self._endpoint.pace.pause())

    def step(self, seconds: float) -> None:
        """Let virtual time pass as fast as it can, also in a pause."""
        self._await(self._endpoint.pace.advance(round(seconds * SECOND)))

    def run_until_quiet(self, within: float = 3600) -> float:
        """Let time pass until nothing but heartbeats happens; returns how many virtual seconds that took."""
        return self._await(self._endpoint.pace.advance(round(within * SECOND), until_quiet=True)) / SECOND

    def _await(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._aio).result()

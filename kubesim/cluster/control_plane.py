"""The API server with its store, and what runs on top of it: kube-controller-manager and the scheduler."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, final

from kubesim.apiserver.server import ApiServer, Identity
from kubesim.client.informer import InformerFactory
from kubesim.client.inprocess import InProcessClient
from kubesim.client.ratelimit import TokenBucket
from kubesim.client.recorder import Recorder
from kubesim.cluster.options import ClusterOptions
from kubesim.controllers.base import Controller, ControllerContext, Runner
from kubesim.controllers.registry import CONTROLLERS, LIMIT_FACTORS
from kubesim.scheduler.scheduler import NAME, Scheduler
from kubesim.sim.chooser import Chooser
from kubesim.sim.loop import MILLISECOND, MINUTE, Loop
from kubesim.store.log import Store

# Upstream: kube-apiserver --etcd-compaction-interval=5m
_COMPACTION_NS = 5 * MINUTE
_SYNC_POLL_NS = MILLISECOND
OnError = Callable[[str, Any, Exception], None]


@final
class ControlPlane:
    """API server and store. Clients for everything else are made here, each with its identity and limit."""

    def __init__(self, loop: Loop, chooser: Chooser, options: ClusterOptions) -> None:
        self.loop = loop
        self.store = Store()
        self.server = ApiServer(loop, self.store, chooser.stream("api-server"))
        self._options = options
        if options.compacts:
            loop.post(_COMPACTION_NS, self._compact, None)

    def client(self, user: str, qps: int = 0, burst: int = 0) -> InProcessClient:
        """A component's connection; a `qps` of 0 means that it limits itself by nothing."""
        limit = TokenBucket(qps, burst) if qps else None
        identity = Identity(user, is_trusted=True, manager=_program(user))
        return InProcessClient(self.loop, self.server, identity, self._options.latency, limit)

    def _compact(self, _: None) -> None:
        self.server.compact()
        self.loop.post(_COMPACTION_NS, self._compact, None)


def _program(user: str) -> str:
    """The program behind a user, whose name its fields are managed by."""
    if user.startswith("system:node:"):
        return "kubelet"
    return "kube-controller-manager" if ":serviceaccount:" in user else user.removeprefix("system:")


@final
class ControllerManager:
    """All controllers of the registry over one set of informers."""

    def __init__(
        self, plane: ControlPlane, chooser: Chooser, options: ClusterOptions, on_error: OnError | None = None
    ) -> None:
        self._loop = plane.loop
        self._plane = plane
        self._chooser = chooser
        self._limits = options.limits
        self._on_error = on_error
        self.informers = InformerFactory(plane.loop, plane.client("system:kube-controller-manager"))
        self.controllers: dict[str, Controller] = {}
        self._clients: dict[str, InProcessClient] = {}
        self._runners: dict[str, list[Runner]] = {}
        for name, make in CONTROLLERS.items():
            self._make(name, make)
        self.informers.start()
        self._start_when_synced(None)

    def add(self, name: str, make: Callable[[ControllerContext], Controller]) -> None:
        """Run one more controller in this process, with a service account and a limit of its own."""
        self._make(name, make)
        self.informers.start()
        self._start_when_synced(None)

    def _make(self, name: str, make: Callable[[ControllerContext], Controller]) -> None:
        limits, loop = self._limits, self._loop
        qps, burst = (limits.controller_qps, limits.controller_burst) if limits else (0, 0)
        qps_factor, burst_factor = LIMIT_FACTORS.get(name, (1, 1))
        user = f"system:serviceaccount:kube-system:{name}"
        client = self._plane.client(user, qps * qps_factor, burst * burst_factor)
        # Events go through the same client but are sent by a goroutine of their own, limited by the same bucket.
        recorder = Recorder(loop, client, name)
        context = ControllerContext(loop, client, self.informers, recorder, self._chooser.stream(name))
        self._clients[name] = client
        self.controllers[name] = make(context)

    def _start_when_synced(self, _: None) -> None:
        if not self.informers.synced:
            self._loop.post(_SYNC_POLL_NS, self._start_when_synced, None)
            return
        for name, controller in self.controllers.items():
            if name not in self._runners:
                client, report = self._clients[name], self._reporter(name)
                runners = [Runner(self._loop, client, worker, report) for worker in controller.workers]
                self._runners[name] = runners
                for runner in runners:
                    runner.start()

    def _reporter(self, name: str) -> Callable[[Any, Exception], None] | None:
        report = self._on_error
        return None if report is None else lambda key, error: report(name, key, error)

    def stop(self) -> None:
        """The process ends where it stands."""
        self.informers.stop()
        for runners in self._runners.values():
            for runner in runners:
                runner.stop()


@final
class SchedulerProcess:
    """The default scheduler with informers of its own."""

    def __init__(self, plane: ControlPlane, chooser: Chooser, options: ClusterOptions) -> None:
        limits = options.limits
        qps, burst = (limits.scheduler_qps, limits.scheduler_burst) if limits else (0, 0)
        client = plane.client("system:kube-scheduler", qps, burst)
        # Informers list and watch; upstream's limit does not hold long-running requests back.
        self._informers = InformerFactory(plane.loop, plane.client("system:kube-scheduler"))
        recorder = Recorder(plane.loop, client, NAME)
        self.scheduler = Scheduler(plane.loop, client, self._informers, recorder, chooser.stream(NAME))
        self._informers.start()

    def stop(self) -> None:
        """The process ends where it stands."""
        self._informers.stop()
        self.scheduler.stop()

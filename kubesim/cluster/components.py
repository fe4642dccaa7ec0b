"""kube-controller-manager and the scheduler as processes: made anew with every term, with empty caches and queues.

What an earlier one had sent and not been answered is lost with it; what it had in mind is, too.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, final

from kubesim.client.informer import InformerFactory
from kubesim.client.inprocess import InProcessClient
from kubesim.client.recorder import Recorder
from kubesim.cluster.control_plane import ControlPlane
from kubesim.cluster.leadership import Leadership
from kubesim.cluster.options import ClusterOptions
from kubesim.controllers.base import Controller, ControllerContext, Runner
from kubesim.controllers.registry import CONTROLLERS, LIMIT_FACTORS
from kubesim.scheduler.scheduler import NAME, Scheduler
from kubesim.sim.chooser import Chooser
from kubesim.sim.loop import MILLISECOND

CONTROLLER_MANAGER: Final = "kube-controller-manager"
SCHEDULER: Final = "kube-scheduler"
# How often it is looked whether the first lists are there. Upstream: cache.WaitForCacheSync looks every 100 ms; while
# all is well they are there at once.
_SYNC_POLL_NS: Final = MILLISECOND
_SYNC_POLL_LATER_NS: Final = 100 * MILLISECOND
_QUICK_POLLS: Final = 50
OnError = Callable[[str, Any, Exception], None]


@final
class _Copies:
    """The informers of one process, with the connection that they use."""

    def __init__(self, plane: ControlPlane, user: str, process: str) -> None:
        self._plane = plane
        # Informers list and watch; the limits of components do not hold long-running requests back.
        self._client = plane.client(user, process=process)
        self.informers = InformerFactory(plane.loop, self._client)
        self.is_over = False

    def start(self, on_synced: Callable[[], None]) -> None:
        """Fill the copies, then call back, unless the process has ended by then."""
        self.informers.start()
        self._look((on_synced, 0))

    def _look(self, waiting: tuple[Callable[[], None], int]) -> None:
        on_synced, polls = waiting
        if self.is_over:
            return
        if self.informers.synced:
            on_synced()
        else:
            wait_ns = _SYNC_POLL_NS if polls < _QUICK_POLLS else _SYNC_POLL_LATER_NS
            self._plane.loop.post(wait_ns, self._look, (on_synced, polls + 1))

    def stop(self) -> None:
        self.is_over = True
        self.informers.stop()
        self._plane.close(self._client)


@final
class _Running:
    """One controller from its start to its end."""

    def __init__(self, plane: ControlPlane, controller: Controller, client: InProcessClient) -> None:
        self.controller = controller
        self._plane = plane
        self._client = client
        self._runners: list[Runner] = []
        # Where it has a process of its own.
        self.copies: _Copies | None = None
        self.is_over = False

    def start(self, report: Callable[[Any, Exception], None] | None) -> None:
        if self.is_over:
            return
        for worker in self.controller.workers:
            runner = Runner(self._plane.loop, self._client, worker, report)
            self._runners.append(runner)
            runner.start()

    def stop(self) -> None:
        self.is_over = True
        for runner in self._runners:
            runner.stop()
        self._plane.close(self._client)
        if self.copies is not None:
            self.copies.stop()


@final
class ControllerManager:
    """All controllers of the registry over one set of informers; single ones can crash and come back.

    One that has come back by itself has informers of its own, as an operator has.
    """

    def __init__(
        self, plane: ControlPlane, chooser: Chooser, options: ClusterOptions, on_error: OnError | None = None
    ) -> None:
        self._plane = plane
        self._chooser = chooser
        self._limits = options.limits
        self._on_error = on_error
        self._copies: _Copies | None = None
        self._running: dict[str, _Running] = {}
        self._crashed: dict[str, None] = {}
        self._makers = dict(CONTROLLERS)
        self._restarted_ns = 0
        # By how much longer a cloud takes to attach and detach disks.
        self.attach_delay_ns = 0
        stream = chooser.stream(f"leader-election/{CONTROLLER_MANAGER}")
        self.leadership = Leadership(plane, CONTROLLER_MANAGER, stream, self._start, self._stop)
        self.leadership.begin()

    @property
    def controllers(self) -> dict[str, Controller]:
        """Those that run, by name."""
        return {name: running.controller for name, running in self._running.items()}

    @property
    def whole_since_ns(self) -> int | None:
        """Since when all controllers have run; None where one does not at this moment."""
        is_whole = self.leadership.is_leading and not self._crashed
        return max(self.leadership.since_ns, self._restarted_ns) if is_whole else None

    def stop(self) -> None:
        """The cluster is closed: the process ends where it stands."""
        self.leadership.end()

    def add(self, name: str, make: Callable[[ControllerContext], Controller]) -> None:
        """Run one more controller in this process, with a service account and a limit of its own."""
        self._makers[name] = make
        if self._copies is not None and self.leadership.is_leading:
            running = self._make(name, self._copies)
            self._copies.start(lambda: running.start(self._reporter(name)))

    def crash_controller(self, name: str) -> None:
        """One controller ends between two of its steps; the others go on, and it stays away until it is restarted."""
        self._crashed[name] = None
        running = self._running.pop(name, None)
        if running is not None:
            running.stop()

    def restart_controller(self, name: str) -> None:
        """It begins anew, with copies that are to be filled first."""
        if name not in self._crashed:
            return
        del self._crashed[name]
        self._restarted_ns = self._plane.loop.now_ns
        if self.leadership.is_leading:
            copies = _Copies(self._plane, _user_of(name), CONTROLLER_MANAGER)
            running = self._make(name, copies)
            running.copies = copies
            copies.start(lambda: running.start(self._reporter(name)))

    def _start(self) -> None:
        copies = self._copies = _Copies(self._plane, "system:kube-controller-manager", CONTROLLER_MANAGER)
        started = {name: self._make(name, copies) for name in self._makers if name not in self._crashed}

        def on_synced() -> None:
            for name, running in started.items():
                running.start(self._reporter(name))

        copies.start(on_synced)

    def _stop(self) -> None:
        for running in self._running.values():
            running.stop()
        self._running.clear()
        if self._copies is not None:
            self._copies.stop()

    def _make(self, name: str, copies: _Copies) -> _Running:
        plane, limits = self._plane, self._limits
        qps, burst = (limits.controller_qps, limits.controller_burst) if limits else (0, 0)
        qps_factor, burst_factor = LIMIT_FACTORS.get(name, (1, 1))
        client = plane.client(_user_of(name), qps * qps_factor, burst * burst_factor, CONTROLLER_MANAGER)
        # Events go through the same client but are sent by a goroutine of their own, limited by the same bucket.
        recorder = Recorder(plane.loop, client, name)
        stream = self._chooser.stream(name)
        context = ControllerContext(
            plane.loop, client, copies.informers, recorder, stream, attach_delay_ns=lambda: self.attach_delay_ns
        )
        running = self._running[name] = _Running(plane, self._makers[name](context), client)
        return running

    def _reporter(self, name: str) -> Callable[[Any, Exception], None] | None:
        report = self._on_error
        return None if report is None else lambda key, error: report(name, key, error)


def _user_of(controller: str) -> str:
    return f"system:serviceaccount:kube-system:{controller}"


@final
class SchedulerProcess:
    """The default scheduler with informers of its own."""

    def __init__(self, plane: ControlPlane, chooser: Chooser, options: ClusterOptions) -> None:
        self._plane = plane
        self._stream = chooser.stream(NAME)
        self._limits = options.limits
        self._copies: _Copies | None = None
        self._client: InProcessClient | None = None
        self._scheduler: Scheduler | None = None
        stream = chooser.stream(f"leader-election/{SCHEDULER}")
        self.leadership = Leadership(plane, SCHEDULER, stream, self._start, self._stop)
        self.leadership.begin()

    def stop(self) -> None:
        """The cluster is closed: the process ends where it stands."""
        self.leadership.end()

    def _start(self) -> None:
        plane, limits = self._plane, self._limits
        qps, burst = (limits.scheduler_qps, limits.scheduler_burst) if limits else (0, 0)
        client = self._client = plane.client("system:kube-scheduler", qps, burst)
        copies = self._copies = _Copies(plane, "system:kube-scheduler", SCHEDULER)
        recorder = Recorder(plane.loop, client, NAME)
        self._scheduler = Scheduler(plane.loop, client, copies.informers, recorder, self._stream)
        copies.informers.start()

    def _stop(self) -> None:
        if self._scheduler is not None and self._copies is not None and self._client is not None:
            self._copies.stop()
            self._scheduler.stop()
            self._plane.close(self._client)

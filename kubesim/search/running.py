"""One run: faults strike a settled cluster under load while invariants watch, then all is healed and it must recover.

A `Setting` is all that a run depends on beside its schedule, as a value that can be written to a file and sent to
another process. A `Stage` is a cluster that has been brought up from it and waits for a schedule.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple, final

import msgspec

from kubesim.checks import INVARIANTS, Checks, Violation
from kubesim.cluster import Cluster, ClusterOptions, ready
from kubesim.errors import UserError
from kubesim.faults import Fired, Schedule, arm
from kubesim.manifests import load
from kubesim.scenario.model import reference_to
from kubesim.search.attendance import Attendance
from kubesim.search.budgets import Budget, find_overrun
from kubesim.search.states import States
from kubesim.sim.loop import MINUTE, SECOND
from kubesim.users.load import Load

COMES_UP_NS: Final = 5 * MINUTE
_SELF_STARTING: Final = ("Deployment", "StatefulSet", "ReplicaSet", "Pod")
# After everything is ready: until what the start has set in motion is at rest.
_SETTLE_NS: Final = 30 * SECOND


class Users(msgspec.Struct, frozen=True, kw_only=True):
    """Users of one Service, throughout every run."""

    service: str
    namespace: str = ""
    rate_per_second: float = 1
    write_percent: int = 20


class Setting(msgspec.Struct, frozen=True, kw_only=True):
    """What every run of a schedule has in common.

    `sources` are manifest files. Faults strike within `disturbed_ns`, then all is healed, and the cluster must be as
    desired `within_ns` and stay so for `stays_ns`; a run lasts `lasts_ns` at least. `availability` is the least share
    of all requests that must be served, `recovery_ns` the longest that users may do without, 0 for any. Without
    `invariants` all that there are watch.

    Of Python alone: `prepare(cluster)` is called with the fresh cluster, to add a controller of one's own; `own` are
    invariants of one's own, which watch from when everything is up. Neither can be written to a file.
    """

    sources: tuple[str, ...]
    options: ClusterOptions = ClusterOptions(records=False)
    users: Users | None = None
    invariants: tuple[str, ...] = ()
    availability: float = 0.0
    recovery_ns: int = 0
    disturbed_ns: int = 5 * MINUTE
    within_ns: int = 10 * MINUTE
    stays_ns: int = MINUTE
    lasts_ns: int = 10 * MINUTE
    prepare: Any = None
    own: tuple[Any, ...] = ()


class Played(NamedTuple):
    """What came of one schedule: the first broken promise if there is one, what was done, how users fared from
    `start_ns` to `end_ns`, and the abstract states that the cluster was in."""

    violation: Violation | None
    fired: tuple[Fired, ...]
    start_ns: int
    end_ns: int
    served: int
    requests: int
    states: tuple[int, ...]

    @property
    def availability(self) -> float:
        """The share of requests that were served; 1 where there were none."""
        return self.served / self.requests if self.requests else 1.0


@final
class Stage:
    """A settled cluster with users and invariants, at the instant at which a schedule begins.

    Schedules can be played one after the other: each leaves a cluster that has recovered, or a violation.
    """

    def __init__(self, setting: Setting) -> None:
        """Bring it up.

        Raises:
            UserError: the manifests have mistakes, or what they describe does not come up.
        """
        self.setting = setting
        self.cluster = cluster = Cluster(setting.options)
        if setting.prepare is not None:
            setting.prepare(cluster)
        self.checks = Checks(cluster, setting.invariants or INVARIANTS)
        applied = cluster.apply_loaded(load(*setting.sources))
        for obj in applied:
            if obj["kind"] in _SELF_STARTING:
                _await_ready(cluster, str(reference_to(obj, applied)))
        cluster.loop.run_until(cluster.now_ns + _SETTLE_NS)
        for invariant in setting.own:
            invariant.attach(self.checks.scene)
        self.states = States(cluster)
        users = setting.users
        self.load: Load | None = None
        self._attendance: Attendance | None = None
        if users is not None:
            self.load = cluster.load(
                users.service,
                users.namespace,
                rate_per_second=users.rate_per_second,
                write_percent=users.write_percent,
            )
            self._attendance = Attendance(cluster, self.load)

    def play(self, schedule: Schedule) -> Played:
        """Let the schedule strike, heal everything, and wait for recovery; stops at the first broken promise."""
        cluster, setting, checks = self.cluster, self.setting, self.checks
        loop = cluster.loop
        start_ns = loop.now_ns
        self.states.begin()
        armed = arm(cluster, schedule)
        if self._attendance is not None:
            self._attendance.expect(schedule)
        loop.run_until(start_ns + setting.disturbed_ns, self._is_broken)
        violation = checks.violation
        if violation is None:
            armed.heal_all()
            if self._attendance is not None:
                self._attendance.come()
            violation = checks.converge(setting.within_ns, setting.stays_ns)
            if violation is None and loop.now_ns < start_ns + setting.lasts_ns:
                loop.run_until(start_ns + setting.lasts_ns, self._is_broken)
            violation = checks.violation or violation or self._find_overrun(start_ns)
        served, requests = self._count(start_ns)
        return Played(violation, tuple(armed.fired), start_ns, loop.now_ns, served, requests, self.states.seen())

    def _is_broken(self) -> bool:
        return bool(self.checks.violations)

    def _count(self, start_ns: int) -> tuple[int, int]:
        if self.load is None:
            return 0, 0
        counts = self.load.report.count(start_ns, self.cluster.now_ns)
        return counts.served, counts.total

    def _find_overrun(self, start_ns: int) -> Violation | None:
        setting = self.setting
        if self.load is None or setting.users is None:
            return None
        budget = Budget(setting.availability, setting.recovery_ns)
        return find_overrun(budget, self.load, setting.users.service, start_ns, self.cluster.now_ns)


def _await_ready(cluster: Cluster, reference: str) -> None:
    namespace, _, rest = reference.partition("/")
    own, space = (rest, namespace) if "/" in rest else (reference, "")
    condition = ready(own, space)
    left_ns = COMES_UP_NS - cluster.now_ns
    if left_ns <= 0 or not cluster.wait(condition.holds, left_ns / SECOND):
        minutes = COMES_UP_NS // MINUTE
        raise UserError(
            f"{reference} is not ready after {minutes} minutes without any fault; see why with: kubesim run"
        )


def with_options(setting: Setting, **changes: Any) -> Setting:
    """The setting with some of its cluster's options changed."""
    return msgspec.structs.replace(setting, options=setting.options.with_changes(changes))

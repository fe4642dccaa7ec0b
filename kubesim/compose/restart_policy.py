"""Whether dockerd starts a container again that has ended, and after what wait.

The wait begins at 100 ms and doubles with every end, up to a minute; a run of 10 s or more sets it back. Measured on
dockerd 20.10: a container that ends at once is up again after 0.1, 0.2, 0.4, 0.8, 1.6 and 3.2 s, each with some 0.25 s
for the start itself.
Upstream: moby restartmanager/restartmanager.go:ShouldRestart; docs /engine/containers/start-containers-automatically
"""

from __future__ import annotations

from typing import Final, NamedTuple, final

from kubesim.sim.loop import MILLISECOND, MINUTE, SECOND

BACKOFF_MIN_NS: Final = 100 * MILLISECOND
BACKOFF_MAX_NS: Final = MINUTE
# A run this long means that the container works.
STEADY_NS: Final = 10 * SECOND

NO, ALWAYS, ON_FAILURE, UNLESS_STOPPED = "no", "always", "on-failure", "unless-stopped"
POLICIES: Final = (NO, ALWAYS, ON_FAILURE, UNLESS_STOPPED)


class RestartPolicy(NamedTuple):
    """One of `POLICIES`; `retries_max` bounds on-failure, 0 does not."""

    name: str = NO
    retries_max: int = 0


@final
class Restarts:
    """The restarts of one container: made anew, with `count` kept, whenever the container is started by a command."""

    __slots__ = ("_delay_ns", "_is_cancelled", "_policy", "count")

    def __init__(self, policy: RestartPolicy) -> None:
        self._policy = policy
        self._delay_ns = 0
        self._is_cancelled = False
        self.count = 0

    def cancel(self) -> None:
        """`docker stop` and `docker kill`: whatever the policy, the next end is the last.

        Upstream: moby daemon/kill.go:killWithSignal (ExitOnNext)
        """
        self._is_cancelled = True

    def renew(self, *, resets_count: bool) -> None:
        """The container is started by a command or by a daemon that starts; only a command sets the count back.

        Upstream: moby container/container.go:ResetRestartManager
        """
        self._is_cancelled = False
        self._delay_ns = 0
        if resets_count:
            self.count = 0

    def decide(self, exit_code: int, ran_ns: int, *, is_manually_stopped: bool) -> int | None:
        """The container has ended: how long to wait before it is started again, or None to leave it."""
        if self._policy.name == NO or self._is_cancelled:
            return None
        if ran_ns >= STEADY_NS:
            self._delay_ns = 0
        self._delay_ns = min(self._delay_ns * 2 or BACKOFF_MIN_NS, BACKOFF_MAX_NS)
        if not is_wanted(self._policy, exit_code, self.count, is_manually_stopped=is_manually_stopped):
            return None
        self.count += 1
        return self._delay_ns


def is_wanted(policy: RestartPolicy, exit_code: int, restarts: int, *, is_manually_stopped: bool) -> bool:
    """Whether a container that is down is to run again: asked at each end, and for every container at a daemon's start.

    `always` does not look at how the container was stopped; that a stop by hand lasts is the cancelling's doing, which
    a daemon that starts has forgotten. So after a reboot `always` brings back what a person had stopped, and so does
    `on-failure` where the exit code was not 0, as after `docker kill`; only `unless-stopped` leaves it.
    Upstream: moby container/container.go:ShouldRestart, daemon/daemon.go:restore
    """
    if policy.name == ALWAYS:
        return True
    if policy.name == UNLESS_STOPPED:
        return not is_manually_stopped
    if policy.name == ON_FAILURE:
        return exit_code != 0 and (not policy.retries_max or restarts < policy.retries_max)
    return False

"""Users who come when something happens and go when all has been quiet for a while.

While a cluster is at rest every request is served like the one before; thousands of them would cost a search more than
everything else and tell it nothing. What users see is counted over the times in which something was going on.
"""

from __future__ import annotations

from typing import Final, final

from kubesim.apiserver.server import Write
from kubesim.cluster import Cluster
from kubesim.faults import Schedule
from kubesim.sim.loop import SECOND
from kubesim.users.load import Load

# Longer than any time-out, and than the cluster takes from one consequence of a fault to the next.
QUIET_NS: Final = 20 * SECOND
_SAY_NOTHING: Final = ("Lease", "Event")


@final
class Attendance:
    """Starts and stops a load by what is written and by the instants of a schedule."""

    def __init__(self, cluster: Cluster, load: Load) -> None:
        self._loop = cluster.loop
        self._load = load
        self._is_on = True
        self._last_ns = cluster.now_ns
        cluster.listen(self._on_write)
        self._loop.post(QUIET_NS, self._look, None)

    def expect(self, schedule: Schedule) -> None:
        """Come when a disturbance of this schedule, which is armed now, strikes or is healed."""
        for disturbance in schedule:
            if disturbance.at is not None:
                self._loop.post(disturbance.at, self.come, None)
                if disturbance.lasts is not None:
                    self._loop.post(disturbance.at + disturbance.lasts, self.come, None)

    def come(self, _: None = None) -> None:
        """Something is going on now."""
        self._last_ns = self._loop.now_ns
        if not self._is_on:
            self._is_on = True
            self._load.start()
            self._loop.post(QUIET_NS, self._look, None)

    def _on_write(self, write: Write) -> None:
        kind = write.kind.kind
        if kind in _SAY_NOTHING or (kind == "Node" and write.subresource == "status" and write.verb == "patched"):
            return
        self.come()

    def _look(self, _: None) -> None:
        left_ns = self._last_ns + QUIET_NS - self._loop.now_ns
        if left_ns > 0:
            self._loop.post(left_ns, self._look, None)
        else:
            self._is_on = False
            self._load.stop()

"""What stands between components and the API, now or until a moment ago: some promises are void then.

Who sees everything late has not broken its word by acting on it, and who was not told what became of its request may
ask for the same once more. Read from the log of faults, each entry once.
"""

from __future__ import annotations

from typing import Final, final

from kubesim.cluster import Cluster
from kubesim.sim.loop import SECOND

# After which a component may not know what it has done.
_UNKNOWN: Final = (
    "stopApiServer",
    "overloadApiServer",
    "loseReplies",
    "freezeReads",
    "crashComponent",
    "changeLeader",
)
_INSTANTS: Final = ("changeLeader",)
_ENDS: Final = ("heal", "startApiServer")
# For how long it is felt.
_AFTER_NS: Final = 90 * SECOND
_BEGUN_NS: Final = SECOND


@final
class Disturbances:
    """Those of one run."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._log = cluster.faults.log
        self._read = 0
        # By subject: how many are on that leave components without an answer.
        self._on: dict[str, int] = {}
        self._unknown_ns = -_AFTER_NS

    def _take_in(self) -> None:
        for noted in self._log[self._read :]:
            on = self._on.get(noted.subject, 0)
            if noted.verb in _ENDS and on:
                self._on[noted.subject] = on - 1
                self._unknown_ns = noted.at_ns
            elif noted.verb in _UNKNOWN:
                self._unknown_ns = noted.at_ns
                if noted.verb not in _INSTANTS:
                    self._on[noted.subject] = on + 1
        self._read = len(self._log)

    def is_any(self) -> bool:
        """Whether components may see the API late or not at all."""
        calm_ns = self._cluster.calm_since_ns
        if calm_ns is None:
            return True
        # A control plane that has been calm since it began has never been anything else.
        return calm_ns > _BEGUN_NS and self._cluster.loop.now_ns - calm_ns < _AFTER_NS

    def has_lost_replies(self) -> bool:
        """Whether they may not know what they have done."""
        if self._read != len(self._log):
            self._take_in()
        return self._cluster.loop.now_ns - self._unknown_ns < _AFTER_NS or any(self._on.values())

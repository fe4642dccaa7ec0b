"""What users were told is stored stays stored, as long as the volume does that it was written to, and what it holds."""

from __future__ import annotations

from typing import final

from kubesim.api.kinds import PERSISTENT_VOLUME
from kubesim.apiserver.server import Write
from kubesim.checks.invariant import GRACE_NS, Scene, is_removal

# The fault that takes away what is on a volume.
_EMPTIED = "loseVolume"


@final
class WritesKept:
    """Looked at when the cluster is at rest. A database without a volume that outlives its Pod promises nothing."""

    name = "writesKept"
    promise = "No write that a user was told is stored is lost while its volume lives."

    def __init__(self) -> None:
        self._lost_ns = -1

    def attach(self, scene: Scene) -> None:
        """Remember when a volume was last lost; compare at rest."""
        self._scene = scene
        scene.on_write(PERSISTENT_VOLUME, self._handle_volume)
        scene.on_rest(self._handle_rest)

    def _handle_volume(self, write: Write) -> None:
        if is_removal(write):
            self._lost_ns = self._scene.now_ns

    def _handle_rest(self) -> None:
        cluster = self._scene.cluster
        if not cluster.data_plane.caches.disks:
            return
        # Who was told a moment later was told of what was stored before.
        emptied_ns = [noted.at_ns + GRACE_NS for noted in cluster.faults.log if noted.verb == _EMPTIED]
        lost_ns = max([self._lost_ns, *emptied_ns])
        for load in cluster.loads:
            lost = [key for key in cluster.audit(load).lost if load.ledger.acknowledged_ns(key) > lost_ns]
            if lost:
                at_s = load.ledger.acknowledged_ns(lost[0]) / 1e9
                text = f"has lost {len(lost)} acknowledged writes, the first one acknowledged at {at_s:.3f} s"
                self._scene.report(self.name, f"table/{load.ledger.table}", text)

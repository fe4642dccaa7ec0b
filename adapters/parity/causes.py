"""Why the simulator is known to differ from a recording: by scenario and subject. What is listed here must differ."""

from __future__ import annotations

from typing import Final

_FINALIZER: Final = (
    "chance: a sync of the volume binder put its finalizer back just before the deletion, whose write then came second"
)

CAUSES: Final[dict[tuple[str, str], str]] = {
    ("claim-protection", "persistentvolumes/pv~data"): _FINALIZER,
    ("statefulset-claim-retention", "persistentvolumes/pv~data-db-0"): _FINALIZER,
    ("statefulset-claim-retention", "events of statefulsets/db"): (
        "chance: the owner of a new claim was written after the provisioner's note, here before, and refused as stale"
    ),
}

"""Why the simulator is known to differ from a recording: by scenario and subject, or by trial and request.

What is listed here must differ.
"""

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

_FIRST_UNKNOWN: Final = (
    "chance: a real server walks the fields in any order and stops at the first unknown one; here what sorts before it "
    "is said too"
)

OF_REQUESTS: Final[dict[tuple[str, int], str]] = {
    ("sequence-0053", 9): _FIRST_UNKNOWN,
    ("sequence-0096", 24): _FIRST_UNKNOWN,
    ("sequence-0162", 5): "of two wrong values in one strategic patch the other one is said",
}

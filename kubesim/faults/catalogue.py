"""The one table of faults: documents, `kubesim faults` and the reader of files are made from it."""

from __future__ import annotations

from typing import Final

from kubesim.faults.control_plane import CONTROL_PLANE_FAULTS
from kubesim.faults.kinds import FaultKind
from kubesim.faults.machine import MACHINE_FAULTS
from kubesim.faults.network import NETWORK_FAULTS
from kubesim.faults.node import NODE_FAULTS
from kubesim.faults.storage import DATABASE_FAULTS, STORAGE_FAULTS
from kubesim.faults.users import USER_FAULTS
from kubesim.faults.versions import VERSION_FAULTS
from kubesim.faults.workload import WORKLOAD_FAULTS

_AREAS: Final = (
    WORKLOAD_FAULTS,
    VERSION_FAULTS,
    NODE_FAULTS,
    MACHINE_FAULTS,
    NETWORK_FAULTS,
    STORAGE_FAULTS,
    DATABASE_FAULTS,
    CONTROL_PLANE_FAULTS,
    USER_FAULTS,
)
FAULTS: Final[dict[str, FaultKind]] = {kind.name: kind for area in _AREAS for kind in area}

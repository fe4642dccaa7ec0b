"""The one table of faults: documents, `kubesim faults` and the reader of files are made from it."""

from __future__ import annotations

from typing import Final

from kubesim.faults.control_plane import CONTROL_PLANE_FAULTS
from kubesim.faults.kinds import FaultKind
from kubesim.faults.node import NODE_FAULTS
from kubesim.faults.workload import WORKLOAD_FAULTS

FAULTS: Final[dict[str, FaultKind]] = {
    kind.name: kind for kind in (*WORKLOAD_FAULTS, *NODE_FAULTS, *CONTROL_PLANE_FAULTS)
}

"""What can be done to a cluster: a typed catalogue of faults, and schedules of them that shrink well.

What belongs here disturbs; what must hold meanwhile is not known here. Nothing is drawn: a schedule is a value, and
what it comes to is a function of it and of the cluster.
"""

from kubesim.faults.catalogue import FAULTS
from kubesim.faults.injecting import Injector
from kubesim.faults.kinds import FaultKind, Injection
from kubesim.faults.schedule import Armed, Disturbance, Fired, Schedule, WriteEvent, arm, describe

__all__ = [
    "FAULTS",
    "Armed",
    "Disturbance",
    "FaultKind",
    "Fired",
    "Injection",
    "Injector",
    "Schedule",
    "WriteEvent",
    "arm",
    "describe",
]

"""The composition root: the one package that knows every part, and the Python API that users of the simulator hold.

What belongs here is wiring and the verbs of a test author (apply, until, crash, …); no rule of Kubernetes.
"""

from kubesim.cluster.cluster import Cluster
from kubesim.cluster.options import ClusterOptions, ControlPlaneLimits
from kubesim.cluster.waiting import Condition, available, bound, gone, ready, rolled_out

__all__ = [
    "Cluster",
    "ClusterOptions",
    "Condition",
    "ControlPlaneLimits",
    "available",
    "bound",
    "gone",
    "ready",
    "rolled_out",
]

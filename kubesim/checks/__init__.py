"""What must hold in a cluster whatever happens to it: promises of Kubernetes, watched while time runs.

What belongs here looks at a cluster from outside and says what is wrong, at the write or request at which it goes
wrong; nothing here changes anything. An invariant costs a few dictionary look-ups per event, so that campaigns of
thousands of runs can afford all of them.

    checks = Checks(cluster)
    ...
    assert checks.violation is None
    assert await_convergence(cluster) is None
"""

from kubesim.checks.checks import Checks
from kubesim.checks.convergence import await_convergence, find_divergence
from kubesim.checks.invariant import Invariant, Scene, Violation, invariant
from kubesim.checks.registry import INVARIANTS

__all__ = [
    "INVARIANTS",
    "Checks",
    "Invariant",
    "Scene",
    "Violation",
    "await_convergence",
    "find_divergence",
    "invariant",
]

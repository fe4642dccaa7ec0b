"""A deterministic Kubernetes in one process.

The public names are those of `kubesim.cluster`; they are imported when they are first used, so that starting the
command line costs nothing for them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kubesim.cluster import (
        Cluster,
        ClusterOptions,
        Condition,
        ControlPlaneLimits,
        available,
        bound,
        gone,
        ready,
        rolled_out,
    )

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


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from kubesim import cluster

    return getattr(cluster, name)

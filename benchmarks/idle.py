"""How fast virtual time passes when nothing happens: three nodes, the vehicle stack, no users."""

from __future__ import annotations

import time
from typing import Any

from kubesim.cluster import Cluster, ready
from kubesim.cluster.collector import calm_collector


def measure(hours: int) -> dict[str, Any]:
    """Virtual over wall time for this many virtual hours after the stack has settled."""
    with calm_collector():
        cluster = Cluster(nodes=3, records=False)
        cluster.apply("specs/stack.yaml")
        cluster.until(ready("deployment/vehicle-api"))
        cluster.run(3600)
        revision, steps = cluster.store.revision, cluster.loop.steps
        start = time.perf_counter()
        cluster.run(hours * 3600)
        seconds = time.perf_counter() - start
    return {
        "virtual_seconds": hours * 3600,
        "seconds": round(seconds, 3),
        "virtual_over_wall": round(hours * 3600 / seconds),
        "writes_per_virtual_second": round((cluster.store.revision - revision) / (hours * 3600), 3),
        "steps_per_virtual_second": round((cluster.loop.steps - steps) / (hours * 3600), 3),
    }

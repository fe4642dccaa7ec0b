"""How long it takes until there is something to see."""

from __future__ import annotations

import subprocess
import sys
import time
from typing import Any

from kubesim.api.conditions import is_condition_true
from kubesim.cluster import Cluster

_RUNS = 7


def measure_command(arguments: list[str]) -> dict[str, Any]:
    """`python -m kubesim …` from start to exit, the best and the median of several runs after one to warm up."""
    command = [sys.executable, "-m", "kubesim", *arguments]
    seconds = []
    for _ in range(_RUNS + 1):
        start = time.perf_counter()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # noqa: S603
        seconds.append(time.perf_counter() - start)
    seconds = sorted(seconds[1:])
    return {
        "command": " ".join(["kubesim", *arguments]),
        "seconds": round(seconds[0], 3),
        "median": round(seconds[_RUNS // 2], 3),
    }


def _all_ready(cluster: Cluster) -> bool:
    nodes = cluster.list("nodes")
    return len(nodes) == cluster.options.nodes and all(
        is_condition_true(node["status"]["conditions"], "Ready") and not node["spec"].get("taints") for node in nodes
    )


def measure_empty() -> dict[str, Any]:
    """An empty 3-node cluster, made and ready to take Pods, in process."""
    seconds = []
    for _ in range(_RUNS):
        start = time.perf_counter()
        with Cluster(nodes=3) as cluster:
            cluster.until(_all_ready)
            seconds.append(time.perf_counter() - start)
    seconds.sort()
    return {"milliseconds": round(seconds[0] * 1000, 1), "median": round(seconds[_RUNS // 2] * 1000, 1)}

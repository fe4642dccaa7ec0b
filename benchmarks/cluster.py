"""Pods from nothing to Ready: Deployments are created, and time runs until every Pod is Ready.

What runs is what always runs: admission, defaulting and validation of every Pod, Deployment and ReplicaSet controllers,
all other controllers beside them, the scheduler, a kubelet per node with its lease, Events. Client-side rate limits
are lifted, as load tests of real clusters do; with them the virtual time is longer, not the work per Pod. The trace of
a run is not kept.
"""

from __future__ import annotations

import resource
import time
from typing import Any

from kubesim.api.objects import Object
from kubesim.cluster import Cluster
from kubesim.cluster.collector import calm_collector


def _deployment(number: int, replicas: int) -> Object:
    labels = {"app": f"web-{number}"}
    container = {
        "name": "web",
        "image": "registry.example/web:1",
        "resources": {"requests": {"cpu": "10m", "memory": "16Mi"}},
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": f"web-{number}", "namespace": "default"},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}},
        },
    }


def _count_ready(cluster: Cluster) -> int:
    return sum((each.get("status") or {}).get("readyReplicas", 0) for each in cluster.list("deployments"))


def _bring_up(nodes: int, pods: int, per_deployment: int) -> Cluster:
    cluster = Cluster(nodes=nodes, limits=None, records=False)
    cluster.run(1)
    for number, first in enumerate(range(0, pods, per_deployment)):
        cluster.create(_deployment(number, min(per_deployment, pods - first)))
    while _count_ready(cluster) < pods:
        cluster.run(1)
        if cluster.now_ns > 3_600_000_000_000:
            raise SystemExit(f"only {_count_ready(cluster)} of {pods} Pods are Ready after an hour of virtual time")
    return cluster


def measure(nodes: int, pods: int, per_deployment: int, profile: bool) -> dict[str, Any]:
    """Seconds from nothing to all Ready, and what follows from them. `pods_per_second` counts the whole time."""
    with calm_collector():
        if profile:
            import cProfile
            import pstats

            profiler = cProfile.Profile()
            cluster = profiler.runcall(_bring_up, nodes, pods, per_deployment)
            pstats.Stats(profiler).sort_stats("tottime").print_stats(40)
            return {"virtual_seconds": cluster.now_ns / 1e9}
        start = time.perf_counter()
        cluster = _bring_up(nodes, pods, per_deployment)
        seconds = time.perf_counter() - start
    return {
        "nodes": nodes,
        "pods": pods,
        "seconds": round(seconds, 3),
        "pods_per_second": round(pods / seconds),
        "microseconds_per_pod": round(seconds / pods * 1e6, 1),
        "max_rss_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        "writes_per_second": round(cluster.store.revision / seconds),
        "writes": cluster.store.revision,
        "virtual_seconds": round(cluster.now_ns / 1e9, 3),
    }

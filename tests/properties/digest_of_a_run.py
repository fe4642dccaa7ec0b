"""Prints the digest of one eventful run: `python digest_of_a_run.py SEED`. Started by test_determinism.py in many ways."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

from kubesim.cluster import Cluster, ready

STACK = Path(__file__).parents[2] / "specs" / "stack.yaml"


def steps(seed: int) -> Iterator[str]:
    """The reference stack with users, through a crash, a rollout, a deleted database and a lost node.

    Pauses between its steps; the last thing that it yields is the digest.
    """
    with Cluster(nodes=3, seed=seed) as cluster:
        cluster.apply(STACK)
        yield ""
        cluster.until(ready("deployment/vehicle-api"))
        load = cluster.load("vehicle-api", rate_per_second=10, is_random=True)
        cluster.run(5)
        yield ""
        cluster.crash("deployment/vehicle-api")
        cluster.run(5)
        yield ""
        cluster.restart_rollout("deployment/vehicle-api")
        cluster.delete("pod/postgres-0")
        cluster.run(20)
        yield ""
        cluster.faults.lose_power(cluster.get("pod/postgres-0")["spec"]["nodeName"])
        cluster.run(60)
        load.stop()
        yield cluster.trace.digest()


def run(seed: int) -> str:
    """All steps; returns the digest."""
    return list(steps(seed))[-1]


if __name__ == "__main__":
    sys.stdout.write(run(int(sys.argv[1])) + "\n")

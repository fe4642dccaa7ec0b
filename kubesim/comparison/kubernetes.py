"""Kubernetes' half of a comparison: the scenario as `kubesim run` plays it, with what is needed to play it again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from kubesim.cluster import Cluster, ClusterOptions
from kubesim.manifests import Manifest
from kubesim.scenario.model import Scenario
from kubesim.scenario.outcome import Outcome
from kubesim.scenario.runner import Runner
from kubesim.scenario.simulated import SimulatedPort
from kubesim.users.load import Load


class KubernetesRun(NamedTuple):
    """A finished run. `lost` has the acknowledged writes missing as each step began, and at the end.

    `load` is its users, None where they never came; `since_ns` is when they did.
    """

    outcome: Outcome
    load: Load | None
    since_ns: int
    lost: Sequence[int]
    kept: int


def run_kubernetes(
    manifests: list[Manifest], scenario: Scenario, options: ClusterOptions, resolve: Callable[[str], Path]
) -> KubernetesRun:
    """Play the scenario in a simulated cluster."""
    with Cluster(options) as cluster:
        applied = cluster.apply_loaded(manifests)
        port = SimulatedPort(cluster)
        lost: list[int] = []

        def on_step(_: str) -> None:
            lost.append(len(cluster.audit(port.loads[0]).lost) if port.loads else 0)

        outcome = Runner(port, scenario, resolve, applied, on_step).run()
        on_step("")
        load = port.loads[0] if port.loads else None
        kept = cluster.audit(load).kept if load is not None else 0
        since_ns = load.report.first_sent_ns if load is not None else 0
        return KubernetesRun(outcome, load, since_ns, lost, kept)

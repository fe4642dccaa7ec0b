"""The simulated twin of a real cluster: as many nodes, as large, and the same scenario over the same port."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final, final

from kubesim.api.objects import Object
from kubesim.cli.inputs import Input
from kubesim.cli.report.prediction import predict
from kubesim.cluster import ClusterOptions
from kubesim.manifests import load
from kubesim.scenario.file import ScenarioFile
from kubesim.scenario.outcome import Outcome
from kubesim.scenario.port import Users
from kubesim.scenario.simulated import SimulatedPort

# In which a change of endpoints reaches every node's rules: the most that lies between two writes of them, and a lag.
_KNOWN_S: Final = 1.5


@final
class ReachedPort(SimulatedPort):
    """A simulated cluster whose users come once the Service's address is known on every node, as a real one's do."""

    def start_users(self, service: str, namespace: str, rate_per_second: float, write_percent: int) -> Users:
        self.cluster.run(_KNOWN_S)
        return super().start_users(service, namespace, rate_per_second, write_percent)


def options_like(nodes: int, capacity: dict[str, str], file: ScenarioFile, seed: int = 0) -> ClusterOptions:
    """A cluster of so many nodes, each with that capacity, with what else the scenario wants."""
    wanted = file.scenario.cluster
    return ClusterOptions(
        nodes=nodes,
        node_cpu=capacity["cpu"],
        node_memory=capacity["memory"],
        node_pods=int(capacity["pods"]),
        seed=seed,
        node_labels=wanted.labels,
        missing_images=tuple(wanted.missing_images),
        present_images=tuple(wanted.present_images),
        programs=file.scenario.programs,
    )


def predict_for(file: ScenarioFile, sources: Sequence[Path], nodes: Sequence[Object]) -> list[Outcome]:
    """What the simulator makes of a scenario and manifests on a cluster with such nodes, for faults at any moment."""
    options = options_like(len(nodes), nodes[0]["status"]["capacity"], file)
    return predict(Input(load(*sources), file.scenario, options, file.resolve, ()), ReachedPort)

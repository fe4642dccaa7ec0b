"""The simulated twin of a real cluster: as many nodes, as large, and the same scenario over the same port."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from kubesim.api.objects import Object
from kubesim.cli.inputs import Input
from kubesim.cli.report.prediction import predict
from kubesim.cluster import ClusterOptions
from kubesim.manifests import load
from kubesim.scenario.file import ScenarioFile
from kubesim.scenario.outcome import Outcome


def options_like(nodes: Sequence[Object], file: ScenarioFile) -> ClusterOptions:
    """A cluster like the one that has these nodes; sizes are those of the first."""
    capacity = nodes[0]["status"]["capacity"]
    wanted = file.scenario.cluster
    return ClusterOptions(
        nodes=len(nodes),
        node_cpu=capacity["cpu"],
        node_memory=capacity["memory"],
        node_pods=int(capacity["pods"]),
        node_labels=wanted.labels,
        missing_images=tuple(wanted.missing_images),
        present_images=tuple(wanted.present_images),
        programs=file.scenario.programs,
    )


def predict_for(file: ScenarioFile, sources: Sequence[Path], nodes: Sequence[Object]) -> list[Outcome]:
    """What the simulator makes of a scenario and manifests on a cluster with such nodes, for faults at any moment."""
    return predict(Input(load(*sources), file.scenario, options_like(nodes, file), file.resolve, ()))

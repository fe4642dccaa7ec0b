"""The simulated twin of a recorded run: a cluster like the recorded one, the same scenario, observed in one form."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any, Final

from adapters.parity.recording import Call, Recording, relevant
from adapters.parity.summary import RECORDED, Entry
from adapters.simulation import options_like
from kubesim.api.kinds import STORAGE_CLASS
from kubesim.api.objects import key_of
from kubesim.api.requests import create, delete
from kubesim.cluster import Cluster
from kubesim.cluster.references import parse_kind
from kubesim.scenario.file import ScenarioFile
from kubesim.scenario.outcome import Outcome
from kubesim.scenario.runner import Runner
from kubesim.scenario.simulated import SimulatedPort
from kubesim.sim.loop import SECOND
from kubesim.store.watch import Watch

# For how long the twin runs before, so that its nodes are ready as those of a cluster that has been there are.
_WARM_UP_S: Final = 15
# For how long both are watched after the scenario's end.
AFTER_S: Final = 1.0


def simulate(file: ScenarioFile, facts: dict[str, Any], seed: int = 1) -> tuple[Recording, Outcome]:
    """Run the scenario on a cluster like the one that is described; returns it as a recording, and its outcome."""
    scenario, namespace = file.scenario, namespace_of(file)
    with Cluster(options_like(len(facts["nodes"]), facts["nodes"][0]["capacity"], file, seed)) as cluster:
        cluster.run(_WARM_UP_S)
        _share_classes(cluster, facts["storageClasses"])
        entries: list[Entry] = []
        begin_ns = cluster.now_ns

        def take(resource: str, watch: Watch) -> None:
            seconds = (cluster.now_ns - begin_ns) / SECOND
            entries.extend(Entry(seconds, kind, resource, obj) for kind, obj in watch.drain() if kind != "BOOKMARK")

        for resource in (*RECORDED, "events"):
            entries += [Entry(0.0, "INITIAL", resource, obj) for obj in cluster.list(resource)]
            table = parse_kind(resource).resource
            since = cluster.store.revision
            notify = partial(take, resource)
            cluster.store.watch(table, namespace="", matches=None, index=None, since=since, notify=notify)
        applied = [obj for name in scenario.manifests for obj in cluster.apply(file.resolve(name))]
        outcome = Runner(SimulatedPort(cluster), scenario, file.resolve, applied).run()
        cluster.run(AFTER_S)
    calls = calls_of(outcome)
    return Recording(scenario.name, namespace, facts, relevant(entries, namespace), calls), outcome


def calls_of(outcome: Outcome) -> list[Call]:
    """The steps that did something, and how the API server refused them."""
    return [Call(step.title, step.answer) for step in outcome.steps if step.action]


def namespace_of(file: ScenarioFile) -> str:
    """The namespace in which a scenario happens: its own, or that of its manifests' first namespaced object."""
    if file.scenario.namespace:
        return file.scenario.namespace
    from kubesim.manifests import load

    manifests = [manifest for name in file.scenario.manifests for manifest in load(Path(file.resolve(name)))]
    return next((each.object["metadata"]["namespace"] for each in manifests if each.kind.namespaced), "default")


def _share_classes(cluster: Cluster, classes: list[Any]) -> None:
    """Give the twin the recorded storage classes in place of its own."""
    for obj in cluster.list("storageclasses"):
        cluster.send(delete(STORAGE_CLASS, *key_of(obj)))
    for obj in classes:
        cluster.send(create(STORAGE_CLASS, obj))

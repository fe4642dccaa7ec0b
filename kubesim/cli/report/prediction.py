"""What the simulated runtime predicts for a scenario whose faults may come at any moment.

How long healing takes depends on where between two probes a fault falls, which nobody chooses for real processes. So a
prediction is not one run but several, each with its steps a little later than the one before.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import msgspec

from kubesim.cli.inputs import Input
from kubesim.cluster import Cluster
from kubesim.faults.arguments import Duration
from kubesim.scenario.model import Scenario
from kubesim.scenario.outcome import Outcome
from kubesim.scenario.runner import Runner
from kubesim.scenario.simulated import SimulatedPort
from kubesim.sim.loop import MILLISECOND

# Together the period at which the reference stack is probed, so that faults fall on all parts of it.
_MOMENTS: Final = 8
_APART_NS: Final = 250 * MILLISECOND


def predict(given: Input, port_of: Callable[[Cluster], SimulatedPort] = SimulatedPort) -> list[Outcome]:
    """The outcomes of the same input with its pauses longer by a quarter of a second from run to run."""
    outcomes = []
    for moment in range(_MOMENTS):
        with Cluster(given.options) as cluster:
            applied = cluster.apply_loaded(given.manifests)
            scenario = _later(given.scenario, moment * _APART_NS)
            outcomes.append(Runner(port_of(cluster), scenario, given.resolve, applied).run())
    return outcomes


def _later(scenario: Scenario, span_ns: int) -> Scenario:
    steps = list(scenario.steps)
    for index, step in enumerate(steps):
        if step.after is not None:
            steps[index] = msgspec.structs.replace(step, after=Duration(step.after + span_ns))
            break
    return msgspec.structs.replace(scenario, steps=steps)

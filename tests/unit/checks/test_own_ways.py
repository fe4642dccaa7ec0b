"""What Kubernetes itself does under these schedules breaks no promise; each was an alarm once."""

from __future__ import annotations

from pathlib import Path

import pytest

from kubesim.search import Stage, read_replay

STACK = Path(__file__).parents[3] / "specs" / "stack.yaml"
HEAD = """\
name: its own way
promise: Nothing is wrong with it.
manifests: [{stack}]
cluster: {{nodes: {nodes}}}
load: {{service: vehicle-api, namespace: vehicles, ratePerSecond: 1}}
faults: [{faults}]
checks: {{disturbed: {disturbed}}}
"""


@pytest.mark.parametrize(
    "nodes, disturbed, faults",
    [
        pytest.param(
            2,
            "300s",
            "{at: 50s, for: 5s, hang: {of: statefulset/postgres}}, {at: 60s, losePower: {node: node-1}}, "
            "{at: 50s, for: 120s, skipEvents: {}}",
            id="a controller that sees a lost node late may forget to mark its Pods when others come back",
        ),
        pytest.param(
            3,
            "65s",
            "{at: 0s, diskPressure: {node: node-3}}, {at: 0s, skipEvents: {of: node}}",
            id="a scheduler that does not hear of a node's taint and the kubelet that refuses its Pods go round in circles",
        ),
        pytest.param(
            3,
            "4500s",
            "{at: 0s, stopRuntime: {node: node-3}}, {at: 40s, losePower: {node: node-3}}",
            id="a node that is not ready and then unreachable loses its Pods by the first taint's time",
        ),
        pytest.param(
            3,
            "300s",
            "{at: 0s, stopRuntime: {node: node-3}}, {at: 40s, losePower: {node: node-3}}",
            id="a node that had called itself not ready falls silent: its Pods stay Ready",
        ),
        pytest.param(
            3,
            "300s",
            "{at: 0s, removeNode: {node: node-2}}, {at: 0s, memoryPressure: {node: node-1}}, {afterWrite: "
            "{by: replicaset-controller, verb: created, of: pod, number: 3}, drain: {node: node-3}}",
            id="a Pod is evicted a moment after another one was removed with its node",
        ),
        pytest.param(
            3,
            "300s",
            "{at: 0s, delete: {of: deployment/vehicle-api, index: 0}}, {at: 0s, removeNode: {node: node-3}}, "
            "{at: 0s, losePower: {node: node-2}}",
            id="requests go to a Pod that is going, as the only ready one's node is gone and so it is not listed",
        ),
        pytest.param(
            3,
            "4500s",
            "{at: 2400s, reboot: {node: node-1}}, {at: 0s, scale: {of: deployment/vehicle-api, replicas: 4}}, {at: 240s, "
            "restartRollout: {of: deployment/vehicle-api}}, {at: 4380s, losePower: {node: node-1}}, "
            "{at: 4402s, removeNode: {node: node-3}}",
            id="slices are behind, as their controller has failed while a Pod's Node is gone, and waits longer each time",
        ),
    ],
)
def test_no_alarm_is_told(tmp_path, nodes, disturbed, faults):
    """Played as `kubesim replay` does, with all invariants."""
    path = tmp_path / "replay.yaml"
    path.write_text(HEAD.format(stack=STACK, nodes=nodes, disturbed=disturbed, faults=faults), encoding="utf-8")
    given = read_replay(path)

    played = Stage(given.setting).play(given.schedule)

    assert len([fired for fired in played.fired if not fired.is_healing]) == len(given.schedule)
    assert played.violation is None

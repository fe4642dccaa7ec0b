"""How a scenario runs: when steps begin and end, what is done, and what is said when something cannot be."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from kubesim.cluster import Cluster
from kubesim.manifests.document import read_documents
from kubesim.scenario.fields import Reader
from kubesim.scenario.model import ACTIONS, Scenario
from kubesim.scenario.runner import Runner
from kubesim.scenario.simulated import SimulatedPort
from kubesim.testing.builders import service

SECOND = 1_000_000_000
WEB = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"name": "web"},
    "spec": {
        "replicas": 2,
        "selector": {"matchLabels": {"app": "web"}},
        "template": {
            "metadata": {"labels": {"app": "web"}},
            "spec": {
                "terminationGracePeriodSeconds": 1,
                "containers": [{"name": "c", "image": "web:1", "resources": {"limits": {"memory": "64Mi"}}}],
            },
        },
    },
}


def run(steps, until_ns=None, nodes=2, extra=""):
    """The outcome of a scenario of these steps over a Deployment of two Pods and its Service."""
    (document,) = read_documents(f"name: x\npromise: It holds.\n{extra}steps:\n{steps}")
    problems = []
    scenario = Reader(lambda *problem: problems.append(problem)).read(Scenario, document.value, document.spot, "")
    assert not problems
    with Cluster(nodes=nodes) as cluster:
        applied = [cluster.create(WEB), cluster.create(service("web"))]
        return Runner(SimulatedPort(cluster), scenario, Path, applied, until_ns=until_ns).run()


def failures(outcome):
    """The expectations that did not hold, as texts."""
    return [f"{check.text} — {check.found}" for _, check in outcome.failed]


@pytest.mark.parametrize(
    "action",
    [
        "crash: deployment/web",
        "oom: deployment/web",
        "delete: {of: deployment/web, pod: true}",
        "delete: {of: deployment/web, pod: true, graceSeconds: 0}",
        "evict: deployment/web",
        "restartRollout: deployment/web",
        "setImage: {of: deployment/web, image: 'web:2'}",
        "scale: {of: deployment/web, replicas: 4}",
        "patch: {of: deployment/web, change: {spec: {template: {metadata: {labels: {v: b}}}}}}",
        "drain: {runs: deployment/web}",
    ],
)
def test_a_workload_comes_back_from(action):
    """The disturbance shows first, then it is healed."""
    outcome = run(f"  - {action}\n    until: [deployment/web ready]\n    within: 60s\n    stays: 5s\n")

    assert failures(outcome) == []
    assert 0 < outcome.steps[1].healed_ns < 60 * SECOND


@pytest.mark.parametrize(
    "begin, end, state",
    [
        ("losePower: node-1", "restorePower", "ready"),
        ("isolate: node-1", "rejoin", "ready"),
        ("stopKubelet: node-1", "startKubelet", "ready"),
        ("cordon: node-1", "uncordon", "ready"),
    ],
)
def test_what_disturbs_a_node_has_an_end(begin, end, state):
    """The end needs no name: it means the node that was disturbed."""
    outcome = run(f"  - {begin}\n    for: 70s\n  - {end}: {{}}\n    until: ['node/* {state}']\n    within: 60s\n")

    assert failures(outcome) == []
    assert [step.subject for step in outcome.steps[1:]] == ["node/node-1", "node/node-1"]


def test_a_hanging_process_can_wake():
    """Without a probe nobody notices that it hung."""
    outcome = run("  - hang: deployment/web\n    for: 5s\n  - wake: deployment/web\n    for: 5s\n")

    assert failures(outcome) == []


def test_a_rollout_is_undone_and_paused():
    """Undo goes back to the image before; a pause keeps what there is."""
    outcome = run(
        "  - setImage: {of: deployment/web, image: 'web:2'}\n    until: [deployment/web ready]\n"
        "  - undoRollout: deployment/web\n    until: [deployment/web ready]\n    expect:\n"
        "      - that: {object: deployment/web, field: 'spec.template.spec.containers[c].image', equals: 'web:1'}\n"
        "  - pauseRollout: deployment/web\n    for: 1s\n"
        "  - setImage: {of: deployment/web, image: 'web:3'}\n    for: 20s\n    expect:\n"
        "      - that: {object: deployment/web, pods: newReady, equals: 0}\n"
        "  - resumeRollout: deployment/web\n    until: [{object: deployment/web, pods: newReady, equals: 2}]\n"
    )

    assert failures(outcome) == []


def test_steps_begin_when_they_say():
    """At an instant of the scenario, after a pause, or when something is so."""
    outcome = run(
        "  - at: 30s\n    crash: deployment/web\n"
        "  - after: 10s\n    scale: {of: deployment/web, replicas: 3}\n"
        "  - when: {object: deployment/web, pods: ready, atLeast: 3}\n    crash: deployment/web\n"
    )
    starts = [step.start_ns for step in outcome.steps[1:]]

    assert starts[:2] == [30 * SECOND, 40 * SECOND]
    assert 40 * SECOND < starts[2] < 50 * SECOND


def test_what_does_not_heal_in_time_fails():
    """The check says what was still missing."""
    outcome = run("  - scale: {of: deployment/web, replicas: 500}\n    until: [deployment/web ready]\n    within: 5s\n")

    [failure] = failures(outcome)
    assert failure.startswith("deployment/web is ready within 5.0 s — deployment/web has 2 of 500 Pods ready; pod/web-")
    assert failure.endswith(" is Pending: c: ContainerCreating")
    assert outcome.steps[1].healed_ns is None


def test_what_cannot_be_done_fails_and_the_run_goes_on():
    """A wrong state at that moment is a finding and no mistake in the file."""
    outcome = run("  - evict: deployment/web\n  - wake: deployment/web\n  - until: [deployment/web ready]\n")

    assert failures(outcome) == [
        "wake is done — nothing of deployment/web hangs; a step with hang must come before wake"
    ]
    assert len(outcome.steps) == 4


@pytest.mark.parametrize(
    "action, why",
    [
        (
            "restartRollout: namespace/default",
            "namespace/default cannot be restarted; name one of Deployment, DaemonSet, StatefulSet",
        ),
        ("pauseRollout: namespace/default", "namespace/default cannot be paused; name a Deployment"),
        ("resumeRollout: deployment/web", "deployment/web is not paused"),
    ],
)
def test_what_cannot_be_rolled_out_fails(action, why):
    """As `kubectl rollout` refuses it; nothing is written."""
    outcome = run(f"  - {action}\n")

    assert failures(outcome) == [f"{action.partition(':')[0]} is done — {why}"]


def test_ever_and_never_see_what_passes():
    """What is over by the end of the step counts as well."""
    outcome = run(
        "  - restartRollout: deployment/web\n    until: [deployment/web ready]\n    expect:\n"
        "      - ever: {object: deployment/web, pods: all, atLeast: 3}\n"
        "      - never: {object: deployment/web, pods: all, atLeast: 3}\n"
    )

    assert failures(outcome) == ["never: Pods of deployment/web is at least 3 — it was so"]


def test_requests_cannot_be_judged_without_users():
    """An expectation about users needs a load."""
    outcome = run("  - crash: deployment/web\n    expect: [{availability: 0.5}]\n")

    assert failures(outcome) == ["users are served — the scenario has no load"]


def test_the_longest_outage_is_held_against_its_bound():
    """Both Pods are lost, and users are served again in less than a second."""
    lose = "delete: {of: deployment/web, pod: true, graceSeconds: 0}"
    steps = f"  - {lose}\n  - {lose}\n  - for: 40s\n    expect: [{{outage: 60s}}, {{outage: 10ms}}]\n"
    outcome = run(steps, extra="load: {service: web}\n")

    (failure,) = failures(outcome)
    assert re.fullmatch(r"users never do without for longer than 10 ms — for \d+ ms", failure)


def test_until_stops_in_the_middle():
    """The step that is under way is not judged, the ones after it are named."""
    outcome = run("  - step: long\n    for: 10m\n  - step: later\n    for: 1s\n", until_ns=60 * SECOND)

    assert (outcome.stopped, outcome.not_run, outcome.end_ns) == ("stopped by --until", ("long", "later"), 60 * SECOND)


def test_a_stack_that_does_not_come_up_is_not_disturbed():
    """There is nothing to learn from it."""
    outcome = run("  - crash: deployment/web\n", nodes=0)

    assert outcome.stopped == "the stack did not come up"
    assert outcome.not_run == ("crash deployment/web",)
    assert not outcome.is_met


def test_every_action_is_documented():
    """docs/scenarios.md and docs/faults.md are the reference of what a file can say."""
    docs = Path(__file__).parents[3] / "docs"
    text = (docs / "scenarios.md").read_text() + (docs / "faults.md").read_text()

    missing = [name for name in ACTIONS if f"`{name}" not in text]

    assert missing == []


def test_faults_strike_beside_the_steps():
    """From when the stack is up; the run goes on until the last has been healed."""
    outcome = run(
        "  - at: 40s\n    until: [{object: deployment/web, pods: ready, equals: 2}]\n"
        "faults:\n"
        "  - {at: 10s, for: 60s, losePower: {node: node-1}}\n"
        "  - {at: 20s, crash: {of: deployment/web, index: 5}}\n"
    )

    assert failures(outcome) == []
    assert outcome.end_ns - outcome.steps[0].end_ns == 70 * SECOND

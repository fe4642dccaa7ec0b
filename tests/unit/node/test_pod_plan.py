"""What the kubelet does next for a Pod. Upstream: kuberuntime_manager_test.go:TestComputePodActions* @v1.36"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

import pytest

from kubesim.node.facts import PodFacts
from kubesim.node.plan import compute_pod_actions
from kubesim.node.runtime import ContainerRecord, PodSandbox

if TYPE_CHECKING:
    from collections.abc import Mapping


class Results(NamedTuple):
    """Probe results of one container."""

    startup: str | None = None
    readiness: str | None = None
    liveness: str | None = None


class Case(NamedTuple):
    """`seen` has the containers of the sandbox as running, created or exit codes; None is no sandbox at all."""

    id: str
    seen: dict[str, str | int] | None
    start: tuple[str, ...] = ()
    kill: tuple[str, ...] = ()
    kill_pod: bool = False
    sandbox: bool = False
    policy: str = "Always"
    init: tuple[str, ...] = ()  # a trailing + marks a sidecar
    main: tuple[str, ...] = ("a", "b")
    probes: Mapping[str, Results] = MappingProxyType({})
    ready: bool = True
    deleting: bool = False


CASES = [
    Case("a new Pod gets a sandbox and all its containers", None, ("a", "b"), kill_pod=True, sandbox=True),
    Case(
        "a new Pod with init containers starts the first of them",
        None,
        ("i",),
        kill_pod=True,
        sandbox=True,
        init=("i", "j"),
    ),
    Case("nothing is done while everything runs", {"a": "running", "b": "running"}),
    Case("a container that failed is started again under Always", {"a": 1, "b": "running"}, ("a",)),
    Case("a container that succeeded is started again under Always", {"a": 0, "b": "running"}, ("a",)),
    Case("a container that succeeded rests under OnFailure", {"a": 0, "b": "running"}, policy="OnFailure"),
    Case("a container that failed rests under Never", {"a": 1, "b": "running"}, policy="Never"),
    Case("a Pod whose containers have all ended for good is killed", {"a": 1, "b": 0}, kill_pod=True, policy="Never"),
    Case("a container that was created and not started is started", {"a": "created", "b": "running"}, ("a",)),
    Case(
        "a failed liveness probe kills and restarts",
        {"a": "running", "b": "running"},
        ("a",),
        ("Container a failed liveness probe, will be restarted",),
        probes={"a": Results(liveness="failure")},
    ),
    Case(
        "a failed startup probe kills without restart under Never",
        {"a": "running", "b": "running"},
        (),
        ("Container a failed startup probe",),
        policy="Never",
        probes={"a": Results(startup="failure")},
    ),
    Case(
        "a failed readiness probe changes nothing",
        {"a": "running", "b": "running"},
        probes={"a": Results(readiness="failure")},
    ),
    Case("the next init container follows one that succeeded", {"i": 0}, ("j",), init=("i", "j")),
    Case("an init container that runs is waited for", {"i": "running"}, init=("i", "j")),
    Case("an init container that failed is started again", {"i": 3}, ("i",), init=("i", "j")),
    Case(
        "an init container that failed under Never ends the Pod", {"i": 4}, kill_pod=True, policy="Never", init=("i",)
    ),
    Case("main containers follow the last init container", {"i": 0, "j": 0}, ("a", "b"), init=("i", "j")),
    Case(
        "init containers are not run again while a main container runs", {"a": "running", "b": 1}, ("b",), init=("i",)
    ),
    Case("a started sidecar lets the next init container start", {"s": "running"}, ("i",), init=("s+", "i")),
    Case(
        "a sidecar whose startup probe has not succeeded is waited for",
        {"s": "running"},
        init=("s+", "i"),
        probes={"s": Results(startup="unknown")},
    ),
    Case("main containers follow a last sidecar that has started", {"s": "running"}, ("a", "b"), init=("s+",)),
    Case("a sidecar that ended is started again", {"s": 1, "a": "running", "b": "running"}, ("s",), init=("s+",)),
    Case(
        "a sidecar doesn't keep a finished Pod alive",
        {"s": "running", "a": 0, "b": 0},
        kill_pod=True,
        policy="Never",
        init=("s+",),
    ),
    Case(
        "after a reboot a new sandbox starts everything",
        {"a": 255, "b": 255},
        ("a", "b"),
        kill_pod=True,
        sandbox=True,
        ready=False,
    ),
    Case(
        "after a reboot a Pod of policy Never stays ended",
        {"a": 255, "b": 0},
        kill_pod=True,
        policy="Never",
        ready=False,
    ),
    Case(
        "after a reboot what succeeded under OnFailure rests",
        {"a": 0, "b": 255},
        ("b",),
        kill_pod=True,
        sandbox=True,
        policy="OnFailure",
        ready=False,
    ),
    Case("a Pod that is being deleted starts nothing", {"a": 1, "b": "running"}, deleting=True),
]


def spec_of(case):
    init = [
        {"name": name.rstrip("+"), **({"restartPolicy": "Always"} if name.endswith("+") else {})} for name in case.init
    ]
    main = [{"name": name} for name in case.main]
    return {"containers": main, "restartPolicy": case.policy, **({"initContainers": init} if init else {})}


def sandbox_of(case):
    if case.seen is None:
        return None
    sandbox = PodSandbox("uid", "default", "web", "10.0.0.9")
    sandbox.is_ready = case.ready
    for name, state in case.seen.items():
        record = sandbox.containers[name] = ContainerRecord(f"containerd://{name}", name, "image", "sha256:1", 0)
        if isinstance(state, int):
            record.state = "exited"
            record.exit_code = state
        else:
            record.state = state
    return sandbox


@pytest.mark.parametrize("case", CASES, ids=[case.id for case in CASES])
def test_plan(case):
    """The actions are those of the kubelet."""
    actions = compute_pod_actions(PodFacts(spec_of(case)), sandbox_of(case), case.probes, is_deleting=case.deleting)

    assert tuple(facts.name for facts in actions.start) == case.start
    assert tuple(kill.message for kill in actions.kill) == case.kill
    assert (actions.kill_pod, actions.create_sandbox) == (case.kill_pod, case.sandbox)


RULE = {"action": "Restart", "exitCodes": {"operator": "In", "values": [42]}}


@pytest.mark.parametrize(
    "exit_code, restarts",
    [(42, True), (1, False)],
    ids=["a rule that names the exit code restarts", "another exit code follows the container's policy"],
)
def test_container_restart_rules(exit_code, restarts):
    """A container's own rules come before its policy. Upstream: podutil.ContainerShouldRestart"""
    container = {"name": "a", "restartPolicy": "Never", "restartPolicyRules": [RULE]}
    sandbox = sandbox_of(Case("", {"a": exit_code, "b": "running"}))

    actions = compute_pod_actions(PodFacts({"containers": [container, {"name": "b"}]}), sandbox, {})

    assert bool(actions.start) == restarts

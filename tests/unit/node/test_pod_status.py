"""Phase, conditions and container statuses, as written by the real kubelet 1.36.3 in its recordings."""

from __future__ import annotations

from types import SimpleNamespace
from typing import NamedTuple

import pytest

from kubesim.node.facts import PodFacts
from kubesim.node.phase import compute_phase
from kubesim.node.runtime import ContainerRecord, PodSandbox
from kubesim.node.status import Observation, Reason, compute_end, compute_rejection, compute_status
from kubesim.sim.loop import SECOND

IMAGE = "python:3.11-slim"
MOUNT = {
    "name": "kube-api-access-nhr6x",
    "mountPath": "/var/run/secrets/kubernetes.io/serviceaccount",
    "readOnly": True,
}
SCHEDULED = {
    "type": "PodScheduled",
    "status": "True",
    "lastProbeTime": None,
    "lastTransitionTime": "2026-01-01T00:00:00Z",
}
OLD = {"phase": "Pending", "conditions": [SCHEDULED], "qosClass": "BestEffort"}


def pod_of(**spec):
    main = {"name": "main", "image": IMAGE, "resources": {}, "volumeMounts": [MOUNT]}
    return {
        "metadata": {"name": "plain", "namespace": "default", "generation": 1},
        "spec": {"containers": [main], "restartPolicy": "Always", **spec},
    }


def record_of(name="main", state="running", exit_code=0, attempt=0, identity="1"):
    record = ContainerRecord(f"containerd://{identity}", name, f"docker.io/library/{IMAGE}", "sha256:17dd", attempt)
    record.state = state
    record.started_at_ns = 1 * SECOND
    record.finished_at_ns = 3 * SECOND
    record.exit_code = exit_code
    record.reason = "Error" if exit_code else "Completed"
    return record


def sandbox_of(*records):
    sandbox = PodSandbox("uid", "default", "plain", "10.244.0.3")
    sandbox.containers = {record.name: record for record in records}
    return sandbox


def status_of(pod, *, old=OLD, sandbox=None, reasons=None, probes=None, at=0, **rest):
    seen = Observation(sandbox, reasons or {}, probes or {}, "10.244.0.1", at * SECOND, **rest)
    return compute_status(pod, PodFacts(pod["spec"]), old, seen)


def outcomes(status):
    return {
        item["type"]: (item["status"], item.get("reason", ""), item.get("message", "")) for item in status["conditions"]
    }


def test_first_status():
    """What is written once the Pod is bound (recording a1, rv 431)."""
    status = status_of(pod_of())

    unready = {"reason": "ContainersNotReady", "message": "containers with unready status: [main]"}
    base = {"lastProbeTime": None, "lastTransitionTime": "2026-01-01T00:00:00Z", "observedGeneration": 1}
    assert status == {
        "observedGeneration": 1,
        "phase": "Pending",
        "conditions": [
            {"type": "PodReadyToStartContainers", "status": "False", **base},
            {"type": "Initialized", "status": "True", **base},
            {"type": "Ready", "status": "False", **base, **unready},
            {"type": "ContainersReady", "status": "False", **base, **unready},
            {"type": "PodScheduled", "status": "True", **base},
        ],
        "hostIP": "10.244.0.1",
        "hostIPs": [{"ip": "10.244.0.1"}],
        "startTime": "2026-01-01T00:00:00Z",
        "containerStatuses": [
            {
                "name": "main",
                "state": {"waiting": {"reason": "ContainerCreating"}},
                "lastState": {},
                "ready": False,
                "restartCount": 0,
                "image": IMAGE,
                "imageID": "",
                "started": False,
                "volumeMounts": [{**MOUNT, "recursiveReadOnly": "Disabled"}],
            }
        ],
        "qosClass": "BestEffort",
        "resources": {},
    }


def test_running_status():
    """What is written once the container runs (recording a1, rv 437): only what has changed gets a new time."""
    pod = pod_of()
    status = status_of(pod, old=status_of(pod), sandbox=sandbox_of(record_of()), at=2)

    assert status["phase"] == "Running"
    assert status["podIP"] == "10.244.0.3"
    assert status["podIPs"] == [{"ip": "10.244.0.3"}]
    assert {item["type"]: (item["status"], item["lastTransitionTime"][-3:-1]) for item in status["conditions"]} == {
        "PodReadyToStartContainers": ("True", "02"),
        "Initialized": ("True", "00"),
        "Ready": ("True", "02"),
        "ContainersReady": ("True", "02"),
        "PodScheduled": ("True", "00"),
    }
    assert status["containerStatuses"] == [
        {
            "name": "main",
            "state": {"running": {"startedAt": "2026-01-01T00:00:01Z"}},
            "lastState": {},
            "ready": True,
            "restartCount": 0,
            "image": f"docker.io/library/{IMAGE}",
            "imageID": "sha256:17dd",
            "containerID": "containerd://1",
            "started": True,
            "resources": {},
            "volumeMounts": [{**MOUNT, "recursiveReadOnly": "Disabled"}],
            "user": {"linux": {"uid": 0, "gid": 0, "supplementalGroups": [0]}},
        }
    ]


def test_final_status_of_a_deleted_pod():
    """A container killed by deletion leaves phase Failed and reason PodFailed (recording a1, rv 441)."""
    pod = pod_of()
    running = status_of(pod, old=status_of(pod), sandbox=sandbox_of(record_of()), at=2)
    sandbox = sandbox_of(record_of(state="exited", exit_code=137))
    sandbox.is_ready = False
    status = status_of(pod, old=running, sandbox=sandbox, at=3, is_terminal=True, is_deleting=True)

    assert status["phase"] == "Failed"
    assert status["podIP"] == "10.244.0.3"
    assert outcomes(status)["Ready"] == outcomes(status)["ContainersReady"] == ("False", "PodFailed", "")
    assert outcomes(status)["PodReadyToStartContainers"] == ("False", "", "")
    assert status["containerStatuses"][0]["state"] == {
        "terminated": {
            "exitCode": 137,
            "reason": "Error",
            "startedAt": "2026-01-01T00:00:01Z",
            "finishedAt": "2026-01-01T00:00:03Z",
            "containerID": "containerd://1",
        }
    }


def test_init_containers_wait_together():
    """All containers wait with PodInitializing, and the condition names the incomplete ones (recording a3)."""
    pod = pod_of(initContainers=[{"name": "one"}, {"name": "two"}])
    first = status_of(pod)
    sandbox = sandbox_of(record_of("one", "exited"))
    second = status_of(pod, old=first, sandbox=sandbox)

    waiting = {"waiting": {"reason": "PodInitializing"}}
    assert [item["state"] for item in (*first["initContainerStatuses"], *first["containerStatuses"])] == [waiting] * 3
    assert outcomes(first)["Initialized"] == (
        "False",
        "ContainersNotInitialized",
        "containers with incomplete status: [one two]",
    )
    assert outcomes(second)["Initialized"][2] == "containers with incomplete status: [two]"
    assert [(item["ready"], item["started"]) for item in second["initContainerStatuses"]] == [
        (True, False),
        (False, False),
    ]
    assert second["phase"] == "Pending"


def test_sidecars_count_for_readiness():
    """Unready sidecars are named before the containers (recording a4)."""
    pod = pod_of(initContainers=[{"name": "sidecar", "restartPolicy": "Always"}])

    assert outcomes(status_of(pod))["Ready"][2] == "containers with unready status: [sidecar main]"


def test_succeeded_pod():
    """A Pod that has completed says so in three conditions (recording a4, `batch`)."""
    pod = pod_of(restartPolicy="Never")
    status = status_of(pod, sandbox=sandbox_of(record_of(state="exited")))

    assert status["phase"] == "Succeeded"
    assert outcomes(status)["Initialized"] == ("True", "PodCompleted", "")
    assert outcomes(status)["Ready"] == ("False", "PodCompleted", "")


def test_restarted_container():
    """The container before is the last state, and its reason waits while a start failed (recording b1)."""
    pod = pod_of()
    record = record_of(state="exited", exit_code=1, attempt=1, identity="2")
    record.previous = record_of(state="exited", exit_code=1)
    reasons = {"main": Reason("CrashLoopBackOff", "back-off 10s restarting failed container=main pod=plain")}
    without = status_of(pod, sandbox=sandbox_of(record))["containerStatuses"][0]
    waiting = status_of(pod, sandbox=sandbox_of(record), reasons=reasons)["containerStatuses"][0]

    assert "terminated" in without["state"]
    assert without["lastState"]["terminated"]["containerID"] == "containerd://1"
    assert waiting["state"]["waiting"]["reason"] == "CrashLoopBackOff"
    assert waiting["lastState"]["terminated"]["containerID"] == "containerd://2"
    assert waiting["restartCount"] == without["restartCount"] == 1


@pytest.mark.parametrize(
    "startup, readiness, started, ready",
    [
        (None, None, True, True),
        ("unknown", "failure", False, False),
        ("unknown", None, False, False),
        ("success", "failure", True, False),
        ("success", "success", True, True),
        (None, "failure", True, False),
    ],
)
def test_started_and_ready(startup, readiness, started, ready):
    """A container is ready only when it has started and its readiness probe, if any, has succeeded (recording a2)."""
    probes = {"main": SimpleNamespace(startup=startup, readiness=readiness, liveness=None)}
    status = status_of(pod_of(), sandbox=sandbox_of(record_of()), probes=probes)["containerStatuses"][0]

    assert (status["started"], status["ready"]) == (started, ready)


def test_readiness_gates():
    """A gate without its condition keeps the Pod unready though its containers are ready."""
    pod = pod_of(readinessGates=[{"conditionType": "example.com/lb"}])
    status = status_of(pod, sandbox=sandbox_of(record_of()))
    gate = {"type": "example.com/lb", "status": "True"}
    opened = status_of(pod, old={**OLD, "conditions": [SCHEDULED, gate]}, sandbox=sandbox_of(record_of()))

    assert outcomes(status)["ContainersReady"][0] == "True"
    assert outcomes(status)["Ready"] == (
        "False",
        "ReadinessGatesNotReady",
        'corresponding condition of pod readiness gate "example.com/lb" does not exist.',
    )
    assert outcomes(opened)["Ready"][0] == "True"
    assert opened["conditions"][0] is gate


def test_resources():
    """Requests are allocated resources, of the container and of the Pod."""
    resources = {"requests": {"cpu": "100m"}, "limits": {"cpu": "1"}}
    pod = pod_of(containers=[{"name": "main", "image": IMAGE, "resources": resources}])
    status = status_of(pod, sandbox=sandbox_of(record_of()))

    assert status["allocatedResources"] == {"cpu": "100m"}
    assert status["resources"] == resources
    assert status["containerStatuses"][0]["allocatedResources"] == {"cpu": "100m"}
    assert status["containerStatuses"][0]["resources"] == resources


def test_conditions_are_shared():
    """Pods of the same second hold the same condition objects."""
    pod = pod_of()

    assert status_of(pod)["conditions"] is status_of(pod)["conditions"]


def test_rejection():
    """A Pod that the node refuses has no conditions (recording i, NodeAffinity)."""
    status = compute_rejection(pod_of(), OLD, "NodeAffinity", "Predicate NodeAffinity failed", 0)

    assert status == {
        "observedGeneration": 1,
        "phase": "Failed",
        "reason": "NodeAffinity",
        "message": "Pod was rejected: Predicate NodeAffinity failed",
        "conditions": [],
        "qosClass": "BestEffort",
        "startTime": "2026-01-01T00:00:00Z",
    }


def test_end_of_a_pod_that_never_ran():
    """What never ran is a failure, but nothing is said of containers behind a failed init container (recording a3)."""
    pod = pod_of()
    never = compute_end(status_of(pod), PodFacts(pod["spec"]))
    pod = pod_of(initContainers=[{"name": "one"}], restartPolicy="Never")
    failed = status_of(pod, sandbox=sandbox_of(record_of("one", "exited", 4)))

    assert never["phase"] == "Failed"
    assert never["containerStatuses"][0]["state"]["terminated"]["reason"] == "ContainerStatusUnknown"
    assert compute_end(failed, PodFacts(pod["spec"])) is failed


class Phase(NamedTuple):
    """Containers by name as running, waiting or exit codes, and the phase of a Pod with them."""

    id: str
    policy: str
    states: dict[str, str | int]
    phase: str
    is_terminal: bool = False


# Upstream: pkg/kubelet/kubelet_pods_test.go:TestPodPhaseWithRestart{Always,Never,OnFailure} @v1.36
PHASES = [
    Phase("waiting is pending", "Always", {"a": "waiting", "b": "waiting"}, "Pending"),
    Phase("all running", "Always", {"a": "running", "b": "running"}, "Running"),
    Phase("mixed running and waiting is pending", "Always", {"a": "running", "b": "waiting"}, "Pending"),
    Phase("all stopped with restart always is running", "Always", {"a": 0, "b": 1}, "Running"),
    Phase("all stopped and terminal, one failed", "Always", {"a": 0, "b": 1}, "Failed", is_terminal=True),
    Phase("all stopped and terminal, succeeded", "Always", {"a": 0, "b": 0}, "Succeeded", is_terminal=True),
    Phase("all succeeded with restart never", "Never", {"a": 0, "b": 0}, "Succeeded"),
    Phase("all failed with restart never", "Never", {"a": 1, "b": 1}, "Failed"),
    Phase("mixed running and stopped with restart never", "Never", {"a": "running", "b": 0}, "Running"),
    Phase("all succeeded with restart on failure", "OnFailure", {"a": 0, "b": 0}, "Succeeded"),
    Phase("one failed with restart on failure restarts", "OnFailure", {"a": 0, "b": 1}, "Running"),
]


@pytest.mark.parametrize("row", PHASES, ids=[row.id for row in PHASES])
def test_phase(row):
    """The phase follows from what the containers do and from the restart policy."""
    facts = PodFacts({"containers": [{"name": name} for name in row.states], "restartPolicy": row.policy})
    statuses = {
        name: {"state": {"terminated": {"exitCode": state}} if isinstance(state, int) else {state: {}}, "started": True}
        for name, state in row.states.items()
    }

    assert compute_phase(facts, statuses, is_terminal=row.is_terminal) == row.phase

"""Tables in kubectl's columns.

Expected values: kubectl 1.36 against the recorded cluster, upstream's apimachinery/pkg/util/duration/duration_test.go and
pkg/printers/internalversion/printers_test.go:TestPrintPod @v1.36.
"""

from __future__ import annotations

import pytest

from kubesim.api.timestamps import to_time
from kubesim.cli.printing import print_tables
from kubesim.printing.ages import human_duration
from kubesim.printing.pod import pod_row
from kubesim.sim.loop import HOUR, MINUTE, SECOND

DAY = 24 * HOUR


@pytest.mark.parametrize(
    "span_ns, text",
    [
        (-2 * SECOND, "<invalid>"),
        (0, "0s"),
        (SECOND, "1s"),
        (70 * SECOND, "70s"),
        (190 * SECOND, "3m10s"),
        (70 * MINUTE, "70m"),
        (47 * HOUR, "47h"),
        (49 * HOUR, "2d1h"),
        (8 * DAY + 2 * HOUR, "8d"),
        (367 * DAY, "367d"),
        (365 * 2 * DAY + 25 * HOUR, "2y1d"),
        (365 * 8 * DAY + 2 * HOUR, "8y"),
        (2 * MINUTE, "2m"),
        (10 * MINUTE, "10m"),
        (3 * HOUR, "3h"),
        (4 * HOUR + 5 * MINUTE, "4h5m"),
    ],
)
def test_human_duration(span_ns, text):
    """Two units while they matter, then one."""
    assert human_duration(span_ns) == text


def pod(phase="Running", statuses=(), containers=1, conditions=(), **metadata):
    """A Pod with these container statuses."""
    return {
        "kind": "Pod",
        "metadata": {"name": "test", "namespace": "a", "creationTimestamp": to_time(0), **metadata},
        "spec": {"containers": [{"name": f"c{number}"} for number in range(containers)]},
        "status": {"phase": phase, "containerStatuses": list(statuses), "conditions": list(conditions)},
    }


RUNNING = {"name": "c0", "ready": True, "state": {"running": {}}, "restartCount": 0}
CRASHED = {
    "name": "c0",
    "ready": False,
    "restartCount": 3,
    "state": {"waiting": {"reason": "CrashLoopBackOff"}},
    "lastState": {"terminated": {"finishedAt": to_time(70 * SECOND), "exitCode": 1}},
}


@pytest.mark.parametrize(
    "obj, ready, status, restarts",
    [
        (pod(statuses=[RUNNING]), "1/1", "Running", "0"),
        (pod(phase="Pending"), "0/1", "Pending", "0"),
        (pod(statuses=[CRASHED]), "0/1", "CrashLoopBackOff", "3 (30s ago)"),
        (pod(statuses=[RUNNING], deletionTimestamp=to_time(0)), "1/1", "Terminating", "0"),
        (
            pod(
                phase="Succeeded",
                statuses=[{"name": "c0", "state": {"terminated": {"reason": "Completed", "exitCode": 0}}}],
            ),
            "0/1",
            "Completed",
            "0",
        ),
        (pod(statuses=[{"name": "c0", "state": {"terminated": {"exitCode": 7}}}]), "0/1", "ExitCode:7", "0"),
        (
            pod(statuses=[{"name": "c0", "state": {"terminated": {"signal": 9, "exitCode": 137}}}]),
            "0/1",
            "Signal:9",
            "0",
        ),
        (
            pod(
                statuses=[
                    {"name": "c0", "state": {"terminated": {"reason": "Completed", "exitCode": 0}}},
                    {**RUNNING, "name": "c1"},
                ],
                containers=2,
            ),
            "1/2",
            "NotReady",
            "0",
        ),
        (
            pod(phase="Pending", conditions=[{"type": "PodScheduled", "status": "False", "reason": "SchedulingGated"}]),
            "0/1",
            "SchedulingGated",
            "0",
        ),
    ],
    ids=[
        "running",
        "pending",
        "crash loop",
        "terminating",
        "completed",
        "an exit code",
        "a signal",
        "one of two completed",
        "gated",
    ],
)
def test_pod_rows(obj, ready, status, restarts):
    """Many states in one word."""
    assert pod_row(obj, 100 * SECOND)[1:4] == (ready, status, restarts)


@pytest.mark.parametrize(
    "statuses, status",
    [
        ([{"name": "i0", "state": {"running": {}}}], "Init:0/2"),
        (
            [
                {"name": "i0", "state": {"terminated": {"exitCode": 0}}},
                {"name": "i1", "state": {"waiting": {"reason": "PodInitializing"}}},
            ],
            "Init:1/2",
        ),
        ([{"name": "i0", "state": {"terminated": {"exitCode": 1, "reason": "Error"}}}], "Init:Error"),
        ([{"name": "i0", "state": {"waiting": {"reason": "CrashLoopBackOff"}}}], "Init:CrashLoopBackOff"),
    ],
)
def test_pods_that_initialise(statuses, status):
    """The first init container that is not done says what the Pod is."""
    obj = pod(phase="Pending")
    obj["spec"]["initContainers"] = [{"name": "i0"}, {"name": "i1"}]
    obj["status"]["initContainerStatuses"] = statuses

    assert pod_row(obj, 0)[2] == status


def test_columns_are_kubectls():
    """Three spaces between columns, no space at a line's end."""
    deployment = {
        "metadata": {"name": "web", "namespace": "a", "creationTimestamp": to_time(0)},
        "spec": {"replicas": 2},
        "status": {"readyReplicas": 2, "updatedReplicas": 2, "availableReplicas": 2},
    }

    assert list(print_tables({"deployments": [deployment]}, 9 * SECOND)) == [
        "NAME                  READY   UP-TO-DATE   AVAILABLE   AGE",
        "deployment.apps/web   2/2     2            2           9s",
    ]

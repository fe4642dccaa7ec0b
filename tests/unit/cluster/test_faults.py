"""What a test author does to Pods and nodes by name, and what is said when it cannot be done."""

from __future__ import annotations

import pytest

from kubesim.api.conditions import is_condition_true
from kubesim.cluster import Cluster, ready
from kubesim.errors import UserError


@pytest.fixture
def cluster():
    """Two nodes and a Pod `a` of one container without a memory limit."""
    spec = {"containers": [{"name": "c", "image": "x"}]}
    with Cluster(nodes=2) as made:
        made.create({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a"}, "spec": spec})
        made.until(ready("pod/a"))
        yield made


def notes(cluster):
    """The records of faults."""
    return [(record.verb, record.subject) for record in cluster.trace.records if record.actor == "fault"]


def test_a_crash_is_noted_and_shows_in_the_status(cluster):
    """With its exit code."""
    cluster.crash("pod/a", exit_code=3)
    cluster.run(5)
    status = cluster.get("pod/a")["status"]["containerStatuses"][0]

    assert notes(cluster) == [("crash", "pod/default/a")]
    assert status["lastState"]["terminated"]["exitCode"] == 3
    assert status["restartCount"] == 1


@pytest.mark.parametrize(
    "do, message",
    [
        (lambda c: c.crash("pod/a", "d"), 'pod/default/a has no container "d"; it has c'),
        (lambda c: c.crash("pod/b"), "there is no pod/b"),
        (
            lambda c: c.faults.exhaust_memory(c.get("pod/a")),
            "pod/default/a: container c has no memory limit, so nothing kills it; set one",
        ),
        (lambda c: c.faults.lose_power("node-9"), "there is no node node-9; there are node-1, node-2"),
        (
            lambda c: (c.crash("pod/a"), c.crash("pod/a")),
            "pod/default/a: container c does not run now; wait until it does",
        ),
    ],
    ids=["no such container", "no such Pod", "no limit", "no such node", "crashed already"],
)
def test_what_cannot_be_done(cluster, do, message):
    """One line: what, where, and what to do."""
    with pytest.raises(UserError) as caught:
        do(cluster)

    assert str(caught.value) == message


def test_a_node_that_reaches_the_api_again_is_ready_again(cluster):
    """The kubelet looks at its Node once it is connected, and does not wait for its next report in minutes.

    Upstream: pkg/kubelet/kubelet_node_status.go:tryUpdateNodeStatus looks every 10 s @v1.36
    """
    cluster.faults.isolate("node-1")
    cluster.run(90)
    assert not ready("node/node-1").holds(cluster)

    cluster.faults.rejoin("node-1")

    assert cluster.until(ready("node/node-1"), within=60)


def test_a_workloads_first_ready_pod_is_meant(cluster):
    """By name; a Pod's own reference means that Pod."""
    assert cluster.ready_pod_of("pod/a")["metadata"]["name"] == "a"


@pytest.mark.parametrize("do", ["lose_power", "isolate"])
def test_who_needs_a_lost_node_notices(do):
    """An API whose database is on the node fails its readiness probe, though no connection has been reset."""
    with Cluster(nodes=3) as cluster:
        cluster.apply("specs/stack.yaml")
        cluster.until(ready("deployment/vehicle-api"))
        lost = cluster.get("pod/postgres-0")["spec"]["nodeName"]
        cluster.run(10)
        getattr(cluster.faults, do)(lost)
        cluster.run(15)
        others = [pod for pod in cluster.pods_of("deployment/vehicle-api") if pod["spec"]["nodeName"] != lost]

        assert others
        assert [is_condition_true(pod["status"]["conditions"], "Ready") for pod in others] == [False] * len(others)

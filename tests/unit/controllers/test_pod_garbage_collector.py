"""The Pod garbage collector in a running control plane: rules and times of pkg/controller/podgc/gc_controller.go @v1.36."""

import pytest
from control_plane_world import World

from kubesim.api.kinds import NODE, POD
from kubesim.controllers import pod_garbage_collector
from kubesim.sim.loop import SECOND

TICK_NS = 20 * SECOND


@pytest.fixture
def world():
    world = World()
    world.node()
    return world


def test_node_that_is_gone(world):
    """Pods of a node that has been missed for 40 s are marked Failed with a reason, and deleted."""
    world.pod("here", ip="10.0.0.1", ready=True)
    world.node("gone")
    world.pod("lost", ip="10.0.0.2", ready=True, node="gone")
    world.patch(POD, "lost", {"metadata": {"finalizers": ["x.y/z"]}})
    world.run(TICK_NS)
    world.delete(NODE, "gone")

    world.run(2 * TICK_NS)
    assert "deletionTimestamp" not in world.find(POD, "lost")["metadata"]

    world.run(TICK_NS)
    lost = world.find(POD, "lost")
    assert "deletionTimestamp" in lost["metadata"]
    assert lost["status"]["phase"] == "Failed"
    (condition,) = [each for each in lost["status"]["conditions"] if each["type"] == "DisruptionTarget"]
    assert condition["status"] == "True"
    assert condition["reason"] == "DeletionByPodGC"
    assert condition["message"] == "PodGC: node no longer exists"
    assert world.find(POD, "here")["status"]["phase"] == "Running"


def test_node_that_comes_back(world):
    """A node that is there again before the 40 s are over keeps its Pods."""
    world.node("gone")
    world.pod("lost", ip="10.0.0.2", node="gone")
    world.run(TICK_NS)
    world.delete(NODE, "gone")
    world.run(TICK_NS)
    world.node("gone")
    world.run(4 * TICK_NS)
    assert world.find(POD, "lost")["status"]["phase"] == "Running"


def test_pod_bound_to_a_node_that_never_was(world):
    """It makes no difference whether the node has ever existed."""
    world.pod("lost", ip="10.0.0.2", node="nowhere")
    world.run(4 * TICK_NS)
    assert world.find(POD, "lost") is None


def test_terminating_pod_without_node(world):
    """A terminating Pod that was never bound goes at the next tick, as far as its finalizers let it."""
    world.create(POD, "unbound", finalizers=["x.y/z"], spec={"containers": [{"name": "main", "image": "x"}]})
    world.delete(POD, "unbound")
    assert world.find(POD, "unbound")["status"]["phase"] == "Pending"
    world.run(TICK_NS)
    assert world.find(POD, "unbound")["status"]["phase"] == "Failed"

    world.patch(POD, "unbound", {"metadata": {"finalizers": None}})
    world.run()
    assert world.find(POD, "unbound") is None


@pytest.mark.parametrize(
    "ready, taint, is_removed",
    [
        pytest.param(False, "node.kubernetes.io/out-of-service", True, id="not ready and out of service"),
        pytest.param(True, "node.kubernetes.io/out-of-service", False, id="out of service but ready"),
        pytest.param(False, "other", False, id="not ready with another taint"),
    ],
)
def test_out_of_service(world, ready, taint, is_removed):
    """Terminating Pods of a node that is not ready and declared out of service are removed without its kubelet."""
    world.node("broken", ready=ready)
    world.patch(NODE, "broken", {"spec": {"taints": [{"key": taint, "effect": "NoExecute"}]}})
    world.pod("p", ip="10.0.0.2", node="broken")
    world.delete(POD, "p", grace_period_s=600)
    world.run(TICK_NS)
    assert (world.find(POD, "p") is None) is is_removed


def test_finished_pods_beyond_the_threshold(world, monkeypatch):
    """Of the finished Pods those beyond the threshold go, evicted ones first, then the oldest."""
    monkeypatch.setattr(pod_garbage_collector, "TERMINATED_MAX", 2)
    for name, status in (
        ("oldest", {"phase": "Succeeded"}),
        ("older", {"phase": "Failed"}),
        ("evicted", {"phase": "Failed", "reason": "Evicted"}),
        ("newest", {"phase": "Succeeded"}),
        ("running", {"phase": "Running"}),
    ):
        world.pod(name, ip="10.0.0.2")
        world.patch(POD, name, {"status": status}, subresource="status")
        world.run(SECOND)

    world.run(TICK_NS)
    assert [pod["metadata"]["name"] for pod in world.list(POD)] == ["newest", "older", "running"]


def test_threshold():
    """The threshold is that of --terminated-pod-gc-threshold."""
    assert pod_garbage_collector.TERMINATED_MAX == 12_500

"""Which Pods a ReplicaSet gives up first: pairs from upstream's own test.

Upstream: pkg/controller/controller_utils_test.go:TestSortingActivePodsWithRanks @v1.36
"""

from __future__ import annotations

import pytest

from kubesim.api.timestamps import to_time
from kubesim.controllers.victims import plan_victims
from kubesim.sim.loop import HOUR, SECOND

NOW_NS = 1000 * HOUR


def pod(
    uid, node="node", phase="Running", ready_h=None, created_h=800.0, restarts=0, sidecar=0, cost=None, unknown=False
):
    """A Pod; `ready_h` and `created_h` are hours ago."""
    metadata = {"uid": uid, "name": uid, "namespace": "default", "creationTimestamp": ago(created_h)}
    if cost is not None:
        metadata["annotations"] = {"controller.kubernetes.io/pod-deletion-cost": cost}
    status = {"phase": phase}
    if ready_h is not None:
        status["conditions"] = [{"type": "Ready", "status": "True", "lastTransitionTime": ago(ready_h)}]
        if unknown:
            del status["conditions"][0]["lastTransitionTime"]
        status["containerStatuses"] = [{"name": "main", "restartCount": restarts}]
        status["initContainerStatuses"] = [{"name": "sidecar", "restartCount": sidecar}]
    spec = {"initContainers": [{"name": "sidecar", "restartPolicy": "Always"}], "containers": [{"name": "main"}]}
    return {"metadata": metadata, "spec": {**spec, **({"nodeName": node} if node else {})}, "status": status}


def ago(hours):
    return to_time(NOW_NS - round(hours * HOUR))


PAIRS = [
    ("unassigned before assigned", pod("b", node="", phase="Pending"), pod("a", phase="Pending")),
    ("Pending before Unknown", pod("b", phase="Pending"), pod("a", phase="Unknown")),
    ("Unknown before Running", pod("b", phase="Unknown"), pod("a")),
    ("not ready before ready", pod("b"), pod("a", ready_h=0)),
    ("cheap before dear", pod("b", ready_h=0, cost="10"), pod("a", ready_h=0, cost="100")),
    ("a negative cost before none", pod("b", ready_h=0, cost="-1"), pod("a", ready_h=0)),
    ("a malformed cost is none", pod("a", ready_h=0, cost="free"), pod("b", ready_h=0, cost="1")),
    ("ready since nobody knows before ready for long", pod("b", ready_h=0, unknown=True), pod("a", ready_h=10)),
    ("ready just now before ready for a month", pod("b", ready_h=0), pod("a", ready_h=720)),
    ("ready for two hours before ready for five", pod("b", ready_h=2), pod("a", ready_h=5)),
    ("five and eight hours are one age: the UID decides", pod("a", ready_h=8), pod("b", ready_h=5)),
    ("many restarts before none", pod("b", ready_h=0, restarts=9001), pod("a", ready_h=0)),
    ("a restarting sidecar before none", pod("b", ready_h=0, restarts=9, sidecar=9), pod("a", ready_h=0, restarts=9)),
    ("made just now before made a month ago", pod("b", ready_h=0, created_h=0), pod("a", ready_h=0)),
    ("made five and eight hours ago: the UID decides", pod("a", created_h=8), pod("b", created_h=5)),
]


@pytest.mark.parametrize("first, second", [pair[1:] for pair in PAIRS], ids=[pair[0] for pair in PAIRS])
def test_the_less_missed_of_two_goes(first, second):
    """Whatever the order in which they are given."""
    for both in ([first, second], [second, first]):
        assert [each["metadata"]["uid"] for each in plan_victims(both, (), 1, NOW_NS)] == [first["metadata"]["uid"]]


def test_a_pod_whose_node_has_more_copies_goes_first():
    """Copies of other ReplicaSets of the same owner count, and that counts before the time since ready."""
    lonely, doubled = pod("a", node="x", ready_h=0), pod("b", node="y", ready_h=720)
    other = pod("c", node="y", ready_h=1)

    assert plan_victims([lonely, doubled], [lonely, doubled, other], 1, NOW_NS) == [doubled]


def test_only_active_pods_count_as_copies():
    """One that is being deleted or has ended makes a node no more crowded."""
    lonely, doubled = pod("a", node="x", ready_h=0), pod("b", node="y", ready_h=720)
    ended = pod("c", node="y", phase="Succeeded")
    going = pod("d", node="y", ready_h=1)
    going["metadata"]["deletionTimestamp"] = to_time(NOW_NS)

    assert plan_victims([lonely, doubled], [lonely, doubled, ended, going], 1, NOW_NS) == [lonely]


def test_all_go_in_the_order_given_when_all_are_too_many():
    """Nothing is ranked where nothing stays. Upstream: replica_set.go:getPodsToDelete."""
    pods = [pod("b", ready_h=0), pod("a")]

    assert plan_victims(pods, pods, 2, NOW_NS) == pods


def test_several_go_from_least_to_most_missed():
    """The order of deletion is the order of the ranking."""
    pods = [
        pod("ready", ready_h=5),
        pod("running"),
        pod("pending", phase="Pending"),
        pod("unbound", node="", phase="Pending"),
    ]

    assert [each["metadata"]["uid"] for each in plan_victims(pods, (), 3, NOW_NS)] == ["unbound", "pending", "running"]


def test_ages_are_compared_by_their_binary_magnitude():
    """Up to twice as old is the same age, so that not always the youngest of a batch goes."""
    young, old = pod("b", ready_h=5 * SECOND / HOUR), pod("a", ready_h=8 * SECOND / HOUR)

    assert plan_victims([young, old], (), 1, NOW_NS) == [old]

"""The scheduler's picture of nodes, and what it makes of Pods."""

from __future__ import annotations

import pytest

from kubesim.scheduler.evaluation import node_count_to_find
from kubesim.scheduler.plugins.node_resources_balanced_allocation import NodeResourcesBalancedAllocation
from kubesim.scheduler.plugins.node_resources_fit import NodeResourcesFit
from kubesim.scheduler.profile import PodProfiles
from kubesim.scheduler.resources import compute_requests
from kubesim.scheduler.snapshot import NodeInfo


def test_nodes_come_one_of_each_zone_in_turn(world, node) -> None:
    """Upstream: node_tree.go:list @v1.36"""
    cluster = world(*[node(name, zone=name[0]) for name in ("a1", "a2", "a3", "b1", "c1", "b2")])

    assert [info.name for info in cluster.snapshot.order] == ["a1", "b1", "c1", "a2", "b2", "a3"]


def test_pods_that_come_and_go_leave_nothing_behind(world, node, pod) -> None:
    """The sums on a node are those of an empty one again."""
    cluster = world(node("n"))
    info = cluster.snapshot.nodes["n"]
    ports = {"ports": [{"containerPort": 1, "hostPort": 2}]}
    cluster.place(pod("p", cpu="1", memory="1Gi", container=ports), "n")
    cluster.snapshot.remove_pod("uid-default-p")
    fresh = NodeInfo(node("n"))

    for name in ("milli_cpu", "memory", "non_zero_milli_cpu", "non_zero_memory", "ports", "pods", "profiles"):
        assert getattr(info, name) == getattr(fresh, name)


def test_pods_of_an_unknown_node_count_once_it_appears(world, node, pod) -> None:
    """A bound Pod may be heard of before its node."""
    cluster = world()
    cluster.place(pod("p", cpu="1"), "late")
    cluster.snapshot.add_node(node("late"))

    assert cluster.snapshot.nodes["late"].milli_cpu == 1000


def test_pods_of_one_template_share_a_profile(pod) -> None:
    """A token volume of their own tells them apart no more than their names do; labels do."""
    profiles = PodProfiles()
    one = pod("a", cpu="1", volumes=[{"name": "kube-api-access-1", "projected": {}}])
    two = pod("b", cpu="1", volumes=[{"name": "kube-api-access-2", "projected": {}}])
    three = pod("c", cpu="1", labels={"app": "x"})

    assert profiles.of(one) is profiles.of(two)
    assert profiles.of(one) is not profiles.of(three)


REQUESTS = [
    pytest.param({"containers": [{}]}, (0, 0, 100, 200 << 20), id="nothing asked for counts for scores alone"),
    pytest.param(
        {"containers": [{"cpu": "1"}, {"memory": "1Gi"}]}, (1000, 1 << 30, 1100, (1 << 30) + (200 << 20)), id="a sum"
    ),
    pytest.param(
        {"containers": [{"cpu": "1"}], "initContainers": [{"cpu": "3"}]},
        (3000, 0, 3000, 200 << 20),
        id="an init container needs more than all containers",
    ),
    pytest.param(
        {"containers": [{"cpu": "1"}], "initContainers": [{"cpu": "1", "restartPolicy": "Always"}, {"cpu": "2"}]},
        (3000, 0, 3000, 400 << 20),
        id="a sidecar runs beside the init container after it",
    ),
    pytest.param(
        {"containers": [{"cpu": "1"}], "resources": {"requests": {"cpu": "2"}}, "overhead": {"cpu": "1"}},
        (3000, 0, 3000, 200 << 20),
        id="the Pod's own requests override, overhead comes on top",
    ),
]


def container(wants):
    """A container from its requests."""
    amounts = {key: text for key, text in wants.items() if key in {"cpu", "memory"}}
    rest = {key: text for key, text in wants.items() if key not in amounts}
    return {"name": "c", "resources": {"requests": amounts}, **rest}


@pytest.mark.parametrize("spec, expected", REQUESTS)
def test_requests_of_a_pod(spec, expected) -> None:
    """Upstream: component-helpers/resource/helpers.go:PodRequests @v1.36"""
    for kind in ("containers", "initContainers"):
        if kind in spec:
            spec = {**spec, kind: [container(wants) for wants in spec[kind]]}
    requests = compute_requests(spec)

    assert (requests.milli_cpu, requests.memory, *requests[4:]) == expected


@pytest.mark.parametrize(
    "nodes, wanted",
    [(50, 50), (100, 100), (250, 120), (1000, 420), (5000, 500), (6000, 300)],
    ids=["few", "a hundred", "48 %", "42 %", "10 %", "5 %"],
)
def test_how_many_feasible_nodes_are_enough(nodes, wanted) -> None:
    """Upstream: schedule_one.go:numFeasibleNodesToFind; 1000 and 6000 as in TestNumFeasibleNodesToFind @v1.36"""
    assert node_count_to_find(nodes) == wanted


def test_an_empty_and_a_half_full_node_score_as_upstream_has_it(node, pod) -> None:
    """By hand from the formulas in noderesources/{least_allocated,balanced_allocation}.go @v1.36."""
    requests = PodProfiles().of(pod("p", cpu="1", memory="2Gi")).requests
    empty = NodeInfo(node("n", cpu="4", memory="8Gi"))
    skewed = NodeInfo(node("n", cpu="4", memory="16Gi"))

    # (4000 - 1000) / 4000 and (8 - 2) / 8 are both 75 %.
    assert NodeResourcesFit().score(requests, empty) == 75
    # Balance stays perfect: 50 + (50 + 100 - 100) / 2.
    assert NodeResourcesBalancedAllocation().score(requests, empty) == 75
    # Fractions 0.25 and 0.125 give 93; 50 + (50 + 93 - 100) / 2 is 71.5, cut down.
    assert NodeResourcesBalancedAllocation().score(requests, skewed) == 71

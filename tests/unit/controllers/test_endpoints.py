"""Endpoints in a running control plane. Expected values are those of the Services recording on a real 1.36.3."""

import pytest
from control_plane_world import World

from kubesim.api.kinds import ENDPOINTS, POD, SERVICE
from kubesim.controllers.endpoints import truncate

MANAGED_BY = "endpoints.kubernetes.io/managed-by"
TRIGGER = "endpoints.kubernetes.io/last-change-trigger-time"


@pytest.fixture
def world():
    world = World()
    world.node()
    return world


def test_without_pods(world):
    """A Service without Pods has an Endpoints object without subsets."""
    service = world.service(labels={"app": "web"})
    world.run()

    endpoints = world.find(ENDPOINTS, "web")
    assert "subsets" not in endpoints
    assert endpoints["metadata"]["labels"] == {"app": "web", MANAGED_BY: "endpoint-controller"}
    assert endpoints["metadata"]["annotations"] == {TRIGGER: service["metadata"]["creationTimestamp"]}


def test_subsets(world):
    """A Pod moves from the not ready to the ready addresses; a terminating one is in neither."""
    world.service(
        ports=[{"name": "http", "port": 80, "targetPort": 8080}, {"name": "extra", "port": 81, "targetPort": 9090}]
    )
    pod = world.pod("w1", ip="10.244.0.116")
    world.run()
    address = {
        "ip": "10.244.0.116",
        "nodeName": "node-1",
        "targetRef": {"kind": "Pod", "namespace": "default", "name": "w1", "uid": pod["metadata"]["uid"]},
    }
    ports = [{"name": "http", "port": 8080, "protocol": "TCP"}, {"name": "extra", "port": 9090, "protocol": "TCP"}]
    assert world.find(ENDPOINTS, "web")["subsets"] == [{"notReadyAddresses": [address], "ports": ports}]

    world.running("w1", "10.244.0.116", ready=True)
    world.run()
    assert world.find(ENDPOINTS, "web")["subsets"] == [{"addresses": [address], "ports": ports}]

    world.delete(POD, "w1", grace_period_s=30)
    world.run()
    assert "subsets" not in world.find(ENDPOINTS, "web")


def test_headless_and_unready(world):
    """A headless Service is labelled so; publishNotReadyAddresses lists all Pods as ready, terminating ones too."""
    world.service("unready", clusterIP="None", publishNotReadyAddresses=True)
    world.pod("w2", ip="10.0.0.2", hostname="w2", subdomain="unready")
    world.run()
    endpoints = world.find(ENDPOINTS, "unready")
    assert endpoints["metadata"]["labels"] == {MANAGED_BY: "endpoint-controller", "service.kubernetes.io/headless": ""}
    (subset,) = endpoints["subsets"]
    assert [address["hostname"] for address in subset["addresses"]] == ["w2"]
    assert subset["ports"] == [{"port": 80, "protocol": "TCP"}]

    world.delete(POD, "w2", grace_period_s=30)
    world.run()
    assert world.find(ENDPOINTS, "unready")["subsets"] == [subset]


def test_headless_without_ports(world):
    """A headless Service without ports has a subset without ports."""
    world.service("headless", clusterIP="None", ports=[])
    world.pod("w1", ip="10.0.0.1", ready=True)
    world.run()

    (subset,) = world.find(ENDPOINTS, "headless")["subsets"]
    assert set(subset) == {"addresses"}


def test_named_port_with_two_meanings(world):
    """Pods on which a named port has different numbers are in different subsets."""
    world.service(ports=[{"name": "http", "port": 80, "targetPort": "http"}])
    for name, ip, number in (("a", "10.0.0.1", 8080), ("b", "10.0.0.2", 9090)):
        container = {"name": "main", "image": "x", "ports": [{"name": "http", "containerPort": number}]}
        world.pod(name, ip=ip, ready=True, containers=[container])
    world.run()

    subsets = world.find(ENDPOINTS, "web")["subsets"]
    found = {subset["addresses"][0]["targetRef"]["name"]: subset["ports"][0]["port"] for subset in subsets}
    assert found == {"a": 8080, "b": 9090}


def test_addresses_are_sorted_as_text(world):
    """Addresses stand in the order of their text: util.go:LessEndpointAddress."""
    world.service()
    for ip in ("10.0.0.9", "10.0.0.10", "10.0.0.100"):
        world.pod("p" + ip.rpartition(".")[2], ip=ip, ready=True)
    world.run()

    (subset,) = world.find(ENDPOINTS, "web")["subsets"]
    assert [address["ip"] for address in subset["addresses"]] == ["10.0.0.10", "10.0.0.100", "10.0.0.9"]


def test_deleted_service(world):
    """The Endpoints of a deleted Service go with it."""
    world.service()
    world.run()
    world.delete(SERVICE, "web")
    world.run()
    assert world.find(ENDPOINTS, "web") is None


def test_deleted_endpoints(world):
    """Endpoints that a user deletes come back."""
    world.service()
    world.run()
    uid = world.find(ENDPOINTS, "web")["metadata"]["uid"]
    world.delete(ENDPOINTS, "web")
    world.run()
    assert world.find(ENDPOINTS, "web")["metadata"]["uid"] != uid


def test_endpoints_of_the_user(world):
    """Endpoints without a Service, and those of a Service without selector, are left alone."""
    mine = world.create(ENDPOINTS, "mine", subsets=[{"addresses": [{"ip": "10.1.1.1"}], "ports": [{"port": 1}]}])
    world.service("noselector", selector={})
    world.run()
    assert world.find(ENDPOINTS, "mine") == mine
    assert world.find(ENDPOINTS, "noselector") is None


def test_over_capacity(world):
    """Beyond 1000 addresses the object is cut and says so; below again it does no longer."""
    world.service()
    for index in range(1001):
        world.pod(f"p{index}", ip=f"10.0.{index // 250}.{index % 250}", ready=index != 0)
    world.run()
    endpoints = world.find(ENDPOINTS, "web")
    (subset,) = endpoints["subsets"]
    assert len(subset["addresses"]) == 1000
    assert "notReadyAddresses" not in subset
    assert endpoints["metadata"]["annotations"]["endpoints.kubernetes.io/over-capacity"] == "truncated"

    world.delete(POD, "p0", grace_period_s=0)
    world.run()
    endpoints = world.find(ENDPOINTS, "web")
    assert len(endpoints["subsets"][0]["addresses"]) == 1000
    assert "endpoints.kubernetes.io/over-capacity" not in endpoints["metadata"].get("annotations", {})


# Rows of upstream's endpoints_controller_test.go:TestTruncateEndpoints.
@pytest.mark.parametrize(
    "ready, unready, ready_left, unready_left",
    [
        pytest.param([], [], [], [], id="nothing"),
        pytest.param([100] * 5, [100] * 5, [100] * 5, [100] * 5, id="exactly as many as fit"),
        pytest.param(
            [90, 110, 50, 10, 20],
            [101, 200, 200, 201, 298],
            [90, 110, 50, 10, 20],
            [73, 144, 144, 145, 214],
            id="all ready ones fit, but not all together",
        ),
        pytest.param(
            [205, 400, 402, 400, 693],
            [100, 200, 200, 200, 300],
            [98, 191, 192, 191, 328],
            [0, 0, 0, 0, 0],
            id="the ready ones alone are too many",
        ),
    ],
)
def test_truncate(ready, unready, ready_left, unready_left):
    """Ready addresses come first and every subset is cut in proportion, the last one by the rest."""
    subsets = [
        {"addresses": [{"ip": "r"}] * count, "notReadyAddresses": [{"ip": "u"}] * others, "ports": [{"port": index}]}
        for index, (count, others) in enumerate(zip(ready, unready, strict=True))
    ]
    cut = truncate(subsets)
    assert [len(subset.get("addresses", [])) for subset in cut] == ready_left
    assert [len(subset.get("notReadyAddresses", [])) for subset in cut] == unready_left

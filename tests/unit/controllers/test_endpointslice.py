"""EndpointSlices in a running control plane. Expected values are those of the Services recording on a real 1.36.3."""

import pytest
from control_plane_world import World
from hypothesis import given, settings
from hypothesis import strategies as st

from kubesim.api.kinds import ENDPOINT_SLICE, EVENT, POD, SERVICE
from kubesim.api.requests import list_all
from kubesim.controllers.endpointslice_endpoints import Endpoints
from kubesim.controllers.endpointslice_plan import plan_slices
from kubesim.sim.loop import SECOND

MANAGED_BY = "endpointslice.kubernetes.io/managed-by"
TRIGGER = "endpoints.kubernetes.io/last-change-trigger-time"


@pytest.fixture
def world():
    world = World()
    world.node()
    return world


def slices(world, service="web", namespace="default"):
    return [
        piece
        for piece in world.list(ENDPOINT_SLICE, namespace)
        if piece["metadata"]["labels"]["kubernetes.io/service-name"] == service
    ]


def only_slice(world, service="web"):
    (piece,) = slices(world, service)
    return piece


def shown(world, service="web"):
    """Each endpoint's Pod and its conditions ready, serving and terminating."""
    return {
        endpoint["targetRef"]["name"]: tuple(endpoint["conditions"].values())
        for piece in slices(world, service)
        for endpoint in piece["endpoints"] or ()
    }


def test_without_pods(world):
    """A Service without Pods has one slice, whose endpoints and ports read null."""
    service = world.service(labels={"team": "a"})
    world.run()

    piece = only_slice(world)
    metadata = piece["metadata"]
    assert piece["endpoints"] is None
    assert piece["ports"] is None
    assert piece["addressType"] == "IPv4"
    assert metadata["generateName"] == "web-"
    assert metadata["name"].startswith("web-")
    assert len(metadata["name"]) == len("web-j99kh")
    assert metadata["generation"] == 1
    assert metadata["labels"] == {
        "team": "a",
        MANAGED_BY: "endpointslice-controller.k8s.io",
        "kubernetes.io/service-name": "web",
    }
    assert metadata["annotations"] == {TRIGGER: service["metadata"]["creationTimestamp"]}
    assert metadata["ownerReferences"] == [
        {
            "apiVersion": "v1",
            "kind": "Service",
            "name": "web",
            "uid": service["metadata"]["uid"],
            "controller": True,
            "blockOwnerDeletion": True,
        }
    ]


def test_endpoint_of_a_pod(world):
    """An endpoint carries address, conditions, target and node; named target ports are looked up in the containers."""
    world.service(
        ports=[{"name": "http", "port": 80, "targetPort": "http"}, {"name": "extra", "port": 81, "targetPort": 9090}]
    )
    container = {"name": "main", "image": "x", "ports": [{"name": "http", "containerPort": 8080}]}
    pod = world.pod("w1", ip="10.244.0.116", containers=[container])
    world.run()

    piece = only_slice(world)
    assert piece["endpoints"] == [
        {
            "addresses": ["10.244.0.116"],
            "conditions": {"ready": False, "serving": False, "terminating": False},
            "targetRef": {"kind": "Pod", "namespace": "default", "name": "w1", "uid": pod["metadata"]["uid"]},
            "nodeName": "node-1",
        }
    ]
    assert piece["ports"] == [
        {"name": "http", "port": 8080, "protocol": "TCP"},
        {"name": "extra", "port": 9090, "protocol": "TCP"},
    ]


def test_life_of_an_endpoint(world):
    """Conditions follow the Pod from not ready over ready to terminating; when it has finished it is gone."""
    world.service()
    world.service("unready", clusterIP="None", publishNotReadyAddresses=True)
    world.pod("w1", ip="10.0.0.1")
    world.run()
    assert shown(world) == {"w1": (False, False, False)}
    assert shown(world, "unready") == {"w1": (True, False, False)}

    world.running("w1", "10.0.0.1", ready=True)
    world.run()
    assert shown(world) == shown(world, "unready") == {"w1": (True, True, False)}

    world.delete(POD, "w1", grace_period_s=30)
    world.run()
    assert shown(world) == {"w1": (False, True, True)}
    assert shown(world, "unready") == {"w1": (True, True, True)}

    world.patch(POD, "w1", {"status": {"phase": "Failed"}}, subresource="status")
    world.run()
    assert shown(world) == {}
    assert len(slices(world)) == 1


def test_pod_that_finishes_by_itself_stays(world):
    """A phase that changes alone wakes nobody: the recorded Pod `done` was listed, not ready, after it had Succeeded."""
    world.service()
    world.pod("done", ip="10.0.0.1")
    world.run()

    world.patch(POD, "done", {"status": {"phase": "Succeeded"}}, subresource="status")
    world.run()

    assert shown(world) == {"done": (False, False, False)}


def test_trigger_time_is_that_of_the_pod(world):
    """The annotation tells when the Pod's readiness changed, not when the slice was written."""
    world.service()
    world.pod("w1", ip="10.0.0.1")
    world.run(4 * SECOND)

    world.running("w1", "10.0.0.1", ready=True)
    at = world.find(POD, "w1")["status"]["conditions"][0]["lastTransitionTime"]
    world.run()

    assert only_slice(world)["metadata"]["annotations"] == {TRIGGER: at}


def test_headless(world):
    """Headless slices say so, and carry the hostname of Pods whose subdomain is the Service."""
    world.service("headless", clusterIP="None")
    world.pod("w2", ip="10.0.0.2", hostname="w2", subdomain="headless")
    world.pod("other", ip="10.0.0.3", hostname="other", subdomain="elsewhere")
    world.run()

    piece = only_slice(world, "headless")
    assert piece["metadata"]["labels"]["service.kubernetes.io/headless"] == ""
    assert [endpoint.get("hostname") for endpoint in piece["endpoints"]] == ["w2", None]
    assert piece["ports"] == [{"name": "", "port": 80, "protocol": "TCP"}]


def test_headless_without_ports(world):
    """A headless Service needs no ports for its Pods to be listed."""
    world.service("headless", clusterIP="None", ports=[])
    world.pod("w1", ip="10.0.0.1")
    world.run()

    assert list(shown(world, "headless")) == ["w1"]
    assert not only_slice(world, "headless")["ports"]


@pytest.mark.parametrize(
    "distribution, hints",
    [
        ("PreferClose", {"forZones": [{"name": "z1"}]}),
        ("PreferSameZone", {"forZones": [{"name": "z1"}]}),
        ("PreferSameNode", {"forZones": [{"name": "z1"}], "forNodes": [{"name": "zoned"}]}),
    ],
)
def test_traffic_distribution(world, distribution, hints):
    """Ready endpoints are hinted to their own zone or node; others are not. trafficdist.go:preferCloseHeuristic"""
    world.node("zoned", zone="z1")
    world.service(trafficDistribution=distribution)
    world.pod("a", ip="10.0.0.1", node="zoned", ready=True)
    world.pod("b", ip="10.0.0.2", node="zoned")
    world.run()

    endpoints = only_slice(world)["endpoints"]
    assert [endpoint["zone"] for endpoint in endpoints] == ["z1", "z1"]
    assert [endpoint.get("hints") for endpoint in endpoints] == [hints, None]


def test_slices_of_a_hundred(world):
    """250 Pods make slices of 100, 100 and 50; a Pod that goes leaves the other slices alone."""
    world.service()
    for index in range(250):
        world.pod(f"p{index}", ip=f"10.0.{index // 250}.{index}")
    world.run()
    before = slices(world)
    assert sorted(len(piece["endpoints"]) for piece in before) == [50, 100, 100]

    world.delete(POD, "p0", grace_period_s=0)
    world.run()

    after = slices(world)
    assert sorted(len(piece["endpoints"]) for piece in after) == [50, 99, 100]
    assert sum(piece in before for piece in after) == 2


def test_named_port_with_two_meanings(world):
    """Pods on which a named port has different numbers are in different slices."""
    world.service(ports=[{"name": "http", "port": 80, "targetPort": "http"}])
    for name, ip, number in (("a", "10.0.0.1", 8080), ("b", "10.0.0.2", 9090)):
        container = {"name": "main", "image": "x", "ports": [{"name": "http", "containerPort": number}]}
        world.pod(name, ip=ip, containers=[container])
    world.run()

    found = {piece["endpoints"][0]["targetRef"]["name"]: piece["ports"][0]["port"] for piece in slices(world)}
    assert found == {"a": 8080, "b": 9090}


def test_relabelled_pod_changes_service(world):
    """A Pod leaves the Service whose selector it no longer matches, and joins the other."""
    world.service()
    world.service("other", selector={"app": "other"})
    world.pod("w1", ip="10.0.0.1")
    world.run()

    world.patch(POD, "w1", {"metadata": {"labels": {"app": "other"}}})
    world.run()

    assert shown(world) == {}
    assert list(shown(world, "other")) == ["w1"]


def test_changed_selector(world):
    """A new selector finds Pods that were there before it."""
    world.service()
    world.pod("w1", ip="10.0.0.1", labels={"app": "other", "tier": "x"})
    world.run()

    world.patch(SERVICE, "web", {"spec": {"selector": {"app": "other", "tier": "x"}}})
    world.run()

    assert list(shown(world)) == ["w1"]


def test_labels_follow_the_service(world):
    """A label put on the Service appears on its slices."""
    world.service()
    world.pod("w1", ip="10.0.0.1")
    world.run()

    world.patch(SERVICE, "web", {"metadata": {"labels": {"team": "b"}}})
    world.run()

    assert only_slice(world)["metadata"]["labels"]["team"] == "b"


def test_irrelevant_pod_changes_cost_no_write(world):
    """Annotations and container states of a Pod are nothing to its Services."""
    world.service()
    world.pod("w1", ip="10.0.0.1", ready=True)
    world.run()
    world.writes.clear()

    world.patch(POD, "w1", {"metadata": {"annotations": {"a": "b"}}})
    world.patch(POD, "w1", {"status": {"startTime": "2026-01-01T00:00:00Z"}}, subresource="status")
    world.run()

    assert world.writes == []
    assert world.manager.controllers["endpointslice-controller"].workers[0].queue.idle


@pytest.mark.parametrize(
    "spec", [{"selector": {}}, {"type": "ExternalName", "externalName": "example.com", "ports": []}], ids=str
)
def test_services_without_slices(world, spec):
    """Services without selector and ExternalName Services are left to others."""
    world.service(**spec)
    world.run()
    assert slices(world) == []


def test_slice_deleted_by_somebody(world):
    """A slice that a user deletes comes back a second later: endpointSliceChangeMinSyncDelay."""
    world.service()
    world.pod("w1", ip="10.0.0.1")
    world.run()

    world.delete(ENDPOINT_SLICE, only_slice(world)["metadata"]["name"])
    world.run(SECOND - 1)
    assert slices(world) == []
    world.run()
    assert list(shown(world)) == ["w1"]


def test_slice_edited_by_somebody(world):
    """What a user writes into a slice is put back."""
    world.service()
    world.pod("w1", ip="10.0.0.1")
    world.run()

    world.patch(ENDPOINT_SLICE, only_slice(world)["metadata"]["name"], {"endpoints": []})
    world.run(2 * SECOND)

    assert list(shown(world)) == ["w1"]


def test_pod_on_an_unknown_node(world):
    """Such a Pod is left out with an event, and looked for again after back-offs from 1 s."""
    world.service()
    world.pod("w1", ip="10.0.0.1", node="late")
    world.run()
    assert shown(world) == {}
    (event,) = [event for event in world.list(EVENT) if event["reason"] == "FailedToUpdateEndpointSlices"]
    assert event["message"] == (
        "Error updating Endpoint Slices for Service default/web: "
        "skipping Pod w1 for Service default/web: Node late Not Found"
    )
    assert event["source"] == {"component": "endpoint-slice-controller"}

    world.node("late")
    world.run(2 * SECOND)
    assert list(shown(world)) == ["w1"]


def test_deleted_service(world):
    """The slices of a deleted Service go with it, by the garbage collector; its successor gets its own."""
    world.service()
    world.pod("w1", ip="10.0.0.1")
    world.run()
    first = only_slice(world)["metadata"]["name"]

    world.delete(SERVICE, "web")
    world.run()
    assert slices(world) == []

    world.service()
    world.run()
    assert only_slice(world)["metadata"]["name"] != first
    assert list(shown(world)) == ["w1"]


def pod_value(number, port):
    return {
        "metadata": {"name": f"p{number}", "namespace": "default", "uid": f"u{number}"},
        "spec": {
            "nodeName": "n",
            "containers": [{"name": "c", "ports": [{"name": "http", "containerPort": port}]}],
        },
        "status": {"phase": "Running", "podIPs": [{"ip": f"10.0.{number // 250}.{number % 250}"}]},
    }


SERVICE_VALUE = {
    "apiVersion": "v1",
    "kind": "Service",
    "metadata": {"name": "web", "namespace": "default", "uid": "s"},
    "spec": {"clusterIP": "10.96.0.9", "ports": [{"port": 80, "targetPort": "http"}]},
}


def carried_out(slices_before, plan, names):
    """The slices after the plan's writes."""
    current = {piece["metadata"]["name"]: piece for piece in slices_before}
    for piece in plan.delete:
        del current[piece["metadata"]["name"]]
    for piece in plan.update:
        current[piece["metadata"]["name"]] = piece
    for piece in plan.create:
        name = f"web-{next(names)}"
        current[name] = {**piece, "metadata": {**piece["metadata"], "name": name}}
    return list(current.values())


steps = st.lists(st.dictionaries(st.integers(0, 400), st.sampled_from([80, 81]), max_size=260), min_size=1, max_size=5)


@settings(max_examples=60, deadline=None)
@given(steps)
def test_plans_reach_every_set_of_pods(sets_of_pods):
    """After each plan every Pod is in exactly one slice of its ports, none is over-full, and nothing is left to plan."""
    names, endpoints, current = iter(range(10_000)), Endpoints(), []
    for ports in sets_of_pods:
        pods = [pod_value(number, port) for number, port in ports.items()]
        plan = plan_slices(SERVICE_VALUE, pods, current, endpoints, lambda _: {"metadata": {}})
        current = carried_out(current, plan, names)

        listed = [
            (endpoint["targetRef"]["name"], piece["ports"][0]["port"])
            for piece in current
            for endpoint in piece["endpoints"] or ()
        ]
        assert sorted(listed) == sorted((f"p{number}", port) for number, port in ports.items())
        assert all(len(piece["endpoints"] or ()) <= 100 for piece in current)
        assert current
        again = plan_slices(SERVICE_VALUE, pods, current, endpoints, lambda _: {"metadata": {}})
        assert (again.create, again.update, again.delete) == ([], [], [])


def test_equal_worlds_write_equal_slices():
    """The order of endpoints and the names of slices are the same in every run."""

    def run():
        world = World()
        world.node()
        world.service()
        for index in range(5):
            world.pod(f"p{index}", ip=f"10.0.0.{index}")
        world.run()
        return world.do(list_all(ENDPOINT_SLICE))

    assert run() == run()

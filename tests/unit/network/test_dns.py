"""The cluster's DNS. Expected answers: the DNS specification for Kubernetes and CoreDNS's plugin/kubernetes."""

from __future__ import annotations

import pytest
from data_plane import endpoint_slice, service


@pytest.fixture
def names(plane):
    """Names of a stack: a headless `postgres`, a `web` with an address, an alias and one of another namespace."""
    plane.put_service(service("postgres", "None"))
    endpoints = {
        "10.244.0.5": ("ready", "node-1", "postgres-0"),
        "10.244.0.6": ("unready", "node-1", "postgres-1"),
        "10.244.0.7": ("leaving", "node-1", "postgres-2"),
        "10.244.0.8": "ready",
    }
    plane.put_slice(endpoint_slice("postgres", endpoints))
    plane.put_service(service("web", "10.96.0.10"))
    plane.put_service(service("empty", "None"))
    alias = service("alias", type="ExternalName", externalName="web.vehicles.svc.cluster.local")
    plane.put_service({**alias, "spec": {key: value for key, value in alias["spec"].items() if "lusterIP" not in key}})
    outside = service("outside", type="ExternalName", externalName="example.com")
    plane.put_service(outside)
    return plane.names


@pytest.mark.parametrize(
    "namespace, host, addresses, lookups",
    [
        pytest.param("vehicles", "web", ("10.96.0.10",), 1, id="a bare name within the namespace"),
        pytest.param("default", "web", (), 4, id="a bare name from another namespace is unknown"),
        pytest.param("default", "web.vehicles", ("10.96.0.10",), 2, id="name and namespace"),
        pytest.param("default", "web.vehicles.svc", ("10.96.0.10",), 3, id="with svc"),
        pytest.param("default", "web.vehicles.svc.cluster.local", ("10.96.0.10",), 4, id="in full, but searched first"),
        pytest.param("default", "web.vehicles.svc.cluster.local.", ("10.96.0.10",), 1, id="in full with the final dot"),
        pytest.param("vehicles", "postgres", ("10.244.0.5", "10.244.0.8"), 1, id="headless gives the ready Pods"),
        pytest.param("vehicles", "postgres-0.postgres", ("10.244.0.5",), 1, id="a Pod by its hostname"),
        pytest.param("vehicles", "postgres-1.postgres", (), 4, id="a Pod that is not ready has no name"),
        pytest.param("vehicles", "postgres-2.postgres", (), 4, id="a Pod that terminates has none"),
        pytest.param("vehicles", "10-244-0-8.postgres", ("10.244.0.8",), 1, id="a Pod without hostname by its address"),
        pytest.param("vehicles", "empty", (), 4, id="headless without endpoints does not exist"),
        pytest.param("vehicles", "alias", ("10.96.0.10",), 1, id="ExternalName is followed"),
        pytest.param("vehicles", "outside", (), 4, id="nothing outside the cluster is known"),
        pytest.param("vehicles", "WEB", ("10.96.0.10",), 1, id="case does not matter"),
        pytest.param("vehicles", "example.com", (), 4, id="an outside name"),
    ],
)
def test_names(names, namespace, host, addresses, lookups):
    """What a Pod of a namespace gets for a name, and how many names are tried with ndots:5."""
    assert names.resolve(namespace, host) == (addresses, lookups)


def test_unready_pods_have_names_where_the_service_says_so(plane):
    """publishNotReadyAddresses makes the controller mark every endpoint ready (recording e1 of 1.36.3)."""
    plane.put_service(service("peers", "None", publishNotReadyAddresses=True))
    found = endpoint_slice("peers", {"10.244.0.5": ("unready", "node-1", "peers-0")})
    found["endpoints"][0]["conditions"] = {"ready": True, "serving": False, "terminating": False}
    plane.put_slice(found)

    assert plane.names.resolve("vehicles", "peers-0.peers").addresses == ("10.244.0.5",)


def test_answers_follow_at_once(plane):
    """kubeadm's Corefile caches nothing for cluster.local: not a success, not a denial."""
    plane.put_service(service("web", "None"))
    before = plane.names.resolve("vehicles", "web").addresses
    plane.put_slice(endpoint_slice("web", {"10.244.0.1": "ready"}))
    between = plane.names.resolve("vehicles", "web").addresses
    plane.put_slice(endpoint_slice("web", {"10.244.0.2": "ready"}))

    assert (before, between, plane.names.resolve("vehicles", "web").addresses) == ((), ("10.244.0.1",), ("10.244.0.2",))

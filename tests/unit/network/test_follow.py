"""Proxies and names over a real API server: one pair of informers serves all nodes."""

from __future__ import annotations

import pytest

from kubesim.api.kinds import ENDPOINT_SLICE, NAMESPACE, SERVICE
from kubesim.api.requests import create, delete, get, update
from kubesim.apiserver.server import ApiServer, Identity
from kubesim.client.informer import InformerFactory
from kubesim.client.inprocess import InProcessClient, Latency
from kubesim.network.dns import Names
from kubesim.network.endpoints import REJECTED, Backend
from kubesim.network.proxy import ProxyViews
from kubesim.sim.chooser import Chooser
from kubesim.sim.loop import MILLISECOND, Loop
from kubesim.store.log import Store


class World:
    """An API server, a client, and the proxies and names that follow it."""

    def __init__(self):
        self.loop = Loop()
        chooser = Chooser()
        server = ApiServer(self.loop, Store(), chooser.stream("api-server"))
        self.client = InProcessClient(self.loop, server, Identity("test", is_trusted=True), Latency())
        informers = InformerFactory(self.loop, self.client)
        services, slices = informers.informer(SERVICE), informers.informer(ENDPOINT_SLICE)
        self.proxy = ProxyViews(self.loop, chooser)
        self.proxy.follow(services, slices)
        self.names = Names(services.lister, slices.lister, chooser.stream("dns"))
        informers.start()
        self.send(create(NAMESPACE, {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "vehicles"}}))

    def send(self, request):
        replies = []
        self.client.send(request, replies.append)
        assert self.loop.run_until(self.loop.now_ns + 100 * MILLISECOND, lambda: bool(replies))
        assert isinstance(replies[0], dict), replies[0]
        return replies[0]

    def wait(self, ms):
        self.loop.run_until(self.loop.now_ns + ms * MILLISECOND)


@pytest.fixture
def world():
    """A cluster with one Service and its slice."""
    made = World()
    metadata = {"name": "web", "namespace": "vehicles"}
    ports = [{"name": "http", "port": 80, "targetPort": 8080, "protocol": "TCP"}]
    spec = {"selector": {"app": "web"}, "ports": ports, "type": "ClusterIP"}
    made.service = made.send(
        create(SERVICE, {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": spec})
    )
    metadata = {"name": "web-abcde", "namespace": "vehicles", "labels": {"kubernetes.io/service-name": "web"}}
    found = {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": metadata,
        "addressType": "IPv4",
        "ports": [{"name": "http", "port": 8080, "protocol": "TCP"}],
        "endpoints": [{"addresses": ["10.244.0.1"], "conditions": {"ready": True}, "nodeName": "node-1"}],
    }
    made.slice = made.send(create(ENDPOINT_SLICE, found))
    made.wait(2000)
    return made


def test_a_created_service_has_a_way_and_a_name(world):
    """The API server's cluster IP leads to the slice's endpoint, and the name to the cluster IP."""
    ip = world.service["spec"]["clusterIP"]

    assert world.proxy.route("node-1", ip, 80, "10.244.0.9") == Backend("10.244.0.1", 8080)
    assert world.names.resolve("vehicles", "web").addresses == (ip,)


def test_an_update_arrives_after_the_watch_and_the_lag(world):
    """Write 4 ms, watch 1 ms, then the node's own lag."""
    ip = world.service["spec"]["clusterIP"]
    current = world.send(get(ENDPOINT_SLICE, "vehicles", "web-abcde"))
    changed = {**current, "endpoints": [{"addresses": ["10.244.0.1"], "conditions": {"ready": False}}]}
    world.send(update(ENDPOINT_SLICE, changed))
    lag_ms = world.proxy.lag_ns("node-1") // MILLISECOND
    world.wait(lag_ms)
    before = world.proxy.route("node-1", ip, 80, "")
    world.wait(1)

    assert (before, world.proxy.route("node-1", ip, 80, "")) == (Backend("10.244.0.1", 8080), REJECTED)


def test_a_deleted_service_is_gone(world):
    """Neither name nor way is left."""
    ip = world.service["spec"]["clusterIP"]
    world.send(delete(SERVICE, "vehicles", "web"))
    world.wait(2000)

    assert world.proxy.route("node-1", ip, 80, "") is None
    assert world.names.resolve("vehicles", "web").addresses == ()

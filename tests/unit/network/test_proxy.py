"""kube-proxy: which endpoints a node uses, and when it learns of a change."""

from __future__ import annotations

import pytest
from data_plane import endpoint_slice, failure, service

from kubesim.network.endpoints import DROPPED, REJECTED, Backend
from kubesim.sim.loop import SECOND

STICKY = {"sessionAffinity": "ClientIP", "sessionAffinityConfig": {"clientIP": {"timeoutSeconds": 60}}}
A, B, C = Backend("10.244.0.1", 8080), Backend("10.244.0.2", 8080), Backend("10.244.0.3", 8080)


def put(plane, endpoints, **spec):
    plane.put_service(service("web", **spec))
    plane.put_slice(endpoint_slice("web", endpoints))
    plane.wait(10)


def reached(plane, node="node-1", tries=60, ip="10.96.0.10", port=80, client="10.244.9.9"):
    return {plane.proxy.route(node, ip, port, client) for _ in range(tries)}


# Expected: pkg/proxy/topology_test.go:TestCategorizeEndpoints @v1.36.
@pytest.mark.parametrize(
    "endpoints, expected",
    [
        pytest.param({A.ip: "ready", B.ip: "ready"}, {A, B}, id="all ready endpoints share the load"),
        pytest.param({A.ip: "ready", B.ip: "unready"}, {A}, id="an unready endpoint gets nothing"),
        pytest.param(
            {A.ip: "ready", B.ip: "leaving"}, {A}, id="a terminating one gets nothing while a ready one is left"
        ),
        pytest.param(
            {A.ip: "leaving", B.ip: "unready"}, {A}, id="with none ready the serving terminating ones are used"
        ),
        pytest.param({A.ip: "gone", B.ip: "unready"}, {REJECTED}, id="with none serving the connection is refused"),
        pytest.param({}, {REJECTED}, id="without endpoints the connection is refused"),
    ],
)
def test_endpoints_of_cluster_traffic(plane, endpoints, expected):
    """Ready endpoints first, terminating but serving ones as the last resort."""
    put(plane, endpoints)

    assert reached(plane) == expected


@pytest.mark.parametrize(
    "endpoints, expected",
    [
        pytest.param({A.ip: ("ready", "node-1"), B.ip: ("ready", "node-2")}, {A}, id="only the node's own"),
        pytest.param({B.ip: ("ready", "node-2")}, {DROPPED}, id="none on the node, some elsewhere: dropped"),
        pytest.param({}, {REJECTED}, id="none anywhere: refused"),
        pytest.param(
            {A.ip: ("leaving", "node-1"), B.ip: ("ready", "node-2")}, {A}, id="the node's own terminating one is used"
        ),
    ],
)
def test_internal_traffic_policy_local(plane, endpoints, expected):
    """internalTrafficPolicy Local never leaves the node. Upstream: iptables/proxier.go:syncProxyRules @v1.36."""
    put(plane, endpoints, internalTrafficPolicy="Local")

    assert reached(plane) == expected


def test_choice_is_about_even(plane):
    """iptables mode picks at random with equal probabilities."""
    put(plane, {A.ip: "ready", B.ip: "ready", C.ip: "ready"})

    picks = [plane.proxy.route("node-1", "10.96.0.10", 80, "") for _ in range(3000)]

    assert all(900 < picks.count(backend) < 1100 for backend in (A, B, C))


def test_choices_of_one_node_do_not_shift_anothers(plane):
    """Each node draws from a stream of its own."""
    other = type(plane)()
    for world in (plane, other):
        put(world, {A.ip: "ready", B.ip: "ready"})
    reached(other, "node-2")

    assert [plane.proxy.route("node-1", "10.96.0.10", 80, "") for _ in range(20)] == [
        other.proxy.route("node-1", "10.96.0.10", 80, "") for _ in range(20)
    ]


def test_a_port_that_the_service_has_not_goes_nowhere(plane):
    """kube-proxy has no rule for it, and nothing has that address."""
    put(plane, {A.ip: "ready"})

    answer, _ = plane.ask(plane.sockets("10.244.9.9"), "10.96.0.10", 81)

    assert failure(answer) == "timeout"


def test_no_endpoints_is_unreachable_at_once(plane):
    """A Service without usable endpoints refuses without a wait."""
    put(plane, {A.ip: "unready"})

    answer, seconds = plane.ask(plane.sockets("10.244.9.9"), "10.96.0.10", 80)

    assert (failure(answer), seconds) == ("unreachable", 0.0)


def test_target_port_of_the_slice_is_used(plane):
    """The connection goes to the port that the slice names for the Service's port of the same name."""
    plane.put_service(service("web"))
    other = endpoint_slice("web", {B.ip: "ready"}, 9090, "other")
    plane.put_slice({**other, "ports": [{"name": "metrics", "port": 9090, "protocol": "TCP"}]})
    plane.put_slice(endpoint_slice("web", {A.ip: "ready"}, 8080))
    plane.wait(10)

    assert reached(plane) == {A}


def test_an_address_in_two_slices_prefers_the_one_that_stays(plane):
    """A reused Pod address counts as the new Pod's. Upstream: pkg/proxy/endpointslicecache.go:addEndpoints @v1.36."""
    plane.put_service(service("web"))
    plane.put_slice(endpoint_slice("web", {A.ip: "ready"}, suffix="new"))
    plane.put_slice(endpoint_slice("web", {A.ip: "gone"}, suffix="old"))
    plane.wait(10)

    assert reached(plane) == {A}


class TestLag:
    """Upstream: pkg/proxy/runner/bounded_frequency_runner.go @v1.36."""

    def test_a_change_is_seen_after_the_lag_of_the_node(self, plane):
        """In a quiet time a node acts on a change one lag later, and not before."""
        put(plane, {A.ip: "ready"})
        reached(plane, "node-1")
        lag_ns = plane.proxy.lag_ns("node-1")
        plane.put_slice(endpoint_slice("web", {B.ip: "ready"}))

        plane.loop.run_until(plane.loop.now_ns + lag_ns - 1)
        before = reached(plane)
        plane.loop.run_until(plane.loop.now_ns + 1)

        assert (before, reached(plane)) == ({A}, {B})

    def test_two_syncs_are_a_second_apart(self, plane):
        """A change right behind another waits for the second to be over; changes in between are one sync."""
        put(plane, {A.ip: "ready"})
        lag_ns = plane.proxy.lag_ns("node-1")
        start_ns = plane.loop.now_ns
        plane.put_slice(endpoint_slice("web", {B.ip: "ready"}))
        plane.wait(0.2)
        plane.put_slice(endpoint_slice("web", {C.ip: "ready"}))
        plane.wait(0.2)
        plane.put_slice(endpoint_slice("web", {A.ip: "ready", C.ip: "ready"}))

        plane.loop.run_until(start_ns + SECOND + lag_ns - 1)
        before = reached(plane)
        plane.loop.run_until(start_ns + SECOND + lag_ns)

        assert (before, reached(plane)) == ({B}, {A, C})

    def test_looking_does_not_change_what_is_seen(self, plane):
        """A node that is asked all the time and one that is asked once see the same."""
        other = type(plane)()
        for world in (plane, other):
            put(world, {A.ip: "ready"})
        for step in range(40):
            backend = (A, B, C)[step % 3]
            for world in (plane, other):
                world.put_slice(endpoint_slice("web", {backend.ip: "ready"}))
                world.wait(0.17)
            reached(plane)
            assert step % 7 or reached(plane) == reached(other)

    def test_a_node_that_is_cut_off_keeps_what_it_knew(self, plane):
        """Its rules stay however much time passes; once back it lists anew."""
        put(plane, {A.ip: "ready"})
        plane.fabric.isolate_node("node-1")
        for number in range(3000):
            plane.put_slice(endpoint_slice("web", {(B, C)[number % 2].ip: "ready"}))
            plane.wait(0.1)
        during = (reached(plane, "node-1"), reached(plane, "node-2"))
        plane.fabric.rejoin_node("node-1")
        plane.wait(2)

        assert (during, reached(plane, "node-1")) == (({A}, {B}), {C})

    def test_history_is_short(self, plane):
        """With nobody cut off, old states are dropped."""
        put(plane, {A.ip: "ready"})
        for _ in range(5000):
            plane.put_slice(endpoint_slice("web", {B.ip: "ready"}))
            plane.wait(0.1)

        history = plane.proxy._histories["vehicles", "web"]

        assert len(history.states) < 40
        assert len(plane.proxy._changes) <= 1024
        assert reached(plane, "fresh") == {B}

    def test_a_deleted_service_is_forgotten_after_the_lag(self, plane):
        """Its address means nothing any more."""
        put(plane, {A.ip: "ready"})
        plane.proxy.on_service_deleted(service("web"))
        before = reached(plane)
        plane.wait(2)

        assert (before, reached(plane)) == ({A}, {None})

    def test_a_service_made_anew_has_its_new_address_only(self, plane):
        """A Service of the same name with another address does not answer at the old one."""
        put(plane, {A.ip: "ready"})
        plane.proxy.on_service_deleted(service("web"))
        plane.put_service(service("web", "10.96.0.77"))
        plane.wait(2)

        assert (reached(plane), reached(plane, ip="10.96.0.77")) == ({None}, {A})


class TestSessionAffinity:
    """ClientIP affinity. Upstream: pkg/proxy/iptables/proxier.go:writeServiceToEndpointRules @v1.36."""

    def test_a_client_stays_with_its_endpoint(self, plane):
        """Connections of one client go to one endpoint; clients spread."""
        put(plane, {A.ip: "ready", B.ip: "ready"}, **STICKY)

        picks = [reached(plane, client=f"10.244.9.{number}") for number in range(30)]

        assert {len(pick) for pick in picks} == {1}
        assert set().union(*picks) == {A, B}

    def test_affinity_ends_with_the_endpoint(self, plane):
        """An endpoint that is no longer used loses its clients."""
        put(plane, {A.ip: "ready", B.ip: "ready"}, **STICKY)
        (first,) = reached(plane)
        plane.put_slice(endpoint_slice("web", {({A, B} - {first}).pop().ip: "ready"}))
        plane.wait(2)

        assert reached(plane) == {A, B} - {first}

    def test_affinity_ends_after_the_timeout_without_a_connection(self, plane):
        """Each connection starts the time anew."""
        put(plane, {f"10.244.0.{number}": "ready" for number in range(1, 101)}, **STICKY)
        (first,) = reached(plane)
        plane.wait(59)
        (second,) = reached(plane)
        plane.wait(61)

        assert second == first
        assert reached(plane) != {first}


class TestNodePort:
    """Connections from outside to a port of a node."""

    def put(self, plane, endpoints, **spec):
        plane.put_service(service("web", ports={"nodePort": 30080}, type="NodePort", **spec))
        plane.put_slice(endpoint_slice("web", endpoints))
        for number in (1, 2):
            plane.fabric.attach(f"192.168.0.{number}", f"node-{number}", is_node=True)
        plane.serve(A.ip, "node-1")
        plane.wait(10)
        return plane.sockets("203.0.113.1", "outside")

    def test_any_node_forwards(self, plane):
        """With policy Cluster every node reaches every endpoint."""
        client = self.put(plane, {A.ip: ("ready", "node-1")})

        answer, _ = plane.ask(client, "192.168.0.2", 30080)

        assert answer == A.ip

    def test_policy_local_drops_where_there_is_no_endpoint(self, plane):
        """externalTrafficPolicy Local: only nodes with an endpoint answer."""
        client = self.put(plane, {A.ip: ("ready", "node-1")}, externalTrafficPolicy="Local")

        here, _ = plane.ask(client, "192.168.0.1", 30080)
        there, _ = plane.ask(client, "192.168.0.2", 30080)

        assert (here, failure(there)) == (A.ip, "timeout")

    def test_a_lost_node_forwards_nothing(self, plane):
        """A client that names one node depends on that node."""
        client = self.put(plane, {A.ip: ("ready", "node-1")})
        plane.fabric.lose_node("node-2")

        answer, _ = plane.ask(client, "192.168.0.2", 30080)

        assert failure(answer) == "timeout"


def test_established_connections_stay_when_the_endpoint_goes(plane):
    """Only new connections follow the EndpointSlices."""
    put(plane, {A.ip: "ready"})
    plane.serve(A.ip)
    got = []
    plane.sockets("10.244.9.9").connect("10.96.0.10", 80, SECOND, got.append)
    plane.wait(1)
    plane.put_slice(endpoint_slice("web", {}))
    plane.wait(5)

    got[0].call("?", SECOND, got.append)
    plane.wait(1)

    assert got[1] == A.ip

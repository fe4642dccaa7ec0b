"""Connections and calls: who hears what when a process ends, a node is lost or a link breaks."""

from __future__ import annotations

import pytest
from data_plane import endpoint_slice, failure, service

from kubesim.network.links import LinkFault
from kubesim.network.messages import NetError
from kubesim.sim.loop import MILLISECOND, SECOND


def connect(plane, client, host, port):
    got = []
    client.connect(host, port, SECOND, got.append)
    assert plane.loop.run_until(plane.loop.now_ns + 10 * SECOND, lambda: bool(got))
    return got[0]


def silent_server(plane, ip, node="node-2"):
    """A process that never answers, and the calls that have reached it."""
    server = plane.sockets(ip, node)
    reached = []
    server.listen(8080, lambda message, on_answer: reached.append((message, on_answer)))
    return server, reached


def test_a_request_is_answered_after_two_round_trips(plane):
    """Handshake and call cost two round trips of the link between the nodes."""
    plane.serve("10.244.0.2", "node-2")

    answer, seconds = plane.ask(plane.sockets("10.244.0.1"), "10.244.0.2", 8080)

    assert (answer, seconds) == ("10.244.0.2", 0.001)


def test_nobody_listening_refuses_at_once(plane):
    """A host without a listener on the port answers with a reset: refused."""
    plane.sockets("10.244.0.2", "node-2")

    answer, seconds = plane.ask(plane.sockets("10.244.0.1"), "10.244.0.2", 8080)

    assert (answer.failure, answer.text) == ("refused", "connect to 10.244.0.2:8080: connection refused")
    assert seconds == 0.001


def test_an_address_that_is_nowhere_is_silent_until_the_timeout(plane):
    """Nothing answers for a Pod address that has been taken down."""
    server = plane.serve("10.244.0.2")
    plane.fabric.detach(server.host)

    answer, seconds = plane.ask(plane.sockets("10.244.0.1"), "10.244.0.2", 8080)

    assert (failure(answer), seconds) == ("timeout", 2.0)


def test_a_request_that_is_given_up_frees_its_connection(plane):
    """A server that never answers does not hold the connections of those who have left."""
    server, reached = silent_server(plane, "10.244.0.2")
    client = plane.sockets("10.244.0.1")
    held = []
    client.request("10.244.0.2", 8080, "?", 2 * SECOND, held.append)
    plane.wait(1)
    waiting = server.connections(8080)
    plane.wait(2)

    assert (len(reached), failure(held[0])) == (1, "timeout")
    assert (waiting, server.connections(8080)) == (1, 0)


def test_a_connection_that_comes_too_late_is_closed(plane):
    """Who has given up connecting holds no connection of the server's, once the server's consent has arrived."""
    plane.fabric.set_link_fault("node-2", "node-1", LinkFault(added_ns=5 * SECOND))
    server = plane.serve("10.244.0.2", "node-2")
    got = []
    plane.sockets("10.244.0.1").connect("10.244.0.2", 8080, SECOND, got.append)
    plane.wait(2)
    held = server.connections(8080)
    plane.wait(5)

    assert (failure(got[0]), held, server.connections(8080)) == ("timeout", 1, 0)


def test_the_end_of_the_server_resets_calls_at_once(plane):
    """A caller in the middle of a call hears of the server's end one latency later, not at its timeout."""
    client = plane.sockets("10.244.0.1")
    server, _ = silent_server(plane, "10.244.0.2")
    got = []
    client.request("10.244.0.2", 8080, "?", 2 * SECOND, lambda answer: got.append((plane.loop.now_ns, answer)))
    plane.wait(0.1)

    server.close()
    plane.wait(1)

    assert [(at_ns, answer.failure) for at_ns, answer in got] == [(100 * MILLISECOND + 250_000, "reset")]


def test_the_end_of_the_server_closes_idle_connections(plane):
    """A pooled connection learns of its reset by itself, and tells its owner."""
    client = plane.sockets("10.244.0.1")
    server = plane.serve("10.244.0.2")
    connection = connect(plane, client, "10.244.0.2", 8080)
    told = []
    connection.on_disturbed = lambda: told.append(connection.is_open)

    server.close()
    plane.wait(0.01)

    assert told == [False]


def test_a_lost_node_is_silence(plane):
    """Calls to a node without power end at the caller's timeout; the connection still looks open."""
    client = plane.sockets("10.244.0.1")
    server = plane.serve("10.244.0.2", "node-2")
    connection = connect(plane, client, "10.244.0.2", 8080)
    plane.fabric.lose_node("node-2")
    server.close()
    plane.wait(1)
    got = []

    connection.call("?", SECOND, got.append)
    plane.wait(2)

    assert (connection.is_open, [answer.failure for answer in got]) == (True, ["timeout"])


def test_a_node_that_is_back_knows_no_old_connections(plane):
    """The first segment to a process that ended unheard is answered with a reset."""
    client = plane.sockets("10.244.0.1")
    server = plane.serve("10.244.0.2", "node-2")
    connection = connect(plane, client, "10.244.0.2", 8080)
    plane.fabric.lose_node("node-2")
    server.close()
    plane.fabric.restore_node("node-2")
    got = []

    connection.call("?", SECOND, got.append)
    plane.wait(2)

    assert (connection.is_open, [answer.failure for answer in got]) == (False, ["reset"])


def test_an_isolated_node_still_reaches_itself(plane):
    """A partition cuts the node from others, not its Pods from each other."""
    near = plane.serve("10.244.0.2", "node-1")
    plane.serve("10.244.0.3", "node-2")
    client = plane.sockets("10.244.0.1", "node-1")
    plane.fabric.isolate_node("node-1")

    inside, _ = plane.ask(client, near.host.ip, 8080)
    outside, _ = plane.ask(client, "10.244.0.3", 8080)
    plane.fabric.rejoin_node("node-1")
    after, _ = plane.ask(client, "10.244.0.3", 8080)

    assert (inside, failure(outside), after) == ("10.244.0.2", "timeout", "10.244.0.3")


def test_a_one_way_cut_delivers_the_request_and_loses_the_answer(plane):
    """With the way back cut, the server acts on a call of which the caller only sees a timeout."""
    client = plane.sockets("10.244.0.1", "node-1")
    server = plane.sockets("10.244.0.2", "node-2")
    reached = []
    server.listen(8080, lambda message, on_answer: (reached.append(message), on_answer("done")))
    plane.fabric.set_link_fault("node-2", "node-1", LinkFault(is_cut=True))

    answer, _ = plane.ask(client, "10.244.0.2", 8080, "write")

    assert (failure(answer), reached) == ("timeout", ["write"])


def test_added_latency_counts_for_its_direction(plane):
    """10 ms more on the way there, three times for handshake and request."""
    plane.serve("10.244.0.2", "node-2")
    client = plane.sockets("10.244.0.1", "node-1")
    plane.fabric.set_link_fault("node-1", "node-2", LinkFault(added_ns=10 * MILLISECOND))

    _, seconds = plane.ask(client, "10.244.0.2", 8080)
    plane.fabric.set_link_fault("node-1", "node-2", None)
    _, healed = plane.ask(client, "10.244.0.2", 8080)

    assert (seconds, healed) == (0.031, 0.001)


def test_loss_delays_by_retransmission_and_seldom_fails(plane):
    """Half of all segments lost: answers come, later by multiples of TCP's 200 ms timeout."""
    plane.serve("10.244.0.2", "node-2")
    client = plane.sockets("10.244.0.1", "node-1")
    plane.fabric.set_link_fault("node-1", "node-2", LinkFault(loss=0.5))

    took = [plane.ask(client, "10.244.0.2", 8080, timeout_s=60) for _ in range(50)]

    assert {answer for answer, _ in took} == {"10.244.0.2"}
    assert min(seconds for _, seconds in took) == 0.001
    assert max(seconds for _, seconds in took) > 0.2


def test_the_end_of_the_client_drops_its_callbacks(plane):
    """A process that has ended is not called back, and the server's side of its connection goes."""
    client = plane.sockets("10.244.0.1")
    server, reached = silent_server(plane, "10.244.0.2")
    connection = connect(plane, client, "10.244.0.2", 8080)
    got = []
    connection.call("?", SECOND, got.append)
    plane.wait(0.1)

    before = server.connections(8080)
    client.close()
    reached[0][1]("too late")
    plane.wait(3)

    assert (before, server.connections(8080), got) == (1, 0, [])


def test_a_call_on_a_closed_connection_fails_later_not_inside_the_call(plane):
    """`on_answer` never runs before `call` has returned."""
    client = plane.sockets("10.244.0.1")
    plane.serve("10.244.0.2")
    connection = connect(plane, client, "10.244.0.2", 8080)
    connection.close()
    got = []

    connection.call("?", SECOND, got.append)
    before = list(got)
    plane.wait(0)

    assert (before, got) == ([], [NetError("reset", "connection already closed")])


def test_of_two_answers_the_first_counts(plane):
    """A handler that answers twice is heard once."""
    server = plane.sockets("10.244.0.2")
    server.listen(8080, lambda _, on_answer: (on_answer(1), on_answer(2)))
    got = []

    plane.sockets("10.244.0.1").request("10.244.0.2", 8080, "?", SECOND, got.append)
    plane.wait(3)

    assert got == [1]


@pytest.mark.parametrize("name", ["localhost", "127.0.0.1"])
def test_localhost_is_the_own_pod(plane, name):
    """Containers of one Pod share its network namespace."""
    first = plane.serve("10.244.0.1")
    second = plane.fabric.open(first.host, "vehicles")

    answer, _ = plane.ask(second, name, 8080)

    assert answer == "10.244.0.1"


def test_a_port_belongs_to_one_process_of_a_host(plane):
    """The second listener is refused until the first is gone."""
    first = plane.serve("10.244.0.1")
    second = plane.fabric.open(first.host, "vehicles")

    refused = second.listen(8080, lambda _, on_answer: on_answer("second"))
    first.close()
    allowed = second.listen(8080, lambda _, on_answer: on_answer("second"))

    assert (refused, allowed) == (False, True)


def test_a_name_costs_a_round_trip_for_each_name_tried(plane):
    """`postgres` is found by the first name of the search path: one lookup before the connection."""
    plane.put_service(service("postgres", "None"))
    plane.put_slice(endpoint_slice("postgres", {"10.244.0.2": ("ready", "node-2")}))
    plane.serve("10.244.0.2", "node-2", 5432)

    answer, seconds = plane.ask(plane.sockets("10.244.0.1"), "postgres", 5432)

    assert (answer, seconds) == ("10.244.0.2", 0.0015)


def test_a_name_that_ends_in_a_digit_is_a_name(plane):
    """`postgres-0` is no address; as a bare name it is unresolved."""
    answer, _ = plane.ask(plane.sockets("10.244.0.1"), "postgres-0", 5432)

    assert failure(answer) == "unresolved"


def test_probe_connects_or_calls(plane):
    """What a kubelet's tcpSocket and httpGet probes do."""
    plane.serve("10.244.0.2")
    node = plane.fabric.open(plane.fabric.attach("192.168.0.1", "node-1", is_node=True), "")
    got = []

    node.probe("10.244.0.2", 8080, None, SECOND, got.append)
    node.probe("10.244.0.2", 8080, "?", SECOND, got.append)
    node.probe("10.244.0.2", 81, None, SECOND, lambda answer: got.append(failure(answer)))
    plane.wait(1)

    assert got == [None, "refused", "10.244.0.2"]

"""The vehicle service: health, readiness and answers with the database there, away, and back."""

from __future__ import annotations

from functools import partial

import pytest
from data_plane import DATABASE_ENV, endpoint_slice, service

from kubesim.network.links import LinkFault
from kubesim.network.messages import HttpReply, HttpRequest
from kubesim.programs.postgres import rows_in
from kubesim.programs.program import Volume
from kubesim.sim.loop import MILLISECOND, SECOND

API, DATABASE = "10.244.1.2", "10.244.2.5"
VIN = "KS000000000000001"
CALLERS = 12


@pytest.fixture
def stack(plane):
    """A database on node-2, a service on node-1, both up, and a client."""
    plane.put_service(service("postgres", "None"))
    plane.put_slice(endpoint_slice("postgres", {DATABASE: ("ready", "node-2")}, 5432))
    plane.volume = Volume("data")
    plane.database = start_database(plane)
    plane.wait(2)
    plane.api = plane.run("vehicle-api:dev", API, "node-1")
    plane.client = plane.sockets("10.244.1.9", "node-1")
    plane.wait(2)
    return plane


def start_database(plane):
    return plane.run("postgres:15", DATABASE, "node-2", volumes={"/var/lib/postgresql/data": plane.volume})


def status(plane, path, method="GET", body=None):
    """The status, or the failure, and the seconds it took."""
    answer, seconds = plane.ask(plane.client, API, 8080, HttpRequest(method, path, body), timeout_s=5)
    return (answer.status if isinstance(answer, HttpReply) else answer.failure), seconds


def test_it_serves(stack):
    """Health, readiness, a write and reads."""
    assert [status(stack, path)[0] for path in ("/healthz", "/readyz", "/api/vehicles", "/else")] == [
        200,
        200,
        200,
        404,
    ]
    assert status(stack, "/api/vehicles", "POST", {"vin": VIN})[0] == 201
    assert status(stack, "/api/vehicles", "POST", {"vin": VIN})[0] == 409
    assert status(stack, "/api/vehicles", "POST", {"vin": "short"})[0] == 422
    assert status(stack, f"/api/vehicles/{VIN}")[0] == 200
    assert status(stack, "/api/vehicles/unknown")[0] == 404
    assert status(stack, "/api/vehicles", "PUT")[0] == 405
    assert rows_in(stack.volume, "vehicles") == {VIN: {"vin": VIN}}


def test_it_waits_for_its_database(plane):
    """Alive at once, ready when the schema could be brought up to date, and not steady until then."""
    plane.client = plane.sockets("10.244.1.9", "node-1")
    api = plane.run("vehicle-api:dev", API, "node-1")
    plane.wait(5)
    before = [status(plane, path)[0] for path in ("/healthz", "/readyz", "/api/vehicles")]
    steady_before = api.is_steady
    plane.put_service(service("postgres", "None"))
    plane.put_slice(endpoint_slice("postgres", {DATABASE: ("ready", "node-2")}, 5432))
    plane.volume = Volume("data")
    start_database(plane)
    plane.wait(4)

    assert (before, steady_before) == ([200, 503, 503], False)
    assert [status(plane, path)[0] for path in ("/readyz", "/api/vehicles")] == [200, 200]
    assert api.is_steady
    assert [line for _, line in api.output] == [
        "serving on port 8080",
        'database is away: could not translate host name "postgres" to address',
        "database is there",
        "schema is up to date",
    ]


def test_a_killed_database_is_noticed_at_once(stack):
    """The reset of its connection makes the service unsteady and says so; answers are 503, fast."""
    status(stack, "/readyz")
    steady_before = stack.api.is_steady
    stack.health_changes.clear()
    stack.database.kill()
    stack.wait(0.1)
    noticed = ([ip for _, ip in stack.health_changes], stack.api.is_steady)
    answers = [status(stack, path) for path in ("/healthz", "/readyz", "/api/vehicles")]

    assert steady_before
    assert noticed == ([API], False)
    assert [code for code, _ in answers] == [200, 503, 503]
    assert max(seconds for _, seconds in answers) < 0.01


def test_it_reconnects(stack):
    """Once the database is back, the first request finds it."""
    status(stack, "/readyz")
    stack.database.kill()
    stack.wait(1)
    away = status(stack, "/readyz")[0]
    start_database(stack)
    stack.wait(1)

    assert (away, status(stack, "/api/vehicles")[0], status(stack, "/readyz")[0]) == (503, 200, 200)
    assert stack.api.is_steady
    assert [line for _, line in stack.api.output][-2:] == [
        f"database is away: connect to {DATABASE}:5432: connection refused",
        "database is there",
    ]


def test_a_lost_database_node_is_noticed_by_timeouts(stack):
    """The connection looks open and no reset comes: requests end within two seconds all the same."""
    status(stack, "/readyz")
    stack.health_changes.clear()
    stack.fabric.lose_node("node-2")
    told = list(stack.health_changes)
    answers = [status(stack, path) for path in ("/readyz", "/api/vehicles", "/healthz")]

    assert [ip for _, ip in told] == [API]
    assert [code for code, _ in answers] == [503, 503, 200]
    assert max(seconds for _, seconds in answers) < 2


def send(plane, count, gap_s=0.0):
    """Send GETs from now on; a list that fills with (status, seconds it took)."""
    took = []

    def on_answer(sent_ns, answer):
        took.append((answer.status, (plane.loop.now_ns - sent_ns) / SECOND))

    for _ in range(count):
        on_this = partial(on_answer, plane.loop.now_ns)
        plane.client.request(API, 8080, HttpRequest("GET", "/api/vehicles"), 5 * SECOND, on_this)
        plane.wait(gap_s)
    return took


def test_every_answer_comes_within_two_seconds(stack):
    """Forty requests a second into a black hole: each has its 503 in time, though connects are made one by one."""
    stack.fabric.lose_node("node-2")

    took = send(stack, 200, 0.025)
    stack.wait(5)

    assert (len(took), {code for code, _ in took}) == (200, {503})
    assert max(seconds for _, seconds in took) < 2


def test_callers_in_line_are_served_after_a_restart(stack):
    """Where aiopg loses a wake-up the service's pool does not: nobody waits in vain for a pool that has room."""
    stack.fabric.set_link_fault("node-2", "node-1", LinkFault(added_ns=20 * MILLISECOND))
    took = send(stack, CALLERS)
    stack.wait(0.015)
    stack.database.kill()
    start_database(stack)
    stack.wait(1)

    assert len(took) == CALLERS
    assert {code for code, _ in took} == {200, 503}


@pytest.mark.parametrize(
    "method, expected",
    [
        pytest.param("GET", 200, id="a read is tried again on a new connection"),
        pytest.param("POST", 503, id="a write is not, for it may have been done"),
    ],
)
def test_a_dead_connection_in_the_pool(stack, method, expected):
    """Nothing is checked on checkout: the first statement on a connection that died unheard fails."""
    status(stack, "/readyz")
    stack.fabric.lose_node("node-2")
    stack.database.lose()
    stack.fabric.restore_node("node-2")
    start_database(stack)
    stack.wait(1)

    assert status(stack, "/api/vehicles", method, {"vin": VIN})[0] == expected


def test_a_new_empty_database_gets_its_schema(stack):
    """A database without a volume comes back empty: one answer fails, then the table is there again."""
    stack.database.kill()
    stack.volume = Volume("another")
    start_database(stack)
    stack.wait(3)

    first = status(stack, "/api/vehicles")[0]
    stack.wait(0.1)

    assert (first, status(stack, "/api/vehicles")[0]) == (503, 200)


def test_sigterm_finishes_what_has_begun(stack):
    """The request in flight is answered, new ones are refused, and the exit code is 0."""
    got = []
    stack.client.request(API, 8080, HttpRequest("POST", "/api/vehicles", {"vin": VIN}), SECOND, got.append)
    stack.wait(0.001)
    stack.api.terminate()
    late = status(stack, "/api/vehicles")[0]
    stack.wait(1)

    assert ([reply.status for reply in got], late) == ([201], "refused")
    assert [(ip, ending) for _, ip, ending in stack.ends] == [(API, (0, "Completed"))]


@pytest.mark.parametrize(
    "tag, ready, answer",
    [("2", 200, 200), ("2-unready", 503, 200), ("2-errors", 200, 500), ("2-slow", 200, 200)],
)
def test_broken_versions_answer(stack, tag, ready, answer):
    """A version's tag says how it is broken."""
    stack.api.kill()
    stack.run(f"vehicle-api:{tag}", API, "node-1")
    stack.wait(2)

    code, seconds = status(stack, "/api/vehicles")

    assert (status(stack, "/readyz")[0], code) == (ready, answer)
    assert (seconds > 1.5) == (tag == "2-slow")


@pytest.mark.parametrize(
    "annotations, env, end",
    [
        pytest.param({"kubesim.dev/vehicle-api": "crash"}, {}, (0.5, 1, "Error"), id="a version that crashes"),
        pytest.param({"kubesim.dev/vehicle-api": "leak"}, {}, (6.5, 137, "OOMKilled"), id="a version that leaks"),
        pytest.param(
            {}, {"POSTGRES_PORT": "tcp://10.96.0.9:5432"}, (0.5, 1, "Error"), id="the port of a Service's link"
        ),
    ],
)
def test_broken_versions_end(plane, annotations, env, end):
    """They end by themselves, at a known instant."""
    plane.run(
        "vehicle-api:dev", API, annotations=annotations, env={**DATABASE_ENV, **env}, limit_bytes=128 * 1024 * 1024
    )
    plane.wait(30)

    assert [(at, ending.exit_code, ending.reason) for at, _, ending in plane.ends] == [end]

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
VEHICLE = {"vin": VIN, "make": "VW", "model": "Golf", "year": 1999}
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


def call(plane, method, path, body=None, **headers):
    """The reply to a request; headers in Python's spelling."""
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    return plane.ask(plane.client, API, 8080, HttpRequest(method, path, body, sent), timeout_s=5)[0]


def test_it_serves(stack):
    """Health, readiness, a write and reads."""
    assert [status(stack, path)[0] for path in ("/healthz", "/readyz", "/api/vehicles", "/else")] == [
        200,
        200,
        200,
        404,
    ]
    made = call(stack, "POST", "/api/vehicles", VEHICLE)
    where = made.headers["Location"]
    assert (made.status, made.headers["ETag"], call(stack, "GET", where).body) == (201, '"1"', made.body)
    assert [*rows_in(stack.volume, "vehicles", "vin")] == [VIN]


@pytest.mark.parametrize(
    "method, path, body, headers, expected",
    [
        pytest.param("POST", "", VEHICLE, {}, 409, id="a VIN that is taken"),
        pytest.param("POST", "", {"vin": "short"}, {}, 422, id="no vehicle"),
        pytest.param("POST", "", {**VEHICLE, "year": "x", "colour": 1}, {}, 422, id="wrong fields"),
        pytest.param("GET", "?limit=0", None, {}, 400, id="a query that makes no sense"),
        pytest.param("PUT", "", VEHICLE, {}, 405, id="the fleet is not replaced"),
        pytest.param("GET", "/unknown", None, {}, 404, id="no such vehicle"),
        pytest.param("GET", "/ID", None, {"If_None_Match": '"1"'}, 304, id="the caller has it"),
        pytest.param("PUT", "/ID", VEHICLE, {}, 428, id="a change without a version"),
        pytest.param("PUT", "/ID", VEHICLE, {"If_Match": "1"}, 400, id="what is no ETag"),
        pytest.param("PUT", "/ID", VEHICLE, {"If_Match": '"7"'}, 409, id="a lost update"),
        pytest.param("PUT", "/ID", VEHICLE, {"If_Match": '"1"'}, 200, id="a replacement"),
        pytest.param("PATCH", "/ID", {"mileage": 7}, {"If_Match": "*"}, 200, id="a patch"),
        pytest.param("PATCH", "/ID", {"vin": None}, {"If_Match": "*"}, 422, id="a patch that leaves no vehicle"),
        pytest.param("DELETE", "/ID", None, {"If_Match": '"1"'}, 204, id="a deletion"),
        pytest.param("POST", "/ID", VEHICLE, {}, 405, id="no method for one vehicle"),
    ],
)
def test_answers(stack, method, path, body, headers, expected):
    """Statuses as the real service has them; what is no success is a problem document."""
    vehicle_id = call(stack, "POST", "/api/vehicles", VEHICLE).body["id"]

    reply = call(stack, method, "/api/vehicles" + path.replace("ID", vehicle_id), body, **headers)

    assert reply.status == expected
    if expected >= 400:
        assert reply.headers["Content-Type"] == "application/problem+json"
        assert (reply.body["status"], bool(reply.body["detail"])) == (expected, True)


def test_a_page_and_the_next(stack):
    """In order of creation, with a cursor until the end; filters narrow it."""
    for number in range(3):
        call(stack, "POST", "/api/vehicles", {**VEHICLE, "vin": f"{VIN[:-1]}{number}", "year": 2000 + number})
    first = call(stack, "GET", "/api/vehicles?limit=2").body
    second = call(stack, "GET", f"/api/vehicles?limit=2&cursor={first['next']}").body
    [of_2001] = call(stack, "GET", "/api/vehicles?year=2001").body["items"]

    assert [each["year"] for each in (*first["items"], *second["items"])] == [2000, 2001, 2002]
    assert (second["next"], of_2001) == (None, first["items"][1])


def test_an_idempotency_key_creates_one_vehicle(stack):
    """The same creation again gets the first answer, another one with that key is a mistake."""
    first, second = (call(stack, "POST", "/api/vehicles", VEHICLE, Idempotency_Key="k") for _ in range(2))
    other = call(stack, "POST", "/api/vehicles", {**VEHICLE, "year": 2000}, Idempotency_Key="k")

    assert (second.status, second.body) == (201, first.body)
    assert [reply.headers.get("Idempotent-Replayed") for reply in (first, second)] == [None, "true"]
    assert other.status == 422


def test_away_is_said_with_when_to_try_again(stack):
    """503 has Retry-After, as the real service's has."""
    stack.database.kill()

    assert call(stack, "GET", "/api/vehicles").headers["Retry-After"] == "1"


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
    """Forty requests a second into a black hole: each has its 503 in time, though there are eight connections."""
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
        pytest.param("POST", 201, id="so is a creation, which knows its own vehicle"),
        pytest.param("DELETE", 204, id="a deletion reads first, which finds it out"),
    ],
)
def test_a_dead_connection_in_the_pool(stack, method, expected):
    """A connection that died unheard is found out by its first statement."""
    vehicle_id = call(stack, "POST", "/api/vehicles", {**VEHICLE, "vin": VIN[:-1] + "9"}).body["id"]
    path = f"/api/vehicles/{vehicle_id}" if method == "DELETE" else "/api/vehicles"
    stack.fabric.lose_node("node-2")
    stack.database.lose()
    stack.fabric.restore_node("node-2")
    start_database(stack)
    stack.wait(1)

    assert call(stack, method, path, VEHICLE, If_Match="*").status == expected


def lose_answer(plane, is_done):
    """Let the database carry out what is under way, but not say so: the connections are reset, as a firewall does it."""
    plane.wait(0.001)
    plane.fabric.set_link_fault("node-2", "node-1", LinkFault(is_cut=True))
    while not is_done():
        plane.wait(0.0001)
    plane.fabric.set_link_fault("node-2", "node-1", None)
    for connection in [*plane.database._sockets.inbound]:
        connection.reset()
    plane.wait(2)


def test_a_deletion_is_not_tried_again(stack):
    """It may have been done when its connection dies, so the caller has to look."""
    vehicle_id = call(stack, "POST", "/api/vehicles", VEHICLE).body["id"]
    got = []
    message = HttpRequest("DELETE", f"/api/vehicles/{vehicle_id}", None, {"If-Match": "*"})
    stack.client.request(API, 8080, message, 5 * SECOND, got.append)
    lose_answer(stack, lambda: not rows_in(stack.volume, "vehicles"))

    assert [reply.status for reply in got] == [503]


def test_a_new_empty_database_gets_its_schema(stack):
    """A database without a volume comes back empty: one answer fails, then the table is there again."""
    stack.database.kill()
    stack.volume = Volume("another")
    start_database(stack)
    stack.wait(3)

    first = status(stack, "/api/vehicles")[0]
    stack.wait(0.1)

    assert (first, status(stack, "/api/vehicles")[0]) == (503, 200)


def test_a_creation_whose_answer_is_lost_is_found_again(stack):
    """The database commits, and the connection dies before it says so: the second attempt knows its own vehicle."""
    got = []
    stack.client.request(API, 8080, HttpRequest("POST", "/api/vehicles", VEHICLE), 5 * SECOND, got.append)
    lose_answer(stack, lambda: bool(rows_in(stack.volume, "vehicles")))

    assert [reply.status for reply in got] == [201]
    assert len(rows_in(stack.volume, "vehicles")) == 1


def test_sigterm_finishes_what_has_begun(stack):
    """Not ready at once, served for a second more, then refused; what is in flight is answered, and the exit code is 0."""
    stack.api.terminate()
    draining = [status(stack, path)[0] for path in ("/readyz", "/api/vehicles")]
    stack.wait(0.98)
    stack.database.kill()
    stack.fabric.lose_node("node-2")
    got = []
    stack.client.request(API, 8080, HttpRequest("GET", "/api/vehicles"), 5 * SECOND, got.append)
    stack.wait(0.1)
    late = status(stack, "/api/vehicles")[0]
    stack.wait(3)

    assert (draining, [reply.status for reply in got], late) == ([503, 200], [503], "refused")
    [(ended_s, _, ending)] = [end for end in stack.ends if end[1] == API]
    assert ending == (0, "Completed")
    assert 2 < ended_s - 4 < 2.5, "the second, and what was left of the last request's deadline"


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

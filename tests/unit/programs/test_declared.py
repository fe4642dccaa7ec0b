"""Plain and declared programs: what they answer, and when and how they end."""

from __future__ import annotations

import json

import pytest


def declare(plane, **fields):
    return plane.run("any:1", "10.244.0.1", annotations={"kubesim.dev/program": json.dumps(fields)})


@pytest.fixture
def client(plane):
    """A process that asks."""
    return plane.sockets("10.244.0.9")


def test_a_plain_program_is_healthy_on_every_port(plane, client):
    """Probes of an unknown image succeed, whatever port and path they ask."""
    process = plane.run("nginx:1", "10.244.0.1")

    statuses = [plane.get(client, "10.244.0.1", path, port) for path, port in (("/", 80), ("/healthz", 9090))]

    assert (statuses, process.execute(["cat", "/ready"]).exit_code, process.is_steady) == ([200, 200], 0, True)


def test_a_web_server_serves_what_is_there(plane, client):
    """A document that a command has moved away is a 404 until it is back, as an image of Apache shows it."""
    process = plane.run("httpd:2.4", "10.244.0.1")
    page = "/usr/local/apache2/htdocs/index.html"
    statuses = [plane.get(client, "10.244.0.1", "/index.html", 80)]
    for command in (f"mv -v {page} /tmp/ || true", f"mv -v /tmp/index.html {page} || true"):
        process.execute(["/bin/sh", "-x", "-c", command])
        statuses.append(plane.get(client, "10.244.0.1", "/index.html", 80))

    assert statuses == [200, 404, 200]


def test_a_plain_program_exits_on_sigterm(plane, client):
    """Exit code 0 at once, and then nobody answers."""
    process = plane.run("nginx:1", "10.244.0.1")
    process.terminate()

    assert plane.ends == [(0.0, "10.244.0.1", (0, "Completed"))]
    assert plane.get(client, "10.244.0.1", "/", 80) == "refused"


def test_start_and_readiness_take_their_time(plane, client):
    """Nobody listens before startSeconds; the ready path answers 503 until readyAfterSeconds."""
    process = declare(plane, startSeconds=2, readyAfterSeconds=5, listen=[8080], readyPath="/ready")

    seen = []
    for wait in (1, 2, 3):
        plane.wait(wait)
        seen.append([plane.get(client, process.pod_ip, path) for path in ("/ready", "/live")])

    assert seen == [["refused", "refused"], [503, 200], [200, 200]]
    assert [at for at, _ in plane.health_changes] == [2.0, 5.0]


def test_unready_again(plane, client):
    """From unreadyAfterSeconds on the ready path answers 503."""
    declare(plane, unreadyAfterSeconds=3)
    before = plane.get(client, "10.244.0.1", "/readyz")
    plane.wait(4)

    assert (before, plane.get(client, "10.244.0.1", "/readyz")) == (200, 503)


@pytest.mark.parametrize(
    "fields, end",
    [
        pytest.param({"exitAfterSeconds": 5}, (5.0, (0, "Completed")), id="a job that succeeds"),
        pytest.param({"exitAfterSeconds": 5, "exitCode": 3}, (5.0, (3, "Error")), id="a crash"),
        pytest.param(
            {"memory": "64Mi", "memoryPerSecond": "16Mi"}, (5.0, (137, "OOMKilled")), id="a leak meets its limit"
        ),
    ],
)
def test_endings(plane, fields, end):
    """A program ends by itself, or by its memory limit of 128Mi, at a known instant."""
    plane.run(
        "any:1", "10.244.0.1", annotations={"kubesim.dev/program": json.dumps(fields)}, limit_bytes=(128 << 20) + 1
    )
    plane.wait(60)

    assert plane.ends == [(end[0], "10.244.0.1", end[1])]


@pytest.mark.parametrize(
    "fields, end",
    [
        pytest.param({}, [(1.0, (0, "Completed"))], id="at once by default"),
        pytest.param({"terminateSeconds": 3}, [(4.0, (0, "Completed"))], id="after its shutdown"),
        pytest.param({"ignoreTerminate": True}, [], id="never, if it ignores the signal"),
    ],
)
def test_sigterm(plane, fields, end):
    """How long SIGTERM takes is declared."""
    process = declare(plane, **fields)
    plane.wait(1)
    process.terminate()
    plane.wait(60)

    assert [(at, ending) for at, _, ending in plane.ends] == end


def test_request_time_and_status(plane, client):
    """requestSeconds delays each answer, status is what it says."""
    declare(plane, requestSeconds=0.25, status=500)
    start_ns = plane.loop.now_ns

    status = plane.get(client, "10.244.0.1", "/")

    assert (status, (plane.loop.now_ns - start_ns) / 1e9) == (500, 0.2502)


def test_exec_exit_code(plane):
    """Commands end as declared."""
    assert declare(plane, execExitCode=7).execute(["true"]).exit_code == 7


def test_nothing_happens_after_a_kill(plane):
    """A killed process runs no timer and ends once."""
    process = declare(plane, exitAfterSeconds=5)
    process.kill()
    process.terminate()
    plane.wait(10)

    assert plane.ends == [(0.0, "10.244.0.1", (137, "Error"))]
    assert plane.health_changes == [(0.0, "10.244.0.1")] * 2


def test_a_lost_process_tells_nobody(plane, client):
    """Its node's power is gone: no end is reported, no connection reset, and a call ends at its timeout."""
    process = declare(plane, requestSeconds=5)
    got = []
    client.request(process.pod_ip, 8080, "?", 2_000_000_000, got.append)
    plane.wait(1)
    process.lose()
    plane.wait(5)

    assert ([answer.failure for answer in got], plane.ends) == (["timeout"], [])


def test_a_port_in_use_ends_the_second_process(plane):
    """Two processes of one Pod cannot listen on the same port."""
    declare(plane, listen=[8080])
    second = declare(plane, listen=[8080])

    assert plane.ends == [(0.0, "10.244.0.1", (1, "Error"))]
    assert second.output == [(0, "cannot listen on port 8080: address already in use")]

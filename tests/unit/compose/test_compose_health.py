"""Healthchecks: when they run, what they make of a container, and that they restart nothing."""

from __future__ import annotations

import pytest
from compose_world import happened, host_of

FILE = """\
name: p
services:
  one:
    image: app:1
    restart: always
    healthcheck: {{test: [CMD, check], {more}}}
"""


def host_with(tmp_path, more, **program):
    """A host with one checked container."""
    return host_of(tmp_path, FILE.format(more=more), {"app:1": program})


@pytest.mark.parametrize(
    "more, exit_code, verb, at",
    [
        # An interval and the check itself (0.07 s) from start to verdict; seen on dockerd 20.10.
        ("interval: 2s", 0, "healthy", 2.07),
        ("interval: 2s, retries: 2", 1, "unhealthy", 4.14),
        ("interval: 2s", 1, "unhealthy", 6.21),
        # Upstream: moby daemon/health.go: 30 s and three failures without other words.
        ("retries: 1", 1, "unhealthy", 30.07),
        ("interval: 0s", 0, "healthy", 30.07),
        # In the start period it is asked every 5 s, or as start_interval says, and failures do not count.
        ("interval: 20s, start_period: 60s", 0, "healthy", 5.07),
        ("interval: 20s, start_period: 60s, start_interval: 1s", 0, "healthy", 1.07),
        ("interval: 2s, start_period: 4s, start_interval: 1s, retries: 1", 1, "unhealthy", 4.28),
    ],
)
def test_the_first_verdict(tmp_path, more, exit_code, verb, at):
    """Counted from the container's start."""
    host = host_with(tmp_path, more, execExitCode=exit_code)
    [start] = happened(host, "p-one-1", "started")
    host.run(100)

    assert happened(host, "p-one-1", verb)[0] - start == pytest.approx(at)


def test_an_unhealthy_container_runs_on(tmp_path):
    """Nothing is restarted, and its name still leads to it."""
    host = host_with(tmp_path, "interval: 1s, retries: 1", execExitCode=1)
    host.run(600)

    container = host.container("p-one-1")
    assert (container.state, container.health, container.restarts.count) == ("running", "unhealthy", 0)
    assert len(host.engine.names.resolve("", "one").addresses) == 1


def test_a_check_that_takes_too_long_has_failed(tmp_path):
    """As of a process that hangs; awake again, it is healthy with its next check."""
    host = host_with(tmp_path, "interval: 2s, timeout: 3s, retries: 1")
    host.run(10)
    container = host.container("p-one-1")

    host.engine.hang(container)
    host.run(2 + 0.07 + 3 + 0.1)
    assert container.health == "unhealthy"
    host.engine.wake(container)
    host.run(2.2)

    assert container.health == "healthy"


def test_a_restarted_container_begins_anew(tmp_path):
    """Its health is that of a container that has just started."""
    host = host_with(tmp_path, "interval: 2s")
    host.run(10)
    container = host.container("p-one-1")

    host.engine.end(container, 1)
    host.run(1)

    assert (container.state, container.health) == ("running", "starting")
    host.run(2)
    assert container.health == "healthy"


@pytest.mark.parametrize(
    "test, health",
    [
        ("curl -f http://localhost:8080/readyz || exit 1", "unhealthy"),
        ("wget -q -O- http://127.0.0.1:8080/", "healthy"),
        ("curl -f http://localhost:9999/", "unhealthy"),
    ],
)
def test_a_check_that_asks_over_http_really_asks(tmp_path, test, health):
    """The status of the container's own answer decides."""
    text = FILE.format(more="interval: 1s, retries: 1").replace("[CMD, check]", f'"{test}"')
    host = host_of(tmp_path, text, {"app:1": {"listen": [8080], "readyAfterSeconds": 1000}})
    host.run(5)

    assert host.container("p-one-1").health == health


def test_the_shipped_programs_checks(tmp_path):
    """pg_isready and the vehicle service's own check see database and service come up."""
    text = """\
name: p
services:
  postgres:
    image: postgres:15
    environment: {POSTGRES_PASSWORD: x, POSTGRES_USER: vehicles, POSTGRES_DB: vehicles}
    healthcheck: {test: [CMD, pg_isready], interval: 1s, retries: 1}
  api:
    image: vehicle-api:dev
    environment: {POSTGRES_PASSWORD: x}
    healthcheck: {test: [CMD, python, -m, vehicle_api.healthcheck], interval: 1s, retries: 1}
"""
    host = host_of(tmp_path, text)
    host.run(1.2)
    first = [each.health for each in host.engine.containers.values()]
    host.run(10)
    later = [each.health for each in host.engine.containers.values()]
    host.complete(host.engine.stop(host.container("p-postgres-1")))
    host.run(10)

    assert (first, later) == (["unhealthy", "unhealthy"], ["healthy", "healthy"])
    assert host.container("p-api-1").health == "unhealthy"

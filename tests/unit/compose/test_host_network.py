"""Names, addresses and published ports of the one host."""

from __future__ import annotations

from collections import Counter

import pytest
from compose_world import host_of

from kubesim.compose.host_network import HOST
from kubesim.network.messages import HttpRequest

THREE = """\
name: p
services:
  api: {image: app:1, restart: always, ports: ["8080-8082:80"], deploy: {replicas: 3}}
"""


def ask(host, port):
    """What a user outside gets from a port of the host."""
    fabric = host.engine.fabric
    sockets = fabric.open(fabric.attach("203.0.113.9", "outside"), "")
    answers = []
    sockets.request(HOST, port, HttpRequest("GET", "/"), 1_000_000_000, answers.append)
    host.run(2)
    return getattr(answers[0], "status", None) or answers[0].failure


def test_a_name_leads_to_the_containers_that_run(tmp_path):
    """All of them, fewer while one is down, none when none runs; seen on dockerd 20.10."""
    host = host_of(tmp_path, THREE)
    seen = [len(host.engine.names.resolve("", "api").addresses)]
    for number in (2, 1, 3):
        host.complete(host.engine.stop(host.container(f"p-api-{number}")))
        seen.append(len(host.engine.names.resolve("", "api").addresses))

    assert seen == [3, 2, 1, 0]


def test_a_name_leads_to_each_in_turn(tmp_path):
    """dockerd shuffles its answers, and clients take the first."""
    host = host_of(tmp_path, THREE)
    names = host.engine.names
    picks = Counter(names.stream.pick(names.resolve("", "api").addresses) for _ in range(600))

    assert len(picks) == 3
    assert min(picks.values()) > 150


def test_containers_have_names_of_their_own(tmp_path):
    """And aliases that the file gives."""
    text = "name: p\nservices:\n  one: {image: a:1, networks: {default: {aliases: [other]}}}\n"
    host = host_of(tmp_path, text)
    found = [host.engine.names.resolve("", name).addresses for name in ("one", "p-one-1", "other", "nobody")]

    assert found == [("172.18.0.2",)] * 3 + [()]


def test_each_port_of_a_range_leads_to_one_container(tmp_path):
    """Nothing stands before them: a port whose container is down refuses, whatever the others do."""
    host = host_of(tmp_path, THREE)
    assert [ask(host, port) for port in (8080, 8081, 8082, 8083)] == [200, 200, 200, "refused"]

    host.complete(host.engine.stop(host.container("p-api-2")))

    assert [ask(host, port) for port in (8080, 8081, 8082)] == [200, "refused", 200]


def test_a_host_without_power_is_silent(tmp_path):
    """And refuses while it boots, until its containers run."""
    host = host_of(tmp_path, THREE)
    host.engine.lose_power()
    dark = ask(host, 8080)
    host.engine.restore_power()
    host.run(0.1)
    booting = ask(host, 8080)
    host.run(10)

    assert (dark, booting, ask(host, 8080)) == ("timeout", "refused", 200)


def test_an_isolated_host_runs_on(tmp_path):
    """Users get no answer until it has its network again; its containers do not notice."""
    host = host_of(tmp_path, THREE)
    host.engine.isolate()
    alone = ask(host, 8080)
    host.engine.rejoin()

    assert (alone, ask(host, 8080)) == ("timeout", 200)
    assert all(each.restarts.count == 0 for each in host.engine.containers.values())


@pytest.mark.parametrize(
    "ports, error, running",
    [
        ('"8080:80"', "container p-api-2: Bind for 0.0.0.0:8080 failed: port is already allocated", 1),
        ('"8080-8081:80"', "container p-api-3: all ports are allocated", 2),
        ('"8080-8082:80"', "", 3),
        ('"80"', "", 3),
    ],
)
def test_more_replicas_than_ports(tmp_path, ports, error, running):
    """`docker compose up` stops at the first container that gets no port. The words are dockerd's."""
    host = host_of(tmp_path, THREE.replace('"8080-8082:80"', ports), is_up=False)

    assert host.up() == error
    assert sum(each.state == "running" for each in host.engine.containers.values()) == running

"""`docker compose` up, restart and down: order, conditions, replacement, volumes."""

from __future__ import annotations

import msgspec
import pytest
from compose_world import happened, host_of

from kubesim.programs.program import Volume

PAIR = """\
name: p
services:
  web:
    image: web:1
    depends_on: {{db: {{condition: {condition}, {more}}}}}
  db:
    image: db:1
    healthcheck: {{test: [CMD, check], interval: 1s, retries: 3}}
"""


@pytest.mark.parametrize(
    "condition, more, program, error, waits",
    [
        ("service_started", "", {}, "", 0.24),
        # Looked at twice a second; healthy 1.07 s after its start.
        ("service_healthy", "", {}, "", 1.5 + 0.24),
        ("service_healthy", "", {"execExitCode": 1}, "dependency failed to start: container p-db-1 is unhealthy", None),
        ("service_healthy", "required: false", {"execExitCode": 1}, "", 3.5 + 0.24),
        (
            "service_healthy",
            "",
            {"exitAfterSeconds": 0.2, "exitCode": 4},
            "dependency failed to start: container p-db-1 exited (4)",
            None,
        ),
        ("service_completed_successfully", "", {"exitAfterSeconds": 2.2}, "", 2.5 + 0.24),
        (
            "service_completed_successfully",
            "",
            {"exitAfterSeconds": 2.2, "exitCode": 1},
            'service "db" didn\'t complete successfully: exit 1',
            None,
        ),
    ],
)
def test_conditions(tmp_path, condition, more, program, error, waits):
    """The dependent starts so long after the start of what it depends on, or not at all, and up says why."""
    host = host_of(tmp_path, PAIR.format(condition=condition, more=more), {"db:1": program}, is_up=False)

    assert host.up() == error
    [start] = happened(host, "p-db-1", "started")
    found = [round(at - start, 3) for at in happened(host, "p-web-1", "started")]
    assert found == ([] if waits is None else [waits])


def test_after_a_reboot_nobody_waits(tmp_path):
    """dockerd knows nothing of depends_on: all start at once."""
    text = PAIR.format(condition="service_healthy", more="").replace("image:", "restart: always\n    image:")
    host = host_of(tmp_path, text)
    host.engine.lose_power()
    host.run(60)
    host.engine.restore_power()
    host.run(10)

    assert happened(host, "p-web-1", "started")[1] == happened(host, "p-db-1", "started")[1]


def changed(host, name, **changes):
    """`docker compose up -d` after an edit of a service; returns the seconds it took."""
    project = host.compose.project
    start_ns = host.now_ns
    service = msgspec.structs.replace(project.services[name], **changes)
    assert host.complete(host.compose.up(project.with_service(service))) == ""
    return (host.now_ns - start_ns) / 1e9


def test_an_update_stops_all_before_it_starts_any(tmp_path):
    """Three replicas go together and come back one after the other: there is no rolling update."""
    text = "name: p\nservices:\n  web: {image: web:1, stop_grace_period: 2s, deploy: {replicas: 3}}\n"
    host = host_of(tmp_path, text, {"web:1": {"terminateSeconds": 1}})
    host.run(30)
    changed(host, "web", image="web:2")

    names = [f"p-web-{number}" for number in (1, 2, 3)]
    died = [happened(host, name, "died")[-1] for name in names]
    # Created under another name, started under its own.
    started = [happened(host, name, "started")[-1] for name in names]
    assert len({*died}) == 1
    assert min(started) > max(died)
    assert [round(at - started[0], 2) for at in started] == [0, 0.24, 0.48]
    assert {host.container(name).service.image for name in names} == {"web:2"}


@pytest.mark.parametrize(
    "changes, is_replaced",
    [
        ({}, False),
        ({"image": "web:2"}, True),
        ({"environment": {"A": "1"}}, True),
        ({"limit_bytes": 1 << 20}, True),
        ({"replicas": 2}, False),
        ({"depends_on": {}}, False),
    ],
)
def test_what_a_container_is_replaced_for(tmp_path, changes, is_replaced):
    """Whatever is in its configuration; how many there are and who waits for whom is not."""
    host = host_of(tmp_path, "name: p\nservices:\n  web: {image: web:1}\n")
    before = host.container("p-web-1")
    changed(host, "web", **changes)

    assert (host.container("p-web-1") is not before) == is_replaced


def test_scaling_removes_the_highest_numbers(tmp_path):
    """And adds the next ones."""
    host = host_of(tmp_path, "name: p\nservices:\n  web: {image: web:1, scale: 3}\n")
    changed(host, "web", replicas=1)
    few = list(host.engine.containers)
    changed(host, "web", replicas=2)

    assert (few, list(host.engine.containers)) == (["p-web-1"], ["p-web-1", "p-web-2"])


@pytest.mark.parametrize("more, restarts", [("restart: true", 2), ("restart: false", 1)])
@pytest.mark.parametrize("command", ["restart", "up"])
def test_dependents_follow_a_command_where_the_file_says_so(tmp_path, more, restarts, command):
    """`restart: true` is about commands; a restart by policy concerns nobody else."""
    text = PAIR.format(condition="service_started", more=more).replace(
        "image: db:1", "image: db:1\n    restart: always"
    )
    host = host_of(tmp_path, text)
    host.engine.end(host.container("p-db-1"), 1)
    host.run(5)
    assert len(happened(host, "p-web-1", "started")) == 1

    if command == "restart":
        host.complete(host.compose.restart(["db"]))
    else:
        changed(host, "db", image="db:2")

    assert len(happened(host, "p-web-1", "started")) == restarts


VOLUMES = """\
name: p
services:
  one: {image: app:1, volumes: ["named:/named", "/anonymous"]}
volumes: {named: {}}
"""


@pytest.mark.parametrize(
    "event, named, anonymous",
    [
        ("crash and restart", True, True),
        ("replaced by an update", True, True),
        ("down and up", True, False),
        ("down -v and up", False, False),
        ("another machine", False, False),
    ],
)
def test_what_volumes_outlive(tmp_path, event, named, anonymous):
    """A named volume outlives all but `down -v` and the machine; an anonymous one its container's replacement only."""
    host = host_of(tmp_path, VOLUMES)
    for volume in host.container("p-one-1").mounts.values():
        volume.files["mark"] = 1

    if event == "crash and restart":
        host.engine.end(host.container("p-one-1"), 1)
    elif event == "replaced by an update":
        changed(host, "one", image="app:2")
    elif event == "another machine":
        host.engine.lose_power()
        host.engine.replace_machine()
    else:
        host.complete(host.compose.down(with_volumes="-v" in event))
    host.up()

    mounts: dict[str, Volume] = host.container("p-one-1").mounts
    assert ["mark" in mounts[path].files for path in ("/named", "/anonymous")] == [named, anonymous]


def test_an_image_with_a_volume_of_its_own_keeps_data_in_an_anonymous_one(tmp_path):
    """PostgreSQL's does: without a volume in the file, data outlives an update but not `down`."""
    text = "name: p\nservices:\n  db: {image: postgres:15, environment: {POSTGRES_PASSWORD: x}}\n"
    host = host_of(tmp_path, text)
    host.run(10)
    [volume] = host.container("p-db-1").mounts.values()
    changed(host, "db", environment={"POSTGRES_PASSWORD": "x", "A": "b"})
    kept = host.container("p-db-1").mounts["/var/lib/postgresql/data"]
    host.complete(host.compose.down())
    host.up()

    assert kept is volume
    assert host.container("p-db-1").mounts["/var/lib/postgresql/data"] is not volume


def test_down_ends_dependents_first(tmp_path):
    """The reverse of the order of the start."""
    host = host_of(tmp_path, PAIR.format(condition="service_started", more=""))
    host.complete(host.compose.down())

    assert happened(host, "p-web-1", "died")[0] < happened(host, "p-db-1", "died")[0]
    assert host.engine.containers == {}


def test_a_command_on_a_host_that_loses_power_is_never_heard_of_again(tmp_path):
    """What it had not done yet is not done."""
    host = host_of(tmp_path, "name: p\nservices:\n  web: {image: web:1, scale: 3}\n", is_up=False)
    errors = []
    host.begin(host.compose.up(host.compose.project), errors.append)
    host.run(0.3)
    host.engine.lose_power()
    host.run(10)
    host.engine.restore_power()
    host.run(10)

    assert errors == []
    assert sum(len(happened(host, f"p-web-{number}", "started")) for number in (1, 2, 3)) == 1

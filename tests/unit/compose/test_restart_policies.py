"""When dockerd starts a container again. All verdicts here were seen on dockerd 20.10 with `docker run --restart`."""

from __future__ import annotations

import pytest
from compose_world import happened, host_of

ONE = "name: p\nservices:\n  one: {{image: app:1, restart: {policy}}}\n"
POLICIES = ('"no"', "always", "on-failure", "unless-stopped")


def world(tmp_path, policy):
    """A host with one container that has run for a minute, and the container."""
    host = host_of(tmp_path, ONE.format(policy=policy))
    host.run(60)
    return host, host.container("p-one-1")


@pytest.mark.parametrize(
    "policy, exit_code, state",
    [
        ('"no"', 0, "exited"),
        ('"no"', 1, "exited"),
        ('"no"', 137, "exited"),
        ("always", 0, "running"),
        ("always", 1, "running"),
        ("always", 137, "running"),
        ("on-failure", 0, "exited"),
        ("on-failure", 1, "running"),
        ("on-failure", 137, "running"),
        ("unless-stopped", 0, "running"),
        ("unless-stopped", 1, "running"),
        ("unless-stopped", 137, "running"),
    ],
)
def test_a_process_that_ends_by_itself(tmp_path, policy, exit_code, state):
    """The policy decides by the exit code; a SIGKILL from elsewhere is an exit like any other."""
    host, container = world(tmp_path, policy)

    host.engine.end(container, exit_code)
    host.run(2)

    assert container.state == state
    assert container.exit_code == exit_code


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("command", ["stop", "kill"])
def test_stopped_by_hand_it_stays_down(tmp_path, policy, command):
    """Whatever the policy, after `docker stop` or `docker kill` nothing starts it while the daemon runs."""
    host, container = world(tmp_path, policy)

    host.complete(host.engine.stop(container)) if command == "stop" else host.engine.kill(container)
    host.run(600)

    assert container.state == "exited"


@pytest.mark.parametrize(
    "policy, before, state",
    [
        ('"no"', "running", "exited"),
        ("always", "running", "running"),
        ("on-failure", "running", "running"),
        ("unless-stopped", "running", "running"),
        ('"no"', "killed", "exited"),
        ("always", "killed", "running"),
        ("on-failure", "killed", "running"),
        ("unless-stopped", "killed", "exited"),
        ('"no"', "stopped well", "exited"),
        ("always", "stopped well", "running"),
        ("on-failure", "stopped well", "exited"),
        ("unless-stopped", "stopped well", "exited"),
        ('"no"', "failed", "exited"),
        ("on-failure:1", "failed twice", "exited"),
        ("on-failure:5", "running", "running"),
    ],
)
def test_a_host_that_loses_power_and_boots(tmp_path, policy, before, state):
    """A daemon that starts asks the policies anew: it has forgotten that a stop was to last, but for unless-stopped.

    What ran has ended unseen, as code 255, so on-failure starts it, too.
    """
    host, container = world(tmp_path, policy)
    if before == "killed":
        host.engine.kill(container)
    elif before == "stopped well":
        host.complete(host.engine.stop(container))
    elif before.startswith("failed"):
        host.engine.end(container, 1)
        host.run(2)
        host.engine.end(container, 1)
    host.run(2)

    host.engine.lose_power()
    host.run(30)
    host.engine.restore_power()
    host.run(10)

    assert container.state == state
    if before == "running" and state == "exited":
        assert container.exit_code == 255


@pytest.mark.parametrize("policy", POLICIES)
def test_up_starts_what_a_person_had_stopped(tmp_path, policy):
    """`docker compose up -d` starts the same container and forgets the stop."""
    host, container = world(tmp_path, policy)
    host.complete(host.engine.stop(container))

    host.up()
    host.engine.lose_power()
    host.engine.restore_power()
    host.run(10)

    assert container.state == ("exited" if policy == '"no"' else "running")


def test_a_container_that_keeps_failing_is_started_ever_later(tmp_path):
    """0.1 s, 0.2 s, 0.4 s … up to a minute between an end and the next start, which takes a quarter of a second."""
    host = host_of(tmp_path, ONE.format(policy="always"), {"app:1": {"exitAfterSeconds": 0.02, "exitCode": 1}})
    host.run(400)

    died, started = happened(host, "p-one-1", "died"), happened(host, "p-one-1", "started")
    waits = [round(start - end - 0.24, 3) for end, start in zip(died, started[1:], strict=False)]

    assert waits[:13] == [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8, 25.6, 51.2, 60, 60, 60]


@pytest.mark.parametrize("lives, second", [(9.9, 0.2), (10, 0.1)])
def test_a_run_of_ten_seconds_sets_the_wait_back(tmp_path, lives, second):
    """Ten seconds are a run that worked."""
    host = host_of(tmp_path, ONE.format(policy="always"), {"app:1": {"exitAfterSeconds": lives}})
    host.run(40)

    died, started = happened(host, "p-one-1", "died"), happened(host, "p-one-1", "started")

    assert round(started[2] - died[1] - 0.24, 3) == second


def test_retries_are_bounded(tmp_path):
    """on-failure:2 starts a failing container twice more."""
    host = host_of(tmp_path, ONE.format(policy="on-failure:2"), {"app:1": {"exitAfterSeconds": 0.1, "exitCode": 3}})
    host.run(60)

    assert len(happened(host, "p-one-1", "started")) == 3
    assert host.container("p-one-1").state == "exited"


def test_a_stop_reaches_a_container_that_waits_for_its_restart(tmp_path):
    """It has no process then, and never gets one."""
    host = host_of(tmp_path, ONE.format(policy="always"), {"app:1": {"exitAfterSeconds": 0.1}})
    host.run(20)
    container = host.container("p-one-1")
    assert container.state == "restarting"

    host.complete(host.engine.stop(container))
    host.run(100)

    assert container.state == "exited"


def test_more_memory_than_the_limit_is_a_kill(tmp_path):
    """137 and a restart by policy."""
    text = "name: p\nservices:\n  one: {image: app:1, restart: always, mem_limit: 64m}\n"
    host = host_of(tmp_path, text, {"app:1": {"memory": "60Mi", "memoryPerSecond": "1Mi"}})
    host.run(5.5)
    container = host.container("p-one-1")

    assert happened(host, "p-one-1", "died")
    assert container.exit_code == 137
    host.run(1)
    assert container.state == "running"
    assert container.is_oom_killed is False


@pytest.mark.parametrize(
    "program, took",
    [({}, 0), ({"terminateSeconds": 3}, 3), ({"terminateSeconds": 30}, 10), ({"ignoreTerminate": True}, 10)],
)
def test_grace(tmp_path, program, took):
    """SIGTERM, ten seconds unless the file says more, then SIGKILL."""
    host = host_of(tmp_path, ONE.format(policy="always"), {"app:1": program})
    host.run(5)
    start_ns = host.now_ns

    host.complete(host.engine.stop(host.container("p-one-1")))

    assert (host.now_ns - start_ns) / 1e9 == pytest.approx(took + 0.13)


def test_a_process_that_hangs_runs_on_until_a_person_restarts_it(tmp_path):
    """No policy sees it, and it takes its whole grace to stop it."""
    host, container = world(tmp_path, "always")
    host.engine.hang(container)
    host.run(3600)
    assert happened(host, "p-one-1", "died") == []

    start_ns = host.now_ns
    host.complete(host.compose.restart(["one"]))

    assert (host.now_ns - start_ns) / 1e9 == pytest.approx(10 + 0.13 + 0.24)
    assert container.state == "running"

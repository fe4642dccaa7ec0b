"""Probes against running programs, with the texts and times of recordings a2 and b3."""

from __future__ import annotations

import json

import pytest

from kubesim.sim.loop import SECOND

READY = {"httpGet": {"path": "/readyz", "port": 80}, "periodSeconds": 2, "failureThreshold": 2}


def program(**fields):
    return {"kubesim.dev/program": json.dumps(fields)}


def written(world, field):
    """When a field of the first container's status took which value."""
    seen = []
    for time, _, status in world.writes:
        value = status["containerStatuses"][0][field]
        if not seen or seen[-1][1] != value:
            seen.append((time, value))
    return seen


def test_started_and_ready_are_two_writes(world):
    """The startup probe succeeds, then the readiness probe runs at once (recording a2)."""
    startup = {"httpGet": {"path": "/x", "port": 80}, "periodSeconds": 1, "failureThreshold": 30}
    world.pod(annotations=program(startSeconds=3), startupProbe=startup, readinessProbe=READY)
    world.run(8)

    started, ready = written(world, "started")[-1], written(world, "ready")[-1]
    assert (started[1], ready[1]) == (True, True)
    assert 0 < ready[0] - started[0] < 0.05
    text = 'Startup probe failed: Get "http://10.244.1.2:80/x": dial tcp 10.244.1.2:80: connect: connection refused'
    assert ("Unhealthy", text, 3) in world.events()


def test_readiness_follows_the_threshold(world):
    """Two failures make it unready, one success ready again; an Event for each failure."""
    world.pod(annotations=program(unreadyAfterSeconds=6), readinessProbe=READY)
    world.run(15)

    ready = written(world, "ready")
    assert [value for _, value in ready] == [False, True, False]
    assert 8 < ready[2][0] - ready[0][0] < 11
    assert ("Unhealthy", "Readiness probe failed: HTTP probe failed with statuscode: 503") in [
        event[:2] for event in world.events()
    ]
    assert world.main()["restartCount"] == 0


def test_liveness_kills_and_restarts(world):
    """After a kill the first two restarts are immediate, the third waits; no terminated state between (facts, 19)."""
    liveness = {**READY, "periodSeconds": 1}
    world.pod(annotations=program(unreadyAfterSeconds=3), livenessProbe=liveness)
    world.run(60)

    restarts = written(world, "restartCount")
    assert restarts[2][0] - restarts[1][0] < 8
    assert restarts[3][0] - restarts[2][0] > 12
    first = [next(iter(status["containerStatuses"][0]["state"])) for _, _, status in world.writes][:5]
    assert first == ["waiting", "waiting", "running", "running", "running"]
    texts = [event[1] for event in world.events()]
    assert "Liveness probe failed: HTTP probe failed with statuscode: 503" in texts
    assert "Container main failed liveness probe, will be restarted" in texts


@pytest.mark.parametrize(
    "probe, fields, text",
    [
        ({"tcpSocket": {"port": 81}}, {"listen": [80]}, "dial tcp 10.244.1.2:81: connect: connection refused"),
        (
            {"httpGet": {"path": "/x", "port": "web"}},
            {"requestSeconds": 2},
            'Get "http://10.244.1.2:80/x": context deadline exceeded (Client.Timeout exceeded while awaiting headers)',
        ),
        ({"httpGet": {"path": "/x", "port": 80}}, {"status": 404}, "HTTP probe failed with statuscode: 404"),
        ({"exec": {"command": ["cat", "/nope"]}}, {"execExitCode": 1}, ""),
    ],
    ids=["a refused connection", "a slow answer", "a bad status", "a command that fails"],
)
def test_what_failed_probes_say(world, probe, fields, text):
    """The Event's text is the kubelet's."""
    world.pod(annotations=program(**fields), readinessProbe=probe, ports=[{"name": "web", "containerPort": 80}])
    world.run(5)

    assert ("Unhealthy", f"Readiness probe failed: {text}") in [event[:2] for event in world.events()]


def test_initial_delay(world):
    """The first probe comes at the first tick at which whole seconds since the start have passed."""
    world.pod(readinessProbe={**READY, "initialDelaySeconds": 5})
    world.run(15)

    ready = written(world, "ready")
    assert 4 < ready[1][0] - world.writes[1][0] < 7


def test_a_hang_is_noticed_and_ends(world):
    """A hung container fails its probes by timeout and answers again when it goes on."""
    world.pod(readinessProbe=READY)
    world.run(5)
    runtime = world.runtimes["node-1"]
    assert runtime.hang_container(world.uid(), "main")
    world.run(8)
    assert world.conditions()["Ready"] == "False"
    assert runtime.resume_container(world.uid(), "main")
    world.run(5)

    assert world.conditions()["Ready"] == "True"


def test_liveness_of_a_hung_command(world):
    """An exec probe that doesn't end times out, and the container is killed when its grace is over (recording b3)."""
    probe = {"exec": {"command": ["check"]}, "periodSeconds": 1, "failureThreshold": 1}
    world.pod(livenessProbe=probe, spec={"terminationGracePeriodSeconds": 3})
    world.run(5)
    world.runtimes["node-1"].hang_container(world.uid(), "main")
    world.run(10)

    assert ("Unhealthy", 'Liveness probe failed: command timed out: "check" timed out after 1s', 1) in world.events()
    assert world.main()["restartCount"] == 1
    assert world.main()["lastState"]["terminated"]["exitCode"] == 137


def test_probes_wake_on_their_own_grid(world):
    """A prober that rested because all was well goes on at a tick of its period after a change."""
    world.pod(readinessProbe={**READY, "periodSeconds": 10, "failureThreshold": 1})
    world.run(5)
    ready_at = written(world, "ready")[-1][0]
    world.run(37)
    world.runtimes["node-1"].hang_container(world.uid(), "main")
    world.run(20)

    off_at = written(world, "ready")[-1][0]
    assert (off_at - ready_at + 4) % 10 == pytest.approx(5, abs=0.1)
    assert world.loop.now_ns > 60 * SECOND

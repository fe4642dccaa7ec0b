"""Stops and crashes of kubelets and nodes, and of what runs on them."""

from __future__ import annotations

import json

import pytest
from worlds import World

from kubesim.api.requests import Options
from kubesim.network.messages import HttpRequest
from kubesim.sim.loop import SECOND

READY = {"httpGet": {"path": "/readyz", "port": 80}, "periodSeconds": 2}


def crash(world, name="node-1"):
    """The node loses power."""
    world.kubelets[name].stop()
    world.runtimes[name].crash()
    world.fabric.lose_node(name)


def boot(world, name="node-1"):
    """The node has power again."""
    world.runtimes[name].boot()
    world.fabric.restore_node(name)
    world.kubelets[name].start()


def test_containers_survive_a_stop_of_the_kubelet(world):
    """After the start nothing is restarted and nothing is written; a ready Pod stays ready (recording h2)."""
    world.pod(readinessProbe=READY)
    world.run(5)
    process = world.runtimes["node-1"].process_of(world.uid(), "main")
    world.kubelets["node-1"].stop()
    world.run(30)
    writes = len(world.writes)
    world.kubelets["node-1"].start()
    world.run(30)

    assert len(world.writes) == writes
    assert world.runtimes["node-1"].process_of(world.uid(), "main") is process


def test_an_exit_while_the_kubelet_was_away(world):
    """It is noticed at the start, and the container is restarted with its files."""
    world.pod(
        annotations={"kubesim.dev/program": json.dumps({"exitAfterSeconds": 10, "exitCode": 1})},
        spec={"volumes": [{"name": "e", "emptyDir": {}}]},
        volumeMounts=[{"name": "e", "mountPath": "/e"}],
    )
    world.run(3)
    world.runtimes["node-1"].process_of(world.uid(), "main").volumes["/e"].files["x"] = 1
    world.kubelets["node-1"].stop()
    world.run(30)
    assert "running" in world.main()["state"]
    world.kubelets["node-1"].start()
    world.run(2)

    assert world.main()["restartCount"] == 1
    assert world.runtimes["node-1"].process_of(world.uid(), "main").volumes["/e"].files == {"x": 1}


def test_a_crashed_node_says_nothing(world):
    """No write and no renewal comes from it, and its Pods look as they did."""
    world.pod()
    world.run(3)
    crash(world)
    before = world.store.revision
    world.run(120)

    assert world.store.revision == before
    assert world.status()["phase"] == "Running"


def test_a_node_that_comes_back_restarts_its_pods(world):
    """A new sandbox, restart count one up, the last state Unknown 255; the node reports its reboot."""
    world.pod()
    world.run(3)
    crash(world)
    world.run(20)
    boot(world)
    world.run(5)

    assert world.main()["restartCount"] == 1
    assert world.main()["lastState"]["terminated"]["exitCode"] == 255
    assert world.conditions()["Ready"] == "True"
    assert "SandboxChanged" in world.reasons()
    assert "Rebooted" in world.reasons("node-1")


def test_a_pod_of_policy_never_has_failed_after_a_reboot(world):
    """Its container isn't started again."""
    world.pod(spec={"restartPolicy": "Never"})
    world.run(3)
    crash(world)
    boot(world)
    world.run(5)

    assert world.status()["phase"] == "Failed"


def test_pods_deleted_while_the_node_was_away_are_cleaned_up(world):
    """What the API no longer has is removed from the runtime; what is being deleted goes through its end."""
    world.pod("forced")
    world.pod("graceful")
    world.run(3)
    crash(world)
    world.delete("forced", Options(grace_period_s=0))
    world.delete("graceful")
    world.run(60)
    assert world.get("graceful") is not None
    boot(world)
    world.run(8)

    assert world.get("graceful") is None
    assert world.runtimes["node-1"].pods() == {}


def test_a_node_crash_while_a_pod_starts(world):
    """Whatever was under way is begun anew after the boot."""
    for number in range(8):
        world.pod(f"p{number}")
        world.run(0.06)
    crash(world)
    world.run(5)
    boot(world)
    world.run(5)

    assert {world.status(f"p{number}")["phase"] for number in range(8)} == {"Running"}
    assert len({world.status(f"p{number}")["podIP"] for number in range(8)}) == 8


@pytest.mark.parametrize(
    "exit_code, reason", [(0, "Completed"), (3, "Error"), (137, "Error")], ids=["exit 0", "exit 3", "SIGKILL"]
)
def test_ending_a_container(world, exit_code, reason):
    """It is noticed within a second, reported with its code, and restarted."""
    world.pod()
    world.run(3)
    world.runtimes["node-1"].end_container(world.uid(), "main", exit_code)
    world.run(1.2)

    ended = world.main()["lastState"]["terminated"]
    assert (ended["exitCode"], ended["reason"]) == (exit_code, reason)
    assert world.main()["restartCount"] == 1


def test_equal_runs_are_equal():
    """The same things in the same order lead to the same writes."""

    def run():
        world = World("node-1", "node-2")
        world.pod(readinessProbe=READY)
        world.pod("two", node="node-2")
        world.run(3)
        crash(world, "node-2")
        world.run(3)
        boot(world, "node-2")
        world.run(10)
        return world.writes

    assert run() == run()


def test_a_hook_in_a_hung_container(world):
    """A preStop command that can't end takes the whole grace, then the container is killed."""
    world.pod(lifecycle={"preStop": {"exec": {"command": ["drain"]}}}, spec={"terminationGracePeriodSeconds": 4})
    world.run(3)
    world.runtimes["node-1"].hang_container(world.uid(), "main")
    world.delete()
    world.run(4.5)
    assert "FailedPreStopHook" in world.reasons()
    world.run(3)

    assert world.get() is None


def test_what_was_asked_during_a_hang_is_answered_after_it(world):
    """A call waits as in the kernel's buffers, and SIGTERM too takes effect when the process goes on."""
    world.pod()
    world.run(3)
    answers = []
    runtime = world.runtimes["node-1"]
    uid = world.uid()
    runtime.hang_container(uid, "main")
    network = world.kubelets["node-1"].network
    network.probe("10.244.1.2", 80, HttpRequest("GET", "/"), 60 * SECOND, answers.append)
    world.delete()
    world.run(5)
    assert answers == []
    runtime.resume_container(uid, "main")
    world.run(3)

    assert [answer.status for answer in answers] == [200]
    assert world.get() is None

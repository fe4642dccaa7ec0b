"""Containers whose command is a shell's: signals, probes, hooks and logs as in a cluster."""

from __future__ import annotations

import pytest

from kubesim.cluster import Cluster

UP = "/tmp/up"


def pod(*command, grace=5, **container):
    main = {"name": "main", "image": "busybox", "command": list(command), **container}
    spec = {"restartPolicy": "Never", "terminationGracePeriodSeconds": grace, "containers": [main]}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "it"}, "spec": spec}


def run(manifest, seconds=10):
    cluster = Cluster(nodes=1)
    cluster.create(manifest)
    cluster.run(seconds)
    return cluster


def ended(cluster):
    """The exit code, and how long the container ran in whole seconds."""
    states = [
        record.data["object"]["status"]["containerStatuses"][0]["state"]
        for record in cluster.trace.records
        if record.subject == "pod/default/it" and record.data and "containerStatuses" in record.data["object"]["status"]
    ]
    return next((state["terminated"]["exitCode"] for state in states if "terminated" in state), None)


def log_of(cluster):
    process = cluster.data_plane.nodes["node-1"].runtime.process_of(cluster.get("pod/it")["metadata"]["uid"], "main")
    return [line for _, line in process.output]


@pytest.mark.parametrize(
    "command, code",
    [
        (("sh", "-c", "exit 3"), 3),
        (("/bin/sh", "-c", "sleep 2; exit 0"), 0),
        (("false",), 1),
        (("echo", "hello"), 0),
        (("sh", "-c", "nosuch"), 127),
        (("sh", "/no/script"), 2),
    ],
)
def test_a_container_ends_with_its_commands_code(command, code):
    """The status has it."""
    assert ended(run(pod(*command))) == code


@pytest.mark.parametrize(
    "command, code",
    [
        (("sleep", "3600"), 137),
        (("sh", "-c", "sleep 3600"), 137),
        (("sh", "-c", "trap 'exit 0' TERM; sleep 3600 & wait"), 0),
        (("sh", "-c", "trap 'sleep 2; exit 4' TERM; sleep 3600 & wait"), 4),
        (("sh", "-c", "trap 'exit 5' TERM; while true; do sleep 1; done"), 5),
        (("sh", "-c", "trap 'exit 6' TERM; sleep 3600"), 137),
        (("sh", "-c", "trap '' TERM; sleep 3600 & wait"), 137),
    ],
)
def test_a_stopped_container_ends_as_process_1_does(command, code):
    """Without a trap SIGTERM does nothing to it; a trap waits for the command in the foreground, but not for `wait`."""
    cluster = run(pod(*command), 8)
    cluster.delete("pod/it")
    cluster.run(20)

    assert ended(cluster) == code


def test_what_it_prints_is_its_log():
    """Line by line, whatever the pieces."""
    cluster = run(
        pod("sh", "-c", "echo -n a; echo b; echo $GREETING; sleep 99", env=[{"name": "GREETING", "value": "hi"}])
    )

    assert log_of(cluster) == ["ab", "hi"]


def test_probes_and_hooks_share_the_containers_files():
    """The start probe sees the file that the container makes after 3 s, the hook's file is there too."""
    probe = {"exec": {"command": ["cat", UP]}, "periodSeconds": 1, "failureThreshold": 30}
    hook = {"postStart": {"exec": {"command": ["sh", "-c", "echo hooked > /tmp/hook"]}}}
    script = "sleep 3; touch /tmp/up; cat /tmp/hook; sleep 3600"
    cluster = run(pod("sh", "-c", script, startupProbe=probe, lifecycle=hook), 3)
    early = cluster.get("pod/it")["status"]["containerStatuses"][0]["started"]
    cluster.run(5)

    assert (early, cluster.get("pod/it")["status"]["containerStatuses"][0]["started"]) == (False, True)
    assert log_of(cluster) == ["hooked"]


def test_a_container_that_kills_itself_from_outside_ends_by_its_trap():
    """`kill 1` by a command beside it reaches process 1."""
    cluster = run(pod("sh", "-c", "trap 'exit 7' TERM; sleep 3600 & wait"), 5)
    process = cluster.data_plane.nodes["node-1"].runtime.process_of(cluster.get("pod/it")["metadata"]["uid"], "main")
    process.execute(["sh", "-c", "kill -TERM 1"])
    cluster.run(3)

    assert ended(cluster) == 7


def test_a_container_may_trap_any_number_of_signals():
    """Each comes between two steps of the script, which goes on; an exit in a trap runs what EXIT is trapped with."""
    script = "n=0; trap 'n=$((n+1))' USR1; trap 'echo $n' EXIT; trap 'exit 3' TERM; while true; do sleep 1 & wait; done"
    cluster = run(pod("sh", "-c", script), 5)
    process = cluster.data_plane.nodes["node-1"].runtime.process_of(cluster.get("pod/it")["metadata"]["uid"], "main")
    for _ in range(1500):
        process.execute(["kill", "-USR1", "1"])
        cluster.run(0.01)
    process.execute(["kill", "1"])
    cluster.run(3)

    assert (ended(cluster), [line for _, line in process.output]) == (3, ["1500"])

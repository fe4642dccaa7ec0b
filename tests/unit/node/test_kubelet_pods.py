"""Pods on a node under the real API server of the package, against what the recordings of 1.36.3 show."""

from __future__ import annotations

import json
from itertools import pairwise

import pytest
from worlds import IMAGE, World

from kubesim.api.kinds import CONFIG_MAP, PERSISTENT_VOLUME, PERSISTENT_VOLUME_CLAIM, POD
from kubesim.api.requests import Options, Request, create, patch, update
from kubesim.sim.loop import SECOND


def program(**fields):
    return {"kubesim.dev/program": json.dumps(fields)}


def programs(**by_container):
    return {f"kubesim.dev/program.{name}": json.dumps(fields) for name, fields in by_container.items()}


def states(world, name="web"):
    """Of each written status: phase, and the states of all containers."""
    return [
        (
            status["phase"],
            [
                next(iter(item["state"]))
                for item in (*status.get("initContainerStatuses", ()), *status["containerStatuses"])
            ],
        )
        for _, pod, status in world.writes
        if pod == name
    ]


def test_a_plain_pod_takes_three_writes_and_three_events(world):
    """Pending with ContainerCreating, the sandbox's condition alone, then Running and Ready (facts, 1); half a second after the binding (timings.md, rows 2 to 5)."""
    world.pod()
    world.run(3)

    assert states(world) == [("Pending", ["waiting"]), ("Pending", ["waiting"]), ("Running", ["running"])]
    assert world.writes[2][0] - world.writes[0][0] == pytest.approx(0.48, abs=0.02)
    assert world.conditions() == dict.fromkeys(world.conditions(), "True")
    assert world.events() == [
        ("Pulled", f'Container image "{IMAGE}" already present on machine and can be accessed by the pod', 1),
        ("Created", "Container created", 1),
        ("Started", "Container started", 1),
    ]


def test_idle_pods_cost_nothing(world):
    """Once Pods have settled only the node's heartbeats happen, probes or not."""
    probes = {"readinessProbe": {"httpGet": {"path": "/", "port": 80}}, "livenessProbe": {"tcpSocket": {"port": 80}}}
    for number in range(20):
        world.pod(f"p{number}", **probes)
    world.run(30)
    steps = world.loop.steps
    world.run(100)

    # Ten renewals of the Lease, each sent and answered, and the timers that they hang on.
    assert world.loop.steps - steps < 30
    assert all(world.conditions(f"p{number}")["Ready"] == "True" for number in range(20))


def test_deletion_with_grace(world):
    """SIGTERM ignored: one write at once, 137 after grace and 0.1 to 0.2 s, and gone at the next relist (recording a1)."""
    world.pod(annotations=program(ignoreTerminate=True), spec={"terminationGracePeriodSeconds": 5})
    world.run(3)
    at = world.loop.now_ns / SECOND
    world.delete()
    world.run(4)
    assert world.main()["state"].keys() == {"running"}
    assert world.status()["observedGeneration"] == 2
    assert world.conditions()["Ready"] == "True"
    world.run(4)

    assert world.get() is None
    final_at, _, final = world.writes[-1]
    assert 5 < final_at - at < 5.25
    assert final["phase"] == "Failed"
    assert final["containerStatuses"][0]["state"]["terminated"]["exitCode"] == 137
    assert world.events()[-1] == ("Killing", "Stopping container main", 1)


def test_grace_is_at_least_two_seconds(world):
    """A grace of one second still leaves two (recording a5, `short`)."""
    world.pod(annotations=program(ignoreTerminate=True))
    world.run(3)
    at = world.loop.now_ns / SECOND
    world.delete(options=Options(grace_period_s=1))
    world.run(4)

    assert 2 < world.writes[-1][0] - at < 2.3


def test_a_shortened_deletion_keeps_the_first_grace(world):
    """The container still has the time that it was told first (recording a5, `twice`)."""
    world.pod(annotations=program(ignoreTerminate=True), spec={"terminationGracePeriodSeconds": 20})
    world.run(3)
    world.delete()
    world.run(1)
    world.delete(options=Options(grace_period_s=3))
    world.run(15)
    assert world.get() is not None
    world.run(6)

    assert world.get() is None


def test_forced_deletion_kills_afterwards(world):
    """The object is gone at once; the kubelet stops the container then, with the minimal grace (recording a5, `forced`)."""
    world.pod(annotations=program(ignoreTerminate=True))
    world.run(3)
    uid = world.uid()
    world.delete(options=Options(grace_period_s=0))
    world.run(1)
    assert world.get() is None
    assert world.runtimes["node-1"].process_of(uid, "main") is not None
    world.run(4)

    assert world.runtimes["node-1"].pods() == {}
    assert world.kubelets["node-1"].workers == {}
    assert world.reasons()[-1] == "Killing"


def test_a_deleted_pod_that_never_ran_fails(world):
    """Without its volume it has started nothing; the status says that its container could not be located."""
    world.pod(spec={"volumes": [{"name": "v", "configMap": {"name": "missing"}}]})
    world.run(3)
    world.delete()
    world.run(3)

    assert world.get() is None
    assert world.writes[-1][2]["phase"] == "Failed"


def test_crash_loop(world):
    """The first restart is immediate, then 10, 20, 40 s and up to half more; the waiting reason shows as the back-off
    ends (observation 1, recording b1)."""
    world.pod(annotations=program(exitAfterSeconds=1, exitCode=1))
    world.run(130)

    starts = [time for time, _, status in world.writes if "running" in status["containerStatuses"][0]["state"]]
    waits = [later - earlier - 1 for earlier, later in pairwise(starts)]
    assert waits[0] < 1.5
    for wait, delay in zip(waits[1:], (10, 20, 40), strict=False):
        assert delay <= wait <= 1.5 * delay + 2
    shown = [
        (time, status)
        for time, _, status in world.writes
        if status["containerStatuses"][0]["state"].get("waiting", {}).get("reason") == "CrashLoopBackOff"
    ]
    assert 0.05 < starts[2] - shown[0][0] < 0.1
    assert shown[0][1]["containerStatuses"][0]["state"]["waiting"]["message"] == (
        f"back-off 10s restarting failed container=main pod=web_default({world.uid()})"
    )
    assert shown[0][1]["phase"] == "Running"
    assert world.main()["restartCount"] == 4
    text = f"Back-off restarting failed container main in pod web_default({world.uid()})"
    assert ("BackOff", text) in [event[:2] for event in world.events()]


def test_restart_policy_never(world):
    """The end takes two writes: first the container, then, a second later, the phase (facts, 6)."""
    world.pod(annotations=program(exitAfterSeconds=2), spec={"restartPolicy": "Never"})
    world.run(10)

    assert states(world)[3:] == [("Running", ["terminated"]), ("Succeeded", ["terminated"])]
    assert 1 < world.writes[4][0] - world.writes[3][0] < 1.4
    assert world.writes[3][2]["conditions"][2]["reason"] == "PodCompleted"
    assert world.conditions()["PodReadyToStartContainers"] == "False"


def test_on_failure_restarts_only_failures(world):
    """A container that failed is started again, and one that succeeded ends the Pod."""
    world.pod("bad", annotations=program(exitAfterSeconds=1, exitCode=3), spec={"restartPolicy": "OnFailure"})
    world.pod("good", annotations=program(exitAfterSeconds=1), spec={"restartPolicy": "OnFailure"})
    world.run(6)

    assert world.main("bad")["restartCount"] == 1
    assert world.status("good")["phase"] == "Succeeded"


def test_init_containers_run_one_after_the_other(world):
    """Each starts at the relist after the one before has ended (recording a3)."""
    init = [{"name": "one", "image": IMAGE}, {"name": "two", "image": IMAGE}]
    world.pod(
        annotations=programs(one={"exitAfterSeconds": 2}, two={"exitAfterSeconds": 2}), spec={"initContainers": init}
    )
    world.run(12)

    assert states(world) == [
        ("Pending", ["waiting", "waiting", "waiting"]),
        ("Pending", ["waiting", "waiting", "waiting"]),
        ("Pending", ["running", "waiting", "waiting"]),
        ("Pending", ["terminated", "waiting", "waiting"]),
        ("Pending", ["terminated", "running", "waiting"]),
        ("Pending", ["terminated", "terminated", "waiting"]),
        ("Running", ["terminated", "terminated", "running"]),
    ]


def test_sidecar_of_a_job(world):
    """When main has ended the sidecar is stopped, and then the Pod has succeeded (recording a4, `batch`)."""
    sidecar = {"name": "sidecar", "image": IMAGE, "restartPolicy": "Always"}
    world.pod(
        annotations=programs(main={"exitAfterSeconds": 2, "listen": []}),
        spec={"initContainers": [sidecar], "restartPolicy": "Never"},
    )
    world.run(10)

    assert states(world) == [
        ("Pending", ["waiting", "waiting"]),
        ("Pending", ["waiting", "waiting"]),
        ("Pending", ["running", "waiting"]),
        ("Running", ["running", "running"]),
        ("Running", ["running", "terminated"]),
        ("Running", ["terminated", "terminated"]),
        ("Succeeded", ["terminated", "terminated"]),
    ]
    assert world.events()[-1] == ("Killing", "Stopping container sidecar", 1)


def test_sidecars_end_after_main(world):
    """Both are announced at once, but the sidecar gets SIGTERM only when main has ended (recording a4, `side`)."""
    sidecar = {"name": "sidecar", "image": IMAGE, "restartPolicy": "Always"}
    world.pod(annotations=programs(main={"terminateSeconds": 3}), spec={"initContainers": [sidecar]})
    world.run(3)
    world.delete()
    world.run(2)
    uid = world.uid()
    assert world.runtimes["node-1"].process_of(uid, "sidecar") is not None
    assert world.reasons().count("Killing") == 2
    world.run(4)

    assert world.get() is None


def test_out_of_memory(world):
    """More than the limit is OOMKilled, 137 (recording b4)."""
    world.pod(annotations=program(memory="64Mi"), resources={"limits": {"memory": "32Mi"}})
    world.run(3)

    assert world.main()["lastState"]["terminated"]["reason"] == "OOMKilled"
    assert world.main()["lastState"]["terminated"]["exitCode"] == 137


def test_an_unknown_image_is_pulled(world):
    """It takes a while; the second Pod finds it there."""
    world.pod(image="other:1")
    world.run(4)
    world.pod("second", image="other:1")
    world.run(2)

    assert [reason for reason, _, _ in world.events()] == ["Pulling", "Pulled", "Created", "Started"]
    assert world.events()[1][1] == (
        'Successfully pulled image "other:1" in 1.5s (1.5s including waiting). Image size: 60000000 bytes.'
    )
    assert world.events("second")[0][1].endswith("already present on machine and can be accessed by the pod")


def test_a_missing_image_backs_off():
    """The status lags one sync behind and so alternates (facts, 22)."""
    world = World(missing=("nope:1",))
    world.pod(image="nope:1")
    world.run(30)

    reasons = [status["containerStatuses"][0]["state"]["waiting"]["reason"] for _, _, status in world.writes]
    assert reasons[1:4] == ["ContainerCreating", "ErrImagePull", "ImagePullBackOff"]
    message = world.writes[3][2]["containerStatuses"][0]["state"]["waiting"]["message"]
    assert message.startswith('Back-off pulling image "nope:1": ErrImagePull: failed to pull and unpack image')
    texts = [text for _, text, _ in world.events()]
    assert texts[0] == 'Pulling image "nope:1"'
    assert texts[1].startswith(
        'Failed to pull image "nope:1": failed to pull and unpack image "docker.io/library/nope:1"'
    )
    assert texts[2:] == ["Error: ErrImagePull", 'Back-off pulling image "nope:1"', "Error: ImagePullBackOff"]


@pytest.mark.parametrize(
    "container, reason, event",
    [
        (
            {"image": "other:1", "imagePullPolicy": "Never"},
            "ErrImageNeverPull",
            ("ErrImageNeverPull", 'Container image "other:1" is not present with pull policy of Never'),
        ),
        (
            {"image": "Bad:1"},
            "InvalidImageName",
            (
                "InspectFailed",
                'Failed to apply default image tag "Bad:1": couldn\'t parse image name "Bad:1": invalid reference format: repository name (library/Bad) must be lowercase',
            ),
        ),
        (
            {"env": [{"name": "A", "valueFrom": {"configMapKeyRef": {"name": "missing", "key": "k"}}}]},
            "CreateContainerConfigError",
            ("Failed", 'Error: configmap "missing" not found'),
        ),
        (
            {"securityContext": {"runAsNonRoot": True, "runAsUser": 0}},
            "CreateContainerConfigError",
            (
                "Failed",
                'Error: container\'s runAsUser breaks non-root policy (pod: "web_default(UID)", container: main)',
            ),
        ),
    ],
    ids=[
        "an image that may not be pulled",
        "a name that is no image's",
        "a missing ConfigMap",
        "root against the rule",
    ],
)
def test_what_keeps_a_container_from_starting(world, container, reason, event):
    """The waiting reason and the Event's text are the kubelet's (recording b2)."""
    world.pod(**container)
    world.run(5)

    assert world.main()["state"]["waiting"]["reason"] == reason
    assert event in [(seen[0], seen[1].replace(world.uid(), "UID")) for seen in world.events()]
    assert world.status()["phase"] == "Pending"


def test_a_volume_without_its_config_map(world):
    """FailedMount after 0, 0.5, 1, 2 … s; the Pod starts once the ConfigMap is there, and sees its file (facts, 24)."""
    volumes = [{"name": "v", "configMap": {"name": "late"}}]
    world.pod(spec={"volumes": volumes}, volumeMounts=[{"name": "v", "mountPath": "/etc/v"}])
    world.run(3)
    assert world.events() == [
        ("FailedMount", 'MountVolume.SetUp failed for volume "v" : configmap "late" not found', 3)
    ]
    late = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "late", "namespace": "default"},
        "data": {"a": "1"},
    }
    world.call(create(CONFIG_MAP, late))
    world.run(8)

    assert world.status()["phase"] == "Running"
    assert world.runtimes["node-1"].process_of(world.uid(), "main").volumes["/etc/v"].files == {"a": "1"}


def test_a_claims_disk_outlives_the_pod(world):
    """A later Pod finds what an earlier one wrote, and an emptyDir is new."""
    claim = {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": "data", "namespace": "default"},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}, "volumeName": "pv-1"},
    }
    volume = {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": "pv-1"},
        "spec": {"capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteOnce"], "hostPath": {"path": "/x"}},
    }
    world.call(create(PERSISTENT_VOLUME, volume))
    made = world.call(create(PERSISTENT_VOLUME_CLAIM, claim))
    spec = {"volumes": [{"name": "d", "persistentVolumeClaim": {"claimName": "data"}}, {"name": "e", "emptyDir": {}}]}
    mounts = [{"name": "d", "mountPath": "/d"}, {"name": "e", "mountPath": "/e"}]
    world.pod("one", spec=spec, volumeMounts=mounts)
    world.run(2)
    assert world.reasons("one") == ["FailedMount"]
    assert world.events("one")[0][1].endswith("error processing PVC default/data: PVC is not bound")
    world.call(update(PERSISTENT_VOLUME_CLAIM, {**made, "status": {"phase": "Bound"}}, "status"))
    world.run(16)
    process = world.runtimes["node-1"].process_of(world.uid("one"), "main")
    process.volumes["/d"].files["x"] = 1
    process.volumes["/e"].files["x"] = 1
    world.delete("one")
    world.run(4)
    world.pod("two", spec=spec, volumeMounts=mounts)
    world.run(2)

    process = world.runtimes["node-1"].process_of(world.uid("two"), "main")
    assert process.volumes["/d"].files == {"x": 1}
    assert process.volumes["/e"].files == {}


@pytest.mark.parametrize(
    "pod, reason, message",
    [
        (
            {"resources": {"requests": {"cpu": "100"}}},
            "OutOfcpu",
            "Node didn't have enough resource: cpu, requested: 100000, used: 0, capacity: 4000",
        ),
        (
            {"spec": {"nodeSelector": {"no": "node"}}},
            "NodeAffinity",
            "Predicate NodeAffinity failed: node(s) didn't match Pod's node affinity/selector",
        ),
    ],
    ids=["too little cpu", "a node selector that doesn't match"],
)
def test_the_node_refuses(world, pod, reason, message):
    """Phase Failed with the reason, an Event, and no condition (facts, 75); a deletion then removes it at once."""
    world.pod(**pod)
    world.run(2)

    status = world.status()
    assert (status["phase"], status["reason"]) == ("Failed", reason)
    assert status["message"] == f"Pod was rejected: {message}"
    assert "conditions" not in status or status["conditions"] == []
    assert world.events() == [(reason, message, 1)]
    world.delete()
    world.run(1)
    assert world.get() is None


def test_too_many_pods():
    """The node takes no more Pods than it says, and a Pod that ends makes room."""
    world = World(pods="1")
    world.pod("one")
    world.pod("two")
    world.run(2)
    assert world.status("two")["reason"] == "OutOfpods"
    world.delete("one")
    world.run(4)
    world.pod("three")
    world.run(2)

    assert world.status("three")["phase"] == "Running"


def test_active_deadline(world):
    """The phase is Failed only when the containers have stopped (facts, 7)."""
    world.pod(annotations=program(terminateSeconds=2), spec={"activeDeadlineSeconds": 4})
    world.run(6)
    assert world.status()["phase"] == "Running"
    world.run(4)

    assert (world.status()["phase"], world.status()["reason"]) == ("Failed", "DeadlineExceeded")
    assert world.status()["message"] == "Pod was active on the node longer than the specified deadline"


def test_post_start_hook_that_fails(world):
    """The container is killed and waits with PostStartHookError (recording a6)."""
    hook = {"postStart": {"exec": {"command": ["sh", "-c", "exit 5"]}}}
    world.pod(annotations=program(execExitCode=5), lifecycle=hook)
    world.run(3)

    waiting = world.main()["state"]["waiting"]
    assert waiting["reason"] == "PostStartHookError"
    assert waiting["message"].startswith(
        'Exec lifecycle hook ([sh -c exit 5]) for Container "main" in Pod "web_default('
    )
    assert ("FailedPostStartHook", "PostStartHook failed") in [event[:2] for event in world.events()]
    assert ("Killing", "FailedPostStartHook") in [event[:2] for event in world.events()]


def test_post_start_hook_that_asks_what_speaks_no_http(world):
    """A database hangs up on a GET, as PostgreSQL 15 does: its answer is no success."""
    world.pod("db", image="postgres:15", env=[{"name": "POSTGRES_PASSWORD", "value": "x"}])
    world.run(30)
    ip = world.status("db")["podIP"]
    world.pod(lifecycle={"postStart": {"httpGet": {"host": ip, "port": 5432}}})
    world.run(3)

    waiting = world.main()["state"]["waiting"]
    assert waiting["reason"] == "PostStartHookError"
    assert waiting["message"].endswith(f'failed - error: Get "http://{ip}:5432/": EOF')


def test_pre_stop_hook_takes_of_the_grace(world):
    """SIGTERM comes after the hook (recording a6, `sleep3`)."""
    world.pod(lifecycle={"preStop": {"sleep": {"seconds": 3}}})
    world.run(3)
    at = world.loop.now_ns / SECOND
    world.delete()
    world.run(6)

    assert 3 < world.writes[-1][0] - at < 3.3
    assert world.writes[-1][2]["phase"] == "Succeeded"


def test_host_network(world):
    """The Pod has the node's address from its first status on."""
    world.pod(spec={"hostNetwork": True})
    world.run(2)

    assert [status["podIP"] for _, _, status in world.writes] == ["10.0.0.1"] * 3


def test_addresses_go_around(world):
    """Each Pod has its own address of the node's range, and none is given out twice at once."""
    for number in range(5):
        world.pod(f"p{number}")
    world.run(2)

    assert [world.status(f"p{number}")["podIP"] for number in range(5)] == [
        f"10.244.1.{number}" for number in range(2, 7)
    ]


def test_a_readiness_gate_opens(world):
    """A condition of somebody else makes the Pod ready, and stays as it is."""
    world.pod(spec={"readinessGates": [{"conditionType": "example.com/lb"}]})
    world.run(2)
    assert world.conditions()["Ready"] == "False"
    gate = {"status": {"conditions": [{"type": "example.com/lb", "status": "True"}]}}
    world.call(patch(POD, "default", "web", gate, "strategic", "status"))
    world.run(1)

    assert world.conditions()["Ready"] == "True"
    assert world.conditions()["example.com/lb"] == "True"


def test_what_somebody_else_writes_is_put_right(world):
    """The kubelet owns its conditions: a Ready that a controller has set to False is True again."""
    world.pod()
    world.run(2)
    change = {"status": {"conditions": [{"type": "Ready", "status": "False"}]}}
    world.call(patch(POD, "default", "web", change, "strategic", "status"))
    world.run(1)

    assert world.conditions()["Ready"] == "True"


def add_containers(world, *containers):
    """Add ephemeral containers to the Pod `web`, as a client does."""
    body = {"spec": {"ephemeralContainers": list(containers)}}
    options = Options(patch_type="strategic")
    world.call(Request("patch", POD, "default", "web", "ephemeralcontainers", body, options))


def test_ephemeral_containers(world):
    """They start once, beside an init container that is not done; nothing of the Pod depends on them.

    Upstream: kuberuntime_manager.go:computePodActions, kubelet_pods.go:generateAPIPodStatus @v1.36
    """
    waiting = {"name": "init", "image": IMAGE, "command": ["sleep", "10"]}
    world.pod(spec={"initContainers": [waiting]})
    world.run(3)
    debug = {"image": IMAGE, "command": ["sh", "-c", "sleep 2; exit 3"]}
    add_containers(world, {"name": "b", **debug}, {"name": "a", **debug, "stdin": True})
    world.run(2)
    running = world.status()
    world.run(30)
    status = world.status()

    assert [(each["name"], list(each["state"])) for each in running["ephemeralContainerStatuses"]] == [
        ("a", ["running"]),
        ("b", ["running"]),
    ]
    assert running["phase"] == "Pending"
    ended = status["ephemeralContainerStatuses"][0]
    assert (ended["state"]["terminated"]["exitCode"], ended["restartCount"], ended["ready"]) == (3, 0, False)
    assert "started" not in ended
    assert (status["phase"], world.conditions()["Ready"]) == ("Running", "True")
    assert ("Created", "Container created", 1) in world.events()


def test_an_ephemeral_container_is_stopped_with_its_pod(world):
    """It gets SIGTERM and the grace period as the others do."""
    world.pod(spec={"terminationGracePeriodSeconds": 5})
    world.run(2)
    add_containers(world, {"name": "d", "image": IMAGE, "command": ["sleep", "1000"]})
    world.run(3)
    world.delete()
    world.run(10)

    assert world.get() is None
    assert world.writes[-1][2]["ephemeralContainerStatuses"][0]["state"]["terminated"]["exitCode"] == 137

"""Pods as real processes: what they see, and what happens when they are killed, deleted or told to end."""

from __future__ import annotations

import os
import signal
import socket
import time

import pytest
from tiny_stacks import ask, manifest, service, workload, write_images, write_manifests

from kubesim.cluster import ready
from kubesim.processes.stack import ProcessStack
from kubesim.sim.loop import SECOND

pytestmark = pytest.mark.slow

SECRET = manifest("Secret", "keys", None, stringData={"password": "only-for-tests"})
CONFIG = manifest("ConfigMap", "words", None, data={"GREETING": "hello", "file.txt": "from 10.96.0.1"})
CLAIM = {
    "metadata": {"name": "data"},
    "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
}
WEB = workload(
    "Deployment",
    "web",
    replicas=2,
    volumes=[
        {"name": "scratch", "emptyDir": {}},
        {"name": "words", "configMap": {"name": "words"}},
        {"name": "keys", "secret": {"secretName": "keys"}},
    ],
    container={
        "envFrom": [{"configMapRef": {"name": "words"}}],
        "env": [
            {"name": "PASSWORD", "valueFrom": {"secretKeyRef": {"name": "keys", "key": "password"}}},
            {"name": "MY_IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}},
        ],
        "workingDir": "/scratch",
        "securityContext": {"runAsUser": 12345},
        "volumeMounts": [
            {"name": "scratch", "mountPath": "/scratch"},
            {"name": "words", "mountPath": "/etc/words"},
            {"name": "keys", "mountPath": "/var/run/keys"},
        ],
    },
)
STORE = workload(
    "StatefulSet",
    "store",
    container={"volumeMounts": [{"name": "data", "mountPath": "/data"}]},
    serviceName="store",
    volumeClaimTemplates=[CLAIM],
)
ROOT = {"path": "/", "port": "http"}
STUBBORN = workload(
    "StatefulSet",
    "stubborn",
    container={
        "env": [{"name": "IGNORE_SIGTERM", "value": "1"}],
        "startupProbe": {"httpGet": ROOT, "periodSeconds": 1, "timeoutSeconds": 30, "failureThreshold": 90},
        # Not for a busy machine to fail: whoever is killed often has to wait longer and longer.
        "livenessProbe": {"httpGet": ROOT, "periodSeconds": 1, "timeoutSeconds": 5, "failureThreshold": 1},
    },
    grace=2,
)


@pytest.fixture(scope="module")
def stack(tmp_path_factory):
    folder = tmp_path_factory.mktemp("stack")
    objects = [SECRET, CONFIG, WEB, service("web"), STORE, service("store", clusterIP="None"), STUBBORN]
    with ProcessStack(images=write_images(folder)) as stack:
        stack.cluster.apply(write_manifests(folder, *objects))
        wait_until_whole(stack)
        yield stack
        for container in stack.containers():
            if container.pod["metadata"]["name"] == "stubborn-0":
                container.child.kill(signal.SIGKILL)  # it would not end by itself


def wait(stack, *conditions):
    """Let real time pass until all hold. On a machine with much else to do that may take long."""
    holds = [getattr(each, "holds", each) for each in conditions]
    end_ns = stack.pacer.wall_ns() + 90 * SECOND
    # Not everything that is waited for is a write: it is looked at now and then as well.
    while not all(each(stack.cluster) for each in holds):
        assert stack.pacer.wall_ns() < end_ns, "it did not come true in time"
        stack.pacer.run(stack.pacer.wall_ns() + SECOND // 20, lambda: all(each(stack.cluster) for each in holds))


def wait_until_whole(stack):
    """All Pods are there and ready."""
    wait(stack, *(ready(each) for each in ("deployment/web", "statefulset/store", "statefulset/stubborn")))


def restarts(stack, pod):
    """How often the Pod's container has been restarted."""
    return stack.cluster.get(pod)["status"]["containerStatuses"][0]["restartCount"]


def execute(stack, reference, *words, timeout_s=0):
    """Run a command in a container; what the runtime answers."""
    container = stack.container_of(reference)
    results = []
    runtime = stack.bodies.runtimes[stack.cluster.get(reference)["spec"]["nodeName"]]
    runtime.execute(container.record, words, timeout_s * SECOND, results.append)
    while not results:
        stack.pacer.run(stack.pacer.wall_ns() + SECOND // 50)
    return results[0]


def web_pod(stack):
    wait(stack, ready("deployment/web"))
    return f"pod/{stack.cluster.ready_pod_of('deployment/web')['metadata']['name']}"


def seen_by(stack, pod):
    """What a Pod's server says of itself."""
    while True:
        found = call(stack, stack.service_address("web"))
        if f"pod/{found['host']}" == pod:
            return found


def call(stack, place, path="/"):
    """Ask while the stack runs."""
    answer = stack.pacer.aio.run_in_executor(None, ask, place, path)
    while not answer.done():
        stack.pacer.run(stack.pacer.wall_ns() + SECOND // 100)
    return answer.result()


def test_the_service_spreads_requests_over_its_pods(stack):
    """Both Pods answer at the Service's one address."""
    place = stack.service_address("web")

    hosts = {call(stack, place)["host"] for _ in range(6)}

    assert hosts == {pod["metadata"]["name"] for pod in stack.cluster.pods_of("deployment/web")}


def test_a_proxied_connection_leaves_nothing_behind(stack):
    """When both ends have closed, the proxy has no socket of it any more."""
    place = stack.service_address("web")
    call(stack, place)
    before = len(os.listdir("/proc/self/fd"))

    for _ in range(20):
        call(stack, place)

    left = []

    def are_few(_):
        left.append(len(os.listdir("/proc/self/fd")) - before)
        return left[-1] < 20

    wait(stack, are_few)

    # Probes come and go, each with a few of its own; twenty connections that stayed would be forty.
    assert left[-1] < 20


def test_a_process_sees_what_its_pod_declares(stack):
    """Environment, user and host name are the Pod's, and it is process 1."""
    pod = web_pod(stack)
    seen = seen_by(stack, pod)
    env = seen["env"]

    assert (seen["pid"], seen["uid"], seen["host"]) == (1, 12345, pod.removeprefix("pod/"))
    assert (env["GREETING"], env["PASSWORD"], env["FROM_IMAGE"]) == ("hello", "only-for-tests", "yes")
    assert env["MY_IP"] == stack.container_of(pod).command.ip
    assert env["WEB_SERVICE_HOST"] == stack.service_address("web")[0]


def test_a_probe_sends_its_headers(stack):
    """Those of the Pod, and the kubelet's own."""
    sent = seen_by(stack, web_pod(stack))["probe"]

    assert {"X-Probe": "yes", "User-Agent": "kube-probe/1.36", "Accept": "*/*"}.items() <= sent.items()


def test_volumes_are_where_they_are_mounted(stack):
    """ConfigMaps and Secrets are files, with the addresses of this machine in them; the working directory is the Pod's."""
    result = execute(stack, web_pod(stack), "sh", "-c", "pwd; cat /etc/words/file.txt; echo; cat /run/keys/password")

    assert result.output.split("\n") == [
        "/scratch",
        f"from {stack.addresses.local('10.96.0.1')}",
        "only-for-tests",
    ]
    assert not os.path.exists("/scratch"), "the machine's own files have not been touched"


def test_names_resolve_as_in_the_cluster(stack):
    """A Service's name gives its address, a headless one's that of the Pod, and an unknown name none."""
    forms = ("web", "web.default", "web.default.svc.cluster.local")
    found = [execute(stack, web_pod(stack), "getent", "hosts", form).output.split()[0] for form in forms]
    store = execute(stack, web_pod(stack), "getent", "hosts", "store-0.store").output.split()[0]

    assert found == [stack.service_address("web")[0]] * 3
    assert store == stack.container_of("pod/store-0").command.ip
    assert execute(stack, web_pod(stack), "getent", "hosts", "nobody").exit_code == 2


def test_a_command_that_takes_too_long_is_killed(stack):
    """The answer is a failure after the timeout, and nothing of the command is left."""
    pod = web_pod(stack)
    result = execute(stack, pod, "sleep", "1234.5", timeout_s=1)

    assert result.is_timeout
    assert "timed out after 1s" in result.text
    while "1234.5" in execute(stack, pod, "sh", "-c", "cat /proc/[0-9]*/cmdline").output:
        assert stack.container_of(pod).pid, "it is the command that is killed, not the container"


def test_a_killed_process_is_restarted_in_place(stack):
    """After kill -9 from outside, the same Pod has a new process, and says how the last one ended."""
    pod = web_pod(stack)
    before = restarts(stack, pod)
    container = stack.container_of(pod)
    pid = container.pid
    os.kill(pid, signal.SIGKILL)

    wait(stack, lambda _: restarts(stack, pod) == before + 1, ready(pod))

    ended = stack.cluster.get(pod)["status"]["containerStatuses"][0]["lastState"]["terminated"]
    assert (ended["exitCode"], ended["reason"]) == (137, "Error")
    assert stack.container_of(pod).pid not in (0, pid)


def test_a_node_without_power_loses_its_processes(stack):
    """All processes of the node are gone at once; when it is back they are started again, their end unknown."""
    wait_until_whole(stack)
    node = stack.cluster.get("pod/store-0")["spec"]["nodeName"]
    before = restarts(stack, "pod/store-0")
    runtime = stack.bodies.runtimes[node]
    stack.cluster.faults.lose_power(node)
    wait(stack, lambda _: not [*runtime.containers()])
    stack.cluster.faults.restore_power(node)

    wait(stack, lambda _: restarts(stack, "pod/store-0") == before + 1)
    wait_until_whole(stack)

    ended = stack.cluster.get("pod/store-0")["status"]["containerStatuses"][0]["lastState"]["terminated"]
    assert (ended["exitCode"], ended["reason"]) == (255, "Unknown")


def test_a_hanging_process_is_killed_by_its_liveness_probe(stack):
    """A stopped process answers no probe; after SIGTERM in vain it is killed and replaced."""
    wait_until_whole(stack)
    before = restarts(stack, "pod/stubborn-0")
    stack.cluster.faults.hang(stack.cluster.get("pod/stubborn-0"))

    wait(stack, lambda _: restarts(stack, "pod/stubborn-0") > before)
    wait_until_whole(stack)

    events = [each for each in stack.cluster.events() if each["involvedObject"]["name"] == "stubborn-0"]
    assert any("context deadline exceeded" in each["message"] for each in events)


def test_a_probe_that_fails_takes_the_pod_out_of_the_service(stack):
    """Who answers its probe with 500 gets no requests; when all do, clients are refused at once."""
    wait_until_whole(stack)
    pods = stack.cluster.pods_of("deployment/web")
    for pod in pods:
        execute(stack, f"pod/{pod['metadata']['name']}", "touch", "/tmp/sick")
    place = stack.service_address("web")
    wait(stack, lambda _: not stack.proxies.is_open("default", "web", 80))

    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(place)
    for pod in pods:
        execute(stack, f"pod/{pod['metadata']['name']}", "rm", "/tmp/sick")
    wait(stack, ready("deployment/web"))


def test_a_deleted_pod_is_told_to_end_and_replaced(stack):
    """The process gets SIGTERM and ends by itself; its emptyDir goes with it."""
    pod = web_pod(stack)
    container = stack.container_of(pod)
    pid, log = container.pid, container.log.path
    folder = stack.folder.pods / stack.cluster.get(pod)["metadata"]["uid"]
    stack.cluster.delete(pod)

    wait(stack, lambda cluster: cluster.find(pod) is None, ready("deployment/web"))

    assert [line.split(" ", 3)[3] for line in log.read_text().splitlines()] == ["listening", "told to end"]
    assert not os.path.exists(f"/proc/{pid}")
    wait(stack, lambda _: not folder.exists())  # the kubelet hears of the end a little later


def test_who_ignores_sigterm_is_killed_after_the_grace_period(stack):
    """SIGKILL comes when the Pod's two seconds are over, and not before."""
    wait_until_whole(stack)
    container = stack.container_of("pod/stubborn-0")
    uid = stack.cluster.get("pod/stubborn-0")["metadata"]["uid"]
    start = time.monotonic()
    stack.cluster.delete("pod/stubborn-0")

    wait(
        stack,
        lambda cluster: (
            cluster.find("pod/stubborn-0") is None or cluster.get("pod/stubborn-0")["metadata"]["uid"] != uid
        ),
    )

    assert container.record.exit_code == 137
    assert time.monotonic() - start >= 2


def test_a_claims_volume_outlives_its_pod(stack):
    """What was written to it is there for the Pod that follows."""
    wait_until_whole(stack)
    execute(stack, "pod/store-0", "sh", "-c", "echo kept > /data/file")
    uid = stack.cluster.get("pod/store-0")["metadata"]["uid"]
    stack.cluster.delete("pod/store-0")

    wait(
        stack,
        lambda cluster: (cluster.find("pod/store-0") or {"metadata": {"uid": uid}})["metadata"]["uid"] != uid,
        ready("pod/store-0"),
    )

    assert execute(stack, "pod/store-0", "cat", "/data/file").output == "kept\n"

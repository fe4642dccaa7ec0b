"""What a scenario asks of a cluster, asked of both bodies: the simulator, and a cluster behind HTTP.

The second is a simulated one that is served, or with KUBECONFIG and KUBESIM_TEST_CONTEXT set a real one.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from adapters.contexts import choose_target
from adapters.real import RealPort
from kubesim.cluster import Cluster
from kubesim.errors import ApiError, UserError
from kubesim.faults import Disturbance, WriteEvent
from kubesim.faults.arguments import Delete, Duration, NodeTarget, PodTarget, Reference, Scale
from kubesim.network.messages import HttpRequest, NetError
from kubesim.scenario.simulated import SimulatedPort
from kubesim.sim.loop import SECOND

SPEC = """\
apiVersion: v1
kind: Namespace
metadata: {name: port-test}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: settings, namespace: port-test}
data: {a: "1"}
---
apiVersion: v1
kind: Service
metadata: {name: web, namespace: port-test}
spec: {selector: {app: web}, ports: [{port: 80, targetPort: 8080}]}
---
apiVersion: v1
kind: Pod
metadata:
  name: web
  namespace: port-test
  labels: {app: web}
  annotations: {kubesim.dev/program: '{"listen": [8080]}'}
spec:
  terminationGracePeriodSeconds: 1
  containers:
    - name: main
      image: "python:3.11-slim"
      imagePullPolicy: IfNotPresent
      command: [python3, -m, http.server, "8080"]
      readinessProbe: {httpGet: {port: 8080, path: /}, periodSeconds: 1}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: shells, namespace: port-test}
spec:
  replicas: 2
  selector: {matchLabels: {app: shells}}
  template:
    metadata: {labels: {app: shells}}
    spec:
      terminationGracePeriodSeconds: 1
      containers:
        - name: main
          image: "python:3.11-slim"
          imagePullPolicy: IfNotPresent
          command: [sh, -c, 'echo hello; trap "exit 0" TERM; sleep 3600 & wait']
"""
SPACE = "port-test"
WITHIN_NS = 60 * SECOND


@pytest.fixture(scope="module", params=["simulated", "cluster"])
def port(request, tmp_path_factory):
    """A body with the spec applied and ready."""
    file = tmp_path_factory.mktemp("spec") / "spec.yaml"
    file.write_text(SPEC)
    if request.param == "simulated":
        with Cluster(nodes=1, present_images=("python:3.11-slim",)) as cluster:
            yield ready(SimulatedPort(cluster), file)
        return
    kubeconfig, context = request.getfixturevalue("cluster")
    with RealPort(choose_target(context, None, kubeconfig, Path())) as real:
        try:
            yield ready(real, file)
        finally:
            real.delete_created()


def ready(port, file):
    applied = port.apply(file)
    assert [obj["kind"] for obj in applied] == ["Namespace", "ConfigMap", "Service", "Pod", "Deployment"]
    assert port.wait_until(lambda: is_up(port), WITHIN_NS)
    return port


def is_up(port):
    return ready_count(port, "pod/web") == 1 and ready_count(port, "deployment/shells") == 2


def ready_count(port, reference):
    pods = port.pods_of(reference, SPACE)
    return sum(
        all(each["ready"] for each in pod["status"].get("containerStatuses") or [{"ready": False}])
        for pod in pods
        if "deletionTimestamp" not in pod["metadata"]
    )


def test_objects_are_found_listed_and_changed(port):
    """What is not there is None; a refusal is the API server's."""
    assert port.find("configmap/settings", SPACE)["data"] == {"a": "1"}
    assert port.find("configmap/other", SPACE) is None
    assert [obj["metadata"]["name"] for obj in port.list("services", SPACE)] == ["web"]
    port.patch("configmap/settings", {"data": {"a": "2"}}, SPACE)
    assert port.wait_until(lambda: port.find("configmap/settings", SPACE)["data"] == {"a": "2"}, WITHIN_NS)
    with pytest.raises(ApiError, match="immutable"):
        port.patch("deployment/shells", {"spec": {"selector": {"matchLabels": {"app": "x"}}}}, SPACE)


def test_changes_are_watched(port):
    """Each with what happened to the object, until the watch is ended."""
    seen = []
    end = port.watch("configmaps", lambda change, obj: seen.append((change, obj["metadata"]["name"])), SPACE)
    port.create({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "watched"}}, SPACE)
    port.patch("configmap/watched", {"data": {"b": "1"}}, SPACE)
    port.delete("configmap/watched", SPACE)

    assert port.wait_until(lambda: len(seen) >= 3, WITHIN_NS)
    assert seen == [("ADDED", "watched"), ("MODIFIED", "watched"), ("DELETED", "watched")]
    end()
    port.create({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "unwatched"}}, SPACE)
    assert port.wait_until(lambda: port.find("configmap/unwatched", SPACE) is not None, WITHIN_NS)
    port.pass_time(SECOND // 5)
    assert len(seen) == 3


def test_a_service_is_called(port):
    """The reply of one of its Pods, once the rules of all nodes know it."""
    port.pass_time(3 * SECOND // 2)
    reply = port.call("web", HttpRequest("GET", "/"), SPACE)

    assert not isinstance(reply, NetError), reply
    assert reply.status == 200


def test_commands_run_in_containers(port):
    """Exit code and output, the first container's without a name."""
    pod = port.pods_of("deployment/shells", SPACE)[0]

    assert port.exec(pod, "", ["sh", "-c", "echo one; exit 3"]) == (3, "one\n")


def test_logs_are_read(port):
    """What a container has written; the refusals are the API server's."""
    pod = port.pods_of("deployment/shells", SPACE)[0]

    for _ in range(100):
        if port.logs(pod):
            break
        port.pass_time(SECOND // 10)
    assert port.logs(pod) == "hello\n"
    with pytest.raises(ApiError, match="container other is not valid for pod"):
        port.logs(pod, "other")
    with pytest.raises(ApiError, match="previous terminated container"):
        port.logs(pod, is_previous=True)


def test_time_passes(port):
    """Waiting ends as soon as it holds, or when its time is over."""
    begin_ns = port.now_ns

    assert not port.wait_until(lambda: False, SECOND // 2)
    assert SECOND // 2 <= port.now_ns - begin_ns < 5 * SECOND
    port.pass_time(SECOND // 2)
    assert port.now_ns - begin_ns >= SECOND


def test_a_schedule_strikes_by_time_and_by_write(port):
    """A scale at its instant, a deletion after the write of a Pod, a cordon that ends after its time."""
    node = port.list("nodes")[0]["metadata"]["name"]
    before = {pod["metadata"]["uid"] for pod in port.pods_of("deployment/shells", SPACE)}
    shells, deleted = Reference("deployment/shells"), []
    end = port.watch("pods", lambda change, obj: deleted.append(obj) if change == "DELETED" else None, SPACE)
    created = WriteEvent(verb="created", of="pod")
    faults = port.start_faults(
        (
            Disturbance(fault="cordon", argument=NodeTarget(node=node), at=Duration(0), lasts=Duration(SECOND)),
            Disturbance(fault="scale", argument=Scale(of=shells, replicas=3), at=Duration(2 * SECOND)),
            Disturbance(fault="delete", argument=Delete(of=shells, oldest=True), after_write=created),
            Disturbance(fault="evict", argument=PodTarget(of=Reference("pod/nobody")), at=Duration(2 * SECOND)),
        ),
        SPACE,
    )

    def is_cordoned():
        return bool(port.find(f"node/{node}")["spec"].get("unschedulable"))

    assert port.wait_until(is_cordoned, WITHIN_NS)
    assert port.wait_until(lambda: not is_cordoned(), WITHIN_NS)
    assert port.wait_until(lambda: deleted and ready_count(port, "deployment/shells") == 3, WITHIN_NS)
    faults.heal_all()
    end()
    assert [obj["metadata"]["uid"] in before for obj in deleted] == [True]
    port.scale("deployment/shells", 2, SPACE)
    assert port.wait_until(lambda: len(port.pods_of("deployment/shells", SPACE)) == 2, WITHIN_NS)


def test_what_still_is_on_is_healed_at_the_end(port):
    """And nothing strikes any more."""
    node = port.list("nodes")[0]["metadata"]["name"]
    faults = port.start_faults(
        (
            Disturbance(fault="cordon", argument=NodeTarget(node=node), at=Duration(0)),
            Disturbance(fault="delete", argument=Delete(of=Reference("pod/web")), at=Duration(60 * SECOND)),
        ),
        SPACE,
    )
    assert port.wait_until(lambda: bool(port.find(f"node/{node}")["spec"].get("unschedulable")), WITHIN_NS)
    faults.heal_all()

    assert port.wait_until(lambda: not port.find(f"node/{node}")["spec"].get("unschedulable"), WITHIN_NS)
    assert faults.end_ns > port.now_ns


def test_a_crashed_container_is_restarted(port):
    """Its log before is kept; a cluster whose nodes cannot be reached from here says so beforehand."""
    if isinstance(port, RealPort) and "KUBESIM_TEST_CONTEXT" not in os.environ:
        pytest.skip("the nodes of a served simulator are no machines")
    if "crash" not in port.disturbances:
        pytest.skip("this machine has no way onto the nodes of that cluster")
    pod = port.pods_of("deployment/shells", SPACE)[0]
    name = f"pod/{pod['metadata']['name']}"
    port.disturb_pod("crash", pod, "", 137)

    def is_back():
        status = port.find(name, SPACE)["status"]["containerStatuses"][0]
        return status["restartCount"] == 1 and status["ready"]

    assert port.wait_until(is_back, WITHIN_NS)
    assert port.logs(port.find(name, SPACE), is_previous=True) == "hello\n"
    assert port.find(name, SPACE)["status"]["containerStatuses"][0]["lastState"]["terminated"]["exitCode"] == 137


def test_what_is_not_there_cannot_be_disturbed(port):
    """It is said, and nothing is done."""
    with pytest.raises(UserError, match="there is no pod/nobody"):
        port.pods_of("pod/nobody", SPACE)

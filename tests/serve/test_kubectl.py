"""The real kubectl against `kubesim serve`: every subcommand that people use, with what it prints.

Each test runs with the kubectl that is on PATH, and with the one that KUBECTL names, such as one of another version.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import urllib.request

import pytest

from kubesim.http.kubeconfig import write_kubeconfig
from kubesim.http.served import ServedCluster

PROGRAMS = {"PATH": shutil.which("kubectl"), "KUBECTL": os.environ.get("KUBECTL")}
pytestmark = pytest.mark.slow
WEB = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, labels: {app: web}}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: main, image: "nginx:1", ports: [{containerPort: 80}]}]}
"""


class Kubectl:
    """Runs kubectl in a namespace."""

    def __init__(self, program, served, config, cache, namespace):
        self.served = served
        self.namespace = namespace
        self._line = [program, f"--kubeconfig={config}", f"--cache-dir={cache}", f"--namespace={namespace}"]

    def start(self, *words, **more):
        """The finished process, whatever became of it."""
        return subprocess.run([*self._line, *words], capture_output=True, text=True, timeout=60, check=False, **more)

    def __call__(self, words, stdin=None, **env):
        """What a command prints; it must succeed."""
        words = words.split() if isinstance(words, str) else words
        done = self.start(*words, input=stdin, env={**os.environ, **env})
        assert done.returncode == 0, f"{words}: {done.stderr}"
        return done.stdout

    def settle(self):
        """Let everything happen that is going to."""
        self.served.run_until_quiet()

    def table(self, words):
        """The rows of a table, by the heads of its columns."""
        head, *rows = self(words).splitlines()
        starts = [found.start() for found in re.finditer(r"(?<!\S)(?:\S| (?=\S))+", head)]
        ends = [*starts[1:], None]
        names = [head[start:end].strip() for start, end in zip(starts, ends, strict=True)]
        return [
            dict(zip(names, (row[a:b].strip() for a, b in zip(starts, ends, strict=True)), strict=True)) for row in rows
        ]


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """A cluster of two nodes, a minute a second."""
    with ServedCluster(nodes=2, speed=60) as cluster:
        cluster.path = tmp_path_factory.mktemp("kubectl")
        write_kubeconfig(cluster.path / "config", cluster.kubeconfig)
        yield cluster


@pytest.fixture(scope="module", params=PROGRAMS)
def program(request):
    """The path of a kubectl."""
    path = PROGRAMS[request.param]
    if not path:
        pytest.skip("KUBECTL names no kubectl" if request.param == "KUBECTL" else "there is no kubectl on PATH")
    return path


@pytest.fixture
def kubectl(program, served, request):
    """kubectl in a namespace of the test's own, which goes with it: a drain must not meet another test's budget."""
    name = re.sub(r"[^a-z0-9]+", "-", request.node.name.lower().removeprefix("test_")).strip("-")[:50].strip("-")
    run = Kubectl(program, served, served.path / "config", served.path / "cache", name)
    run(f"create namespace {name}")
    yield run
    run(f"delete namespace {name} --wait=false --ignore-not-found")


@pytest.fixture
def web(kubectl):
    """The Deployment web, rolled out."""
    kubectl("apply -f -", WEB)
    kubectl("rollout status deployment/web --timeout=60s")
    kubectl.settle()
    return kubectl


def test_get(web):
    """Tables, wide tables, selection, order, names, JSON and YAML."""
    pods = web.table("get pods")
    wide = web.table("get deployments -o wide")
    newest = web("get pods --sort-by=.metadata.name -l app=web -o name").split()
    found = json.loads(web("get deployment web -o json"))

    assert [(pod["READY"], pod["STATUS"], pod["RESTARTS"]) for pod in pods] == [("1/1", "Running", "0")] * 2
    assert [(row["NAME"], row["READY"], row["CONTAINERS"], row["SELECTOR"]) for row in wide] == [
        ("web", "2/2", "main", "app=web")
    ]
    assert newest == sorted(f"pod/{pod['NAME']}" for pod in pods)
    assert found["status"]["readyReplicas"] == 2
    assert "  name: web\n" in web("get deployment web -o yaml")
    assert web("get pods -l app=other") == ""


def test_get_watch(web):
    """`-w` shows what is there and what happens then."""
    words = ["get", "pods", "-w", "--request-timeout=3s", "--output-watch-events"]
    web.served.set_speed(20)
    with subprocess.Popen([*web._line, *words], stdout=subprocess.PIPE, text=True) as process:
        lines = [process.stdout.readline() for _ in range(3)]
        web("scale deployment/web --replicas=3")
        lines += process.stdout.read().splitlines()
    web.served.set_speed(60)

    assert lines[0].split()[:2] == ["EVENT", "NAME"]
    assert [line.split()[0] for line in lines[1:4]] == ["ADDED"] * 3
    assert {line.split()[0] for line in lines[4:]} == {"MODIFIED"}


def test_describe(web):
    """Every part of a description that comes from the server."""
    # Of several objects at once, a kubectl of 1.36 shows no Events.
    name = web("get pods -l app=web -o name").splitlines()[0]
    deployment, pod, node = web("describe deployment web"), web(f"describe {name}"), web("describe node node-1")

    assert "2 desired | 2 updated | 2 total | 2 available | 0 unavailable" in deployment
    assert "Scaled up replica set web-" in deployment
    assert "Started" in pod
    assert f"Successfully assigned {web.namespace}/web-" in pod
    assert "containerd://2.2.9" in node


def test_apply_and_diff(web):
    """What is applied again is unchanged; a difference is shown and then made."""
    changed = WEB.replace("nginx:1", "nginx:2")
    again = web("apply -f -", WEB)
    difference = web.start("diff", "-f", "-", input=changed)
    made = web("apply -f -", changed)

    assert (again, made) == ("deployment.apps/web unchanged\n", "deployment.apps/web configured\n")
    assert difference.returncode == 1
    assert "+      - image: nginx:2" in difference.stdout
    assert web("diff -f -", changed) == ""


def test_apply_on_the_server(web):
    """Another manager's field is a conflict, until it is taken; what is shown has its owners."""
    mine = WEB.replace("replicas: 2", "replicas: 1")
    web("apply --server-side --force-conflicts -f -", WEB)
    conflict = web.start("apply", "--server-side", "--field-manager=other", "-f", "-", input=mine)
    taken = web("apply --server-side --field-manager=other --force-conflicts -f -", mine)
    owners = json.loads(web("get deployment web -o json --show-managed-fields"))["metadata"]["managedFields"]

    assert 'conflict with "kubectl": .spec.replicas' in conflict.stderr
    assert taken == "deployment.apps/web serverside-applied\n"
    assert {"kubectl", "other", "kube-controller-manager"} <= {entry["manager"] for entry in owners}


def test_edit(web):
    """An editor changes the object."""
    out = web("edit deployment web", KUBE_EDITOR="sed -i s/nginx:1/nginx:3/")

    assert out == "deployment.apps/web edited\n"
    assert web("get deployment web -o jsonpath={.spec.template.spec.containers[0].image}") == "nginx:3"


def test_patch_label_annotate(web):
    """Strategic, merge and JSON patches, labels and annotations."""
    image = '{"spec":{"template":{"spec":{"containers":[{"name":"main","env":[{"name":"A","value":"1"}]}]}}}}'
    out = [
        web(["patch", "deployment", "web", "-p", image]),
        web(["patch", "deployment", "web", "--type=merge", "-p", '{"spec":{"replicas":1}}']),
        web(["patch", "deployment", "web", "--type=json", "-p", '[{"op":"remove","path":"/metadata/labels/app"}]']),
        web("label deployment web tier=front"),
        web("annotate deployment web note=yes"),
    ]
    found = json.loads(web("get deployment web -o json"))

    assert [line.split()[1] for line in out] == ["patched", "patched", "patched", "labeled", "annotated"]
    container = found["spec"]["template"]["spec"]["containers"][0]
    assert (container["image"], container["env"]) == ("nginx:1", [{"name": "A", "value": "1"}])
    assert (found["spec"]["replicas"], found["metadata"]["labels"]) == (1, {"tier": "front"})
    assert found["metadata"]["annotations"]["note"] == "yes"


def test_rollout(web):
    """A new version, its history, back again, a restart, and a pause in between."""
    web("set image deployment/web main=nginx:2")
    status = web("rollout status deployment/web --timeout=60s")
    history = web("rollout history deployment/web").split()
    undone = web("rollout undo deployment/web")
    web("rollout status deployment/web --timeout=60s")
    words = [web(f"rollout {word} deployment/web").split()[-1] for word in ("restart", "pause", "resume")]

    assert status.endswith('deployment "web" successfully rolled out\n')
    assert [word for word in history if word.isdigit()] == ["1", "2"]
    assert undone == "deployment.apps/web rolled back\n"
    assert web("get deployment web -o jsonpath={.spec.template.spec.containers[0].image}") == "nginx:1"
    assert words == ["restarted", "paused", "resumed"]


def test_scale_autoscale_wait(web):
    """A scale is done; an autoscaler is stored, and kubectl is told that nothing acts on it."""
    scaled = web("scale deployment/web --replicas=3")
    waited = web("wait --for=jsonpath={.status.readyReplicas}=3 deployment/web --timeout=60s")
    auto = web.start("autoscale", "deployment", "web", "--max=4")

    assert (scaled, waited) == ("deployment.apps/web scaled\n", "deployment.apps/web condition met\n")
    assert auto.returncode == 0
    assert "Warning: kubesim stores horizontalpodautoscalers and does nothing with them" in auto.stderr


def test_logs(kubectl):
    """All lines, the last ones, with times, followed to the end, and those before a restart."""
    script = "for i in 1 2 3; do echo line $i; sleep 1; done; exit 1"
    kubectl(["run", "p", "--image=busybox", "--restart=Never", "--", "sh", "-c", script])
    kubectl.settle()
    kubectl(["run", "q", "--image=busybox", "--", "sh", "-c", "echo once; exit 1"])
    kubectl.served.step(120)

    assert kubectl("logs p") == kubectl("logs -f p") == "line 1\nline 2\nline 3\n"
    assert kubectl("logs p --tail=1") == "line 3\n"
    assert re.fullmatch(r"20\d\d-\S+T\S+Z line 3\n", kubectl("logs p --tail=1 --timestamps"))
    assert kubectl("logs q --previous") == "once\n"
    assert "container x is not valid for pod p" in kubectl.start("logs", "p", "-c", "x").stderr
    # It would crash for ever, and nothing would be quiet.
    kubectl("delete pod q --now")


def test_exec_attach_cp(kubectl):
    """Output, errors, exit codes and input of a command in a container; attaching to it; files in and out."""
    kubectl("run p --image=nginx:1")
    kubectl("wait --for=condition=Ready pod/p --timeout=60s")
    done = kubectl.start("exec", "p", "--", "sh", "-c", "echo out; echo err >&2; exit 3")
    echoed = kubectl("exec -i p -- cat", "hello\n")
    kubectl(["exec", "p", "--", "sh", "-c", "echo kept > /tmp/f"])

    assert (done.stdout, done.returncode) == ("out\n", 3)
    assert done.stderr.splitlines() == ["err", "command terminated with exit code 3"]
    assert echoed == "hello\n"
    assert kubectl("exec p -- cat /tmp/f") == "kept\n"


def test_debug(kubectl):
    """A container is added to a Pod that runs: it has a shell to talk to, output, and an end that is not the Pod's."""
    kubectl("run p --image=nginx:1")
    kubectl("wait --for=condition=Ready pod/p --timeout=60s")
    kubectl(["debug", "p", "-c", "first", "--image=busybox", "--", "sh", "-c", "echo looked; exit 3"])
    kubectl.served.step(10)
    talked = kubectl("debug -i p -c second --image=busybox --target=p", "hostname\nexit 4\n")
    kubectl.served.step(10)
    added = json.loads(kubectl("get pod p -o json"))["status"]

    assert kubectl("logs p -c first") == "looked\n"
    assert talked.endswith("p\n")
    assert [
        (each["name"], each["state"]["terminated"]["exitCode"], each["ready"], each["restartCount"])
        for each in added["ephemeralContainerStatuses"]
    ] == [("first", 3, False, 0), ("second", 4, False, 0)]
    assert (added["phase"], kubectl.table("get pods")[0]["READY"]) == ("Running", "1/1")


def test_resize(kubectl):
    """A Pod that runs gets more; what its node can never give is refused, and what it cannot give now waits."""

    def resize(cpu):
        change = {"spec": {"containers": [{"name": "main", "resources": {"requests": {"cpu": cpu}}}]}}
        return kubectl.start("patch", "pod", "p", "--subresource", "resize", "-p", json.dumps(change))

    for name in ("p", "other"):
        main = {"name": "main", "image": "nginx:1", "resources": {"requests": {"cpu": "100m"}}}
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}}
        kubectl("apply -f -", json.dumps({**pod, "spec": {"nodeName": "node-1", "containers": [main]}}))
    kubectl("wait --for=condition=Ready pod --all --timeout=60s")
    done = resize("200m")
    kubectl.settle()
    given = json.loads(kubectl("get pod p -o json"))
    never, plain = resize("1000"), kubectl.start("set", "resources", "pod", "p", "--requests=cpu=1")
    resize(kubectl("get node node-1 -o jsonpath={.status.allocatable.cpu}"))
    kubectl.settle()
    waiting = json.loads(kubectl("get pod p -o json"))["status"]

    assert (done.stdout, done.stderr) == ("pod/p patched\n", "")
    assert given["metadata"]["generation"] == given["status"]["observedGeneration"] == 2
    status = given["status"]["containerStatuses"][0]
    assert (status["resources"], status["restartCount"]) == ({"requests": {"cpu": "200m"}}, 0)
    assert 'pods "p" is forbidden: node didn\'t have enough allocatable resources: cpu, requested: 1000' in never.stderr
    assert "spec: Forbidden: pod updates may not change fields other than" in plain.stderr
    assert [each["type"] for each in waiting["conditions"] if each.get("reason") == "Deferred"] == ["PodResizePending"]
    assert waiting["containerStatuses"][0]["allocatedResources"] == {"cpu": "200m"}
    reasons = [row["REASON"] for row in kubectl.table("get events") if row["REASON"].startswith("Resize")]
    assert sorted(reasons) == ["ResizeCompleted", "ResizeDeferred", "ResizeStarted"]


def test_port_forward(web):
    """A local port leads to the program in a Pod."""
    line = [*web._line, "port-forward", "deployment/web", ":80"]
    with subprocess.Popen(line, stdout=subprocess.PIPE, text=True) as process:
        port = re.search(r"127\.0\.0\.1:(\d+) -> 80", process.stdout.readline())[1]
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=20) as answer:
            code = answer.status
        process.kill()

    assert code == 200


def test_drain(web):
    """Cordon, drain, uncordon; what is evicted comes up elsewhere."""
    kubectl = web
    out = kubectl("drain node-1 --ignore-daemonsets --force --delete-emptydir-data --timeout=60s")
    kubectl.settle()
    nodes = {row["NAME"]: row["STATUS"] for row in kubectl.table("get nodes")}
    places = {row["NODE"] for row in kubectl.table("get pods -o wide")}
    kubectl("uncordon node-1")

    assert "node/node-1 drained" in out
    assert nodes["node-1"] == "Ready,SchedulingDisabled"
    assert places == {"node-2"}
    assert kubectl.table("get node node-1")[0]["STATUS"] == "Ready"


@pytest.mark.parametrize(("cascade", "left"), [("background", 0), ("foreground", 0), ("orphan", 2)])
def test_delete(web, cascade, left):
    """With every cascade: the Deployment is gone, and its Pods with it or not."""
    out = web(f"delete deployment web --cascade={cascade} --timeout=60s")
    web.settle()

    assert out.startswith('deployment.apps "web" deleted')
    assert web("get deployments") == ""
    assert len(web("get pods -o name").split()) == left


def test_delete_pod_and_namespace(web):
    """A Pod is replaced; a namespace goes with all that is in it."""
    (name, *_) = web("get pods -o name").split()
    web(f"delete {name} --timeout=60s")
    web.settle()
    pods = web("get pods -o name").split()
    web(f"delete namespace {web.namespace} --timeout=60s")

    assert len(pods) == 2
    assert name not in pods
    assert "NotFound" in web.start("get", "namespace", web.namespace).stderr


def test_what_there_is(kubectl):
    """explain, api-resources, api-versions, version, cluster-info, whoami, can-i."""
    explained = kubectl("explain deployment.spec.replicas")
    resources = kubectl("api-resources")
    version = json.loads(kubectl("version -o json"))

    assert "FIELD: replicas <integer>" in explained
    assert "Number of desired pods." in explained
    assert re.search(r"^deployments +deploy +apps/v1 +true +Deployment$", resources, re.MULTILINE)
    assert "apps/v1\n" in kubectl("api-versions")
    assert version["serverVersion"]["gitVersion"].startswith("v1.36.")
    assert "is running at" in kubectl("cluster-info")
    assert "kubernetes-admin" in kubectl("auth whoami")
    assert kubectl("auth can-i create pods") == "yes\n"


def test_events(kubectl):
    """Both ways to look at Events, made just before: an hour, for which they live, is a minute of the wall's here."""
    kubectl("create deployment e --image=nginx:1")
    kubectl.settle()

    assert {"ScalingReplicaSet", "SuccessfulCreate", "Scheduled", "Started"} <= set(kubectl("events").split())
    assert {"Pulled", "Created"} <= set(kubectl("get events").split())


def test_create_and_expose(kubectl):
    """What kubectl makes by itself, much of it sent as protobuf."""
    for words in (
        "configmap c --from-literal=a=1",
        "secret generic s --from-literal=p=q",
        "deployment d --image=nginx:1",
        "service clusterip s --tcp=80",
        "serviceaccount a",
        "quota q --hard=pods=9",
        "poddisruptionbudget b --min-available=1 --selector=app=d",
        "role r --verb=get --resource=pods",
    ):
        kubectl(f"create {words}")
    kubectl("expose deployment d --port=80")

    assert kubectl("get configmap c -o jsonpath={.data.a}") == "1"
    assert kubectl.table("get service d")[0]["PORT(S)"] == "80/TCP"
    assert kubectl("get poddisruptionbudget b -o jsonpath={.spec.minAvailable}") == "1"
    assert kubectl("create token a").count(".") == 2

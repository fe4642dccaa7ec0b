"""The Python clients against `kubesim serve`, over TLS and with its kubeconfig: each as its documentation shows it."""

from __future__ import annotations

import asyncio
import threading

import msgspec
import pytest

from kubesim.http.kubeconfig import write_kubeconfig
from kubesim.http.served import ServedCluster

POD = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "p", "labels": {"app": "p"}},
    "spec": {"containers": [{"name": "c", "image": "busybox", "command": ["sh", "-c", "echo hello; sleep 3600"]}]},
}
pytestmark = [
    pytest.mark.slow,
    # The clients leave connections to the collector, and one does not know of 1.36 yet.
    pytest.mark.filterwarnings(
        "ignore::ResourceWarning",
        "ignore::pytest.PytestUnraisableExceptionWarning",
        "ignore:Kubernetes version:UserWarning",
    ),
]


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    """The kubeconfig of a cluster of one node, a minute a second."""
    with ServedCluster(nodes=1, speed=60) as served:
        path = tmp_path_factory.mktemp("clients") / "config"
        write_kubeconfig(path, served.kubeconfig)
        yield path


def named(name):
    """The Pod under another name."""
    return {**POD, "metadata": {"name": name, "labels": {"app": name}}}


def test_the_official_client(config):
    """Create, watch until it runs, logs, exec by websocket, patch, list, delete."""
    kubernetes = pytest.importorskip("kubernetes")
    from kubernetes.stream import stream

    client = kubernetes.client.CoreV1Api(kubernetes.config.new_client_from_config(str(config)))
    client.create_namespaced_pod("default", named("sync"))
    phases = []
    watch = kubernetes.watch.Watch()
    for event in watch.stream(client.list_namespaced_pod, "default", label_selector="app=sync", timeout_seconds=30):
        phases.append(event["object"].status.phase)
        if phases[-1] == "Running":
            watch.stop()
    log = client.read_namespaced_pod_log("sync", "default")
    said = stream(
        client.connect_get_namespaced_pod_exec,
        "sync",
        "default",
        command=["sh", "-c", "echo $((6 * 7))"],
        stdout=True,
        stderr=True,
        stdin=False,
        tty=False,
    )
    patched = client.patch_namespaced_pod("sync", "default", {"metadata": {"labels": {"x": "y"}}})
    client.delete_namespaced_pod("sync", "default", grace_period_seconds=0)

    assert (set(phases) <= {"Pending", "Running"}, phases[-1]) == (True, "Running"), "a slow client misses the first"
    assert (log, said) == ("hello\n", "42\n")
    assert patched.metadata.labels == {"app": "sync", "x": "y"}
    with pytest.raises(kubernetes.client.ApiException, match="404"):
        client.read_namespaced_pod("sync", "default")


def test_the_official_client_without_blocking(config):
    """The same client's asynchronous half."""
    aio = pytest.importorskip("kubernetes.aio")

    async def run():
        api = await aio.config.new_client_from_config(config_file=str(config))
        async with api:
            core = aio.client.CoreV1Api(api)
            await core.create_namespaced_pod("default", named("aio"))
            async with aio.watch.Watch().stream(
                core.list_namespaced_pod, "default", label_selector="app=aio", timeout_seconds=30
            ) as events:
                async for event in events:
                    if event["object"].status.phase == "Running":
                        break
            listed = await core.list_namespaced_pod("default", label_selector="app=aio")
            return [pod.metadata.name for pod in listed.items]

    assert asyncio.run(run()) == ["aio"]


def test_kr8s(config):
    """Objects by their kind, waiting, labels, listing."""
    kr8s = pytest.importorskip("kr8s")
    from kr8s.objects import Pod

    api = kr8s.api(kubeconfig=str(config))
    pod = Pod(named("kr8s"), api=api)
    pod.create()
    pod.wait("condition=Ready", timeout=30)
    pod.label({"x": "y"})
    found = [each.name for each in api.get("pods", namespace="default", label_selector={"x": "y"})]
    pod.delete()

    assert found == ["kr8s"]
    assert pod.metadata.labels["x"] == "y"


def test_lightkube(config):
    """Typed models: create, wait, apply on the server, list, delete."""
    lightkube = pytest.importorskip("lightkube")
    from lightkube.models.meta_v1 import ObjectMeta
    from lightkube.resources.core_v1 import ConfigMap, Node, Pod

    client = lightkube.Client(
        config=lightkube.KubeConfig.from_file(str(config)), namespace="default", field_manager="lightkube"
    )
    client.create(Pod.from_dict(named("light")))
    pod = client.wait(Pod, "light", for_conditions=["Ready"])
    made = client.apply(
        ConfigMap(apiVersion="v1", kind="ConfigMap", metadata=ObjectMeta(name="light"), data={"a": "1"})
    )
    client.delete(Pod, "light", grace_period=0)

    assert pod.status.phase == "Running"
    assert [entry.manager for entry in made.metadata.managedFields] == ["lightkube"]
    assert [node.metadata.name for node in client.list(Node)] == ["node-1"]


def test_kopf(config, monkeypatch):
    """An operator on a built-in kind: it sees objects come and change, and keeps its notes in them."""
    kopf = pytest.importorskip("kopf")
    monkeypatch.setenv("KUBECONFIG", str(config))
    seen = []

    @kopf.on.login()
    def log_in(**arguments):
        return kopf.login_with_kubeconfig(**arguments)

    @kopf.on.create("v1", "configmaps", labels={"watched": "yes"})
    def created(name, **_):
        seen.append(("created", name))
        return {"done": True}

    @kopf.on.update("v1", "configmaps", labels={"watched": "yes"})
    def updated(name, diff, **_):
        seen.append(("updated", name, [change[1] for change in diff]))

    stop = threading.Event()
    settings = kopf.OperatorSettings()
    settings.peering.standalone = True
    settings.posting.enabled = False
    operator = threading.Thread(
        target=lambda: asyncio.run(kopf.operator(settings=settings, namespaces=["default"], stop_flag=stop))
    )
    operator.start()
    client = msgspec.yaml.decode(config.read_bytes())
    kubernetes = pytest.importorskip("kubernetes")
    core = kubernetes.client.CoreV1Api(kubernetes.config.new_client_from_config_dict(client))
    try:
        core.create_namespaced_config_map(
            "default", {"metadata": {"name": "k", "labels": {"watched": "yes"}}, "data": {"a": "1"}}
        )
        _until(lambda: ("created", "k") in seen)
        core.patch_namespaced_config_map("k", "default", {"data": {"a": "2"}})
        _until(lambda: len(seen) > 1)
        annotations = core.read_namespaced_config_map("k", "default").metadata.annotations
    finally:
        stop.set()
        operator.join(20)

    assert seen == [("created", "k"), ("updated", "k", [("data", "a")])]
    assert "kopf.zalando.org/last-handled-configuration" in annotations


def _until(holds):
    """Wait for an operator in another thread."""
    gate = threading.Event()
    for _ in range(600):
        if holds():
            return
        gate.wait(0.05)

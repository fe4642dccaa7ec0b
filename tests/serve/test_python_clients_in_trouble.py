"""The official client and kopf against a served cluster whose API server is in trouble: what they see, how they recover."""

from __future__ import annotations

import asyncio
import threading
from contextlib import contextmanager

import pytest

from kubesim.http.kubeconfig import write_kubeconfig
from kubesim.http.served import ServedCluster

pytestmark = [
    pytest.mark.slow,
    # The clients leave connections to the collector, and one does not know of 1.36 yet.
    pytest.mark.filterwarnings(
        "ignore::ResourceWarning",
        "ignore::pytest.PytestUnraisableExceptionWarning",
        "ignore:Kubernetes version:UserWarning",
    ),
]
ALL = {"by": "http", "share": 1.0}
WAIT_S = 30.0


@pytest.fixture
def served():
    """A node, in a pause."""
    with ServedCluster(nodes=1) as cluster:
        cluster.pause()
        cluster.step(5)
        yield cluster


@pytest.fixture
def core(served):
    """The official client as it comes."""
    with client_of(served) as client:
        yield client


@contextmanager
def client_of(served, **options):
    """The official client; an option is one of its configuration."""
    kubernetes = pytest.importorskip("kubernetes")
    configuration = kubernetes.client.Configuration()
    kubernetes.config.load_kube_config_from_dict(served.kubeconfig, client_configuration=configuration)
    for name, value in options.items():
        setattr(configuration, name, value)
    with kubernetes.client.ApiClient(configuration) as client:
        yield kubernetes.client.CoreV1Api(client)


def config_map(name, data=None, **metadata):
    """An object as a client sends it."""
    return {"metadata": {"name": name, **metadata}, "data": data or {}}


@pytest.mark.parametrize(
    ("fault", "argument", "said", "told"),
    [
        ("overloadApiServer", ALL, "Too many requests, please try again later", (429, "1")),
        ("stopApiServer", None, "Connection aborted", None),
        ("loseReplies", {"by": "http"}, "Connection aborted", None),
    ],
)
def test_what_a_create_raises(served, core, fault, argument, said, told):
    """An answer with its code and headers, or a connection that broke; once it is healed, the same client goes on."""
    number = served.inject(fault, argument)["id"]
    with pytest.raises(Exception, match=said) as refused:
        core.create_namespaced_config_map("default", config_map("a"))
    served.heal(number)
    names = [each.metadata.name for each in core.list_namespaced_config_map("default").items]

    assert told is None or (refused.value.status, refused.value.headers["Retry-After"]) == told
    assert ("a" in names) is (fault == "loseReplies")


def test_a_lost_reply_reads_as_a_conflict_to_who_tries_again(served, core):
    """urllib3 repeats an update whose connection broke, and meets what the first one has written."""
    made = core.create_namespaced_config_map("default", config_map("a"))
    served.inject("loseReplies", {"by": "http"})
    wish = config_map("a", {"k": "2"}, resourceVersion=made.metadata.resource_version)
    with pytest.raises(Exception, match="the object has been modified") as refused:
        core.replace_namespaced_config_map("a", "default", wish)

    assert refused.value.status == 409
    assert core.read_namespaced_config_map("a", "default").data == {"k": "2"}


def test_a_storm_of_conflicts_passes_who_reads_again(served, core):
    """Half of the updates fail, and each is done in the end."""
    core.create_namespaced_config_map("default", config_map("a", {"n": "0"}))
    served.inject("conflictStorm", {"by": "http", "share": 0.5})
    kubernetes = pytest.importorskip("kubernetes")
    codes = []
    while codes.count(200) < 20:
        found = core.read_namespaced_config_map("a", "default")
        found.data = {"n": str(int(found.data["n"]) + 1)}
        try:
            core.replace_namespaced_config_map("a", "default", found)
            codes.append(200)
        except kubernetes.client.ApiException as error:
            codes.append(error.status)

    assert core.read_namespaced_config_map("a", "default").data == {"n": "20"}
    assert set(codes) == {200, 409}


class Informer:
    """A list and a watch in a thread of their own, and again after whatever goes wrong, as informers are."""

    def __init__(self, core):
        self.seen = {}
        self.wrong = []
        self._core = core
        self._gate = threading.Condition()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def wait_for(self, holds):
        """Wait until what it has seen is so."""
        with self._gate:
            assert self._gate.wait_for(holds, WAIT_S), (self.seen, self.wrong)

    def stop(self, served):
        """Its end with that of the server, which ends its watch."""
        self._stop.set()
        served.close()
        self._thread.join(WAIT_S)
        assert not self._thread.is_alive()

    def _run(self):
        while not self._stop.is_set():
            try:
                self._list_and_watch()
            except Exception as error:  # noqa: BLE001 - whatever is wrong, it begins anew
                self._tell(lambda error=error: self.wrong.append(getattr(error, "status", None) or repr(error)))
                self._stop.wait(0.01)

    def _list_and_watch(self):
        import kubernetes

        listed = self._core.list_namespaced_config_map("default")
        self._tell(lambda: (self.seen.clear(), [self._put(each) for each in listed.items]))
        version = listed.metadata.resource_version
        stream = kubernetes.watch.Watch().stream(
            self._core.list_namespaced_config_map, "default", resource_version=version, timeout_seconds=600
        )
        for event in stream:
            self._tell(lambda event=event: self._put(event["object"], is_gone=event["type"] == "DELETED"))
            if self._stop.is_set():
                return

    def _put(self, obj, *, is_gone=False):
        name = obj.metadata.name
        if is_gone:
            self.seen.pop(name, None)
        else:
            self.seen[name] = obj.data

    def _tell(self, change):
        with self._gate:
            change()
            self._gate.notify_all()


@pytest.mark.parametrize(
    ("fault", "argument"),
    [
        ("stopApiServer", None),
        ("slowApiServer", {"by": "http", "added": "2s"}),
        ("overloadApiServer", {"by": "http", "share": 0.5}),
        ("dropWatches", {"by": "http"}),
        ("expireWatches", {"by": "http"}),
        ("delayWatches", {"by": "http", "delay": "60s"}),
        ("skipEvents", {"by": "http"}),
        ("freezeReads", {"by": "http"}),
        ("compactEtcd", None),
    ],
)
def test_who_lists_and_watches_recovers(served, fault, argument):
    """What has come, changed and gone meanwhile is seen in the end, whatever was missed."""

    def change(cluster):
        cluster.delete("configmap/gone", "default")
        cluster.create(named("new"))
        cluster.patch("configmap/changed", {"data": {"k": "2"}}, "default")

    def look(cluster):
        return {each["metadata"]["name"]: each.get("data") for each in cluster.list("configmaps", "default")}

    served.call(lambda cluster: [cluster.create(named(name)) for name in ("changed", "gone")])
    with client_of(served, retries=False) as core:
        informer = Informer(core)
        informer.wait_for(lambda: "gone" in informer.seen)
        on = served.inject(fault, argument)
        if fault != "stopApiServer":
            served.call(change)
        if "id" in on:
            served.heal(on["id"])
        if fault == "stopApiServer":
            served.call(change)
        wanted = served.call(look)
        informer.wait_for(lambda: informer.seen == wanted)
        informer.stop(served)

    assert set(wanted) == {"changed", "kube-root-ca.crt", "new"}
    assert wanted["changed"] == {"k": "2"}


def named(name):
    """An object as a cluster's own user makes it."""
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": "default"}}


def test_kopf_sees_every_change_through_trouble(tmp_path, monkeypatch):
    """Its watches end and a third of its requests is turned away, and each handler runs in the end."""
    kopf = pytest.importorskip("kopf")
    seen, stop, gate = [], threading.Event(), threading.Condition()
    registry = kopf.OperatorRegistry()

    def note(what):
        with gate:
            seen.append(what)
            gate.notify_all()

    def wait_for(what):
        with gate:
            assert gate.wait_for(lambda: what in seen, WAIT_S), seen

    @kopf.on.login(registry=registry)
    def log_in(**arguments):
        return kopf.login_with_kubeconfig(**arguments)

    @kopf.on.create("v1", "configmaps", labels={"watched": "yes"}, registry=registry)
    def created(name, **_):
        note(("created", name))

    @kopf.on.update("v1", "configmaps", labels={"watched": "yes"}, registry=registry)
    def updated(name, diff, **_):
        note(("updated", name, *(change[3] for change in diff)))

    settings = kopf.OperatorSettings()
    settings.peering.standalone = True
    settings.posting.enabled = False
    settings.networking.error_backoffs = [0.05] * 20
    settings.watching.reconnect_backoff = 0.05
    with ServedCluster(nodes=1, speed=60) as served, client_of(served) as core:
        path = tmp_path / "config"
        write_kubeconfig(path, served.kubeconfig)
        monkeypatch.setenv("KUBECONFIG", str(path))
        operator = threading.Thread(
            target=lambda: asyncio.run(
                kopf.operator(registry=registry, settings=settings, namespaces=["default"], stop_flag=stop)
            )
        )
        operator.start()
        try:
            core.create_namespaced_config_map("default", config_map("a", {"n": "0"}, labels={"watched": "yes"}))
            wait_for(("created", "a"))
            served.inject("overloadApiServer", {"by": "http", "share": 0.3})
            for number in ("1", "2", "3"):
                served.inject("dropWatches", {"by": "http"})
                served.call(lambda cluster, n=number: cluster.patch("configmap/a", {"data": {"n": n}}, "default"))
                wait_for(("updated", "a", number))
            served.heal()
        finally:
            stop.set()
            operator.join(WAIT_S)

    # Twice is allowed: an operator may see an object as it was before its own note.
    assert list(dict.fromkeys(seen)) == [("created", "a"), *(("updated", "a", number) for number in ("1", "2", "3"))]

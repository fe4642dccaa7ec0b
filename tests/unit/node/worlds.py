"""A small world for kubelets: API server, network and nodes as they are, Pods bound at creation."""

from __future__ import annotations

from kubesim.api.kinds import EVENT, NAMESPACE, NODE, POD, SERVICE_ACCOUNT
from kubesim.api.requests import NO_OPTIONS, Options, create, delete, get, list_all
from kubesim.apiserver.server import ApiServer, Identity
from kubesim.client.informer import Informer, InformerFactory, Lister
from kubesim.client.inprocess import InProcessClient, Latency
from kubesim.errors import ApiError
from kubesim.network.dns import Names
from kubesim.network.fabric import Fabric
from kubesim.network.proxy import ProxyViews
from kubesim.node.caches import ClusterCaches
from kubesim.node.image_catalogue import ImageCatalogue
from kubesim.node.kubelet import Kubelet, NodeConfig
from kubesim.node.simulated import SimRuntime
from kubesim.programs.catalog import Catalog
from kubesim.sim.chooser import Chooser
from kubesim.sim.loop import SECOND, Loop
from kubesim.store.log import Store

IMAGE = "python:3.11-slim"


class World:
    """One or more nodes under an API server; `writes` are the Pods' statuses in the order in which they were written."""

    def __init__(self, *nodes: str, missing: tuple[str, ...] = (), cpu: str = "4", pods: str = "110") -> None:
        self.loop = Loop()
        self.chooser = Chooser(0)
        self.store = Store()
        self.server = ApiServer(self.loop, self.store, self.chooser.stream("api"))
        self.client = self.connect("admin")
        self.call(create(NAMESPACE, {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "default"}}))
        account = {
            "apiVersion": "v1",
            "kind": "ServiceAccount",
            "metadata": {"name": "default", "namespace": "default"},
        }
        self.call(create(NAMESPACE, {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "kube-node-lease"}}))
        self.call(create(SERVICE_ACCOUNT, account))
        fabric = Fabric(
            self.loop,
            self.chooser,
            Names(Lister(), Lister(), self.chooser.stream("dns")),
            ProxyViews(self.loop, self.chooser),
        )
        self.fabric = fabric
        informers = InformerFactory(self.loop, self.connect("kubelets"))
        self.caches = ClusterCaches(informers)
        informers.start()
        self.catalog = Catalog()
        catalogue = ImageCatalogue([IMAGE], missing)
        self.kubelets = {}
        self.runtimes = {}
        for number, name in enumerate(nodes or ("node-1",), 1):
            address = f"10.0.0.{number}"
            resources = {"cpu": cpu, "memory": "8Gi", "pods": pods, "ephemeral-storage": "100Gi"}
            config = NodeConfig(name, address, f"10.244.{number}.0/24", resources, resources)
            stream = self.chooser.stream(f"kubelet/{name}")
            runtime = SimRuntime(self.loop, stream, fabric, name, catalogue, self.catalog.find_program)
            network = fabric.open(fabric.attach(address, name, is_node=True), "")
            client = self.connect(f"system:node:{name}")
            self.runtimes[name] = runtime
            self.kubelets[name] = Kubelet(
                self.loop, client, stream, config, runtime, network, self.caches, machine=runtime
            )
            self.kubelets[name].start()
        self.writes = []
        watching = Informer(self.loop, self.client, POD)
        watching.add_handler(on_update=self._see)
        watching.start()
        self.run(1)

    def _see(self, old, new):
        if new["status"] is not old["status"] and new["status"] != old["status"]:
            self.writes.append((self.loop.now_ns / SECOND, new["metadata"]["name"], new["status"]))

    def connect(self, user):
        return InProcessClient(self.loop, self.server, Identity(user, is_trusted=True), Latency())

    def call(self, request):
        """Carry out a request and return the reply; an ApiError is raised."""
        replies = []
        self.client.send(request, replies.append)
        while not replies:
            self.loop.run_until(self.loop.next_at_ns())
        if isinstance(replies[0], ApiError):
            raise replies[0]
        return replies[0]

    def run(self, seconds):
        """Let virtual time pass."""
        self.loop.run_until(self.loop.now_ns + int(seconds * SECOND))

    def pod(self, name="web", node="node-1", *, spec=None, annotations=None, labels=None, **container):
        """Create a Pod on a node, with one container `main` and what is given of it."""
        main = {"name": "main", "image": IMAGE, **container}
        body = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {
                "name": name,
                "namespace": "default",
                "annotations": annotations or {},
                "labels": labels or {},
            },
            "spec": {"nodeName": node, "containers": [main], **(spec or {})},
        }
        return self.call(create(POD, body))

    def get(self, name="web", kind=POD, namespace="default"):
        """The object, or None."""
        try:
            return self.call(get(kind, namespace, name))
        except ApiError as error:
            if error.code == 404:
                return None
            raise

    def status(self, name="web"):
        return self.get(name)["status"]

    def main(self, name="web"):
        """The status of the first container."""
        return self.status(name)["containerStatuses"][0]

    def conditions(self, name="web"):
        return {item["type"]: item["status"] for item in self.status(name)["conditions"]}

    def delete(self, name="web", options: Options = NO_OPTIONS):
        return self.call(delete(POD, "default", name, options))

    def events(self, name="web"):
        """(reason, message, count) of a Pod's Events, oldest first."""
        items = self.call(list_all(EVENT, "default"))["items"]
        items = [item for item in items if item["involvedObject"]["name"] == name]
        items.sort(key=lambda item: int(item["metadata"]["resourceVersion"]) if item["count"] == 1 else 0)
        items.sort(key=lambda item: item["metadata"]["name"].rpartition(".")[2])
        return [(item["reason"], item["message"], item["count"]) for item in items]

    def reasons(self, name="web"):
        return [reason for reason, _, _ in self.events(name)]

    def node(self, name="node-1"):
        return self.get(name, NODE, "")

    def uid(self, name="web"):
        return self.get(name)["metadata"]["uid"]

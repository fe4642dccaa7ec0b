"""A data plane for tests: Services and EndpointSlices put down by hand, hosts, and processes of the shipped programs."""

from __future__ import annotations

from typing import Any

from kubesim.client.informer import Lister
from kubesim.network.dns import Names
from kubesim.network.fabric import Fabric
from kubesim.network.messages import HttpReply, HttpRequest, NetError
from kubesim.network.proxy import ProxyViews
from kubesim.programs.catalog import Catalog
from kubesim.programs.running import Place, RunningProcess
from kubesim.sim.chooser import Chooser
from kubesim.sim.loop import SECOND, Loop

# As the EndpointSlice controller of 1.36 writes them for a Pod that is Ready, not Ready, and Ready while it terminates.
CONDITIONS = {
    "ready": {"ready": True, "serving": True, "terminating": False},
    "unready": {"ready": False, "serving": False, "terminating": False},
    "leaving": {"ready": False, "serving": True, "terminating": True},
    "gone": {"ready": False, "serving": False, "terminating": True},
}
DATABASE_ENV = {"POSTGRES_USER": "vehicles", "POSTGRES_PASSWORD": "secret", "POSTGRES_DB": "vehicles"}


def service(name, ip="10.96.0.10", port=80, **spec) -> dict[str, Any]:
    """A Service with one port."""
    port = {"name": "http", "port": port, "protocol": "TCP", **spec.pop("ports", {})}
    metadata = {"namespace": "vehicles", "name": name, "resourceVersion": "1"}
    return {"metadata": metadata, "spec": {"clusterIP": ip, "clusterIPs": [ip], "ports": [port], **spec}}


def endpoint_slice(service_name, endpoints, port=8080, suffix="abcde") -> dict[str, Any]:
    """A slice from {address: "state" or ("state", "node") or ("state", "node", "hostname")}."""
    found = []
    for address, given in endpoints.items():
        state, *where = (given,) if isinstance(given, str) else given
        node, hostname = (*where, *("node-1", "")[len(where) :])
        endpoint = {"addresses": [address], "conditions": CONDITIONS[state], "nodeName": node}
        found.append({**endpoint, "hostname": hostname} if hostname else endpoint)
    metadata = {
        "namespace": "vehicles",
        "name": f"{service_name}-{suffix}",
        "resourceVersion": "1",
        "labels": {"kubernetes.io/service-name": service_name},
    }
    return {"metadata": metadata, "ports": [{"name": "http", "port": port, "protocol": "TCP"}], "endpoints": found}


class DataPlane:
    """The network of one test, and what runs on it."""

    def __init__(self, seed=0):
        self.loop = Loop()
        self.chooser = Chooser(seed)
        self.services = Lister()
        self.slices = Lister()
        self.names = Names(self.services, self.slices, self.chooser.stream("dns"))
        self.proxy = ProxyViews(self.loop, self.chooser)
        self.fabric = Fabric(self.loop, self.chooser, self.names, self.proxy)
        self.catalog = Catalog()
        self.ends = []
        self.health_changes = []

    def put_service(self, obj):
        self.services.put(("vehicles", obj["metadata"]["name"]), obj)
        self.proxy.on_service(obj)

    def put_slice(self, obj):
        self.slices.put(("vehicles", obj["metadata"]["name"]), obj)
        self.proxy.on_slice(obj)

    def wait(self, seconds):
        self.loop.run_until(self.loop.now_ns + round(seconds * SECOND))

    def sockets(self, ip, node="node-1"):
        """The sockets of a process on a host of its own."""
        return self.fabric.open(self.fabric.attach(ip, node), "vehicles")

    def serve(self, ip, node="node-1", port=8080):
        """A process that answers everything with its own address."""
        sockets = self.sockets(ip, node)
        sockets.listen(port, lambda _, on_answer: on_answer(ip))
        return sockets

    def ask(self, sockets, host, port, message="?", timeout_s=2):
        """Make a request and run until it has its outcome; returns that and how many seconds it took."""
        got = []
        start_ns = self.loop.now_ns
        sockets.request(host, port, message, timeout_s * SECOND, got.append)
        assert self.loop.run_until(start_ns + 100 * SECOND, lambda: bool(got))
        return got[0], (self.loop.now_ns - start_ns) / SECOND

    def get(self, sockets, ip, path, port=8080):
        """The status of a GET, or the failure."""
        answer, _ = self.ask(sockets, ip, port, HttpRequest("GET", path))
        return answer.status if isinstance(answer, HttpReply) else answer.failure

    def run(self, image, ip, node="node-1", *, annotations=None, **place):
        """A process of an image's program, started now."""
        process = RunningProcess(
            self.catalog.find_program(image, annotations or {}).factory(),
            Place("vehicles", f"pod-{ip}", node, place.pop("env", DATABASE_ENV), **place),
            self.loop,
            self.chooser.stream(ip),
            self.sockets(ip, node),
            on_end=lambda ending: self.ends.append((self.loop.now_ns / SECOND, ip, ending)),
            on_health_changed=lambda: self.health_changes.append((self.loop.now_ns / SECOND, ip)),
        )
        process.start()
        return process


def failure(answer):
    """The kind of failure, or the answer itself."""
    return answer.failure if isinstance(answer, NetError) else answer

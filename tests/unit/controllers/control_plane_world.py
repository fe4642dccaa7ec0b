"""A control plane with all its controllers and no kubelets: tests play the users, the scheduler and the kubelets."""

from kubesim.api.kinds import NAMESPACE, NODE, POD, SERVICE
from kubesim.api.objects import Key
from kubesim.api.requests import Options, create, create_subresource, delete, list_all, patch
from kubesim.api.timestamps import to_time
from kubesim.apiserver.server import Identity
from kubesim.cluster.bootstrap import fresh_objects
from kubesim.cluster.components import ControllerManager
from kubesim.cluster.control_plane import ControlPlane
from kubesim.cluster.options import ClusterOptions
from kubesim.sim.chooser import Chooser
from kubesim.sim.loop import MILLISECOND, Loop

ADMIN = Identity("admin", is_trusted=True)
# Enough for a few writes of controllers, one after the other.
SOON_NS = 100 * MILLISECOND


class World:
    """The API server, kube-controller-manager and a clock; `writes` holds what controllers wrote."""

    def __init__(self):
        self.loop = Loop()
        self._options = ClusterOptions(limits=None)
        self._chooser = Chooser(0)
        self.plane = ControlPlane(self.loop, self._chooser, self._options)
        for kind, obj in fresh_objects():
            self.do(create(kind, obj))
        self.errors = []
        self.restart_manager()
        self.writes = []
        self.run(SOON_NS)
        self.plane.server.on_write = self._note

    def restart_manager(self):
        """Start a kube-controller-manager that knows nothing."""
        report = lambda *error: self.errors.append(error)  # noqa: E731
        self.manager = ControllerManager(self.plane, self._chooser, self._options, report)

    def _note(self, write):
        if write.identity is not ADMIN:
            controller = write.identity.user.rpartition(":")[2]
            self.writes.append((controller, write.verb, write.kind.kind, write.obj["metadata"]["name"]))

    def run(self, ns=SOON_NS):
        self.loop.run_until(self.loop.now_ns + ns)

    def do(self, request):
        return self.plane.server.handle(request, ADMIN)

    def find(self, kind, name, namespace="default"):
        """The object, or None."""
        key = Key(namespace if kind.namespaced else "", name)
        return self.plane.store.get(kind.resource, key)

    def list(self, kind, namespace="default"):
        return self.do(list_all(kind, namespace if kind.namespaced else ""))["items"]

    def create(self, kind, name, namespace="default", *, labels=None, owners=None, finalizers=None, **fields):
        metadata = {"name": name}
        if kind.namespaced:
            metadata["namespace"] = namespace
        given = {"labels": labels, "ownerReferences": owners, "finalizers": finalizers}
        metadata |= {field: value for field, value in given.items() if value is not None}
        return self.do(
            create(kind, {"apiVersion": kind.api_version, "kind": kind.kind, "metadata": metadata, **fields})
        )

    def patch(self, kind, name, body, namespace="default", subresource=""):
        return self.do(patch(kind, namespace if kind.namespaced else "", name, body, "merge", subresource))

    def delete(self, kind, name, namespace="default", **options):
        return self.do(delete(kind, namespace if kind.namespaced else "", name, Options(**options)))

    def node(self, name="node-1", zone="", ready=True):
        labels = {"topology.kubernetes.io/zone": zone} if zone else None
        self.create(NODE, name, labels=labels)
        condition = {"type": "Ready", "status": "True" if ready else "False", "lastTransitionTime": to_time(0)}
        return self.patch(NODE, name, {"status": {"conditions": [condition]}}, subresource="status")

    def namespace(self, name):
        return self.create(NAMESPACE, name)

    def service(self, name="web", namespace="default", selector=None, ports=None, labels=None, **spec):
        selector = {"app": "web"} if selector is None else selector
        ports = [{"port": 80}] if ports is None else ports
        body = {"ports": ports, **({"selector": selector} if selector else {}), **spec}
        return self.create(SERVICE, name, namespace, labels=labels, spec=body)

    def pod(self, name, namespace="default", *, ip="", ready=False, node="node-1", labels=None, owners=None, **spec):
        """A Pod; with an `ip` it is bound and runs."""
        labels = {"app": "web"} if labels is None else labels
        spec = {"containers": [{"name": "main", "image": "x"}], **spec}
        pod = self.create(POD, name, namespace, labels=labels, owners=owners, spec=spec)
        if ip:
            self.bind(name, node, namespace)
            pod = self.running(name, ip, ready=ready, namespace=namespace)
        return pod

    def bind(self, name, node="node-1", namespace="default"):
        target = {"kind": "Node", "name": node}
        body = {"apiVersion": "v1", "kind": "Binding", "metadata": {"name": name}, "target": target}
        self.do(create_subresource(POD, namespace, name, "binding", body))

    def running(self, name, ip, *, ready, namespace="default"):
        at = to_time(self.loop.now_ns)
        condition = {"type": "Ready", "status": "True" if ready else "False", "lastTransitionTime": at}
        status = {"phase": "Running", "podIP": ip, "podIPs": [{"ip": ip}], "conditions": [condition]}
        return self.patch(POD, name, {"status": status}, namespace, "status")

    def owner(self, obj, **fields):
        """A reference to `obj`; blocking only if a field says so."""
        metadata = obj["metadata"]
        reference = {
            "apiVersion": obj["apiVersion"],
            "kind": obj["kind"],
            "name": metadata["name"],
            "uid": metadata["uid"],
        }
        return {**reference, **fields}

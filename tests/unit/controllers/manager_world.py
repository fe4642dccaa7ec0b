"""An API server with the real kube-controller-manager over it; the tests play users and kubelets."""

from __future__ import annotations

from kubesim.api.kinds import EVENT, LEASE, NODE, POD
from kubesim.api.requests import Options, create, create_subresource, delete, get, list_all, patch
from kubesim.api.timestamps import to_micro_time, to_time
from kubesim.apiserver.server import Identity
from kubesim.cluster.bootstrap import fresh_objects
from kubesim.cluster.components import ControllerManager
from kubesim.cluster.control_plane import ControlPlane
from kubesim.cluster.options import ClusterOptions
from kubesim.errors import ApiError
from kubesim.sim.chooser import Chooser
from kubesim.sim.loop import SECOND, Loop

ADMIN = Identity("admin", is_trusted=True)


class ManagerWorld:
    """Runs for a second when made, so that the informers are in sync."""

    def __init__(self, seed=0):
        self.loop = Loop()
        options = ClusterOptions(limits=None)
        chooser = Chooser(seed)
        self.plane = ControlPlane(self.loop, chooser, options)
        for kind, obj in fresh_objects():
            self.plane.server.handle(create(kind, obj), ADMIN)
        self.errors = []
        self.writes = []
        self.manager = ControllerManager(self.plane, chooser, options, lambda *error: self.errors.append(error))
        self.run(1)
        self.plane.server.on_write = self.writes.append

    def run(self, seconds):
        """Let so many seconds pass."""
        self.loop.run_until(self.loop.now_ns + int(seconds * SECOND))

    def do(self, request):
        """A request at this instant."""
        return self.plane.server.handle(request, ADMIN)

    def create(self, kind, obj):
        """Create an object of the default namespace."""
        metadata = {**obj["metadata"], **({"namespace": "default"} if kind.namespaced else {})}
        return self.do(create(kind, {"apiVersion": kind.api_version, "kind": kind.kind, **obj, "metadata": metadata}))

    def get(self, kind, name, namespace="default"):
        """The object, or None."""
        try:
            return self.do(get(kind, namespace if kind.namespaced else "", name))
        except ApiError:
            return None

    def patch(self, kind, name, body, subresource=""):
        """Merge something into an object."""
        namespace = "default" if kind.namespaced else ""
        return self.do(patch(kind, namespace, name, body, "merge", subresource))

    def delete(self, kind, name, grace_s=None):
        """Delete an object; a grace of 0 is what a kubelet ends with."""
        namespace = "default" if kind.namespaced else ""
        return self.do(delete(kind, namespace, name, Options(grace_period_s=grace_s)))

    def names(self, kind):
        """The names of the default namespace's objects."""
        return [obj["metadata"]["name"] for obj in self.do(list_all(kind, "default"))["items"]]

    def events(self, name, *reasons):
        """The texts of the Events about an object, in the order in which they first came."""
        return [
            event["message"]
            for event in self.do(list_all(EVENT, "default"))["items"]
            if event["involvedObject"]["name"] == name and (not reasons or event["reason"] in reasons)
        ]

    # --- the kubelet's part ---

    def bind(self, pod, node="node-1"):
        """Have the Pod on a node."""
        body = {"metadata": {"name": pod}, "target": {"name": node}}
        self.do(create_subresource(POD, "default", pod, "binding", body))

    def set_ready(self, pod, is_ready=True):
        """The Pod runs and is ready, or not."""
        ready = {
            "type": "Ready",
            "status": "True" if is_ready else "False",
            "lastProbeTime": None,
            "lastTransitionTime": to_time(self.loop.now_ns),
        }
        self.patch(POD, pod, {"status": {"phase": "Running", "conditions": [ready]}}, "status")

    def add_node(self, name, labels=None, ready="True"):
        """A node that has registered and posted its status."""
        self.create(NODE, {"metadata": {"name": name, "labels": labels or {}}, "spec": {}})
        self.post_status(name, ready)

    def post_status(self, name, ready="True", **others):
        """The kubelet's status with a new heartbeat time; other conditions by keyword."""
        now = to_time(self.loop.now_ns)
        wanted = {"MemoryPressure": "False", "DiskPressure": "False", "PIDPressure": "False", **others, "Ready": ready}
        conditions = [
            {"type": kind, "status": status, "reason": "Kubelet", "message": "", "lastHeartbeatTime": now,
             "lastTransitionTime": now}
            for kind, status in wanted.items()
        ]  # fmt: skip
        self.patch(NODE, name, {"status": {"conditions": conditions}}, "status")

    def renew(self, *names):
        """Each of the kubelets renews its Lease."""
        for name in names:
            spec = {"holderIdentity": name, "leaseDurationSeconds": 40, "renewTime": to_micro_time(self.loop.now_ns)}
            metadata = {"name": name, "namespace": "kube-node-lease"}
            if self.get(LEASE, name, "kube-node-lease") is None:
                lease = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": metadata, "spec": spec}
                self.do(create(LEASE, lease))
            else:
                self.do(patch(LEASE, "kube-node-lease", name, {"spec": spec}))

    def live(self, seconds, *names):
        """Let time pass while these kubelets renew their Leases every 10 s."""
        for _ in range(int(seconds) // 10):
            self.renew(*names)
            self.run(10)

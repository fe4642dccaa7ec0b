"""A simulated cluster that can be handled as the recorded one was: kubectl's verbs, with the time that they took."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from functools import partial
from typing import Any

import yaml
from recorded_programs import RecordedPrograms

from adapters.parity.summary import RECORDED, Entry, is_of_namespace, summarise
from kubesim.api.kinds import LEASE, NODE, POD
from kubesim.api.requests import Options, create, create_subresource, delete, patch
from kubesim.api.timestamps import to_micro_time, to_time
from kubesim.cluster import Cluster
from kubesim.cluster.references import parse_kind, parse_reference
from kubesim.errors import ApiError, UserError
from kubesim.node.image_catalogue import ImageCatalogue
from kubesim.sim.loop import SECOND
from kubesim.store.watch import Watch

Object = dict[str, Any]
PRESENT = ("python:3.11-slim", "postgres:15", "vehicle-api:dev")
HOST_PATH = {
    "apiVersion": "storage.k8s.io/v1",
    "kind": "StorageClass",
    "metadata": {"name": "standard", "annotations": {"storageclass.kubernetes.io/is-default-class": "true"}},
    "provisioner": "kubernetes.io/host-path",
    "reclaimPolicy": "Delete",
    "volumeBindingMode": "Immediate",
}


class Replay:
    """One node named node-1 of two CPUs, as the recordings' machine had."""

    def __init__(self, name: str, *, creates_namespace: bool = True, has_foreign_node: bool = False) -> None:
        self.namespace = name
        self.cluster = cluster = Cluster(nodes=1, node_cpu="2", seed=1, missing_images=("nosuch:1",))
        runtime = cluster.data_plane.nodes["node-1"].runtime
        runtime._catalogue = ImageCatalogue(PRESENT, ("nosuch:1",))
        runtime._find_program = RecordedPrograms(cluster.data_plane.programs).find_program
        cluster.run(15)
        cluster.delete("storageclass/standard")
        cluster.create(HOST_PATH)
        if creates_namespace:
            cluster.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
        self._fakes: list[str] = []
        if has_foreign_node:
            self.add_nodes({"validate-b-node": {"taints": [{"key": "example.com/theirs", "effect": "NoSchedule"}]}})
        cluster.run(2.3)
        self.begin_ns = cluster.now_ns
        self._entries: list[Entry] = []
        for resource in (*RECORDED, "events"):
            table = parse_kind(resource).resource
            notify = partial(self._take, resource)
            since = cluster.store.revision
            if resource == "nodes":
                self._entries += [Entry(0.0, "INITIAL", resource, obj) for obj in cluster.list(resource)]
            cluster.store.watch(table, namespace="", matches=None, index=None, since=since, notify=notify)

    def summary(self) -> Object:
        """What the run came to, in the form of the recorded facts."""
        self.cluster.run(0.5)
        self.cluster.close()
        return summarise(self._entries)

    def _take(self, resource: str, watch: Watch) -> None:
        seconds = (self.cluster.now_ns - self.begin_ns) / SECOND
        for kind, obj in watch.drain():
            if kind != "BOOKMARK" and is_of_namespace(resource, obj, self.namespace):
                self._entries.append(Entry(seconds, kind, resource, obj))

    # --- kubectl ---

    def apply(self, manifest: str) -> None:
        self.sleep(0.2)
        documents = [document for document in yaml.safe_load_all(manifest) if document]
        for document in documents:
            if document["kind"] not in {"Namespace", "StorageClass", "PersistentVolume", "PriorityClass", "Node"}:
                document["metadata"].setdefault("namespace", self.namespace)
        for document in documents:
            self.cluster.apply("-", stdin=io.StringIO(json.dumps(document)))
            self.sleep(0.01)

    def delete(self, *references: str, grace: int | None = None, **options: Any) -> None:
        self.sleep(0.1)
        for reference in references:
            word, _, name = reference.partition("/")
            namespace = "" if word in {"node", "pv", "sc", "ns"} else self.namespace
            names = [name] if name else [each["metadata"]["name"] for each in self.cluster.list(word, namespace)]
            for each in names:
                self.cluster.delete(f"{word}/{each}", namespace, grace_period_s=grace, **options)

    def exec(self, pod: str, *command: str, container: str = "main") -> None:
        self.sleep(0.15)
        obj = self.cluster.get(f"pod/{pod}", self.namespace)
        process = self.cluster.data_plane.node_of(obj).runtime.process_of(obj["metadata"]["uid"], container)
        process.program.execute(command)

    def scale(self, reference: str, replicas: int) -> None:
        self.sleep(0.1)
        self.cluster.scale(reference, replicas, self.namespace)

    def patch(self, reference: str, change: Object) -> None:
        self.sleep(0.1)
        kind, name = parse_reference(reference)
        namespace = self.namespace if kind.namespaced else ""
        self.cluster.send(patch(kind, namespace, name, change, "merge"))

    def evict(self, pod: str, **fields: Any) -> ApiError | None:
        body = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": pod, "namespace": self.namespace}}
        try:
            self.cluster.send(create_subresource(POD, self.namespace, pod, "eviction", {**body, **fields}))
        except ApiError as error:
            return error
        return None

    # --- waiting ---

    def sleep(self, seconds: float) -> None:
        self.cluster.run(seconds)

    def latest(self, resource: str, name: str) -> Object:
        return self.cluster.get(f"{resource}/{name}", "" if resource == "nodes" else self.namespace)

    def wait(self, holds: Callable[[Replay], Any], timeout: float = 60) -> bool:
        def is_so(_: Any) -> bool:
            try:
                return bool(holds(self))
            except (LookupError, TypeError, UserError):  # what is looked at is not there yet
                return False

        came = self.cluster.wait(is_so, timeout)
        self.sleep(0.05)
        return came

    def pod_ready(self, *names: str, timeout: float = 60) -> None:
        self.wait(lambda r: all(_is_ready(r.latest("pods", name)) for name in names), timeout)

    def pod_phase(self, name: str, *phases: str, timeout: float = 60) -> None:
        self.wait(lambda r: r.latest("pods", name)["status"]["phase"] in phases, timeout)

    def gone(self, resource: str, *names: str, timeout: float = 60) -> None:
        self.wait(lambda r: all(r.cluster.find(f"{resource}/{n}", r.namespace) is None for n in names), timeout)

    def none(self, resource: str = "pods", timeout: float = 60) -> None:
        self.wait(lambda r: not r.cluster.list(resource, r.namespace), timeout)

    # --- nodes without kubelet ---

    def add_nodes(self, nodes: dict[str, Object]) -> None:
        for name, shape in nodes.items():
            labels = {"kubernetes.io/hostname": name, **shape.get("labels", {})}
            node = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": name, "labels": labels}}
            self.cluster.send(create(NODE, {**node, "spec": {"taints": shape.get("taints", [])}}))
            capacity = {
                "cpu": "4",
                "memory": "8Gi",
                "pods": "10",
                "ephemeral-storage": "10Gi",
                **shape.get("alloc", {}),
            }
            now = to_time(self.cluster.now_ns)
            rows = (
                ("MemoryPressure", "False", "KubeletHasSufficientMemory"),
                ("DiskPressure", "False", "KubeletHasNoDiskPressure"),
                ("PIDPressure", "False", "KubeletHasSufficientPID"),
                ("Ready", "True", "KubeletReady"),
            )
            conditions = [
                {"type": t, "status": s, "reason": r, "message": r, "lastHeartbeatTime": now, "lastTransitionTime": now}
                for t, s, r in rows
            ]
            status = {"capacity": capacity, "allocatable": capacity, "conditions": conditions}
            self.cluster.send(patch(NODE, "", name, {"status": status}, "strategic", "status"))
            spec = {"holderIdentity": name, "leaseDurationSeconds": 40, "renewTime": to_micro_time(self.cluster.now_ns)}
            lease = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": name}}
            lease["metadata"]["namespace"] = "kube-node-lease"
            self.cluster.send(create(LEASE, {**lease, "spec": spec}))
        if not self._fakes:
            self.cluster.loop.post(5 * SECOND, self._renew, None)
        self._fakes += nodes
        self.sleep(2)

    def _renew(self, _: None) -> None:
        for name in self._fakes:
            spec = {"renewTime": to_micro_time(self.cluster.now_ns)}
            self.cluster.send(patch(LEASE, "kube-node-lease", name, {"spec": spec}))
        if self._fakes:
            self.cluster.loop.post(5 * SECOND, self._renew, None)

    def remove_nodes(self) -> None:
        names, self._fakes = self._fakes, []
        for name in names:
            if self.cluster.find(f"node/{name}") is not None:
                self.cluster.send(delete(NODE, "", name, Options()))


def _is_ready(pod: Object) -> bool:
    return any(c["type"] == "Ready" and c["status"] == "True" for c in pod["status"]["conditions"])

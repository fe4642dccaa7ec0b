"""Small clusters for the scheduler's tests."""

from __future__ import annotations

from typing import Any

from kubesim.client.informer import Lister
from kubesim.scheduler.cycle import Cycle
from kubesim.scheduler.nominator import Nominator
from kubesim.scheduler.snapshot import Listers, Snapshot
from kubesim.sim.chooser import Chooser

Object = dict[str, Any]


def make_node(name: str, *, cpu="4", memory="8Gi", pods="110", zone="", labels=(), taints=(), **spec) -> Object:
    """A Ready node with a host name label."""
    all_labels = {"kubernetes.io/hostname": name, **dict(labels)}
    if zone:
        all_labels["topology.kubernetes.io/zone"] = zone
    return {
        "metadata": {"name": name, "labels": all_labels},
        "spec": {**({"taints": list(taints)} if taints else {}), **spec},
        "status": {"allocatable": {"cpu": cpu, "memory": memory, "pods": pods}},
    }


def make_pod(
    name: str, *, cpu="", memory="", labels=(), owner=None, namespace="default", container=(), **spec
) -> Object:
    """A Pod of one container that waits for a node."""
    requests = {key: text for key, text in (("cpu", cpu), ("memory", memory)) if text}
    metadata: Object = {"namespace": namespace, "name": name, "uid": f"uid-{namespace}-{name}", "labels": dict(labels)}
    if owner is not None:
        kind, owner_name = owner
        metadata["ownerReferences"] = [{"kind": kind, "name": owner_name, "uid": owner_name, "controller": True}]
    main = {"name": "main", "image": "registry/app:1", "resources": {"requests": requests}, **dict(container)}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": metadata,
        "spec": {"containers": [main], **spec},
        "status": {"phase": "Pending"},
    }


class World:
    """A snapshot with its listers and a cycle over it."""

    def __init__(self, *nodes: Object, seed: int = 0) -> None:
        self.listers = Listers(*[Lister() for _ in Listers._fields])
        self.snapshot = Snapshot(self.listers)
        self.nominator = Nominator()
        self.cycle = Cycle(self.snapshot, self.nominator, Chooser(seed).stream("scheduler"))
        for node in nodes:
            self.snapshot.add_node(node)

    def put(self, kind: str, obj: Object) -> None:
        """Make an object of another kind known, e.g. `claims`."""
        metadata = obj["metadata"]
        getattr(self.listers, kind).put((metadata.get("namespace", ""), metadata["name"]), obj)

    def place(self, pod: Object, node_name: str) -> None:
        """Have a Pod on a node already."""
        self.snapshot.add_pod(pod, node_name)

    def run(self, pod: Object):
        """One cycle; nothing is assumed."""
        return self.cycle.run(pod, self.snapshot.profiles.of(pod))

    def message(self, pod: Object) -> str:
        """Why the Pod goes nowhere."""
        return self.run(pod).message

"""Abstract states: what a cluster looks like when names, instants and numbers that mean nothing are left out.

A schedule that reaches a state which none before it has reached is worth changing a little: that is how a search finds
its way to rare combinations. A state is a sum of small numbers, one per object, so that a write costs a subtraction and
an addition.
"""

from __future__ import annotations

from typing import Any, Final, final
from zlib import crc32

from kubesim.api.objects import Object, controller_of
from kubesim.apiserver.server import Write
from kubesim.checks.invariant import is_removal
from kubesim.cluster import Cluster

_MASK: Final = (1 << 32) - 1
_RESTARTS_MAX: Final = 3
_CONDITIONS: Final = ("Ready", "Available", "Progressing", "PodScheduled")
_COUNTS: Final = ("replicas", "readyReplicas", "updatedReplicas", "availableReplicas", "currentReplicas")


@final
class States:
    """Follows the writes of one cluster and keeps the states that it has been in since `begin`."""

    def __init__(self, cluster: Cluster) -> None:
        self._parts: dict[str, int] = {}
        self._sum = 0
        self._seen: dict[int, None] = {}
        for table in cluster.store.tables.values():
            for obj in table.objects.values():
                self._put(obj)
        cluster.listen(self._on_write)

    @property
    def present(self) -> int:
        """The state that the cluster is in."""
        return self._sum

    def begin(self) -> None:
        """Forget which states there were."""
        self._seen.clear()

    def seen(self) -> tuple[int, ...]:
        """The states since `begin`, in the order in which they were first reached."""
        return tuple(self._seen)

    def _on_write(self, write: Write) -> None:
        if write.kind.kind not in _DESCRIBE:
            return
        before = self._sum
        if is_removal(write):
            self._sum = (self._sum - self._parts.pop(write.obj["metadata"]["uid"], 0)) & _MASK
        else:
            self._put(write.obj)
        if self._sum != before:
            self._seen[self._sum] = None

    def _put(self, obj: Object) -> None:
        describe = _DESCRIBE.get(obj["kind"])
        if describe is not None:
            part = crc32(repr((obj["kind"], describe(obj))).encode())
            uid = obj["metadata"]["uid"]
            self._sum = (self._sum + part - self._parts.get(uid, 0)) & _MASK
            self._parts[uid] = part


def _conditions(status: Object) -> tuple[Any, ...]:
    return tuple(
        (each["type"], each["status"]) for each in status.get("conditions") or () if each["type"] in _CONDITIONS
    )


def _describe_pod(pod: Object) -> Any:
    owner, status = controller_of(pod), pod.get("status") or {}
    containers = tuple(
        (*each.get("state", ()), min(each.get("restartCount", 0), _RESTARTS_MAX))
        for each in status.get("containerStatuses") or ()
    )
    return (
        owner["kind"] if owner is not None else "",
        pod["metadata"].get("labels", {}).get("app", ""),
        status.get("phase"),
        "deletionTimestamp" in pod["metadata"],
        "nodeName" in pod["spec"],
        _conditions(status),
        containers,
    )


def _describe_workload(obj: Object) -> Any:
    status = obj.get("status") or {}
    is_observed = status.get("observedGeneration") == obj["metadata"].get("generation")
    counts = tuple(status.get(name, 0) for name in _COUNTS)
    return obj["spec"].get("replicas"), counts, is_observed, _conditions(status)


def _describe_node(node: Object) -> Any:
    taints = tuple(taint["key"] for taint in node["spec"].get("taints") or ())
    return node["metadata"]["name"], taints, _conditions(node.get("status") or {})


def _describe_slice(piece: Object) -> Any:
    service = (piece["metadata"].get("labels") or {}).get("kubernetes.io/service-name", "")
    conditions = sorted(tuple((endpoint.get("conditions") or {}).values()) for endpoint in piece.get("endpoints") or ())
    return service, conditions


def _describe_phase(obj: Object) -> Any:
    return (obj.get("status") or {}).get("phase"), "deletionTimestamp" in obj["metadata"]


_DESCRIBE: Final = {
    "Pod": _describe_pod,
    "Deployment": _describe_workload,
    "ReplicaSet": _describe_workload,
    "StatefulSet": _describe_workload,
    "Node": _describe_node,
    "EndpointSlice": _describe_slice,
    "PersistentVolumeClaim": _describe_phase,
    "PersistentVolume": _describe_phase,
}

"""The Node object: its registration, and the status that the kubelet keeps true.

A status is sent when something in it changes, and every five minutes with new heartbeat times.
Upstream: pkg/kubelet/{kubelet_node_status.go,nodestatus/setters.go} @v1.36
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, final

from kubesim.api.kinds import NODE
from kubesim.api.requests import create, get, patch
from kubesim.api.timestamps import to_time
from kubesim.errors import ApiError
from kubesim.sim.loop import SECOND

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kubesim.api.objects import Object
    from kubesim.client.port import Reply
    from kubesim.node.kubelet import Kubelet
    from kubesim.node.runtime import Image

_REPORT_NS: Final = 300 * SECOND
# Upstream: kubelet.go:nodeStatusUpdateFrequency, after which what failed is tried again @v1.36
_RETRY_NS: Final = 10 * SECOND
_REGISTER_RETRY_NS: Final = SECOND
# Upstream: KubeletConfiguration.nodeStatusMaxImages @v1.36
_IMAGES_MAX: Final = 50
_KUBELET_VERSION: Final = "v1.36.3"

# Type, status while all is well, reason and message, as seen on the real node; and what they are when it is not.
_HEALTHY: Final = (
    ("MemoryPressure", "False", "KubeletHasSufficientMemory", "kubelet has sufficient memory available"),
    ("DiskPressure", "False", "KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
    ("PIDPressure", "False", "KubeletHasSufficientPID", "kubelet has sufficient PID available"),
    ("Ready", "True", "KubeletReady", "kubelet is posting ready status"),
)
_PRESSED: Final = {
    "MemoryPressure": ("True", "KubeletHasInsufficientMemory", "kubelet has insufficient memory available"),
    "DiskPressure": ("True", "KubeletHasDiskPressure", "kubelet has disk pressure"),
}
# The Event that tells of a condition's change. Upstream: nodestatus/setters.go @v1.36
_CHANGES: Final = {
    ("MemoryPressure", "True"): "NodeHasInsufficientMemory",
    ("MemoryPressure", "False"): "NodeHasSufficientMemory",
    ("DiskPressure", "True"): "NodeHasDiskPressure",
    ("DiskPressure", "False"): "NodeHasNoDiskPressure",
    ("PIDPressure", "False"): "NodeHasSufficientPID",
    ("Ready", "True"): "NodeReady",
    ("Ready", "False"): "NodeNotReady",
}
_RUNTIME_FEATURES: Final[Object] = {"recursiveReadOnlyMounts": True, "userNamespaces": False}
# What the real node says of itself beside its conditions.
_CONSTANT_STATUS: Final[Object] = {
    "daemonEndpoints": {"kubeletEndpoint": {"Port": 10250}},
    "declaredFeatures": [
        "ExtendWebSocketsToKubelet",
        "InPlacePodLevelResourcesVerticalScaling",
        "InPlacePodVerticalScalingInitContainers",
        "RestartAllContainersOnContainerExits",
    ],
    "features": {"supplementalGroupsPolicy": True},
    "runtimeHandlers": [
        {"name": "", "features": _RUNTIME_FEATURES},
        {"name": "runc", "features": _RUNTIME_FEATURES},
    ],
}
_NODE_EVENTS: Final = ("NodeHasSufficientMemory", "NodeHasNoDiskPressure", "NodeHasSufficientPID")


def compute_node_conditions(
    old: Sequence[Object], now: str, pressures: Sequence[str] = (), problem: str = ""
) -> list[Object]:
    """The conditions of a node with these pressures and this problem of its runtime, of a healthy one without any; what
    was different before gets `now` as transition time."""
    before = {condition["type"]: condition for condition in old}
    conditions = []
    for kind, *healthy in _HEALTHY:
        status, reason, message = _PRESSED[kind] if kind in pressures else healthy
        if kind == "Ready" and problem:
            status, reason, message = "False", "KubeletNotReady", problem
        other = before.get(kind)
        since = other["lastTransitionTime"] if other is not None and other["status"] == status else now
        conditions.append(
            {
                "type": kind,
                "status": status,
                "lastHeartbeatTime": now,
                "lastTransitionTime": since,
                "reason": reason,
                "message": message,
            }
        )
    return conditions


def image_list(images: Sequence[Image]) -> list[Object]:
    """`status.images`: the largest first, at most fifty."""
    largest = sorted(images, key=lambda image: (-image.size_bytes, image.name))[:_IMAGES_MAX]
    return [{"names": [image.name], "sizeBytes": image.size_bytes} for image in largest]


@final
class NodeReporter:
    """Registers the Node and reports its status while the kubelet runs."""

    __slots__ = ("_has_look", "_is_reporting", "_kubelet", "_run", "node")

    def __init__(self, kubelet: Kubelet) -> None:
        self._kubelet = kubelet
        self._run = 0
        self._has_look = False
        self._is_reporting = False
        self.node: Object | None = None

    def start(self) -> None:
        """Register, then report."""
        self._run += 1
        kubelet = self._kubelet
        kubelet.caches.on_node_doubted[kubelet.config.name] = self._refresh_at_next_look
        run = self._run

        def on_reply(reply: Reply) -> None:
            if run != self._run:
                return
            if not isinstance(reply, ApiError):
                self._registered(reply, is_new=True)
            elif reply.code == 409:
                kubelet.client.send(get(NODE, "", kubelet.config.name), on_found)
            else:
                kubelet.loop.post(_REGISTER_RETRY_NS, again, None)

        def on_found(reply: Reply) -> None:
            if run != self._run:
                return
            if isinstance(reply, ApiError):
                kubelet.loop.post(_REGISTER_RETRY_NS, again, None)
            else:
                self._registered(reply, is_new=False)

        def again(_: None) -> None:
            if run == self._run:
                kubelet.client.send(create(NODE, self._initial()), on_reply)

        again(None)

    def stop(self) -> None:
        """No more reports."""
        self._run += 1

    def report(self) -> None:
        """Something in the status has changed."""
        if self.node is not None:
            self._send(self._run)

    def refresh(self) -> None:
        """The API server answers again, or others doubt the Node: look what has been made of it, and report.

        Upstream looks at the Node every 10 s (kubelet_node_status.go:tryUpdateNodeStatus); only here can it differ.
        """
        run = self._run

        def on_found(reply: Reply) -> None:
            if run == self._run and not isinstance(reply, ApiError):
                self.node = reply
                self._send(run)

        if self.node is not None:
            self._kubelet.client.send(get(NODE, "", self._kubelet.config.name), on_found)

    def report_at_next_look(self) -> None:
        """The node is not as its status says; the next look, one every 10 s, sends that."""
        run = self._run

        def look(_: None) -> None:
            self._is_reporting = False
            if run == self._run:
                self.report()

        if not self._is_reporting:
            self._is_reporting = True
            self._kubelet.loop.post(self._until_look_ns(), look, None)

    def _until_look_ns(self) -> int:
        since_ns = self._kubelet.loop.now_ns - self._kubelet.started_at_ns
        return _RETRY_NS - since_ns % _RETRY_NS

    def _refresh_at_next_look(self) -> None:
        """Others have changed the Node's conditions; the next look, one every 10 s, finds that."""
        loop, run = self._kubelet.loop, self._run
        if self._has_look or self.node is None:
            return
        self._has_look = True

        def look(_: None) -> None:
            self._has_look = False
            if run == self._run:
                self.refresh()

        loop.post(self._until_look_ns(), look, None)

    def _tell_changes(self, old: Sequence[Object], new: Sequence[Object]) -> None:
        """An Event for each condition that is another one than before."""
        before = {condition["type"]: condition["status"] for condition in old}
        name = self._kubelet.config.name
        for condition in new:
            kind, status = condition["type"], condition["status"]
            if before.get(kind, status) != status:
                reason = _CHANGES[kind, status]
                reference = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": name}}
                self._kubelet.recorder.event(reference, "Normal", reason, f"Node {name} status is now: {reason}")

    def _initial(self) -> Object:
        config = self._kubelet.config
        labels = {
            "beta.kubernetes.io/arch": "amd64",
            "beta.kubernetes.io/os": "linux",
            "kubernetes.io/arch": "amd64",
            "kubernetes.io/hostname": config.name,
            "kubernetes.io/os": "linux",
            **config.labels,
        }
        spec: Object = {}
        if config.pod_cidr:
            spec = {"podCIDR": config.pod_cidr, "podCIDRs": [config.pod_cidr]}
        if config.taints:
            spec["taints"] = list(config.taints)
        metadata = {
            "name": config.name,
            "labels": labels,
            "annotations": {"volumes.kubernetes.io/controller-managed-attach-detach": "true"},
        }
        return {"apiVersion": "v1", "kind": "Node", "metadata": metadata, "spec": spec, "status": self._status(())}

    def _status(self, old: Sequence[Object]) -> Object:
        kubelet = self._kubelet
        config = kubelet.config
        return {
            "capacity": config.capacity,
            "allocatable": config.allocatable,
            "conditions": compute_node_conditions(
                old, to_time(kubelet.clock_ns), kubelet.eviction.conditions, kubelet.runtime_health.problem()
            ),
            "addresses": [
                {"type": "InternalIP", "address": config.address},
                {"type": "Hostname", "address": config.name},
            ],
            **_CONSTANT_STATUS,
            "nodeInfo": {
                "machineID": config.machine_id,
                "systemUUID": config.machine_id,
                "bootID": kubelet.runtime.boot_id,
                "kernelVersion": "6.1.0-generic",
                "osImage": "Debian GNU/Linux 12 (bookworm)",
                "containerRuntimeVersion": kubelet.runtime.version,
                "kubeletVersion": _KUBELET_VERSION,
                "kubeProxyVersion": "",
                "operatingSystem": "linux",
                "architecture": "amd64",
            },
            "images": image_list(kubelet.runtime.images()),
        }

    def _registered(self, node: Object, *, is_new: bool) -> None:
        kubelet = self._kubelet
        self.node = node
        reference = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": kubelet.config.name}}
        record = kubelet.recorder.event
        record(reference, "Normal", "Starting", "Starting kubelet.")
        name = kubelet.config.name
        old_boot = ((node.get("status") or {}).get("nodeInfo") or {}).get("bootID")
        if old_boot not in {None, kubelet.runtime.boot_id}:
            text = f"Node {name} has been rebooted, boot id: {kubelet.runtime.boot_id}"
            record(reference, "Warning", "Rebooted", text)
        for reason in (*_NODE_EVENTS, "NodeReady"):
            record(reference, "Normal", reason, f"Node {name} status is now: {reason}")
        if not is_new:
            self._send(self._run, has_told=True)
        kubelet.handle_registered(node)
        # Spread by a random part of the period, as upstream does, so that nodes don't report together.
        self._schedule(self._run, int(_REPORT_NS * (0.5 + kubelet.stream.fraction())))

    def _schedule(self, run: int, delay_ns: int) -> None:
        self._kubelet.loop.post(delay_ns, self._report_again, run)

    def _report_again(self, run: int) -> None:
        if run == self._run:
            self._send(run)
            self._schedule(run, _REPORT_NS)

    def _send(self, run: int, *, has_told: bool = False) -> None:
        kubelet = self._kubelet
        old = ((self.node or {}).get("status") or {}).get("conditions") or ()
        before = (self.node or {}).get("status") or {}
        status = self._status(old)
        if not has_told:
            self._tell_changes(old, status["conditions"])
        body = {field: value for field, value in status.items() if field == "conditions" or before.get(field) != value}

        def on_reply(reply: Reply) -> None:
            if run != self._run:
                return
            if not isinstance(reply, ApiError):
                self.node = reply
            elif reply.code == 404:
                self.start()
            else:
                kubelet.loop.post(_RETRY_NS, retry, None)

        def retry(_: None) -> None:
            if run == self._run:
                self._send(run)

        request = patch(NODE, "", kubelet.config.name, {"status": body}, "strategic", "status")
        kubelet.heartbeat_client.send(request, on_reply)

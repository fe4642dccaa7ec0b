"""Where Pods are put: once each, and only on a node that has room for them and lets them in."""

from __future__ import annotations

from typing import final

from kubesim.api.container_totals import total_of_containers
from kubesim.api.effective_requests import effective_spec
from kubesim.api.kinds import NODE, PERSISTENT_VOLUME, PERSISTENT_VOLUME_CLAIM, POD
from kubesim.api.objects import Object, labels_of
from kubesim.api.quantity import milli
from kubesim.api.selectors import compile_selector
from kubesim.api.tolerations import tolerates
from kubesim.apiserver.server import Write
from kubesim.checks.invariant import GRACE_NS, Scene, is_removal, subject_of
from kubesim.checks.looking import FINISHED

_HOSTNAME = "kubernetes.io/hostname"
_COUNTED = ("cpu", "memory", "ephemeral-storage")


@final
class BoundOnce:
    """Upstream: pkg/registry/core/pod/storage/storage.go:assignPod @v1.36"""

    name = "boundOnce"
    promise = "A Pod that is on a node stays on it."

    def attach(self, scene: Scene) -> None:
        """Look at every write of a Pod."""

        def look(write: Write) -> None:
            if write.previous is None or write.previous is write.obj:
                return
            before, now = write.previous["spec"].get("nodeName"), write.obj["spec"].get("nodeName")
            if before and before != now:
                scene.report(self.name, subject_of(write.obj), f"moves from {before} to {now}")

        scene.on_write(POD, look)


@final
class _Node:
    """A node as last written, as it was before, and what the Pods on it ask for, in thousandths."""

    __slots__ = ("before", "changed_ns", "obj", "pods", "used")

    def __init__(self, obj: Object | None) -> None:
        self.obj = obj
        self.before = obj
        self.changed_ns = 0
        self.used: dict[str, int] = {}
        self.pods: dict[str, Object] = {}


@final
class _Placed:
    """A Pod's node, what it is counted with there, and the spec that this was read off."""

    __slots__ = ("asked", "node", "spec")

    def __init__(self, node: str, asked: dict[str, int], spec: Object) -> None:
        self.node = node
        self.asked = asked
        self.spec = spec


@final
class NodesFit:
    """What a node says of itself may have changed in the last moments, unknown to the scheduler. Upstream: pkg/
    scheduler/framework/plugins, pkg/scheduler/backend/cache:AssumePod @v1.36"""

    name = "nodesFit"
    promise = (
        "The scheduler binds no Pod to a node without room for its requests, its host ports and one more Pod, nor to "
        "one that its node selector, anti-affinity or volumes rule out, or whose taints it does not tolerate."
    )

    def __init__(self) -> None:
        self._nodes: dict[str, _Node] = {}
        self._placed: dict[str, _Placed] = {}

    def attach(self, scene: Scene) -> None:
        """Count what is on each node; judge each binding."""
        self._scene = scene
        for node in scene.cluster.store.table(NODE.resource).objects.values():
            self._nodes[node["metadata"]["name"]] = _Node(node)
        scene.on_write(NODE, self._handle_node)
        scene.on_write(POD, self._handle_pod)

    def _handle_node(self, write: Write) -> None:
        name = write.obj["metadata"]["name"]
        node = self._nodes.setdefault(name, _Node(None))
        if is_removal(write):
            return
        previous = node.obj
        if previous is not None and (
            previous["spec"] is not write.obj["spec"]
            or previous["metadata"].get("labels") is not write.obj["metadata"].get("labels")
        ):
            node.before = previous
            node.changed_ns = self._scene.now_ns
        node.obj = write.obj

    def _handle_pod(self, write: Write) -> None:
        pod = write.obj
        uid = pod["metadata"]["uid"]
        if is_removal(write) or (pod.get("status") or {}).get("phase") in FINISHED:
            self._take_away(uid)
            return
        name = pod["spec"].get("nodeName")
        spec = effective_spec(pod)
        if uid in self._placed:
            self._lower(self._placed[uid], spec)
            return
        if not name:
            return
        asked = _asked(spec)
        node = self._nodes.setdefault(name, _Node(None))
        self._placed[uid] = _Placed(name, asked, spec)
        if write.verb == "bound":
            problem = self._problem(node, pod, asked)
            if problem and not self._scene.has_lost_replies():
                self._scene.report(self.name, subject_of(pod), f"is bound to {name}, {problem}")
        node.pods[uid] = pod
        for resource, number in asked.items():
            node.used[resource] = node.used.get(resource, 0) + number

    def _lower(self, placed: _Placed, spec: Object) -> None:
        """A Pod that has been resized counts for less where it has less; for more it doesn't: who binds the next one
        may not have seen it yet."""
        if placed.spec is spec:
            return
        placed.spec = spec
        used = self._nodes[placed.node].used
        for resource, number in _asked(spec).items():
            if number < placed.asked.get(resource, 0):
                used[resource] -= placed.asked[resource] - number
                placed.asked[resource] = number

    def _take_away(self, uid: str) -> None:
        placed = self._placed.pop(uid, None)
        if placed is not None:
            node = self._nodes[placed.node]
            node.pods.pop(uid, None)
            for resource, number in placed.asked.items():
                node.used[resource] -= number

    def _problem(self, node: _Node, pod: Object, asked: dict[str, int]) -> str:
        if node.obj is None:
            return "which has never been there"
        allocatable = (node.obj.get("status") or {}).get("allocatable") or {}
        for resource, number in asked.items():
            total = node.used.get(resource, 0) + number
            if number and resource in _COUNTED and total > milli(allocatable.get(resource, "0")):
                return f"whose {resource} is {allocatable.get(resource, '0')}: {total / 1000:g} are asked for together"
        if len(node.pods) + 1 > int(allocatable.get("pods", "0")):
            return f"which takes {allocatable.get('pods', '0')} Pods and has them"
        problem = self._port_problem(node, pod)
        if problem or self._scene.is_disturbed():
            return problem
        return (
            self._neighbour_problem(node, pod) or self._volume_problem(node.obj, pod) or self._node_problem(node, pod)
        )

    @staticmethod
    def _port_problem(node: _Node, pod: Object) -> str:
        wanted = _host_ports(pod)
        if wanted:
            for other in node.pods.values():
                for port in _host_ports(other):
                    if port in wanted:
                        return f"where {other['metadata']['name']} has host port {port[1]}"
        return ""

    @staticmethod
    def _neighbour_problem(node: _Node, pod: Object) -> str:
        rules = ((pod["spec"].get("affinity") or {}).get("podAntiAffinity") or {}).get(
            "requiredDuringSchedulingIgnoredDuringExecution"
        )
        for rule in rules or ():
            if rule.get("topologyKey") != _HOSTNAME or rule.get("namespaces") or rule.get("namespaceSelector"):
                continue
            selects = compile_selector(rule.get("labelSelector"))
            for other in node.pods.values():
                is_near = other["metadata"]["namespace"] == pod["metadata"]["namespace"]
                if is_near and selects(labels_of(other)):
                    return f"where {other['metadata']['name']} is, which it must not be beside"
        return ""

    def _volume_problem(self, node: Object, pod: Object) -> str:
        store, namespace = self._scene.cluster.store, pod["metadata"]["namespace"]
        for volume in pod["spec"].get("volumes") or ():
            if "persistentVolumeClaim" not in volume:
                continue
            name = volume["persistentVolumeClaim"]["claimName"]
            claim = store.get(PERSISTENT_VOLUME_CLAIM.resource, (namespace, name))
            bound = claim["spec"].get("volumeName") if claim is not None else ""
            if not bound:
                return f"while its claim {name} has no volume"
            disk = store.get(PERSISTENT_VOLUME.resource, ("", bound))
            if disk is not None and not _reaches(disk, node):
                return f"which volume {bound} of its claim {name} cannot be reached from"
        return ""

    def _node_problem(self, node: _Node, pod: Object) -> str:
        problem = _rules_out(node.obj, pod)
        if problem and self._scene.now_ns - node.changed_ns <= GRACE_NS:
            problem = _rules_out(node.before, pod)
        return problem


def _asked(spec: Object) -> dict[str, int]:
    return {resource: milli(text) for resource, text in total_of_containers(spec, "requests").items()}


def _host_ports(pod: Object) -> list[tuple[str, int]]:
    return [
        (port.get("protocol", "TCP"), port["hostPort"])
        for container in pod["spec"]["containers"]
        for port in container.get("ports") or ()
        if port.get("hostPort")
    ]


def _reaches(volume: Object, node: Object) -> bool:
    required = (volume["spec"].get("nodeAffinity") or {}).get("required")
    if required is None:
        return True
    labels = labels_of(node)
    return any(
        all(rule["operator"] != "In" or labels.get(rule["key"]) in rule["values"] for rule in term["matchExpressions"])
        for term in required["nodeSelectorTerms"]
        if term.get("matchExpressions")
    )


def _rules_out(node: Object | None, pod: Object) -> str:
    if node is None:
        return "which has never been there"
    labels, spec = labels_of(node), pod["spec"]
    for key, value in (spec.get("nodeSelector") or {}).items():
        if labels.get(key) != value:
            return f"which has no label {key}={value}"
    tolerations = spec.get("tolerations") or ()
    for taint in node["spec"].get("taints") or ():
        if taint["effect"] != "PreferNoSchedule" and not any(tolerates(each, taint) for each in tolerations):
            return f"whose taint {taint['key']} it does not tolerate"
    return ""

"""What statuses say is so: counted anew from Pods and processes, a moment's lag allowed."""

from __future__ import annotations

from typing import final

from kubesim.api.conditions import find_condition, is_condition_true
from kubesim.api.kinds import (
    DEPLOYMENT,
    ENDPOINT_SLICE,
    PERSISTENT_VOLUME,
    PERSISTENT_VOLUME_CLAIM,
    POD,
    REPLICA_SET,
    STATEFUL_SET,
)
from kubesim.api.objects import Object
from kubesim.api.timestamps import from_time
from kubesim.apiserver.server import Write
from kubesim.checks.extremes import Recent
from kubesim.checks.invariant import GRACE_NS, Scene, is_removal, subject_of
from kubesim.checks.looking import controller_uid
from kubesim.checks.pod_book import PodEntry
from kubesim.checks.rollouts import bounds_of
from kubesim.node.runtime import PodSandbox
from kubesim.node.simulated import SimRuntime
from kubesim.programs.declared import DeclaredProgram
from kubesim.sim.loop import SECOND

_COUNTS = ("replicas", "readyReplicas", "availableReplicas", "updatedReplicas")


@final
class CountsTrue:
    """Upstream: pkg/controller/replicaset/replica_set_utils.go:calculateStatus, pkg/controller/deployment/sync.go:
    calculateDeploymentStatus @v1.36"""

    name = "countsTrue"
    promise = "A workload's status counts no more Pods, ready or available ones than it had in the last moments."

    def __init__(self) -> None:
        # By Deployment and field: the sum over its ReplicaSets' statuses; by ReplicaSet what it has added.
        self._sums: dict[tuple[str, str], Recent] = {}
        self._parts: dict[str, dict[str, int]] = {}

    def attach(self, scene: Scene) -> None:
        """Judge each status that is written."""
        self._scene = scene
        self._pods = scene.pods
        scene.on_write(REPLICA_SET, self._handle_replica_set)
        scene.on_write(STATEFUL_SET, self._handle_owner)
        scene.on_write(DEPLOYMENT, self._handle_deployment)

    def _handle_owner(self, write: Write) -> None:
        if write.subresource != "status" or self._scene.is_disturbed():
            return
        obj = write.obj
        status, uid = obj.get("status") or {}, obj["metadata"]["uid"]
        entries = [*self._pods.of(uid), *(entry for entry in self._pods.gone(GRACE_NS) if entry.owner == uid)]
        # A StatefulSet's Pod keeps its place, and is counted, until it is gone.
        is_set = obj["kind"] == "StatefulSet"
        min_ready_ns = obj["spec"].get("minReadySeconds", 0) * SECOND
        now_ns = self._scene.now_ns
        ready = [entry for entry in entries if entry.was_ready_within(GRACE_NS)]
        most = {
            "replicas": sum(is_set or entry.was_active_within(GRACE_NS) for entry in entries),
            "readyReplicas": len(ready),
            "availableReplicas": sum(now_ns - _ready_since_ns(entry) >= min_ready_ns for entry in ready),
        }
        for field, there in most.items():
            if status.get(field, 0) > there:
                text = f"says {field} {status[field]} where there are {there} at most"
                self._scene.report(self.name, subject_of(obj), text)

    def _handle_replica_set(self, write: Write) -> None:
        self._handle_owner(write)
        owner, uid = controller_uid(write.obj), write.obj["metadata"]["uid"]
        if not owner:
            return
        status = {} if is_removal(write) else write.obj.get("status") or {}
        before = self._parts.get(uid, {})
        self._parts[uid] = now = {field: status.get(field, 0) for field in _COUNTS}
        for field, value in now.items():
            total = self._sums.get((owner, field))
            if total is None:
                total = self._sums[owner, field] = Recent(self._scene.cluster.loop, GRACE_NS, 0)
            total.set(total.value + value - before.get(field, 0))

    def _handle_deployment(self, write: Write) -> None:
        if write.subresource != "status" or self._scene.is_disturbed():
            return
        obj, status = write.obj, write.obj.get("status") or {}
        for field in ("replicas", "readyReplicas", "availableReplicas"):
            total = self._sums.get((obj["metadata"]["uid"], field))
            there = total.highest if total is not None else 0
            if status.get(field, 0) > there:
                text = f"says {field} {status[field]} where its ReplicaSets had {there} at most"
                self._scene.report(self.name, subject_of(obj), text)
        if status.get("observedGeneration") == obj["metadata"]["generation"]:
            self._check_conditions(obj, status)

    def _check_conditions(self, obj: Object, status: Object) -> None:
        available, fewest = status.get("availableReplicas", 0), bounds_of(obj)[1]
        if obj["spec"].get("strategy", {}).get("type") != "RollingUpdate":
            fewest = obj["spec"]["replicas"]
        condition = find_condition(status.get("conditions"), "Available")
        if condition is not None and (condition["status"] == "True") != (available >= fewest):
            text = f"is Available {condition['status']} with {available} available Pods of {fewest}"
            self._scene.report(self.name, subject_of(obj), text)


def _ready_since_ns(entry: PodEntry) -> int:
    """Since when the Pod says that it is ready; where it no longer does, when that was noted last."""
    condition = find_condition(entry.pod["status"].get("conditions"), "Ready")
    if condition is None or condition["status"] != "True":
        return entry.ready_since_ns
    return min(entry.ready_since_ns, from_time(condition["lastTransitionTime"]))


@final
class PodsTrue:
    """Upstream: pkg/kubelet/kubelet_pods.go:generateAPIPodStatus, pkg/kubelet/status/generate.go @v1.36"""

    name = "podsTrue"
    promise = "A kubelet calls no container running that does not run, and no Pod ready one of whose containers is not."

    def __init__(self) -> None:
        # By Pod and container: when its last process was gone, -1 while it is there.
        self._gone_ns: dict[tuple[str, str], int] = {}

    def attach(self, scene: Scene) -> None:
        """Follow processes; judge what kubelets write."""
        self._scene = scene
        scene.on_process(self._handle_process)
        scene.on_write(POD, self._handle_pod)

    def _handle_process(self, _node: str, sandbox: PodSandbox, container: str, is_there: bool) -> None:
        self._gone_ns[sandbox.uid, container] = -1 if is_there else self._scene.now_ns

    def _handle_pod(self, write: Write) -> None:
        if not write.identity.user.startswith("system:node:") or is_removal(write):
            return
        pod, uid = write.obj, write.obj["metadata"]["uid"]
        status = pod.get("status") or {}
        statuses = status.get("containerStatuses") or ()
        now_ns = self._scene.now_ns
        running = 0
        for each in statuses:
            if "running" in each["state"]:
                running += 1
                gone_ns = self._gone_ns.get((uid, each["name"]), 0)
                if gone_ns != -1 and now_ns - gone_ns > GRACE_NS and not self._scene.is_disturbed():
                    text = f"is said to run container {each['name']}, which does not run"
                    self._scene.report(self.name, subject_of(pod), text)
        conditions = status.get("conditions")
        if is_condition_true(conditions, "Ready"):
            unready = [each["name"] for each in statuses if not each["ready"]]
            if unready or len(statuses) < len(pod["spec"]["containers"]):
                text = f"is Ready while its containers are not: {', '.join(unready) or 'none is known'}"
                self._scene.report(self.name, subject_of(pod), text)
        self._check_phase(pod, status, running)
        if is_condition_true(conditions, "Ready"):
            self._check_readiness(write, pod, uid)

    def _check_readiness(self, write: Write, pod: Object, uid: str) -> None:
        """Whether what has just been called ready answers its probe so."""
        before = {
            each["name"]: each for each in ((write.previous or {}).get("status") or {}).get("containerStatuses") or ()
        }
        after = {each["name"]: each for each in pod["status"]["containerStatuses"]}
        node = self._scene.cluster.data_plane.nodes.get(pod["spec"].get("nodeName", ""))
        for container in pod["spec"]["containers"]:
            name, path = container["name"], ((container.get("readinessProbe") or {}).get("httpGet") or {}).get("path")
            known = before.get(name) or {}
            is_news = not known.get("ready") or known.get("containerID") != after[name].get("containerID")
            if path is None or not is_news or node is None or not isinstance(node.runtime, SimRuntime):
                continue
            sandbox = node.runtime.pods().get(uid)
            record = sandbox.containers.get(name) if sandbox is not None else None
            process = node.runtime.process_of(uid, name)
            if process is None or record is None or record.id != after[name].get("containerID"):
                continue  # it has ended or been replaced since
            program = process.program
            if isinstance(program, DeclaredProgram) and not program.is_ready_on(path):
                text = f"is called ready while its container {name} would fail the probe of {path}"
                self._scene.report(self.name, subject_of(pod), text)

    def _check_phase(self, pod: Object, status: Object, running: int) -> None:
        phase = status.get("phase")
        if phase in ("Succeeded", "Failed") and running:
            self._scene.report(self.name, subject_of(pod), f"is {phase} while {running} of its containers run")
        elif phase == "Succeeded":
            codes = [(each["state"].get("terminated") or {}).get("exitCode", 0) for each in status["containerStatuses"]]
            if any(codes):
                self._scene.report(self.name, subject_of(pod), f"has Succeeded with exit codes {codes}")


@final
class EndpointsTrue:
    """Upstream: pkg/controller/endpointslice, staging/src/k8s.io/endpointslice/utils.go:podToEndpoint @v1.36"""

    name = "endpointsTrue"
    promise = "An EndpointSlice calls no endpoint ready whose Pod was not in the last moments, or never was."

    def attach(self, scene: Scene) -> None:
        """Judge each slice that is written."""
        self._scene = scene
        self._pods = scene.pods
        scene.on_write(ENDPOINT_SLICE, self._handle)

    def _handle(self, write: Write) -> None:
        if is_removal(write) or (
            write.previous is not None and write.previous.get("endpoints") is write.obj.get("endpoints")
        ):
            return
        for endpoint in write.obj.get("endpoints") or ():
            target, conditions = endpoint.get("targetRef"), endpoint.get("conditions") or {}
            if target is None or not conditions.get("ready"):
                continue
            if conditions.get("terminating"):
                self._judge(write.obj, target, "is going, as it says itself")
            entry = self._pods.by_uid.get(target.get("uid", ""))
            if entry is None:
                self._check_gone(write.obj, target)
            elif not entry.was_ready_within(GRACE_NS) or not entry.was_active_within(GRACE_NS):
                self._judge(write.obj, target, "is not")

    def _check_gone(self, piece: Object, target: Object) -> None:
        if all(entry.uid != target.get("uid") for entry in self._pods.gone(GRACE_NS)):
            self._judge(piece, target, "is gone")

    def _judge(self, piece: Object, target: Object, why: str) -> None:
        name = (piece["metadata"].get("labels") or {}).get("kubernetes.io/service-name", "")
        service = self._scene.cluster.store.get("services", (piece["metadata"]["namespace"], name))
        if service is None or service["spec"].get("publishNotReadyAddresses") or self._scene.is_disturbed():
            return
        text = f"lists {target.get('name')} as ready, which {why}"
        self._scene.report(self.name, subject_of(piece), text)


@final
class ClaimsTrue:
    """Upstream: pkg/controller/volume/persistentvolume/pv_controller.go:bind @v1.36, the volume first"""

    name = "claimsTrue"
    promise = "A claim that is Bound has a volume that is bound to it, and keeps that volume."

    def attach(self, scene: Scene) -> None:
        """Judge each claim that is written."""
        self._scene = scene
        scene.on_write(PERSISTENT_VOLUME_CLAIM, self._handle)

    def _handle(self, write: Write) -> None:
        claim = write.obj
        name = claim["spec"].get("volumeName", "")
        if is_removal(write):
            return
        before = write.previous["spec"].get("volumeName", "") if write.previous is not None else ""
        if before and before != name:
            self._scene.report(self.name, subject_of(claim), f"moves from volume {before} to {name or 'none'}")
        if (claim.get("status") or {}).get("phase") != "Bound":
            return
        if write.previous is not None and (write.previous.get("status") or {}).get("phase") == "Bound":
            return
        volume = self._scene.cluster.store.get(PERSISTENT_VOLUME.resource, ("", name))
        reference = ((volume or {}).get("spec") or {}).get("claimRef") or {}
        if reference.get("uid") != claim["metadata"]["uid"]:
            text = f"is Bound to volume {name or 'none'}, which is not bound to it"
            self._scene.report(self.name, subject_of(claim), text)

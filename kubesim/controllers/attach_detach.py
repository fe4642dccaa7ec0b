"""Disks in the network are attached to the nodes that need them, and not to another before they have been let go.

An attachment is a VolumeAttachment. `AttachDetachController` creates one for every node with a Pod that uses the
volume, and deletes it when the last such Pod is gone. `ExternalAttacher` does the work, as CSI drivers' attachers do:
it marks new ones as attached, and holds deleted ones by a finalizer until the disk is detached. Kubelets wait for it.

A node that isn't Ready is taken to have its volumes still mounted: they stay attached for six minutes, or until
somebody vouches by the taint out-of-service that the node is down. Meanwhile a volume for one node at a time cannot
go elsewhere. What kubelets report as `volumesInUse` upstream is read off the node's readiness here.
Upstream: pkg/controller/volume/attachdetach/{attach_detach_controller,reconciler/reconciler}.go,
pkg/volume/csi/csi_attacher.go @v1.36
"""

from __future__ import annotations

import hashlib
from collections.abc import Generator
from typing import Any, Final, final

from kubesim.api.kinds import NODE, PERSISTENT_VOLUME, PERSISTENT_VOLUME_CLAIM, POD, VOLUME_ATTACHMENT
from kubesim.api.objects import Object, is_deleting
from kubesim.api.requests import create, delete, get, update
from kubesim.client.workqueue import WorkQueue
from kubesim.controllers.base import DONE, ControllerContext, Reconcile, Result, Step, Wait, Worker
from kubesim.controllers.persistent_volume_plan import without_finalizer
from kubesim.controllers.volume_claims import claim_names, index_by_claim, is_terminated, pods_using
from kubesim.errors import ApiError
from kubesim.sim.loop import MINUTE, SECOND

# Upstream: attach_detach_controller.go:reconcilerMaxWaitForUnmountDuration
MAX_WAIT_FOR_UNMOUNT_NS: Final = 6 * MINUTE
# What a cloud takes to attach a disk or to detach it.
ATTACH_NS: Final = 2 * SECOND
DETACH_NS: Final = 2 * SECOND
OUT_OF_SERVICE: Final = "node.kubernetes.io/out-of-service"
# Upstream: the default of --worker-threads of external-attacher
_ATTACHER_THREADS: Final = 10
_BY_VOLUME: Final = "volume"
_BY_NODE: Final = "node"


def volume_name_of(attachment: Object) -> str:
    """The PersistentVolume that is attached."""
    name: str = attachment["spec"]["source"].get("persistentVolumeName", "")
    return name


def is_attached(attachment: Object) -> bool:
    """Whether the node may use the disk."""
    return bool((attachment.get("status") or {}).get("attached"))


def attachment_name(volume: Object, node_name: str) -> str:
    """Upstream: csi_attacher.go:getAttachmentName @v1.36"""
    source = volume["spec"]["csi"]
    digest = hashlib.sha256(f"{source['volumeHandle']}{source['driver']}{node_name}".encode())
    return f"csi-{digest.hexdigest()}"


def is_exclusive(volume: Object) -> bool:
    """Whether the volume may be attached to one node only. Upstream: pkg/volume/util/util.go:IsMultiAttachAllowed"""
    modes = volume["spec"].get("accessModes") or ()
    return bool(modes) and "ReadWriteMany" not in modes and "ReadOnlyMany" not in modes


def is_healthy(node: Object | None) -> bool:
    """Whether the node is there and Ready."""
    conditions = ((node or {}).get("status") or {}).get("conditions") or ()
    return any(condition["type"] == "Ready" and condition["status"] == "True" for condition in conditions)


def is_out_of_service(node: Object | None) -> bool:
    """Whether somebody vouches that nothing runs on the node any more."""
    taints = ((node or {}).get("spec") or {}).get("taints") or ()
    return any(taint["key"] == OUT_OF_SERVICE for taint in taints)


def _finalizer(attachment: Object) -> str:
    return f"external-attacher/{attachment['spec']['attacher'].replace('.', '-')}"


@final
class AttachDetachController:
    """Decides which volume is attached where; its keys are names of volumes."""

    name = "attachdetach-controller"

    def __init__(self, context: ControllerContext) -> None:
        self._loop = context.loop
        self._recorder = context.recorder
        self._queue = WorkQueue(context.loop)
        informers = context.informers
        self._volumes = informers.lister(PERSISTENT_VOLUME)
        self._claims = informers.lister(PERSISTENT_VOLUME_CLAIM)
        self._nodes = informers.lister(NODE)
        self._pods = informers.lister(POD)
        index_by_claim(self._pods)
        self._attachments = informers.lister(VOLUME_ATTACHMENT)
        self._attachments.add_index(_BY_VOLUME, lambda attachment: (volume_name_of(attachment),))
        self._attachments.add_index(_BY_NODE, lambda attachment: (attachment["spec"]["nodeName"],))
        # Since when an attachment has had no use.
        self._unused_since_ns: dict[str, int] = {}
        # The nodes whose Pods have been told that the volume is elsewhere, by volumes.
        self._told: dict[str, list[str]] = {}
        informers.informer(POD).add_handler(self._on_pod, self._on_pod_update, self._on_pod)
        informers.informer(PERSISTENT_VOLUME_CLAIM).add_handler(on_update=self._on_claim)
        informers.informer(NODE).add_handler(on_update=self._on_node, on_delete=self._enqueue_node)
        informers.informer(VOLUME_ATTACHMENT).add_handler(
            self._enqueue_attachment, self._on_attachment, self._on_attachment_delete
        )
        # Upstream's reconciler is one loop over everything, each volume an operation of its own.
        self.workers = (Worker(self._queue, self.reconcile, 100),)

    # --- what wakes it ---

    def _on_pod_update(self, _old: Object, new: Object) -> None:
        if self._claims.objects:
            self._on_pod(new)

    def _on_pod(self, pod: Object) -> None:
        if pod["spec"].get("nodeName"):
            for name in claim_names(pod):
                claim = self._claims.get(pod["metadata"]["namespace"], name)
                if claim is not None:
                    self._enqueue(claim["spec"].get("volumeName", ""))

    def _on_claim(self, old: Object, new: Object) -> None:
        name = new["spec"].get("volumeName")
        if name and name != old["spec"].get("volumeName"):
            self._enqueue(name)

    def _on_node(self, old: Object, new: Object) -> None:
        if is_healthy(old) != is_healthy(new) or is_out_of_service(old) != is_out_of_service(new):
            self._enqueue_node(new)

    def _enqueue_node(self, node: Object) -> None:
        for attachment in self._attachments.by_index(_BY_NODE, node["metadata"]["name"]):
            self._enqueue_attachment(attachment)

    def _enqueue_attachment(self, attachment: Object) -> None:
        self._queue.add(volume_name_of(attachment))

    def _on_attachment_delete(self, attachment: Object) -> None:
        self._unused_since_ns.pop(attachment["metadata"]["name"], None)
        self._enqueue_attachment(attachment)

    def _on_attachment(self, old: Object, new: Object) -> None:
        self._enqueue_attachment(new)
        volume = self._volumes.get("", volume_name_of(new))
        if volume is not None and is_attached(new) and not is_attached(old):
            text = f'AttachVolume.Attach succeeded for volume "{volume["metadata"]["name"]}" '
            for pod in self._users(volume).get(new["spec"]["nodeName"], ()):
                self._recorder.event(pod, "Normal", "SuccessfulAttachVolume", text)

    def _enqueue(self, volume_name: str) -> None:
        volume = self._volumes.get("", volume_name)
        if volume is not None and "csi" in volume["spec"]:
            self._queue.add(volume_name)

    # --- what it does ---

    def _users(self, volume: Object) -> dict[str, list[Object]]:
        """The Pods that use the volume, by the nodes that need it for them."""
        reference = volume["spec"].get("claimRef") or {}
        claim = self._claims.get(reference.get("namespace", ""), reference.get("name", ""))
        users: dict[str, list[Object]] = {}
        if claim is None or claim["spec"].get("volumeName") != volume["metadata"]["name"]:
            return users
        for pod in pods_using(self._pods, claim["metadata"]["namespace"], claim["metadata"]["name"]):
            node_name = pod["spec"].get("nodeName")
            if node_name and not is_terminated(pod):
                users.setdefault(node_name, []).append(pod)
        return users

    def reconcile(self, volume_name: str) -> Reconcile:
        """Detach the volume where it has no use, then attach it where it has. Upstream: reconciler.go:reconcile"""
        volume = self._volumes.get("", volume_name)
        users = {} if volume is None else self._users(volume)
        attachments = self._attachments.by_index(_BY_VOLUME, volume_name)
        waits_ns = []
        for attachment in attachments:
            name = attachment["metadata"]["name"]
            if is_deleting(attachment) or attachment["spec"]["nodeName"] in users:
                self._unused_since_ns.pop(name, None)
            elif wait_ns := self._must_wait_ns(attachment):
                waits_ns.append(wait_ns)
            else:
                yield from self._detach(name)
        if volume is None:
            self._told.pop(volume_name, None)
        else:
            yield from self._attach(volume, users, attachments)
        return Result(min(waits_ns)) if waits_ns else DONE

    def _must_wait_ns(self, attachment: Object) -> int:
        """How long the attachment must stay although no Pod needs it, as its node may still be writing."""
        since_ns = self._unused_since_ns.setdefault(attachment["metadata"]["name"], self._loop.now_ns)
        node = self._nodes.get("", attachment["spec"]["nodeName"])
        if is_healthy(node) or is_out_of_service(node):
            return 0
        return max(0, since_ns + MAX_WAIT_FOR_UNMOUNT_NS - self._loop.now_ns)

    def _detach(self, name: str) -> Generator[Step, Any, None]:
        try:
            yield delete(VOLUME_ATTACHMENT, "", name)
        except ApiError as error:
            if error.code != 404:
                raise

    def _attach(
        self, volume: Object, users: dict[str, list[Object]], attachments: list[Object]
    ) -> Generator[Step, Any, None]:
        there = {attachment["spec"]["nodeName"]: attachment for attachment in attachments}
        volume_name = volume["metadata"]["name"]
        told = [name for name in self._told.pop(volume_name, ()) if name in users and name not in there]
        for node_name, pods in users.items():
            if node_name in there:
                continue
            if there and is_exclusive(volume):
                # While one is coming or going nothing is said: it may be over at once.
                is_settled = all(is_attached(each) and not is_deleting(each) for each in there.values())
                if is_settled and node_name not in told:
                    told.append(node_name)
                    self._tell_of_elsewhere(volume_name, pods, [user for each in there for user in users.get(each, ())])
                continue
            try:
                there[node_name] = yield create(VOLUME_ATTACHMENT, _new_attachment(volume, node_name))
            except ApiError as error:
                if error.reason != "AlreadyExists":
                    raise
        if told:
            self._told[volume_name] = told

    def _tell_of_elsewhere(self, volume_name: str, pods: list[Object], users: list[Object]) -> None:
        """Upstream: reconciler.go:reportMultiAttachError"""
        names = [user["metadata"]["name"] for user in users]
        if names:
            why = f"Volume is already used by pod(s) {', '.join(names)}"
        else:
            why = "Volume is already exclusively attached to one node and can't be attached to another"
        text = f'Multi-Attach error for volume "{volume_name}" {why}'
        for pod in pods:
            self._recorder.event(pod, "Warning", "FailedAttachVolume", text)


def _new_attachment(volume: Object, node_name: str) -> Object:
    return {
        "apiVersion": "storage.k8s.io/v1",
        "kind": "VolumeAttachment",
        "metadata": {"name": attachment_name(volume, node_name)},
        "spec": {
            "attacher": volume["spec"]["csi"]["driver"],
            "nodeName": node_name,
            "source": {"persistentVolumeName": volume["metadata"]["name"]},
        },
    }


@final
class ExternalAttacher:
    """Attaches and detaches the disks, each in a cloud's time, whether or not the node answers."""

    name = "external-attacher"

    def __init__(self, context: ControllerContext) -> None:
        self._queue = WorkQueue(context.loop)
        self._added_ns = context.attach_delay_ns
        context.informers.informer(VOLUME_ATTACHMENT).add_handler(self._enqueue, lambda _old, new: self._enqueue(new))
        self.workers = (Worker(self._queue, self.reconcile, _ATTACHER_THREADS),)

    def _enqueue(self, attachment: Object) -> None:
        if is_deleting(attachment) or not is_attached(attachment):
            self._queue.add(attachment["metadata"]["name"])

    def reconcile(self, name: str) -> Reconcile:
        """Attach or detach one disk."""
        try:
            # The informer may not have seen yet what was done a moment ago.
            attachment: Object = yield get(VOLUME_ATTACHMENT, "", name)
        except ApiError as error:
            if error.code == 404:
                return DONE
            raise
        finalizer = _finalizer(attachment)
        if is_deleting(attachment):
            freed = without_finalizer(attachment, finalizer)
            if freed is not attachment:
                yield Wait(DETACH_NS + self._added_ns())
                yield update(VOLUME_ATTACHMENT, freed)
        elif not is_attached(attachment):
            metadata = {**attachment["metadata"], "finalizers": [finalizer]}
            if "finalizers" not in attachment["metadata"]:
                attachment = yield update(VOLUME_ATTACHMENT, {**attachment, "metadata": metadata})
            yield Wait(ATTACH_NS + self._added_ns())
            yield update(VOLUME_ATTACHMENT, {**attachment, "status": {"attached": True}}, "status")
        return DONE

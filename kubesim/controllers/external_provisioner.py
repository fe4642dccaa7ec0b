"""A provisioner that runs beside the cluster: it makes volumes for claims that call it, and deletes them when released.

How a volume is made differs from one to the next and is its `Driver`; what it has in common with all others is here.
Upstream: sig-storage-lib-external-provisioner/controller/controller.go @v11.0.1, the library of nearly all of them
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any, Final, NamedTuple, final

from kubesim.api.kinds import NODE, PERSISTENT_VOLUME, PERSISTENT_VOLUME_CLAIM, STORAGE_CLASS
from kubesim.api.objects import Key, Object, annotations_of, key_of
from kubesim.api.requests import create, delete, get, update
from kubesim.api.volume_binding import SELECTED_NODE, class_name_of, volume_mode_of, waits_for_consumer
from kubesim.client.ratelimit import ItemBackoff
from kubesim.client.recorder import Recorder
from kubesim.client.workqueue import WorkQueue
from kubesim.controllers.base import DONE, ControllerContext, Reconcile, Result, Step, Wait, Worker
from kubesim.controllers.persistent_volume_plan import phase_of, without_finalizer
from kubesim.controllers.volume_claims import PROVISIONED_BY, claim_reference, provisioned_name, provisioner_of
from kubesim.errors import ApiError
from kubesim.sim.loop import SECOND

FINALIZER: Final = "external-provisioner.volume.kubernetes.io/finalizer"
# Upstream: controller.go:NewProvisionController, its default rate limiter
_RETRY_NS: Final = 15 * SECOND
_RETRY_MAX_NS: Final = 1000 * SECOND


class ProvisionError(Exception):
    """The volume can't be made as things are; the message is the Event's."""


class Driver(NamedTuple):
    """One kind of volume. `serves` tells its provisioner names from others. `spec_of(claim, storage_class, node)` is
    the source and affinity of the new volume's spec, with the volume's annotations, or raises `ProvisionError`; `node`
    is the one that the scheduler has chosen. `takes_ns` is how long making or deleting one takes, `concurrency` how
    many may be under way. `has_finalizer` keeps a volume until its contents are deleted."""

    name: str
    serves: Callable[[str], bool]
    spec_of: Callable[[Object, Object, Object | None], tuple[Object, dict[str, str]]]
    takes_ns: int
    concurrency: int
    has_finalizer: bool


@final
class ExternalProvisioner:
    """The control loop of one driver, over claims that call it and volumes that it has made."""

    def __init__(self, context: ControllerContext, driver: Driver) -> None:
        self.name = driver.name
        self._driver = driver
        self._context = context
        self._recorders: dict[str, Recorder] = {}
        self._backoff = ItemBackoff(_RETRY_NS, _RETRY_MAX_NS)
        self._claim_queue = WorkQueue(context.loop)
        self._volume_queue = WorkQueue(context.loop)
        self._claims = context.informers.lister(PERSISTENT_VOLUME_CLAIM)
        self._volumes = context.informers.lister(PERSISTENT_VOLUME)
        self._classes = context.informers.lister(STORAGE_CLASS)
        self._nodes = context.informers.lister(NODE)
        context.informers.informer(PERSISTENT_VOLUME_CLAIM).add_handler(
            self._on_claim, lambda _old, new: self._on_claim(new), lambda gone: self._backoff.forget(key_of(gone))
        )
        context.informers.informer(PERSISTENT_VOLUME).add_handler(
            self._on_volume, lambda _old, new: self._on_volume(new)
        )
        self.workers = (
            Worker(self._claim_queue, self.reconcile_claim, driver.concurrency),
            Worker(self._volume_queue, self.reconcile_volume, driver.concurrency),
        )

    def take(self, takes_ns: int) -> None:
        """Make volumes in this time from now on: where folders are real, nothing has to stand for the work."""
        self._driver = self._driver._replace(takes_ns=takes_ns)

    def _on_claim(self, claim: Object) -> None:
        if self._is_called_by(claim):
            self._claim_queue.add(key_of(claim))

    def _on_volume(self, volume: Object) -> None:
        if self._is_to_delete(volume):
            self._volume_queue.add(volume["metadata"]["name"])

    def _is_called_by(self, claim: Object) -> bool:
        """Upstream: shouldProvision, but for the class's binding mode"""
        return not claim["spec"].get("volumeName") and self._driver.serves(provisioner_of(claim))

    def _is_to_delete(self, volume: Object) -> bool:
        """Upstream: shouldDelete"""
        if phase_of(volume) != "Released" or volume["spec"].get("persistentVolumeReclaimPolicy") != "Delete":
            return False
        if not self._driver.serves(annotations_of(volume).get(PROVISIONED_BY, "")):
            return False
        metadata = volume["metadata"]
        return "deletionTimestamp" not in metadata or FINALIZER in (metadata.get("finalizers") or ())

    def _record(self, claim: Object, type_: str, reason: str, text: str) -> None:
        """Events name the provisioner's process, which every provisioner name has one of."""
        provisioner = provisioner_of(claim)
        recorder = self._recorders.get(provisioner)
        if recorder is None:
            component = f"{provisioner}_{self.name}_{self._context.stream.uid()}"
            recorder = self._recorders[provisioner] = Recorder(self._context.loop, self._context.client, component)
        recorder.event(claim, type_, reason, text)

    def reconcile_claim(self, key: Key) -> Reconcile:
        """Make the claim's volume. Upstream: provisionClaimOperation"""
        claim = self._claims.get(*key)
        if claim is None or not self._is_called_by(claim) or (yield from self._is_made(claim)):
            return DONE
        storage_class = self._classes.get("", class_name_of(claim))
        if storage_class is None:
            return Result(self._backoff.next_ns(key))
        node_name = annotations_of(claim).get(SELECTED_NODE, "")
        if waits_for_consumer(storage_class) and not node_name:
            return DONE
        self._record(claim, "Normal", "Provisioning", f'External provisioner is provisioning volume for claim "{key}"')
        try:
            volume = self._volume(claim, storage_class, self._nodes.get("", node_name))
        except ProvisionError as error:
            text = f'failed to provision volume with StorageClass "{storage_class["metadata"]["name"]}": {error}'
            self._record(claim, "Warning", "ProvisioningFailed", text)
            return Result(self._backoff.next_ns(key))
        yield Wait(self._driver.takes_ns)
        yield create(PERSISTENT_VOLUME, volume)
        self._backoff.forget(key)
        text = f"Successfully provisioned volume {volume['metadata']['name']}"
        self._record(claim, "Normal", "ProvisioningSucceeded", text)
        return DONE

    def _is_made(self, claim: Object) -> Generator[Step, Any, bool]:
        """Asks the API server: the informer may not have seen yet what was made a moment ago."""
        try:
            yield get(PERSISTENT_VOLUME, "", provisioned_name(claim))
        except ApiError as error:
            if error.code == 404:
                return False
            raise
        return True

    def _volume(self, claim: Object, storage_class: Object, node: Object | None) -> Object:
        source, annotations = self._driver.spec_of(claim, storage_class, node)
        requests = (claim["spec"].get("resources") or {}).get("requests") or {}
        metadata: Object = {
            "name": provisioned_name(claim),
            "annotations": {**annotations, PROVISIONED_BY: provisioner_of(claim)},
        }
        if self._driver.has_finalizer:
            metadata["finalizers"] = [FINALIZER]
        return {
            "apiVersion": "v1",
            "kind": "PersistentVolume",
            "metadata": metadata,
            "spec": {
                "accessModes": claim["spec"].get("accessModes") or [],
                "capacity": {"storage": requests["storage"]},
                "claimRef": claim_reference(claim),
                "persistentVolumeReclaimPolicy": storage_class.get("reclaimPolicy", "Delete"),
                "storageClassName": class_name_of(claim),
                "volumeMode": volume_mode_of(claim),
                **source,
            },
        }

    def reconcile_volume(self, name: str) -> Reconcile:
        """Delete a released volume and what it holds. Upstream: deleteVolumeOperation"""
        volume = self._volumes.get("", name)
        if volume is None or not self._is_to_delete(volume):
            return DONE
        yield Wait(self._driver.takes_ns)
        try:
            yield delete(PERSISTENT_VOLUME, "", name)
            if self._driver.has_finalizer:
                yield from self._let_go(name)
        except ApiError as error:
            if error.code != 404:
                raise
        return DONE

    def _let_go(self, name: str) -> Generator[Step, Any, None]:
        volume: Object = yield get(PERSISTENT_VOLUME, "", name)
        freed = without_finalizer(volume, FINALIZER)
        if freed is not volume:
            yield update(PERSISTENT_VOLUME, freed)

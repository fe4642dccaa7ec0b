"""What takes the volume binder longer than a look: having volumes made, and their contents deleted.

Each operation runs beside the claims and volumes that asked for it, once at a time. For an external provisioner there
is nothing to do but to call it, by an annotation on the claim.
Upstream: pkg/controller/volume/persistentvolume/pv_controller.go @v1.36
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Any, Final, NamedTuple, final

from kubesim.api.kinds import PERSISTENT_VOLUME, PERSISTENT_VOLUME_CLAIM, STORAGE_CLASS
from kubesim.api.objects import Key, Object, key_of
from kubesim.api.requests import create, delete, get
from kubesim.api.volume_binding import class_name_of
from kubesim.client.recorder import Recorder
from kubesim.client.workqueue import WorkQueue
from kubesim.controllers import persistent_volume_plan as plan
from kubesim.controllers.base import DONE, ControllerContext, Reconcile, Step, Worker
from kubesim.controllers.in_tree_volumes import (
    HOST_PATH,
    NoPluginError,
    explain_no_provisioner,
    explain_no_volume,
    host_path_volume,
    is_deleted_in_tree,
)
from kubesim.controllers.persistent_volume_copies import VolumeCopies
from kubesim.controllers.volume_claims import provisioned_name
from kubesim.errors import ApiError

# Upstream starts a goroutine for each; the number only bounds how many are under way here.
_CONCURRENCY: Final = 100
Steps = Generator[Step, Any, None]


class Operation(NamedTuple):
    """Deletes a volume or has one made for a claim; `key` is that object's."""

    is_delete: bool
    key: Key


@final
class VolumeOperations:
    """The queue of operations and how each is carried out."""

    def __init__(self, context: ControllerContext, copies: VolumeCopies, recorder: Recorder) -> None:
        self._copies = copies
        self._recorder = recorder
        self._stream = context.stream
        self._classes = context.informers.lister(STORAGE_CLASS)
        self._queue = WorkQueue(context.loop)
        self.worker = Worker(self._queue, self.operate, _CONCURRENCY)

    def provision(self, claim: Object) -> None:
        """Have a volume made for the claim, or say why there will be none.

        Upstream: provisionClaim, findProvisionablePlugin @v1.36
        """
        name = class_name_of(claim)
        storage_class = self._classes.get("", name)
        if storage_class is None:
            why = f'storageclass.storage.k8s.io "{name}" not found'
        else:
            why = explain_no_provisioner(storage_class["provisioner"])
        if why:
            self._recorder.event(claim, "Warning", "ProvisioningFailed", why)
        else:
            self._queue.add(Operation(is_delete=False, key=key_of(claim)))

    def delete(self, volume: Object) -> None:
        """Delete the volume's contents and the volume, unless an external provisioner does."""
        self._queue.add(Operation(is_delete=True, key=key_of(volume)))

    def operate(self, operation: Operation) -> Reconcile:
        """Carry out one operation, unless what asked for it is gone."""
        if operation.is_delete:
            volume = self._copies.volumes.get(*operation.key)
            if volume is not None:
                yield from self._delete(volume)
            return DONE
        claim = self._copies.claims.get(*operation.key)
        storage_class = None if claim is None else self._classes.get("", class_name_of(claim))
        if claim is None or storage_class is None:
            return DONE
        provisioner = plan.csi_name(storage_class["provisioner"])
        asked = plan.with_provisioner(claim, provisioner)
        claim = yield from self._copies.write(PERSISTENT_VOLUME_CLAIM, asked, claim)
        if provisioner == HOST_PATH:
            yield from self._provision(claim, storage_class)
        else:
            text = (
                f"Waiting for a volume to be created either by the external provisioner '{provisioner}' or manually by"
                " the system administrator. If volume creation is delayed, please verify that the provisioner is"
                " running and correctly registered."
            )
            self._recorder.event(claim, "Normal", "ExternalProvisioning", text)
        return DONE

    def _provision(self, claim: Object, storage_class: Object) -> Steps:
        """Upstream: provisionClaimOperation @v1.36"""
        name = provisioned_name(claim)
        try:
            yield get(PERSISTENT_VOLUME, "", name)
        except ApiError as error:
            if error.code != 404:
                raise
        else:
            return
        why = explain_no_volume(claim, storage_class)
        if why:
            self._recorder.event(claim, "Warning", "ProvisioningFailed", why)
            return
        yield create(PERSISTENT_VOLUME, host_path_volume(claim, storage_class, self._stream))
        text = f"Successfully provisioned volume {name} using {HOST_PATH}"
        self._recorder.event(claim, "Normal", "ProvisioningSucceeded", text)

    def _delete(self, volume: Object) -> Steps:
        """Upstream: deleteVolumeOperation @v1.36"""
        try:
            is_ours = is_deleted_in_tree(volume)
        except NoPluginError as error:
            yield from self.fail(volume, "VolumeFailedDelete", str(error))
            return
        if not is_ours:
            return
        name = volume["metadata"]["name"]
        try:
            fresh: Object = yield get(PERSISTENT_VOLUME, "", name)
        except ApiError as error:
            if error.code == 404:
                return
            raise
        reference = fresh["spec"].get("claimRef") or {}
        claim = self._copies.claims.get(reference.get("namespace", ""), reference.get("name", ""))
        if plan.is_released(fresh, claim):
            freed = plan.without_finalizer(fresh, plan.IN_TREE_FINALIZER)
            yield from self._copies.write(PERSISTENT_VOLUME, freed, fresh)
            yield delete(PERSISTENT_VOLUME, "", name)

    def fail(self, volume: Object, reason: str, text: str) -> Steps:
        """Make the volume Failed and say why, once."""
        if plan.phase_of(volume) != "Failed":
            volume = yield from self._copies.write_volume_phase(volume, "Failed", text)
            self._recorder.event(volume, "Warning", reason, text)

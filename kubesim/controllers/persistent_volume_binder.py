"""PersistentVolumes and their claims: find, bind, have made, release and reclaim.

Two queues, one of claims and one of volumes, each worked on alone, and a third of what takes longer: the making and
deleting of volumes. Woken by claims and volumes. What is not settled, such as a claim for which there is no volume
yet, is looked at again every 15 s, and by nothing else: a new volume or class does not wake the claims that wait for
it. Upstream: pkg/controller/volume/persistentvolume/{pv_controller,pv_controller_base}.go @v1.36
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Any, Final, final

from kubesim.api.kinds import PERSISTENT_VOLUME, PERSISTENT_VOLUME_CLAIM, POD, STORAGE_CLASS
from kubesim.api.objects import Key, Object, annotations_of, key_of
from kubesim.api.requests import get
from kubesim.api.volume_binding import (
    BIND_COMPLETED,
    SELECTED_NODE,
    class_name_of,
    is_bound_to,
    volume_mode_of,
    waits_for_consumer,
)
from kubesim.client.recorder import Recorder
from kubesim.client.workqueue import WorkQueue
from kubesim.controllers import persistent_volume_plan as plan
from kubesim.controllers.base import DONE, ControllerContext, Reconcile, Step, Worker
from kubesim.controllers.persistent_volume_copies import VolumeCopies
from kubesim.controllers.persistent_volume_operations import VolumeOperations
from kubesim.controllers.volume_claims import default_class, has_class, index_by_claim, is_terminated, pods_using
from kubesim.errors import ApiError
from kubesim.sim.loop import SECOND

# Upstream: --pvclaimbinder-sync-period=15s
RESYNC_NS: Final = 15 * SECOND
# The name that upstream's Events carry, another than that of the controller's account.
_COMPONENT: Final = "persistentvolume-controller"
Steps = Generator[Step, Any, None]


@final
class PersistentVolumeBinder:
    """The control loops over claims and volumes."""

    name = "persistent-volume-binder"

    def __init__(self, context: ControllerContext) -> None:
        self._loop = context.loop
        self._recorder = Recorder(context.loop, context.client, _COMPONENT)
        self._started_ns = context.loop.now_ns
        self._claim_queue = WorkQueue(context.loop)
        self._volume_queue = WorkQueue(context.loop)
        self._copies = VolumeCopies()
        self._classes = context.informers.lister(STORAGE_CLASS)
        self._pods = context.informers.lister(POD)
        index_by_claim(self._pods)
        self._operations = VolumeOperations(context, self._copies, self._recorder)
        self._unsettled_claims: dict[Key, None] = {}
        self._unsettled_volumes: dict[Key, None] = {}
        self._has_resync = False
        context.informers.informer(PERSISTENT_VOLUME_CLAIM).add_handler(
            self._on_claim, lambda _old, new: self._on_claim(new), self._on_claim_delete
        )
        context.informers.informer(PERSISTENT_VOLUME).add_handler(
            self._on_volume, lambda _old, new: self._on_volume(new), self._on_volume_delete
        )
        self.workers = (
            Worker(self._volume_queue, self.reconcile_volume, 1),
            Worker(self._claim_queue, self.reconcile_claim, 1),
            self._operations.worker,
        )

    # --- what wakes it ---

    def _on_claim(self, claim: Object) -> None:
        if self._copies.store(self._copies.claims, claim):
            self._claim_queue.add(key_of(claim))

    def _on_volume(self, volume: Object) -> None:
        if self._copies.store(self._copies.volumes, volume):
            self._volume_queue.add(key_of(volume))

    def _on_claim_delete(self, claim: Object) -> None:
        self._copies.claims.remove(key_of(claim))
        name = claim["spec"].get("volumeName")
        if name:
            self._volume_queue.add(Key("", name))

    def _on_volume_delete(self, volume: Object) -> None:
        self._copies.volumes.remove(key_of(volume))
        reference = volume["spec"].get("claimRef")
        if reference is not None:
            self._claim_queue.add(Key(reference["namespace"], reference["name"]))

    def _resync_later(self, unsettled: dict[Key, None], key: Key) -> None:
        unsettled[key] = None
        if not self._has_resync:
            self._has_resync = True
            since_ns = (self._loop.now_ns - self._started_ns) % RESYNC_NS
            self._loop.post(RESYNC_NS - since_ns, self._resync, None)

    def _resync(self, _: None) -> None:
        self._has_resync = False
        for unsettled, queue in (
            (self._unsettled_claims, self._claim_queue),
            (self._unsettled_volumes, self._volume_queue),
        ):
            for key in unsettled:
                queue.add(key)
            unsettled.clear()

    # --- claims ---

    def reconcile_claim(self, key: Key) -> Reconcile:
        """Bring one claim to its volume, or say what it waits for."""
        claim = self._copies.claims.get(*key)
        if claim is None:
            self._unsettled_claims.pop(key, None)
            return DONE
        if BIND_COMPLETED in annotations_of(claim):
            yield from self._sync_bound(claim)
        elif claim["spec"].get("volumeName"):
            yield from self._sync_requested(claim)
        else:
            yield from self._sync_unbound(claim)
        claim = self._copies.claims.get(*key)
        if claim is not None and plan.phase_of(claim) != "Bound":
            self._resync_later(self._unsettled_claims, key)
        else:
            self._unsettled_claims.pop(key, None)
        return DONE

    def _sync_unbound(self, claim: Object) -> Steps:
        """The claim takes any volume that suits it, or gets one made. Upstream: syncUnboundClaim @v1.36"""
        is_delayed = waits_for_consumer(self._classes.get("", class_name_of(claim)))
        candidates = self._copies.candidates(claim, is_delayed=is_delayed)
        volume = plan.find_matching_volume(claim, candidates, is_delayed=is_delayed)
        if volume is not None:
            yield from self._bind(volume, claim)
            return
        chosen = None if has_class(claim) else default_class(self._classes.all())
        if chosen is not None:
            spec = {**claim["spec"], "storageClassName": chosen["metadata"]["name"]}
            yield from self._copies.write(PERSISTENT_VOLUME_CLAIM, {**claim, "spec": spec}, claim)
        elif is_delayed and SELECTED_NODE not in annotations_of(claim):
            self._tell_of_waiting(claim)
            yield from self._copies.write_claim_phase(claim, "Pending")
        elif class_name_of(claim):
            self._operations.provision(claim)
        else:
            text = "no persistent volumes available for this claim and no storage class is set"
            self._recorder.event(claim, "Normal", "FailedBinding", text)
            yield from self._copies.write_claim_phase(claim, "Pending")

    def _tell_of_waiting(self, claim: Object) -> None:
        metadata = claim["metadata"]
        names = [
            pod["metadata"]["name"]
            for pod in pods_using(self._pods, metadata["namespace"], metadata["name"])
            if not is_terminated(pod) and not pod["spec"].get("nodeName")
        ]
        if names:
            subject = f"pod {names[0]}" if len(names) == 1 else f"pods {','.join(names)}"
            self._recorder.event(claim, "Normal", "WaitForPodScheduled", f"waiting for {subject} to be scheduled")
        else:
            text = "waiting for first consumer to be created before binding"
            self._recorder.event(claim, "Normal", "WaitForFirstConsumer", text)

    def _sync_requested(self, claim: Object) -> Steps:
        """The claim names the volume that it wants. Upstream: syncUnboundClaim @v1.36"""
        name = claim["spec"]["volumeName"]
        volume = self._copies.volumes.get("", name)
        if volume is None:
            yield from self._copies.write_claim_phase(claim, "Pending")
        elif volume["spec"].get("claimRef") is None:
            why = plan.explain_mismatch(volume, claim)
            if why:
                text = f'Cannot bind to requested volume "{name}": {why}'
                self._recorder.event(claim, "Warning", "VolumeMismatch", text)
                yield from self._copies.write_claim_phase(claim, "Pending")
            else:
                yield from self._bind(volume, claim)
        elif is_bound_to(volume, claim):
            yield from self._bind(volume, claim)
        else:
            text = f'volume "{name}" already bound to a different claim.'
            self._recorder.event(claim, "Warning", "FailedBinding", text)
            yield from self._copies.write_claim_phase(claim, "Pending")

    def _sync_bound(self, claim: Object) -> Steps:
        """The claim had a volume, which it keeps for good or loses. Upstream: syncBoundClaim @v1.36"""
        name = claim["spec"].get("volumeName")
        if not name:
            text = "Bound claim has lost reference to PersistentVolume. Data on the volume is lost!"
            yield from self._lose(claim, "ClaimLost", text)
            return
        volume = self._copies.volumes.get("", name)
        if volume is None:
            text = "Bound claim has lost its PersistentVolume. Data on the volume is lost!"
            yield from self._lose(claim, "ClaimLost", text)
            return
        reference = volume["spec"].get("claimRef")
        if reference is None or reference.get("uid") == claim["metadata"]["uid"]:
            yield from self._bind(volume, claim)
        else:
            text = "Two claims are bound to the same volume, this one is bound incorrectly"
            yield from self._lose(claim, "ClaimMisbound", text)

    def _lose(self, claim: Object, reason: str, text: str) -> Steps:
        if plan.phase_of(claim) != "Lost":
            yield from self._copies.write_claim_phase(claim, "Lost")
            self._recorder.event(claim, "Warning", reason, text)

    def _bind(self, volume: Object, claim: Object) -> Steps:
        """Up to four writes, the volume's first; what is already so is left out."""
        volume = yield from self._copies.write(PERSISTENT_VOLUME, plan.with_claim(volume, claim), volume)
        yield from self._copies.write_volume_phase(volume, "Bound")
        claim = yield from self._copies.write(PERSISTENT_VOLUME_CLAIM, plan.with_volume(claim, volume), claim)
        yield from self._copies.write_claim_phase(claim, "Bound", volume)

    # --- volumes ---

    def reconcile_volume(self, key: Key) -> Reconcile:
        """Bring one volume's phase up to date, and reclaim it when its claim is gone. Upstream: syncVolume @v1.36"""
        self._unsettled_volumes.pop(key, None)
        volume = self._copies.volumes.get(*key)
        if volume is None:
            return DONE
        volume = yield from self._copies.write(PERSISTENT_VOLUME, plan.with_deletion_finalizer(volume), volume)
        reference = volume["spec"].get("claimRef")
        if reference is None or not reference.get("uid"):
            yield from self._copies.write_volume_phase(volume, "Available")
            return DONE
        claim = yield from self._find_claim(volume, Key(reference["namespace"], reference["name"]))
        if claim is None:
            yield from self._release(volume)
        elif not claim["spec"].get("volumeName"):
            if volume_mode_of(claim) == volume_mode_of(volume):
                self._claim_queue.add(key_of(claim))
            else:
                self._tell_of_mismatch(volume, claim)
                self._resync_later(self._unsettled_volumes, key)
        elif claim["spec"]["volumeName"] == key.name:
            yield from self._copies.write_volume_phase(volume, "Bound")
        elif plan.is_provisioned(volume) and volume["spec"].get("persistentVolumeReclaimPolicy") == "Delete":
            yield from self._release(volume)
        else:
            volume = yield from self._copies.write(PERSISTENT_VOLUME, plan.without_claim(volume), volume)
            yield from self._copies.write_volume_phase(volume, "Available")
        return DONE

    def _find_claim(self, volume: Object, key: Key) -> Generator[Step, Any, Object | None]:
        """The claim that the volume is bound to; asks the API server before believing that it is gone."""
        uid = volume["spec"]["claimRef"]["uid"]
        claim = self._copies.claims.get(*key)
        is_known_lost = claim is None and plan.phase_of(volume) in ("Released", "Failed")
        if is_known_lost or (claim is not None and claim["metadata"]["uid"] == uid):
            return claim
        try:
            fresh: Object = yield get(PERSISTENT_VOLUME_CLAIM, *key)
        except ApiError as error:
            if error.code == 404:
                return None
            raise
        return fresh if fresh["metadata"]["uid"] == uid else None

    def _tell_of_mismatch(self, volume: Object, claim: Object) -> None:
        tail = "due to incompatible volumeMode."
        name = claim["metadata"]["name"]
        text = f'Cannot bind PersistentVolume to requested PersistentVolumeClaim "{name}" {tail}'
        self._recorder.event(volume, "Warning", "VolumeMismatch", text)
        name = volume["metadata"]["name"]
        text = f'Cannot bind PersistentVolume "{name}" to requested PersistentVolumeClaim {tail}'
        self._recorder.event(claim, "Warning", "VolumeMismatch", text)

    def _release(self, volume: Object) -> Steps:
        """The claim is gone: Released, and then what the policy says. Upstream: reclaimVolume @v1.36"""
        if plan.phase_of(volume) not in ("Released", "Failed"):
            volume = yield from self._copies.write_volume_phase(volume, "Released")
        policy = volume["spec"].get("persistentVolumeReclaimPolicy")
        if policy == "Delete":
            self._operations.delete(volume)
        elif policy == "Recycle":
            text = "No recycler plugin found for the volume!"
            yield from self._operations.fail(volume, "VolumeFailedRecycle", text)

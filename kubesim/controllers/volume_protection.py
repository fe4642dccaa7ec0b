"""Claims that Pods use and volumes that claims have are kept by a finalizer, whoever deletes them.

Two controllers. A claim's finalizer goes when no scheduled Pod refers to it, a volume's when it is not Bound.
Upstream: pkg/controller/volume/{pvcprotection,pvprotection} @v1.36
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Any, Final, final

from kubesim.api.kinds import PERSISTENT_VOLUME, PERSISTENT_VOLUME_CLAIM, POD
from kubesim.api.objects import Object, controller_of, is_deleting, with_metadata
from kubesim.api.requests import list_all, update
from kubesim.client.workqueue import WorkQueue
from kubesim.controllers.base import DONE, ControllerContext, Reconcile, Step, Worker
from kubesim.controllers.persistent_volume_plan import phase_of, without_finalizer
from kubesim.controllers.volume_claims import claim_names, index_by_claim, is_terminated, pods_using
from kubesim.errors import ApiError

CLAIM_PROTECTION: Final = "kubernetes.io/pvc-protection"
VOLUME_PROTECTION: Final = "kubernetes.io/pv-protection"


def _needs_look(obj: Object, finalizer: str) -> bool:
    """Whether the finalizer may have to go or is missing. Upstream: protectionutil @v1.36"""
    return is_deleting(obj) == (finalizer in (obj["metadata"].get("finalizers") or ()))


def _with_finalizer(obj: Object, finalizer: str) -> Object:
    return with_metadata(obj, finalizers=[*(obj["metadata"].get("finalizers") or ()), finalizer])


def is_using(pod: Object, claim: Object) -> bool:
    """Whether the Pod keeps the claim: it is on a node, and for a claim of its own it is not yet shut down.

    Upstream: podUsesPVCForDeletion @v1.36
    """
    if not pod["spec"].get("nodeName"):
        return False
    name = claim["metadata"]["name"]
    for volume in pod["spec"].get("volumes") or ():
        if "persistentVolumeClaim" in volume:
            if volume["persistentVolumeClaim"]["claimName"] == name:
                return True
        elif "ephemeral" in volume and f"{pod['metadata']['name']}-{volume['name']}" == name:
            is_shut_down = is_deleting(pod) and pod["metadata"].get("deletionGracePeriodSeconds") == 0
            owner = controller_of(claim)
            if not is_shut_down and owner is not None and owner["uid"] == pod["metadata"]["uid"]:
                return True
    return False


@final
class ClaimProtection:
    """Takes the finalizer from deleted claims that nobody uses.

    Works on a namespace at a time, so that one list of its Pods serves all claims deleted together.
    """

    name = "pvc-protection-controller"

    def __init__(self, context: ControllerContext) -> None:
        self._queue = WorkQueue(context.loop)
        self._waiting: dict[str, dict[str, None]] = {}
        self._claims = context.informers.lister(PERSISTENT_VOLUME_CLAIM)
        self._pods = context.informers.lister(POD)
        index_by_claim(self._pods)
        context.informers.informer(PERSISTENT_VOLUME_CLAIM).add_handler(
            self._on_claim, lambda _old, new: self._on_claim(new)
        )
        context.informers.informer(POD).add_handler(self._on_pod, self._on_pod_update, self._on_pod_delete)
        # Upstream: cmd/kube-controller-manager/app/core.go starts it with one worker.
        self.workers = (Worker(self._queue, self.reconcile, 1),)

    def _enqueue(self, namespace: str, name: str) -> None:
        self._waiting.setdefault(namespace, {})[name] = None
        self._queue.add(namespace)

    def _on_claim(self, claim: Object) -> None:
        if _needs_look(claim, CLAIM_PROTECTION):
            self._enqueue(claim["metadata"]["namespace"], claim["metadata"]["name"])

    def _on_pod_update(self, old: Object, new: Object) -> None:
        if not self._claims.objects:
            return
        if old["metadata"]["uid"] != new["metadata"]["uid"]:
            self._on_pod_delete(old)
        self._on_pod(new)

    def _on_pod(self, pod: Object) -> None:
        if is_terminated(pod):
            self._on_pod_delete(pod)

    def _on_pod_delete(self, pod: Object) -> None:
        for name in claim_names(pod):
            claim = self._claims.get(pod["metadata"]["namespace"], name)
            if claim is not None and _needs_look(claim, CLAIM_PROTECTION):
                self._enqueue(pod["metadata"]["namespace"], name)

    def reconcile(self, namespace: str) -> Reconcile:
        """Look at the claims of a namespace that something has happened to."""
        listed: list[Object] | None = None
        failure: ApiError | None = None
        for name in self._waiting.pop(namespace, {}):
            claim = self._claims.get(namespace, name)
            if claim is None or not _needs_look(claim, CLAIM_PROTECTION):
                continue
            try:
                if not is_deleting(claim):
                    yield update(PERSISTENT_VOLUME_CLAIM, _with_finalizer(claim, CLAIM_PROTECTION))
                    continue
                if any(is_using(pod, claim) for pod in pods_using(self._pods, namespace, name)):
                    continue
                if listed is None:
                    listed = yield from self._list(namespace)
                if not any(is_using(pod, claim) for pod in listed):
                    yield update(PERSISTENT_VOLUME_CLAIM, without_finalizer(claim, CLAIM_PROTECTION))
            except ApiError as error:
                # The other claims are not held up; this one comes back with the namespace.
                if error.code != 404:
                    self._waiting.setdefault(namespace, {})[name] = None
                    failure = error
        if failure is not None:
            raise failure
        return DONE

    def _list(self, namespace: str) -> Generator[Step, Any, list[Object]]:
        """The Pods that there are now: a new one may not have reached the informer. Upstream: LazyLivePodList @v1.36"""
        reply = yield list_all(POD, namespace)
        items: list[Object] = reply["items"]
        return items


@final
class VolumeProtection:
    """Takes the finalizer from deleted volumes that are not Bound."""

    name = "pv-protection-controller"

    def __init__(self, context: ControllerContext) -> None:
        self._queue = WorkQueue(context.loop)
        self._volumes = context.informers.lister(PERSISTENT_VOLUME)
        context.informers.informer(PERSISTENT_VOLUME).add_handler(
            self._on_volume, lambda _old, new: self._on_volume(new)
        )
        # Upstream: cmd/kube-controller-manager/app/core.go starts it with one worker.
        self.workers = (Worker(self._queue, self.reconcile, 1),)

    def _on_volume(self, volume: Object) -> None:
        if _needs_look(volume, VOLUME_PROTECTION):
            self._queue.add(volume["metadata"]["name"])

    def reconcile(self, name: str) -> Reconcile:
        """Look at one volume."""
        volume = self._volumes.get("", name)
        if volume is None or not _needs_look(volume, VOLUME_PROTECTION):
            return DONE
        if not is_deleting(volume):
            yield update(PERSISTENT_VOLUME, _with_finalizer(volume, VOLUME_PROTECTION))
        elif phase_of(volume) != "Bound":
            yield update(PERSISTENT_VOLUME, without_finalizer(volume, VOLUME_PROTECTION))
        return DONE

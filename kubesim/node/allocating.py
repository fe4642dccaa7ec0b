"""Which Pods of a node get the resources that they ask for anew, and in which order those that wait are asked again.

Upstream: pkg/kubelet/allocation/allocation_manager.go @v1.36
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, final

from kubesim.api.container_totals import total_of_pod
from kubesim.api.quantity import compare
from kubesim.node.admission import Rejection, claimed_by
from kubesim.node.resizing import (
    IN_PROGRESS,
    PENDING,
    Resizing,
    has_other_resources,
    resize_condition,
    resize_summary,
    with_resources_of,
)

if TYPE_CHECKING:
    from kubesim.api.objects import Object
    from kubesim.node.kubelet import Kubelet
    from kubesim.node.pod_worker import PodWorker


@final
class PendingResizes:
    """The resizes of one node that have not been granted. Upstream asks again every 3 minutes besides."""

    def __init__(self, kubelet: Kubelet) -> None:
        self._kubelet = kubelet
        self._waiting: dict[str, PodWorker] = {}

    def take(self, worker: PodWorker, given: Object) -> None:
        """The Pod's spec is new; `given` is the one with the resources that it has."""
        spec = worker.pod["spec"]
        if has_other_resources(spec, given):
            given = with_resources_of(spec, given)
            if worker.resizing is None:
                worker.resizing = Resizing(given)
            worker.resizing.spec = given
            self._waiting[worker.uid] = worker
            self._retry(None)
        elif worker.resizing is not None:
            worker.resizing.spec, worker.resizing.pending = spec, None
            self.withdraw(worker)

    def restore(self, worker: PodWorker, given: Object) -> None:
        """A Pod from before a stop of the kubelet, which gave it the resources of `given`.

        Others are to be known, too, before it is granted more.
        """
        spec = worker.pod["spec"]
        if has_other_resources(spec, given):
            worker.resizing = Resizing(with_resources_of(spec, given))
            self._waiting[worker.uid] = worker
            self.retry_soon()
        else:
            # What its containers have is seen at the first sync.
            worker.resizing = Resizing(spec)

    def withdraw(self, worker: PodWorker) -> None:
        """The Pod waits for nothing any more."""
        self._waiting.pop(worker.uid, None)

    def clear(self) -> None:
        """The kubelet's process ends."""
        self._waiting = {}

    def retry_soon(self) -> None:
        """Something has become free: ask again for those that wait, after what is happening now."""
        if self._waiting:
            self._kubelet.loop.post(0, self._retry, None)

    def _retry(self, _: None) -> None:
        for worker in sorted(self._waiting.values(), key=_turn):
            if worker.resizing is not None:
                self._ask(worker, worker.resizing)

    def _ask(self, worker: PodWorker, resizing: Resizing) -> None:
        spec, before = worker.pod["spec"], resizing.pending
        generation, now_ns = worker.pod["metadata"].get("generation", 0), self._kubelet.clock_ns
        refusal = self._grant(worker, spec)
        if refusal is None:
            self.withdraw(worker)
            resizing.spec, resizing.pending = spec, None
            resizing.in_progress = resize_condition(IN_PROGRESS, None, generation, now_ns)
            worker.event("Normal", "ResizeStarted", resize_summary("Pod resize started", spec, generation))
        else:
            pending = resize_condition(PENDING, before, generation, now_ns, "Deferred", refusal.message)
            if before is not None and before["lastProbeTime"] != pending["lastProbeTime"]:
                before = {**before, "lastProbeTime": pending["lastProbeTime"]}
            if before == pending:
                return
            resizing.pending = pending
            if before is None or before.get("observedGeneration") != generation:
                text = resize_summary(f"Pod resize {refusal.reason}", spec, generation, refusal.message)
                worker.event("Warning", "ResizeDeferred", text)
        worker.sync_resized()

    def _grant(self, worker: PodWorker, spec: Object) -> Rejection | None:
        """Take what the Pod asks for now in place of what it has; if there is not as much it keeps that."""
        before, wanted, resources = worker.counted, claimed_by(spec), self._kubelet.resources
        if before is None:
            return None
        resources.give_back(before)
        refusal = self._kubelet.eviction.check(worker.pod) or resources.check(wanted)
        worker.counted = before if refusal is not None else wanted
        resources.take(worker.counted)
        return refusal


def _turn(worker: PodWorker) -> tuple[Any, ...]:
    """First those that ask for no more, then the more important, then the guaranteed, then who has waited longer.

    Upstream: allocation_manager.go:sortPendingResizes @v1.36
    """
    pod, pending = worker.pod, worker.resizing.pending if worker.resizing is not None else None
    is_guaranteed = (pod.get("status") or {}).get("qosClass") == "Guaranteed"
    since = (0, pending["lastTransitionTime"]) if pending is not None else (1, "")
    return _asks_for_more(worker), -int(pod["spec"].get("priority") or 0), not is_guaranteed, since


def _asks_for_more(worker: PodWorker) -> bool:
    wanted, given = (total_of_pod(spec, "requests") for spec in (worker.pod["spec"], worker.spec))
    return any(compare(wanted.get(name, "0"), given.get(name, "0")) > 0 for name in ("cpu", "memory"))

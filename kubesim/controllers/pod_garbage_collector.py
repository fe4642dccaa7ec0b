"""Pod garbage collector: Pods that nobody else will ever remove.

Woken by nothing but time, every 20 s: Pods of a node that is gone for 40 s, terminating Pods that were never bound or
whose node is declared out of service, and the oldest finished Pods beyond 12500. Each is marked Failed, then deleted
without grace. What it looks at is kept by index and by event, so that a tick does not go through all Pods.

Upstream: pkg/controller/podgc/gc_controller.go @v1.36
"""

from __future__ import annotations

from collections.abc import Generator, Iterable
from typing import Any, final

from kubesim.api.conditions import with_condition
from kubesim.api.kinds import NODE, POD
from kubesim.api.objects import Object
from kubesim.api.requests import Options, Request, delete, get, patch
from kubesim.api.timestamps import to_time
from kubesim.client.workqueue import WorkQueue
from kubesim.controllers.attach_detach import is_healthy, is_out_of_service
from kubesim.controllers.base import ControllerContext, Reconcile, Result, Worker
from kubesim.controllers.together import together
from kubesim.errors import ApiError
from kubesim.sim.loop import SECOND

# Upstream: gc_controller.go:gcCheckPeriod, quarantineTime; --terminated-pod-gc-threshold=12500
_PERIOD_NS = 20 * SECOND
_QUARANTINE_NS = 40 * SECOND
TERMINATED_MAX = 12_500
_TICK = "tick"
_INDEX = "pod-garbage"
_FINISHED, _DELETING = "finished", "deleting"
_NOW = Options(grace_period_s=0)


def _index_values(pod: Object) -> tuple[str, ...]:
    is_finished = pod["status"].get("phase") in ("Succeeded", "Failed")
    if "deletionTimestamp" in pod["metadata"]:
        return (_FINISHED, _DELETING) if is_finished else (_DELETING,)
    return (_FINISHED,) if is_finished else ()


@final
class PodGarbageCollector:
    """The periodic loop over Pods."""

    name = "pod-garbage-collector-controller"

    def __init__(self, context: ControllerContext) -> None:
        self._loop = context.loop
        self._queue = WorkQueue(context.loop)
        self._pods = context.informers.lister(POD)
        self._nodes = context.informers.lister(NODE)
        self._pods.add_index(_INDEX, _index_values, reads_status=True)
        # Names of nodes that Pods may be bound to and that were not there when we looked.
        self._suspects: dict[str, None] = {}
        self._quarantine: dict[str, int] = {}
        context.informers.informer(POD).add_handler(self._on_pod_add, self._on_pod_update, reads_status=False)
        context.informers.informer(NODE).add_handler(on_delete=self._on_node_delete)
        self.workers = (Worker(self._queue, self.reconcile, 1),)
        self._queue.add(_TICK)

    # --- what it keeps in mind between two ticks ---

    def _on_pod_add(self, pod: Object) -> None:
        name = pod["spec"].get("nodeName")
        if name and ("", name) not in self._nodes.objects:
            self._suspects[name] = None

    def _on_pod_update(self, old: Object, new: Object) -> None:
        if old["spec"] is not new["spec"]:
            self._on_pod_add(new)

    def _on_node_delete(self, node: Object) -> None:
        self._suspects[node["metadata"]["name"]] = None

    # --- what it does ---

    def reconcile(self, _: str) -> Reconcile:
        """One tick. What fails is tried again at the next."""
        yield from self._collect_finished()
        yield from self._collect_out_of_service()
        yield from self._collect_orphans()
        yield from self._collect_unbound()
        return Result(_PERIOD_NS)

    def _collect_finished(self) -> Generator[Any, Any, None]:
        excess = len(self._pods.index_keys(_INDEX, _FINISHED)) - TERMINATED_MAX
        if excess > 0:
            finished = self._pods.by_index(_INDEX, _FINISHED)
            yield from self._remove_together(sorted(finished, key=_by_eviction_and_age)[:excess])

    def _collect_out_of_service(self) -> Generator[Any, Any, None]:
        deleting = self._pods.by_index(_INDEX, _DELETING)
        hopeless = [pod for pod in deleting if self._is_out_of_service(pod["spec"].get("nodeName", ""))]
        if hopeless:
            yield from self._remove_together(sorted(hopeless, key=_by_eviction_and_age))

    def _is_out_of_service(self, node_name: str) -> bool:
        node = self._nodes.get("", node_name)
        return not is_healthy(node) and is_out_of_service(node)

    def _collect_orphans(self) -> Generator[Any, Any, None]:
        bound = self._bound_to_missing()
        now_ns = self._loop.now_ns
        for name in bound:
            self._quarantine.setdefault(name, now_ns)
        due = [name for name, since_ns in self._quarantine.items() if now_ns - since_ns >= _QUARANTINE_NS]
        for name in due:
            del self._quarantine[name]
            if ("", name) in self._nodes.objects or not (yield from _is_node_gone(name)):
                continue
            for pod in bound.get(name, ()):
                condition = {
                    "type": "DisruptionTarget",
                    "observedGeneration": pod["metadata"].get("generation", 1),
                    "status": "True",
                    "lastProbeTime": None,
                    "lastTransitionTime": to_time(now_ns),
                    "reason": "DeletionByPodGC",
                    "message": "PodGC: node no longer exists",
                }
                yield from _removed(pod, condition)

    def _bound_to_missing(self) -> dict[str, list[Object]]:
        """The Pods of each node that is not there. Goes through all Pods, but only while a node is missed."""
        missing = [name for name in self._suspects if ("", name) not in self._nodes.objects]
        self._suspects = dict.fromkeys(missing)
        bound: dict[str, list[Object]] = {}
        if missing:
            for pod in self._pods.all():
                name = pod["spec"].get("nodeName")
                if name in self._suspects:
                    bound.setdefault(name, []).append(pod)
            self._suspects = dict.fromkeys(bound)
        return bound

    def _collect_unbound(self) -> Generator[Any, Any, None]:
        for pod in self._pods.by_index(_INDEX, _DELETING):
            if not pod["spec"].get("nodeName"):
                yield from _removed(pod, None)

    def _remove_together(self, pods: Iterable[Object]) -> Generator[Any, Any, None]:
        yield from together([_removed(pod, None) for pod in pods])


def _is_node_gone(name: str) -> Generator[Request, Any, bool]:
    try:
        yield get(NODE, "", name)
    except ApiError as error:
        return error.code == 404
    return False


def _removed(pod: Object, condition: Object | None) -> Generator[Any, Any, None]:
    """Mark the Pod Failed unless it has finished, and delete it at once.

    Upstream: gc_controller.go:markFailedAndDeletePodWithCondition @v1.36
    """
    metadata, status = pod["metadata"], pod["status"]
    namespace, name = metadata["namespace"], metadata["name"]
    try:
        if status.get("phase") not in ("Succeeded", "Failed"):
            changes: Object = {"phase": "Failed", "observedGeneration": metadata.get("generation", 1)}
            if condition is not None:
                changes["conditions"] = with_condition(status.get("conditions"), condition)
            body = {"metadata": {"uid": metadata["uid"]}, "status": changes}
            yield patch(POD, namespace, name, body, "strategic", "status")
        yield delete(POD, namespace, name, _NOW)
    except ApiError:
        # Upstream logs and goes on; the Pod is found again at the next tick if it is still there.
        return


def _by_eviction_and_age(pod: Object) -> tuple[bool, str, str]:
    is_evicted = pod["status"].get("phase") == "Failed" and pod["status"].get("reason") == "Evicted"
    return (not is_evicted, pod["metadata"]["creationTimestamp"], pod["metadata"]["name"])

"""Taint eviction: Pods leave a node with a NoExecute taint, at once or when their toleration has run out.

Woken by nodes whose NoExecute taints change and by Pods that come to a tainted node or change their tolerations. A
Pod's eviction is a timer that is called off when the taint goes. Pods of nodes without such taints cost nothing.

Upstream: pkg/controller/tainteviction/{taint_eviction,timed_workers}.go @v1.36
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import Any, NamedTuple, final

from kubesim.api.conditions import with_condition
from kubesim.api.kinds import NODE, POD
from kubesim.api.objects import Key, Object, key_of
from kubesim.api.requests import Request, delete, get, patch
from kubesim.api.timestamps import to_time
from kubesim.api.tolerations import tolerates
from kubesim.client.workqueue import WorkQueue
from kubesim.controllers.base import DONE, ControllerContext, Reconcile, Step, Wait, Worker
from kubesim.controllers.node_taints import taints_of
from kubesim.controllers.pods import index_by_node, pods_on
from kubesim.errors import ApiError
from kubesim.sim.loop import MILLISECOND, SECOND, Timer

# Upstream: taint_eviction.go:retries and the pause between them
_TRIES = 5
_RETRY_NS = 10 * MILLISECOND
# Upstream starts a goroutine for each Pod.
_UNLIMITED = 1_000_000_000


class _Eviction(NamedTuple):
    """A Pod's eviction to come; no timer once it is under way."""

    created_ns: int
    timer: Timer | None


def no_execute_taints(node: Object) -> list[Object]:
    """The taints that drive out Pods which do not tolerate them."""
    return [taint for taint in taints_of(node) if taint["effect"] == "NoExecute"]


def toleration_ns(taints: Sequence[Object], tolerations: Sequence[Object]) -> int | None:
    """How long a Pod may stay with these taints: 0 for not at all, None for ever.

    Of several tolerations of a taint the first counts, and of several taints the shortest time.
    """
    shortest_s: int | None = None
    for taint in taints:
        used = next((toleration for toleration in tolerations if tolerates(toleration, taint)), None)
        if used is None:
            return 0
        seconds = used.get("tolerationSeconds")
        if seconds is not None:
            shortest_s = max(0, seconds) if shortest_s is None else min(shortest_s, max(0, seconds))
    return None if shortest_s is None else shortest_s * SECOND


@final
class TaintEvictionController:
    """The control loop over NoExecute taints."""

    name = "taint-eviction-controller"

    def __init__(self, context: ControllerContext) -> None:
        self._loop = context.loop
        self._recorder = context.recorder
        self._nodes = context.informers.lister(NODE)
        self._pods = context.informers.lister(POD)
        index_by_node(self._pods)
        self._tainted: dict[str, list[Object]] = {}
        self._evictions: dict[Key, _Eviction] = {}
        self._node_queue = WorkQueue(context.loop)
        self._pod_queue = WorkQueue(context.loop)
        self._eviction_queue = WorkQueue(context.loop)
        context.informers.informer(NODE).add_handler(self._on_node_add, self._on_node_update, self._on_node_delete)
        context.informers.informer(POD).add_handler(self._on_pod, self._on_pod_update, self._on_pod, reads_status=False)
        # Nodes come first, so that a Pod is judged by its node's present taints.
        self.workers = (
            Worker(self._node_queue, self.reconcile_node, 8),
            Worker(self._pod_queue, self.reconcile_pod, 8),
            Worker(self._eviction_queue, self.evict, _UNLIMITED),
        )

    # --- what wakes it ---

    def _on_node_add(self, node: Object) -> None:
        # Also one without taints: it may have come back under its name, and its Pods may have evictions to come.
        self._node_queue.add(node["metadata"]["name"])

    def _on_node_update(self, old: Object, new: Object) -> None:
        if taints_of(old) is not taints_of(new) and no_execute_taints(old) != no_execute_taints(new):
            self._node_queue.add(new["metadata"]["name"])

    def _on_node_delete(self, node: Object) -> None:
        self._node_queue.add(node["metadata"]["name"])

    def _on_pod(self, pod: Object) -> None:
        if self._tainted or self._evictions:
            self._pod_queue.add(key_of(pod))

    def _on_pod_update(self, old: Object, new: Object) -> None:
        before, after = old["spec"], new["spec"]
        if before is not after and (
            before.get("nodeName") != after.get("nodeName") or before.get("tolerations") != after.get("tolerations")
        ):
            self._on_pod(new)

    # --- what it does ---

    def reconcile_node(self, name: str) -> Reconcile:
        """Judge all Pods of a node by its NoExecute taints as they are now."""
        yield from ()
        node = self._nodes.get("", name)
        taints = [] if node is None else no_execute_taints(node)
        if taints:
            self._tainted[name] = taints
        else:
            self._tainted.pop(name, None)
        if node is not None:
            for pod in pods_on(self._pods, name):
                self._judge(pod, taints)
        return DONE

    def reconcile_pod(self, key: Key) -> Reconcile:
        """Judge one Pod by its node's taints."""
        yield from ()
        pod = self._pods.get(*key)
        if pod is None:
            self._call_off(key)
            return DONE
        taints = self._tainted.get(pod["spec"].get("nodeName", ""))
        if taints is not None:
            self._judge(pod, taints)
        return DONE

    def _judge(self, pod: Object, taints: Sequence[Object]) -> None:
        """Begin, keep, move or call off the Pod's eviction. Upstream: processPodOnNode"""
        key = key_of(pod)
        wait_ns = toleration_ns(taints, pod["spec"].get("tolerations") or ()) if taints else None
        if wait_ns is None:
            self._call_off(key)
            return
        now_ns = created_ns = self._loop.now_ns
        planned = self._evictions.get(key)
        if planned is not None:
            if planned.timer is None:
                return
            if wait_ns:
                created_ns = planned.created_ns
                if created_ns < now_ns:
                    return
            self._call_off(key)
        if wait_ns:
            self._evictions[key] = _Eviction(created_ns, self._loop.timer(wait_ns, lambda: self._begin(key)))
        else:
            self._begin(key)

    def _begin(self, key: Key) -> None:
        self._evictions[key] = _Eviction(self._loop.now_ns, None)
        self._eviction_queue.add(key)

    def _call_off(self, key: Key) -> None:
        planned = self._evictions.get(key)
        if planned is None or planned.timer is None:
            return
        planned.timer.cancel()
        del self._evictions[key]
        self._event(key, f"Cancelling deletion of Pod {key}")

    def _event(self, key: Key, message: str) -> None:
        metadata = {"name": key.name, "namespace": key.namespace}
        reference = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata}
        self._recorder.event(reference, "Normal", "TaintManagerEviction", message)

    def evict(self, key: Key) -> Reconcile:
        """Mark the Pod as disrupted and delete it; given up after five tries."""
        self._event(key, f"Marking for deletion Pod {key}")
        for tries_left in reversed(range(_TRIES)):
            try:
                yield from self._delete(key)
                break
            except ApiError:
                if tries_left:
                    yield Wait(_RETRY_NS)
        self._evictions.pop(key, None)
        return DONE

    def _delete(self, key: Key) -> Generator[Step, Any, None]:
        """Upstream: addConditionAndDeletePod"""
        pod = yield get(POD, key.namespace, key.name)
        condition = {
            "type": "DisruptionTarget",
            "observedGeneration": pod["metadata"].get("generation", 0),
            "status": "True",
            "lastProbeTime": None,
            "lastTransitionTime": to_time(self._loop.now_ns),
            "reason": "DeletionByTaintManager",
            "message": "Taint manager: deleting due to NoExecute taint",
        }
        before = pod["status"].get("conditions")
        after = with_condition(before, condition)
        if after is not before:
            body = {"metadata": {"uid": pod["metadata"]["uid"]}, "status": {"conditions": after}}
            request: Request = patch(POD, key.namespace, key.name, body, "strategic", "status")
            yield request
        yield delete(POD, key.namespace, key.name)

"""Node lifecycle: nodes whose kubelet has gone silent become Unknown, are tainted, and their Pods not ready.

Every 5 s it looks at the nodes that have changed, that are not ready or whose heartbeat is overdue; the others need no
look. NoSchedule taints follow the conditions at once; NoExecute taints, which cost Pods their lives, wait in one queue
a zone, whose rate falls as the zone fails. Deleting the Pods is `taint_eviction`'s.

Upstream: pkg/controller/nodelifecycle/node_lifecycle_controller.go @v1.36
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Sequence
from typing import Any, final

from kubesim.api.kinds import LEASE, NODE, POD
from kubesim.api.objects import Key, Object, key_of, labels_of
from kubesim.api.requests import Request, get, update
from kubesim.client.workqueue import WorkQueue
from kubesim.controllers.base import DONE, ControllerContext, Reconcile, Result, Step, Wait, Worker
from kubesim.controllers.node_health import Heartbeats, ready_of, with_unknown_conditions
from kubesim.controllers.node_pods import mark_pods_not_ready
from kubesim.controllers.node_taints import (
    NOT_READY,
    UNREACHABLE,
    Taint,
    has_taint,
    plan_no_schedule,
    remove_taints,
    swap_taints,
)
from kubesim.controllers.pods import index_by_node, pods_on
from kubesim.controllers.together import together
from kubesim.controllers.zone_disruption import (
    FULL,
    INITIAL,
    NEVER_NS,
    TaintQueue,
    compute_zone_state,
    eviction_interval_ns,
    zone_of,
)
from kubesim.errors import ApiError
from kubesim.sim.loop import MILLISECOND, SECOND

# Upstream: --node-monitor-period=5s, scheduler.NodeEvictionPeriod, and how many nodes are looked at together
_PERIOD = Result(5 * SECOND)
_TAINTING_PERIOD_NS = 100 * MILLISECOND
_TOGETHER = 8
_HEALTH_TRIES = 6
_HEALTH_WAIT_NS = 20 * MILLISECOND
_TICK = "tick"
_NOT_DISRUPTED = "node.kubernetes.io/exclude-disruption"
_TAINT_BY_STATUS = {"False": (NOT_READY, UNREACHABLE), "Unknown": (UNREACHABLE, NOT_READY)}
Part = Generator[Request | Wait, Any, None]


def _reference(node: Object) -> Object:
    """What an event about the node is attached to."""
    metadata = node["metadata"]
    return {"apiVersion": "v1", "kind": "Node", "metadata": {"name": metadata["name"], "uid": metadata["uid"]}}


@final
class NodeLifecycleController:
    """The periodic loop over nodes, and the workers for their taints and for Pods that come to unready nodes."""

    name = "node-controller"

    def __init__(self, context: ControllerContext) -> None:
        self._loop = context.loop
        self._recorder = context.recorder
        informers = context.informers
        self._nodes = informers.lister(NODE)
        self._pods = informers.lister(POD)
        index_by_node(self._pods)
        self._heartbeats = Heartbeats(informers.lister(LEASE))
        self._known: dict[str, Object] = {}
        self._changed: dict[str, None] = {}
        self._unready: dict[str, None] = {}
        self._pods_to_retry: dict[str, None] = {}
        # Zone and readiness of each node that counts for the state of its zone.
        self._counted: dict[str, tuple[str, bool]] = {}
        self._counts_changed = False
        self._zone_states: dict[str, str] = {}
        self._taint_queues: dict[str, TaintQueue] = {}
        monitor, tainting, nodes, pods = (WorkQueue(context.loop) for _ in range(4))
        self._tainting, self._node_queue, self._pod_queue = tainting, nodes, pods
        informers.informer(NODE).add_handler(self._on_node, lambda _, new: self._on_node(new), self._on_node_delete)
        informers.informer(LEASE).add_handler(self._heartbeats.on_lease, self._heartbeats.on_lease_update)
        informers.informer(POD).add_handler(self._on_pod_add, self._on_pod_update, reads_status=False)
        monitor.add(_TICK)
        self.workers = (
            Worker(monitor, self.monitor, 1),
            Worker(tainting, self.taint_next, 1),
            Worker(nodes, self.reconcile_node, 8),
            Worker(pods, self.reconcile_pod, 4),
        )

    # --- what wakes it ---

    def _on_node(self, node: Object) -> None:
        name = node["metadata"]["name"]
        self._changed[name] = None
        self._node_queue.add(name)

    def _on_node_delete(self, node: Object) -> None:
        name = node["metadata"]["name"]
        self._changed[name] = None
        self._pods_to_retry.pop(name, None)

    def _on_pod_add(self, pod: Object) -> None:
        if self._heartbeats.is_known_unready(pod["spec"].get("nodeName", "")):
            self._pod_queue.add(key_of(pod))

    def _on_pod_update(self, old: Object, new: Object) -> None:
        if old["spec"] is not new["spec"] and old["spec"].get("nodeName") != new["spec"].get("nodeName"):
            self._on_pod_add(new)

    # --- NoSchedule taints, as soon as a node changes ---

    def reconcile_node(self, name: str) -> Reconcile:
        """Have the node's NoSchedule taints tell its conditions. What fails waits for the node's next change."""
        node = self._nodes.get("", name)
        if node is not None:
            added, removed = plan_no_schedule(node)
            if added or removed:
                yield from self._quietly(swap_taints(node, added, removed, self._loop.now_ns))
        return DONE

    # --- Pods that come to a node that is not ready ---

    def reconcile_pod(self, key: Key) -> Reconcile:
        """Mark a Pod not ready that has been bound to a node that is not ready itself."""
        pod = self._pods.get(*key)
        if pod is not None and self._heartbeats.is_known_unready(pod["spec"].get("nodeName", "")):
            failure = yield from self._mark_not_ready([pod])
            if failure is not None:
                raise failure
        return DONE

    # --- the periodic look. Upstream: monitorNodeHealth ---

    def monitor(self, _tick: str) -> Reconcile:
        """Look at all nodes that need it."""
        silent = self._heartbeats.take_in(self._loop.now_ns)
        if silent or self._changed or self._unready or self._pods_to_retry:
            changed, self._changed = self._changed, {}
            yield from self._register(changed)
            names = list(dict.fromkeys((*changed, *silent, *self._unready, *self._pods_to_retry)))
            for start in range(0, len(names), _TOGETHER):
                yield from together([self._examine(name) for name in names[start : start + _TOGETHER]])
            if self._counts_changed:
                self._counts_changed = False
                yield from self._handle_disruption()
        return _PERIOD

    def _register(self, changed: Iterable[str]) -> Generator[Step, Any, None]:
        """Take note of nodes and zones that are new or gone. Upstream: classifyNodes"""
        for name in changed:
            node = self._nodes.get("", name)
            known = self._known.get(name)
            if node is not None:
                if zone_of(node) not in self._zone_states:
                    self._zone_states[zone_of(node)] = INITIAL
                    self._taint_queues[zone_of(node)] = TaintQueue()
                if known is None:
                    self._node_event(node, "RegisteredNode", f"Registered Node {name} in Controller")
                    yield from self._quietly(self._mark_reachable(node))
                self._known[name] = node
            elif known is not None:
                self._node_event(known, "RemovingNode", f"Removing Node {name} from Controller")
                self._forget(name)

    def _node_event(self, node: Object, reason: str, what: str) -> None:
        name = node["metadata"]["name"]
        self._recorder.event(_reference(node), "Normal", reason, f"Node {name} event: {what}")

    def _forget(self, name: str) -> None:
        self._known.pop(name, None)
        self._unready.pop(name, None)
        self._pods_to_retry.pop(name, None)
        self._heartbeats.forget(name)
        if self._counted.pop(name, None) is not None:
            self._counts_changed = True

    def _examine(self, name: str) -> Part:
        """One node: its health, its NoExecute taint, and its Pods when it has just become unready."""
        node = self._nodes.get("", name)
        if node is None or name not in self._known:
            return
        for _ in range(_HEALTH_TRIES):
            observed = (ready_of(node) or {}).get("status", "Unknown")
            try:
                node = yield from self._update_health(node)
                break
            except ApiError:
                node = yield get(NODE, "", name)
                yield Wait(_HEALTH_WAIT_NS)
        else:
            return
        ready = ready_of(node)
        self._count(node, ready)
        if ready is not None:
            yield from self._quietly(self._taint_by_readiness(node, ready["status"]))
            is_ready = ready["status"] == "True"
            if not is_ready and observed == "True":
                message = f"Node {name} status is now: NodeNotReady"
                self._recorder.event(_reference(node), "Normal", "NodeNotReady", message)
            if (observed == "True" and not is_ready) or (observed != "True" and name in self._pods_to_retry):
                failure = yield from self._mark_not_ready(pods_on(self._pods, name))
                if failure is not None:
                    self._pods_to_retry[name] = None
                    return
        self._pods_to_retry.pop(name, None)

    def _update_health(self, node: Object) -> Generator[Request | Wait, Any, Object]:
        """The node, after its conditions have been set to Unknown if it has been silent for too long."""
        now_ns = self._loop.now_ns
        if not self._heartbeats.is_silent(node, now_ns):
            return node
        unknown = with_unknown_conditions(node, now_ns)
        if ready_of(unknown) != ready_of(node):
            yield update(NODE, unknown, "status")
            self._heartbeats.note_written(unknown)
        return unknown

    def _count(self, node: Object, ready: Object | None) -> None:
        name = node["metadata"]["name"]
        is_ready = ready is not None and ready["status"] == "True"
        if is_ready:
            self._unready.pop(name, None)
        else:
            self._unready[name] = None
        counted = None if _NOT_DISRUPTED in labels_of(node) else (zone_of(node), is_ready)
        if self._counted.get(name) != counted:
            self._counts_changed = True
            if counted is None:
                del self._counted[name]
            else:
                self._counted[name] = counted

    def _mark_not_ready(self, pods: Sequence[Object]) -> Generator[Request | Wait, Any, ApiError | None]:
        return mark_pods_not_ready(self._loop, self._recorder, pods)

    # --- NoExecute taints ---

    def _taint_by_readiness(self, node: Object, status: str) -> Part:
        """Upstream: processTaintBaseEviction, markNodeForTainting"""
        pair = _TAINT_BY_STATUS.get(status)
        if pair is None:
            yield from self._mark_reachable(node)
            return
        wanted, opposite = pair
        if has_taint(node, opposite):
            yield from swap_taints(node, [wanted], [opposite], self._loop.now_ns)
            return
        queue, name = self._taint_queues[zone_of(node)], node["metadata"]["name"]
        if not has_taint(node, wanted):
            queue.remove(name)
        if queue.add(name):
            self._wake_tainting()

    def _mark_reachable(self, node: Object) -> Part:
        yield from remove_taints(node, [UNREACHABLE])
        yield from remove_taints(node, [NOT_READY])
        self._taint_queues[zone_of(node)].remove(node["metadata"]["name"])

    def _wake_tainting(self) -> None:
        wait_ns = self._tainting_wait_ns()
        if wait_ns is not None:
            self._tainting.add_after(_TICK, wait_ns)

    def _tainting_wait_ns(self) -> int | None:
        """How long until a pass of the taint queues, which come every 100 ms, has something to do; None for never."""
        now_ns = self._loop.now_ns
        waits = [wait for queue in self._taint_queues.values() if (wait := queue.wait_ns(now_ns)) is not None]
        if not waits:
            return None
        passes = (now_ns + min(waits)) // _TAINTING_PERIOD_NS + 1
        return passes * _TAINTING_PERIOD_NS - now_ns

    def taint_next(self, _tick: str) -> Reconcile:
        """Give the nodes whose turn it is their NoExecute taint. Upstream: doNoExecuteTaintingPass"""
        for queue in list(self._taint_queues.values()):
            while (name := queue.head()) is not None and queue.try_take(self._loop.now_ns):
                done = yield from self._taint(name)
                if done:
                    queue.done(name)
                else:
                    queue.retry(name)
        wait_ns = self._tainting_wait_ns()
        return DONE if wait_ns is None else Result(wait_ns)

    def _taint(self, name: str) -> Generator[Request | Wait, Any, bool]:
        node = self._nodes.get("", name)
        if node is None:
            return True
        ready = ready_of(node)
        if ready is None:
            return False
        pair: tuple[Taint, Taint] | None = _TAINT_BY_STATUS.get(ready["status"])
        if pair is None:
            return True
        return (yield from self._quietly(swap_taints(node, [pair[0]], [pair[1]], self._loop.now_ns)))

    @staticmethod
    def _quietly(part: Part) -> Generator[Request | Wait, Any, bool]:
        """Whether it succeeded; upstream logs such a failure and leaves it to the next look."""
        try:
            yield from part
        except ApiError:
            return False
        return True

    # --- zones ---

    def _handle_disruption(self) -> Generator[Step, Any, None]:
        """Bring the zones' rates in line with how many of their nodes are ready. Upstream: handleDisruption"""
        counts: dict[str, list[int]] = {}
        for zone, is_ready in self._counted.values():
            counts.setdefault(zone, [0, 0])[0 if is_ready else 1] += 1
        states = self._zone_states
        new = {zone: compute_zone_state(*count) for zone, count in counts.items()}
        for zone in list(states):
            if zone not in new:
                del states[zone]
        is_all_full = all(state == FULL for state in new.values())
        was_all_full = all(state == FULL for state in states.values())
        if is_all_full and was_all_full:
            return
        now_ns = self._loop.now_ns
        if is_all_full:
            # Not one node is heard from: it is rather us who are cut off, so nothing is evicted at all.
            for node in list(self._nodes.all()):
                if zone_of(node) in self._taint_queues:
                    yield from self._quietly(self._mark_reachable(node))
        elif was_all_full:
            self._heartbeats.start_anew(now_ns)
        for zone, state in new.items():
            interval_ns = NEVER_NS if is_all_full else eviction_interval_ns(state, sum(counts[zone]))
            if is_all_full or was_all_full or states.get(zone) != state:
                self._taint_queues[zone].set_interval(interval_ns, now_ns)
            states[zone] = state
        self._wake_tainting()

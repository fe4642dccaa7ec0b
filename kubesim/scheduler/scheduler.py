"""The scheduler as a process: hears of Pods and nodes, runs one cycle after the other, binds, and tells.

A cycle is synchronous; a binding is not. Between the two the Pod is assumed on its node: it counts there until the
bound Pod comes back through the informer, or until the binding fails and it is forgotten.
Upstream: pkg/scheduler/{scheduler,schedule_one,eventhandlers}.go @v1.36
"""

from __future__ import annotations

from typing import Final, final

from kubesim.api.conditions import with_condition
from kubesim.api.kinds import (
    CSI_NODE,
    NAMESPACE,
    NODE,
    PERSISTENT_VOLUME,
    PERSISTENT_VOLUME_CLAIM,
    POD,
    POD_DISRUPTION_BUDGET,
    REPLICA_SET,
    REPLICATION_CONTROLLER,
    SERVICE,
    STATEFUL_SET,
    STORAGE_CLASS,
)
from kubesim.api.objects import Object, labels_of
from kubesim.api.requests import create_subresource, patch
from kubesim.api.scheme import Kind
from kubesim.api.timestamps import to_time
from kubesim.client.informer import InformerFactory
from kubesim.client.port import Client, Reply, ignore_reply
from kubesim.client.recorder import Recorder
from kubesim.errors import ApiError
from kubesim.scheduler.cycle import Cycle, Failure
from kubesim.scheduler.hints import Event, Happening, asks_for_less, node_events
from kubesim.scheduler.nominator import Nominator
from kubesim.scheduler.plugins.volume_binding import Plan
from kubesim.scheduler.preemptor import Preemptor
from kubesim.scheduler.queue import QueuedPod, SchedulingQueue
from kubesim.scheduler.snapshot import Listers, NodeInfo, Snapshot
from kubesim.scheduler.volume_binder import VolumeBinder
from kubesim.sim.chooser import Stream
from kubesim.sim.loop import MICROSECOND, Loop, Timer

NAME: Final = "default-scheduler"
# What one cycle takes, 2,000 Pods a second: our assumption. kube-scheduler's own benchmark asks for at least 270 a
# second on 5,000 nodes (test/integration/scheduler_perf/misc/performance-config.yaml @v1.36); what bounds a rollout on
# a real cluster is its controllers' request limit, and a cycle much longer than this would hide that.
CYCLE_NS: Final = 500 * MICROSECOND
_MESSAGE_MAX: Final = 1024
_FINISHED: Final = frozenset({"Succeeded", "Failed"})


@final
class Scheduler:
    """The default scheduler. It starts to work once its informers do."""

    def __init__(
        self, loop: Loop, client: Client, informers: InformerFactory, recorder: Recorder, stream: Stream
    ) -> None:
        self._loop = loop
        self._client = client
        self._recorder = recorder
        self._informers = informers
        self._pods = informers.lister(POD)
        self.snapshot = Snapshot(_listers(informers))
        self.nominator = Nominator()
        self.queue = SchedulingQueue()
        self._cycle = Cycle(self.snapshot, self.nominator, stream)
        self._volumes = VolumeBinder(loop, client, self.snapshot.listers, self._cycle.plugins.volume_binding)
        self._preemptor = Preemptor(loop, client, recorder, self.nominator, self._pods)
        self._assumed: dict[str, QueuedPod] = {}
        self._is_armed = False
        self._is_stopped = False
        self._flush_timer: Timer | None = None
        self._flush_at_ns = 0
        informers.informer(NODE).add_handler(self._on_node_add, self._on_node_update, self._on_node_delete)
        self._listen_to_grouping()
        self._listen_to_storage()
        informers.informer(POD).add_handler(self._on_pod_add, self._on_pod_update, self._on_pod_delete)

    def stop(self) -> None:
        """The process has ended: nothing more is decided, and answers under way reach nobody."""
        self._is_stopped = True
        self._preemptor.stop()
        if self._flush_timer is not None:
            self._flush_timer.cancel()

    # Pods

    def _on_pod_add(self, pod: Object) -> None:
        if _is_finished(pod):
            return
        if pod["spec"].get("nodeName"):
            self._on_bound(pod)
        elif _is_ours(pod):
            profile = self.snapshot.profiles.of(pod)
            nominated = (pod.get("status") or {}).get("nominatedNodeName", "")
            if nominated:
                self.nominator.add(pod["metadata"]["uid"], profile, nominated)
            self.queue.add(pod, profile, self._loop.now_ns)
            self._wake()

    def _on_pod_update(self, old: Object, pod: Object) -> None:
        # Upstream's informer selects by phase, so that to it a Pod that finishes is one that is deleted.
        if _is_finished(pod):
            if not _is_finished(old):
                self._on_pod_delete(pod)
            return
        if old["metadata"]["uid"] != pod["metadata"]["uid"]:
            self._on_pod_delete(old)
            self._on_pod_add(pod)
        elif not pod["spec"].get("nodeName"):
            if _is_ours(pod):
                self._on_waiting_update(old, pod)
        elif not old["spec"].get("nodeName"):
            self._on_bound(pod)
        else:
            uid = pod["metadata"]["uid"]
            if self.snapshot.has_pod(uid):
                before, after = self.snapshot.update_pod(pod)
                if before is not after and asks_for_less(after, before):
                    self._move(Happening(Event.POD_SCALE_DOWN, pod=after, old_pod=before))
                if old["metadata"].get("labels") != pod["metadata"].get("labels"):
                    self._move(Happening(Event.POD_LABEL, pod=self.snapshot.profiles.of(pod)))

    def _on_pod_delete(self, pod: Object) -> None:
        uid = pod["metadata"]["uid"]
        self.queue.remove(uid)
        self.nominator.remove(uid)
        if self.snapshot.has_pod(uid):
            # Assumed or bound: what it took is free again. The binding under way will fail by itself.
            self._assumed.pop(uid, None)
            self.snapshot.remove_pod(uid)
            self._move(Happening(Event.POD_DELETE, pod=self.snapshot.profiles.of(pod)))
        elif (pod.get("status") or {}).get("nominatedNodeName"):
            self._move(Happening(Event.POD_DELETE, pod=self.snapshot.profiles.of(pod)))

    def _on_bound(self, pod: Object) -> None:
        """A Pod has a node, by our binding or by someone else's."""
        uid, node_name = pod["metadata"]["uid"], pod["spec"]["nodeName"]
        self._assumed.pop(uid, None)
        self.queue.remove(uid)
        self.nominator.remove(uid)
        snapshot = self.snapshot
        if snapshot.node_of(uid) == node_name:
            snapshot.update_pod(pod)
        else:
            snapshot.remove_pod(uid)
            snapshot.add_pod(pod, node_name)
        if self.queue.has_pool:
            self._move(Happening(Event.POD_ADD, pod=snapshot.profiles.of(pod)))

    def _on_waiting_update(self, old: Object, pod: Object) -> None:
        uid = pod["metadata"]["uid"]
        if uid in self._assumed:
            if "deletionTimestamp" in pod["metadata"] and "deletionTimestamp" not in old["metadata"]:
                del self._assumed[uid]
                self.snapshot.remove_pod(uid)
                self._move(Happening(Event.POD_DELETE, pod=self.snapshot.profiles.of(pod)))
            return
        profile = self.snapshot.profiles.of(pod)
        self.queue.update(pod, profile, self._loop.now_ns)
        before = (old.get("status") or {}).get("nominatedNodeName", "")
        nominated = (pod.get("status") or {}).get("nominatedNodeName", "")
        if before != nominated:
            self.nominator.add(uid, profile, nominated)
            if before:
                self._move(Happening(Event.POD_DELETE, pod=profile))
        self._wake()

    # Nodes and the rest

    def _on_node_add(self, node: Object) -> None:
        self.snapshot.add_node(node)
        self._move(Happening(Event.NODE_ADD, node=self.snapshot.nodes[node["metadata"]["name"]]))

    def _on_node_update(self, old: Object, node: Object) -> None:
        self.snapshot.update_node(node)
        events = node_events(old, node)
        if events and self.queue.has_pool:
            before, after = NodeInfo(old), NodeInfo(node)
            for event in events:
                self._move(Happening(event, old_node=before, node=after))

    def _on_node_delete(self, node: Object) -> None:
        if self.queue.has_pool:
            self._move(Happening(Event.NODE_DELETE, old_node=NodeInfo(node)))
        self.snapshot.remove_node(node["metadata"]["name"])

    def _listen_to_grouping(self) -> None:
        """What belongs together by default depends on Services, owners and namespaces' labels."""
        forget = self._cycle.classes.forget

        def on_owner(owner: Object) -> None:
            owned = (owner["kind"], owner["metadata"]["name"])
            namespace = owner["metadata"]["namespace"]
            forget(lambda profile: profile.owner == owned and profile.namespace == namespace)

        for kind in (REPLICA_SET, STATEFUL_SET, REPLICATION_CONTROLLER):
            self._informers.informer(kind).add_handler(on_owner, on_delete=on_owner)

        def on_service(service: Object) -> None:
            namespace, wanted = service["metadata"]["namespace"], service["spec"].get("selector")
            if wanted is not None:
                forget(lambda p: p.namespace == namespace and all(p.labels.get(k) == v for k, v in wanted.items()))

        def on_service_update(old: Object, service: Object) -> None:
            if old["spec"].get("selector") != service["spec"].get("selector"):
                on_service(old)
                on_service(service)

        self._informers.informer(SERVICE).add_handler(on_service, on_service_update, on_service)

        def on_namespace_update(old: Object, namespace: Object) -> None:
            if labels_of(old) != labels_of(namespace):
                forget(lambda _: True)

        self._informers.informer(NAMESPACE).add_handler(on_update=on_namespace_update)

    def _listen_to_storage(self) -> None:
        for kind, on_add, on_update in (
            (PERSISTENT_VOLUME_CLAIM, Event.CLAIM_ADD, Event.CLAIM_UPDATE),
            (PERSISTENT_VOLUME, Event.VOLUME_ADD, Event.VOLUME_UPDATE),
            (STORAGE_CLASS, Event.CLASS_ADD, Event.CLASS_UPDATE),
            (CSI_NODE, Event.CSI_NODE_ADD, Event.CSI_NODE_UPDATE),
        ):
            self._listen_to(kind, on_add, on_update)

    def _listen_to(self, kind: Kind, on_add: Event, on_update: Event) -> None:
        def changed(event: Event, obj: Object) -> None:
            self._volumes.check()
            self._move(Happening(event, obj=obj))

        self._informers.informer(kind).add_handler(
            lambda obj: changed(on_add, obj), lambda _, obj: changed(on_update, obj), lambda _: self._volumes.check()
        )

    def _move(self, happening: Happening) -> None:
        self.queue.move(happening, self._loop.now_ns)
        self._wake()

    # Cycles

    def _wake(self) -> None:
        """See to it that a cycle runs while one can, and that time's own doings are not missed."""
        if self._is_stopped:
            return
        if not self._is_armed and self.queue.has_next:
            self._is_armed = True
            self._loop.post(CYCLE_NS, self._run_next, None)
        if not self.queue.waits_for_time:
            return
        at_ns = self.queue.next_flush_ns(self._loop.now_ns)
        timer = self._flush_timer
        if at_ns is None or (timer is not None and timer.pending and self._flush_at_ns <= at_ns):
            return
        if timer is not None:
            timer.cancel()
        self._flush_at_ns = at_ns
        self._flush_timer = self._loop.timer(at_ns - self._loop.now_ns, self._flush)

    def _flush(self) -> None:
        self.queue.flush(self._loop.now_ns)
        self._wake()

    def _run_next(self, _: object) -> None:
        self._is_armed = False
        if self._is_stopped:
            return
        queued = self.queue.pop()
        if queued is not None:
            self._schedule(queued)
        self._wake()

    def _schedule(self, queued: QueuedPod) -> None:
        pod = queued.pod
        metadata = pod["metadata"]
        if "deletionTimestamp" in metadata:
            text = f"skip schedule deleting pod: {metadata['namespace']}/{metadata['name']}"
            self._recorder.event(pod, "Warning", "FailedScheduling", text)
            return
        if self.snapshot.has_pod(queued.uid):
            return
        outcome = self._cycle.run(pod, queued.profile)
        if isinstance(outcome, Failure):
            self._fail(queued, outcome, "Unschedulable")
            return
        self.snapshot.add_pod(pod, outcome.node_name, queued.profile)
        self._assumed[queued.uid] = queued
        self.nominator.remove(queued.uid)
        if outcome.plan is None:
            self._bind(queued, outcome.node_name)
        else:
            self._bind_volumes(queued, outcome.node_name, outcome.plan)

    def _bind_volumes(self, queued: QueuedPod, node_name: str, plan: Plan) -> None:
        """Tell where the Pod is about to go, have its volumes made ready there, then bind."""
        metadata = queued.pod["metadata"]
        expected = {"status": {"nominatedNodeName": node_name}}
        self._client.send(
            patch(POD, metadata["namespace"], metadata["name"], expected, "strategic", "status"), ignore_reply
        )

        def on_done(problem: str) -> None:
            if self._is_stopped:
                return
            if problem:
                self._fail_binding(queued, problem)
            else:
                self._bind(queued, node_name)

        self._volumes.bind(queued.uid, plan, node_name, on_done)

    def _bind(self, queued: QueuedPod, node_name: str) -> None:
        metadata = queued.pod["metadata"]
        namespace, name = metadata["namespace"], metadata["name"]
        binding = {
            "apiVersion": "v1",
            "kind": "Binding",
            "metadata": {"namespace": namespace, "name": name, "uid": queued.uid},
            "target": {"kind": "Node", "name": node_name},
        }

        def on_reply(reply: Reply) -> None:
            if self._is_stopped:
                return
            if isinstance(reply, ApiError):
                self._fail_binding(queued, f'running Bind plugin "DefaultBinder": {reply.message}')
            else:
                text = f"Successfully assigned {namespace}/{name} to {node_name}"
                self._recorder.event(queued.pod, "Normal", "Scheduled", text)

        self._client.send(create_subresource(POD, namespace, name, "binding", binding), on_reply)

    def _fail_binding(self, queued: QueuedPod, problem: str) -> None:
        if self._assumed.pop(queued.uid, None) is not None:
            self.snapshot.remove_pod(queued.uid)
            self._move(Happening(Event.POD_DELETE, pod=queued.profile))
        self._fail(queued, Failure(problem, frozenset(), None, ""), "SchedulerError")
        self._wake()

    def _fail(self, queued: QueuedPod, failure: Failure, reason: str) -> None:
        """Put the Pod back, carry out a preemption, and tell by event and condition.

        Upstream: schedule_one.go:handleSchedulingFailure @v1.36
        """
        metadata = queued.pod["metadata"]
        current = self._pods.get(metadata["namespace"], metadata["name"])
        is_waiting = current is not None and not current["spec"].get("nodeName")
        if current is not None and is_waiting:
            if current["metadata"]["uid"] != queued.uid:
                return
            queued.pod, queued.profile = current, self.snapshot.profiles.of(current)
            self.queue.put_back(queued, failure.plugins, self._loop.now_ns)
            if failure.nomination is not None:
                self.nominator.add(queued.uid, queued.profile, failure.nomination)
            if failure.candidate is not None:
                self._preemptor.evict(failure.candidate, queued.pod, queued.profile, self._on_preemption_failed)
        self._recorder.event(queued.pod, "Warning", "FailedScheduling", _truncated(failure.message))
        if current is not None:
            self._write_failure(current, failure, reason)

    def _on_preemption_failed(self, uid: str) -> None:
        self.queue.activate(uid)
        self._wake()

    def _write_failure(self, pod: Object, failure: Failure, reason: str) -> None:
        metadata, status = pod["metadata"], pod.get("status") or {}
        condition = {
            "type": "PodScheduled",
            "status": "False",
            "lastProbeTime": None,
            "lastTransitionTime": to_time(self._loop.now_ns),
            "reason": reason,
            "message": failure.message,
        }
        if "generation" in metadata:
            condition["observedGeneration"] = metadata["generation"]
        # On the wire an absent lastProbeTime is null; what the API hands out lacks the field.
        held = status.get("conditions") or []
        comparable = {name: text for name, text in condition.items() if text is not None}
        changes: Object = {}
        kept = with_condition(held, comparable)
        if kept is not held:
            written = next(one for one in kept if one["type"] == "PodScheduled")
            changes["conditions"] = [{"lastProbeTime": None, **written}]
        nominated = failure.nomination
        if nominated is not None and nominated != status.get("nominatedNodeName", ""):
            changes["nominatedNodeName"] = nominated or None
        if changes:
            self._client.send(
                patch(POD, metadata["namespace"], metadata["name"], {"status": changes}, "strategic", "status"),
                ignore_reply,
            )


def _listers(informers: InformerFactory) -> Listers:
    return Listers(
        namespaces=informers.lister(NAMESPACE),
        services=informers.lister(SERVICE),
        replication_controllers=informers.lister(REPLICATION_CONTROLLER),
        replica_sets=informers.lister(REPLICA_SET),
        stateful_sets=informers.lister(STATEFUL_SET),
        claims=informers.lister(PERSISTENT_VOLUME_CLAIM),
        volumes=informers.lister(PERSISTENT_VOLUME),
        storage_classes=informers.lister(STORAGE_CLASS),
        csi_nodes=informers.lister(CSI_NODE),
        budgets=informers.lister(POD_DISRUPTION_BUDGET),
    )


def _is_finished(pod: Object) -> bool:
    return (pod.get("status") or {}).get("phase") in _FINISHED


def _is_ours(pod: Object) -> bool:
    return bool(pod["spec"].get("schedulerName", NAME) == NAME)


def _truncated(message: str) -> str:
    """Upstream: schedule_one.go:truncateMessage @v1.36"""
    return message if len(message) <= _MESSAGE_MAX else message[: _MESSAGE_MAX - 4] + " ..."

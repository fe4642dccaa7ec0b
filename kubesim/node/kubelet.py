"""The kubelet of one node: its Pods by a watch, their workers, the node's status and heartbeat.

It can be stopped (a crash of the process: containers run on) and the node under it can crash (everything on it is gone,
and nobody is told); `start` begins again with what the API and the runtime then show.
Upstream: pkg/kubelet/kubelet.go @v1.36
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple, final

from kubesim.api.kinds import NODE, POD
from kubesim.api.requests import Options, get
from kubesim.api.timestamps import from_time
from kubesim.client.informer import Informer
from kubesim.client.recorder import Recorder
from kubesim.errors import ApiError
from kubesim.node.addresses import PodAddresses
from kubesim.node.admission import NodeResources, Rejection, check_node, claimed_by
from kubesim.node.allocating import PendingResizes
from kubesim.node.eviction import Eviction
from kubesim.node.lease import LeaseRenewal
from kubesim.node.node_status import NodeReporter
from kubesim.node.phase import TERMINAL_PHASES
from kubesim.node.pod_worker import PodWorker
from kubesim.node.runtime_health import RuntimeHealth
from kubesim.node.volumes import VolumeSources
from kubesim.sim.loop import SECOND, Loop

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from kubesim.api.objects import Object
    from kubesim.client.port import Client, Reply
    from kubesim.node.caches import ClusterCaches
    from kubesim.node.eviction import Machine
    from kubesim.node.runtime import Network, Runtime
    from kubesim.programs.program import Volume
    from kubesim.sim.chooser import Stream

# Upstream: kubelet.go:genericPlegRelistPeriod @v1.36
_RELIST_NS: Final = SECOND
# Upstream: kubelet.go:syncLoop's syncTicker @v1.36
_SYNC_TICK_NS: Final = SECOND


class NodeConfig(NamedTuple):
    """A node: its name, address, Pod CIDR, resources as quantities, and what it is registered with."""

    name: str
    address: str
    pod_cidr: str
    capacity: Mapping[str, str]
    allocatable: Mapping[str, str]
    labels: Mapping[str, str] = {}
    taints: Sequence[Object] = ()
    machine_id: str = ""


class _OnDisk(NamedTuple):
    """What of a Pod lies on its node's disk: volumes, parts of them, and the spec with the resources that it has."""

    volumes: dict[str, Volume]
    parts: dict[str, Volume]
    spec: Object


@final
class Kubelet:
    """Runs the Pods that are bound to its node.

    Events and heartbeats go through clients of their own, so that a burst of Pods doesn't hold them up behind the main
    client's limit; without those they share it. Upstream limits heartbeats by nothing: cmd/kubelet/app/server.go @v1.36
    `machine` says what Pods use up, where that is known.
    """

    def __init__(
        self,
        loop: Loop,
        client: Client,
        stream: Stream,
        config: NodeConfig,
        runtime: Runtime,
        network: Network,
        caches: ClusterCaches,
        *,
        event_client: Client | None = None,
        heartbeat_client: Client | None = None,
        machine: Machine | None = None,
    ) -> None:
        self.loop = loop
        self.client = client
        self.stream = stream
        self.config = config
        self.runtime = runtime
        self.network = network
        self.caches = caches
        self.heartbeat_client = heartbeat_client or client
        self.recorder = Recorder(loop, event_client or client, "kubelet", config.name)
        self.workers: dict[str, PodWorker] = {}
        self.machine = machine
        self.started_at_ns = 0
        self._skew_ns = 0
        self.addresses = PodAddresses(config.pod_cidr)
        self.resources = NodeResources(config.allocatable)
        self.resizes = PendingResizes(self)
        self.volume_sources = VolumeSources(
            caches.config_map,
            caches.secret,
            caches.claim,
            caches.disks,
            {},
            caches.tokens,
            config.allocatable,
            config.address,
            lambda volume_name: caches.is_attached(volume_name, config.name),
        )
        self._lease = LeaseRenewal(loop, self.heartbeat_client, stream, config.name)
        self._reporter = NodeReporter(self)
        self._lease.on_return = self._reporter.refresh
        self.eviction = Eviction(self, self._reporter.report_at_next_look)
        self.runtime_health = RuntimeHealth(self, self._reporter.report_at_next_look)
        self._pods: Informer | None = None
        self._relist_phase_ns = 0
        self._sync_phase_ns = 0
        # Of Pods from before a stop of the kubelet or the node.
        self._kept: dict[str, _OnDisk] = {}
        self._adopted: dict[str, None] = {}

    # Start and stop.

    @property
    def is_running(self) -> bool:
        """Whether the kubelet's process is there."""
        return self._pods is not None

    @property
    def clock_ns(self) -> int:
        """The instant by the node's clock: what it dates by."""
        return self.loop.now_ns + self._skew_ns

    def set_clock(self, skew_ns: int) -> None:
        """Let the node's clock be ahead by so much, or behind. Spans of time are measured without it.

        Upstream: Go's time.Time has a monotonic reading, by which Sub and timers go.
        """
        self._skew_ns = self._lease.skew_ns = self.recorder.skew_ns = skew_ns

    def start(self) -> None:
        """Start the kubelet, for the first time or again. Idempotent."""
        if self._pods is not None:
            return
        loop = self.loop
        self.started_at_ns = loop.now_ns
        self._relist_phase_ns = int(self.stream.fraction() * _RELIST_NS)
        self._sync_phase_ns = int(self.stream.fraction() * _SYNC_TICK_NS)
        self.runtime.on_exit = self._handle_exit
        self.runtime.on_health_changed = self._handle_health_changed
        self.addresses.forget()
        self.resources = NodeResources(self.config.allocatable)
        self._adopted = {}
        for uid, sandbox in self.runtime.pods().items():
            self._adopted[uid] = None
            if sandbox.is_ready and sandbox.ip != self.config.address:
                self.addresses.keep(sandbox.ip)
        options = Options(field_selector=f"spec.nodeName={self.config.name}")
        self._pods = Informer(loop, self.client, POD, options)
        self._pods.add_handler(self._handle_add, self._handle_update, self._handle_delete)
        self._reporter.start()
        self.eviction.start()
        self.runtime_health.start()

    def handle_registered(self, node: Object) -> None:
        """The Node object is there: begin with the Pods."""
        self._lease.start(node)
        if self._pods is not None:
            self._pods.start()
            if self._adopted:
                self.loop.post(2 * SECOND, self._remove_orphans, self._pods)

    def stop(self) -> None:
        """The kubelet's process ends at once; containers run on."""
        if self._pods is None:
            return
        self._pods.stop()
        self._pods = None
        self._lease.stop()
        self._reporter.stop()
        self.eviction.stop()
        self.runtime.on_exit = _ignore
        self.runtime.on_health_changed = _ignore
        for uid, worker in self.workers.items():
            worker.stop()
            self._kept[uid] = _OnDisk(worker.volumes, worker.parts, worker.spec)
        self.workers = {}
        self.resizes.clear()

    # Pods from the API.

    def _handle_add(self, pod: Object) -> None:
        metadata = pod["metadata"]
        uid = metadata["uid"]
        if uid in self.workers:
            self.workers[uid].update(pod)
            return
        worker = self.workers[uid] = PodWorker(self, pod)
        if uid in self._adopted:
            worker.sandbox = self.runtime.pods().get(uid)
        kept = self._kept.pop(uid, None)
        if kept is not None:
            worker.volumes, worker.parts = kept.volumes, kept.parts
        if (pod.get("status") or {}).get("phase") in TERMINAL_PHASES:
            worker.terminate()
            return
        if kept is not None:
            self.resizes.restore(worker, kept.spec)
        if "deletionTimestamp" not in metadata:
            claimed = claimed_by(worker.spec)
            rejection = None
            if worker.sandbox is None:
                rejection = self.eviction.check(pod) or self.resources.check(claimed)
            if rejection is not None:
                worker.reject(*rejection)
                return
            self.resources.take(claimed)
            worker.counted = claimed
            if worker.sandbox is None and not self._admit_to_node(worker):
                return
        self._begin(worker)

    def _begin(self, worker: PodWorker) -> None:
        if worker.is_deleting:
            worker.terminate()
            return
        worker.request_sync()
        seconds = worker.pod["spec"].get("activeDeadlineSeconds")
        if seconds is not None:
            since = (worker.pod.get("status") or {}).get("startTime")
            started_ns = from_time(since) if since else self.clock_ns
            left_ns = max(0, started_ns + seconds * SECOND - self.clock_ns)
            self.loop.post(left_ns, self._handle_deadline, worker)

    def _admit_to_node(self, worker: PodWorker) -> bool:
        """Whether the Pod fits the Node object as last seen; if not, a fresh one is asked for, and it alone decides."""
        node = self._reporter.node
        spec = worker.pod["spec"]
        if node is None or check_node(spec, node) is None:
            return True

        def on_reply(reply: Reply) -> None:
            if not worker.is_alive or worker.stage != "syncing":
                return
            rejection: Rejection | None = None
            if not isinstance(reply, ApiError):
                self._reporter.node = reply
                rejection = check_node(spec, reply)
            if rejection is None:
                self._begin(worker)
            else:
                self.forget_resources(worker)
                worker.reject(*rejection)

        self.client.send(get(NODE, "", self.config.name), on_reply)
        return False

    def _handle_update(self, old: Object, pod: Object) -> None:
        metadata = pod["metadata"]
        worker = self.workers.get(metadata["uid"])
        if worker is not None:
            worker.update(pod)
            return
        # A Pod of the same name was deleted and made again between two looks.
        self._handle_delete(old)
        self._handle_add(pod)

    def _handle_delete(self, pod: Object) -> None:
        worker = self.workers.get(pod["metadata"]["uid"])
        if worker is None:
            return
        if worker.stage == "finished":
            self._remove(worker)
            return
        worker.pod = {**pod, "metadata": {"deletionTimestamp": "", **pod["metadata"]}}
        worker.is_gone = True
        worker.terminate()

    def _remove(self, worker: PodWorker) -> None:
        worker.is_alive = False
        self.workers.pop(worker.uid, None)
        self._kept.pop(worker.uid, None)
        self._adopted.pop(worker.uid, None)
        self.runtime.remove_pod(worker.uid)

    def _remove_orphans(self, pods: Informer) -> None:
        """Pods that the runtime has and the API has not: they were deleted while nobody looked."""
        if pods is not self._pods:
            return
        if not pods.synced:
            self.loop.post(2 * SECOND, self._remove_orphans, pods)
            return
        for uid in list(self._adopted):
            if uid not in self.workers:
                del self._adopted[uid]
                self._kept.pop(uid, None)
                self.runtime.remove_pod(uid)

    # What workers ask and tell.

    def last_relist_ns(self) -> int:
        """When the runtime was listed the last time."""
        return self.loop.now_ns - (self.loop.now_ns - self._relist_phase_ns) % _RELIST_NS

    def until_relist_ns(self) -> int:
        """How long it is until the next listing; never 0."""
        return _RELIST_NS - (self.loop.now_ns - self._relist_phase_ns) % _RELIST_NS

    def until_sync_ns(self, delay_ns: int) -> int:
        """The delay with the wait for the sync loop's next look at what is due, once a second."""
        at_ns = self.loop.now_ns + delay_ns - self._sync_phase_ns
        return delay_ns + -at_ns % _SYNC_TICK_NS

    def has_adopted(self, uid: str) -> bool:
        """Whether the runtime had the Pod already when the kubelet started."""
        return uid in self._adopted

    def forget_resources(self, worker: PodWorker) -> None:
        """The Pod takes nothing of the node any more."""
        self.resizes.withdraw(worker)
        if worker.counted is not None:
            self.resources.give_back(worker.counted)
            worker.counted = None
            self.resizes.retry_soon()

    def handle_finished(self, worker: PodWorker) -> None:
        """A Pod that the API no longer has is through."""
        self._remove(worker)

    # What the runtime tells.

    def _handle_exit(self, uid: str) -> None:
        worker = self.workers.get(uid)
        if worker is not None:
            worker.handle_exit()

    def _handle_health_changed(self, uid: str, name: str) -> None:
        worker = self.workers.get(uid)
        if worker is not None:
            worker.wake_probes(name)

    def _handle_deadline(self, worker: PodWorker) -> None:
        if worker.is_alive and worker.stage == "syncing":
            message = "Pod was active on the node longer than the specified deadline"
            worker.event("Normal", "DeadlineExceeded", message)
            worker.writer.deadline = message
            worker.fail("DeadlineExceeded", message)


def _ignore(*_: Any) -> None:
    pass

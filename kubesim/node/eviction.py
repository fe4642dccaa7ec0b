"""Eviction under node pressure: what is short on a node, what the Node says of it, and which Pod has to go.

Looked at every 10 s, and again as soon as an evicted Pod is through. A condition stays for 5 min after its cause.
Upstream: pkg/kubelet/eviction/{eviction_manager.go,helpers.go} @v1.36
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple, Protocol, final

from kubesim.api import quantity
from kubesim.api.timestamps import to_time
from kubesim.api.tolerations import tolerates
from kubesim.node.admission import Rejection
from kubesim.sim.loop import MINUTE, SECOND

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from kubesim.api.objects import Object
    from kubesim.node.kubelet import Kubelet
    from kubesim.node.pod_worker import PodWorker

Resource = Literal["memory", "ephemeral-storage"]
# Upstream: kubelet.go:evictionMonitoringPeriod, KubeletConfiguration.evictionPressureTransitionPeriod
LOOK_NS: Final = 10 * SECOND
TRANSITION_NS: Final = 5 * MINUTE
# Upstream: eviction_manager.go:{podCleanupPollFreq,podCleanupTimeout,immediateEvictionGracePeriodSeconds}
_CLEANUP_POLL_NS: Final = SECOND
_CLEANUP_POLLS: Final = 30
GRACE_S: Final = 1
# Upstream: pkg/apis/scheduling/types.go:SystemCriticalPriority
_CRITICAL_PRIORITY: Final = 2_000_000_000
# What of a resource is wanted, in the order in which it is reclaimed.
# Upstream: eviction/defaults_linux.go:DefaultEvictionHard, of a disk that images and containers share
_CONDITIONS: Final[Mapping[Resource, str]] = {"memory": "MemoryPressure", "ephemeral-storage": "DiskPressure"}
_MEMORY_MIN: Final = 100 << 20
_DISK_MIN_PERCENT: Final = 10
# What a container has written to its own layer and its log: a choice.
_DISK_BYTES: Final = 32 << 20
_REASON: Final = "Evicted"
_MEMORY_TAINT: Final[Object] = {"key": "node.kubernetes.io/memory-pressure", "effect": "NoSchedule"}


class Machine(Protocol):
    """What a runtime can say and do about what is used up."""

    def memory_bytes(self, uid: str) -> dict[str, int]:
        """The memory of a Pod's containers that run."""
        ...

    def remove_unused_images(self) -> int:
        """Remove the images that no container has; returns their size in bytes."""
        ...


class Candidate(NamedTuple):
    """A Pod that might be evicted: what its containers use, and what they and the Pod ask for, in bytes."""

    worker: PodWorker
    used: Mapping[str, int]
    requested: Mapping[str, int]

    @property
    def above_request(self) -> int:
        """By how much the Pod uses more than it asks for."""
        return sum(self.used.values()) - sum(self.requested.values())

    @property
    def priority(self) -> int:
        """The Pod's priority."""
        return int(self.worker.pod["spec"].get("priority") or 0)


def rank(candidates: list[Candidate]) -> list[Candidate]:
    """First those that use more than they ask for, then the less important, then the greediest.

    Upstream: helpers.go:{rankMemoryPressure,rankDiskPressureFunc} @v1.36
    """
    return sorted(candidates, key=lambda each: (each.above_request <= 0, each.priority, -each.above_request))


def eviction_message(candidate: Candidate, resource: Resource, threshold: int, available: int) -> str:
    """What the Event and the Pod's status say. Upstream: helpers.go:evictionMessage @v1.36"""
    text = f"The node was low on resource: {resource}. "
    text += f"Threshold quantity: {_bytes(threshold)}, available: {_bytes(available)}. "
    for name, used in candidate.used.items():
        requested = candidate.requested.get(name, 0)
        if used > requested:
            text += f"Container {name} was using {_bytes(used)}, request is {_bytes(requested)}, "
            text += f"has larger consumption of {resource}. "
    return text


def _bytes(amount: int) -> str:
    return quantity.from_value(amount, "BinarySI")


@final
class Eviction:
    """The eviction manager of one node. Where nothing is short it does nothing at all."""

    def __init__(self, kubelet: Kubelet, on_change: Callable[[], None]) -> None:
        self._kubelet = kubelet
        self._on_change = on_change
        # What would be available of a resource if no Pod used any, by who takes the rest: the machine's own.
        self._left: dict[Resource, list[tuple[object, int]]] = {"memory": [], "ephemeral-storage": []}
        self._freed_bytes = 0
        self._observed_ns: dict[Resource, int] = {}
        self._run = 0
        self._is_looking = False
        self.conditions: tuple[str, ...] = ()

    def start(self) -> None:
        """With the kubelet's process; what it knew of conditions is gone."""
        self._run += 1
        self._is_looking = False
        self._observed_ns.clear()
        self.conditions = ()
        self._look_later()

    def stop(self) -> None:
        """With the kubelet's process."""
        self._run += 1

    def take(self, resource: Resource, missing_bytes: int) -> Callable[[], None]:
        """Something on the node that is no Pod takes so much that this is missing of what the kubelet wants to be
        available, as long as the Pods use what they do now; returns how it gives that back."""
        me = object()
        left = self._threshold(resource) - missing_bytes + self._used(resource) - self._freed(resource)
        self._left[resource].append((me, left))
        self._look_later()

        def give_back() -> None:
            self._left[resource] = [each for each in self._left[resource] if each[0] is not me]

        return give_back

    def check(self, pod: Object) -> Rejection | None:
        """Whether the node takes a Pod on while something is short. Upstream: eviction_manager.go:Admit @v1.36"""
        if not self.conditions or int(pod["spec"].get("priority") or 0) >= _CRITICAL_PRIORITY:
            return None
        if self.conditions == (_CONDITIONS["memory"],):
            is_modest = (pod.get("status") or {}).get("qosClass") != "BestEffort"
            if is_modest or any(tolerates(each, _MEMORY_TAINT) for each in pod["spec"].get("tolerations") or ()):
                return None
        return Rejection(_REASON, f"The node had condition: [{' '.join(self.conditions)}]. ")

    # --- looking ---

    def _look_later(self) -> None:
        """At the next tick, if there is anything to be seen."""
        is_needed = bool(self.conditions or any(self._left.values()))
        if self._is_looking or not is_needed or not self._kubelet.is_running:
            return
        self._is_looking = True
        since_ns = self._kubelet.loop.now_ns - self._kubelet.started_at_ns
        # Half a period beside the looks at the node's status, which tell others of it: upstream's two loops know
        # nothing of each other.
        self._kubelet.loop.post(LOOK_NS - (since_ns + LOOK_NS // 2) % LOOK_NS, self._look, self._run)

    def _look(self, run: int) -> None:
        """Upstream: eviction_manager.go:synchronize @v1.36"""
        if run != self._run:
            return
        self._is_looking = False
        now_ns = self._kubelet.loop.now_ns
        short = [resource for resource in _CONDITIONS if self._available(resource) < self._threshold(resource)]
        self._observed_ns.update(dict.fromkeys(short, now_ns))
        conditions = tuple(
            condition
            for resource, condition in _CONDITIONS.items()
            if now_ns - self._observed_ns.get(resource, now_ns - TRANSITION_NS) < TRANSITION_NS
        )
        if conditions != self.conditions:
            self.conditions = conditions
            self._on_change()
        evicted = self._reclaim(short[0]) if short else None
        if evicted is None:
            self._look_later()
        else:
            self._is_looking = True
            self._await(run, evicted, _CLEANUP_POLLS)

    def _await(self, run: int, evicted: PodWorker, polls: int) -> None:
        """Look again once the Pod is through, at the latest after 30 s."""

        def poll(_: Any) -> None:
            if run != self._run:
                return
            if polls <= 1 or evicted.stage == "finished" or not evicted.is_alive:
                self._look(run)
            else:
                self._await(run, evicted, polls - 1)

        self._kubelet.loop.post(_CLEANUP_POLL_NS, poll, None)

    def _reclaim(self, resource: Resource) -> PodWorker | None:
        """Make room: on a disk by images that nobody uses, else by one Pod, which is returned."""
        kubelet = self._kubelet
        node = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": kubelet.config.name}}
        kubelet.recorder.event(node, "Warning", "EvictionThresholdMet", f"Attempting to reclaim {resource}")
        threshold = self._threshold(resource)
        if resource != "memory" and kubelet.machine is not None:
            self._freed_bytes += kubelet.machine.remove_unused_images()
            if self._available(resource) >= threshold:
                return None
        available = self._available(resource)
        for candidate in rank(self._candidates(resource)):
            if candidate.priority < _CRITICAL_PRIORITY:
                self._evict(candidate, eviction_message(candidate, resource, threshold, available))
                return candidate.worker
        return None

    def _evict(self, candidate: Candidate, message: str) -> None:
        """Upstream: eviction_manager.go:evictPod @v1.36"""
        worker = candidate.worker
        worker.event("Warning", _REASON, message)
        condition: Object = {"type": "DisruptionTarget", "status": "True", "reason": "TerminationByKubelet"}
        condition |= {"message": message, "lastProbeTime": None, "lastTransitionTime": to_time(self._kubelet.clock_ns)}
        generation = worker.pod["metadata"].get("generation", 0)
        worker.writer.eviction = condition | ({"observedGeneration": generation} if generation else {})
        worker.fail(_REASON, message)

    # --- counting ---

    def _candidates(self, resource: Resource) -> list[Candidate]:
        """The Pods that have anything running."""
        workers = [each for each in self._kubelet.workers.values() if each.stage == "syncing" and each.writer.status]
        return [Candidate(each, self._used_by(each, resource), _requested(each, resource)) for each in workers]

    def _used_by(self, worker: PodWorker, resource: Resource) -> Mapping[str, int]:
        machine = self._kubelet.machine
        memory = machine.memory_bytes(worker.uid) if machine is not None else {}
        return memory if resource == "memory" else dict.fromkeys(memory, _DISK_BYTES)

    def _used(self, resource: Resource) -> int:
        return sum(sum(self._used_by(each, resource).values()) for each in self._kubelet.workers.values())

    def _available(self, resource: Resource) -> int:
        """By the greediest of those that are no Pods; all there is without them."""
        left = self._left[resource]
        if not left:
            return self._threshold(resource)
        return max(0, min(each for _, each in left) + self._freed(resource) - self._used(resource))

    def _freed(self, resource: Resource) -> int:
        return 0 if resource == "memory" else self._freed_bytes

    def _threshold(self, resource: Resource) -> int:
        if resource == "memory":
            return _MEMORY_MIN
        return quantity.value(self._kubelet.config.capacity.get(resource, "0")) * _DISK_MIN_PERCENT // 100


def _requested(worker: PodWorker, resource: Resource) -> Mapping[str, int]:
    return {
        each["name"]: quantity.value(((each.get("resources") or {}).get("requests") or {}).get(resource, "0"))
        for each in worker.pod["spec"]["containers"]
    }

"""One Pod's life on a node.

A sync computes the status, works out what is to be done and does it, one at a time per Pod; whatever happens meanwhile
asks for another sync. As in the kubelet, a sync sees the runtime as the last relist saw it: after one sync the next
waits for a relist, and containers' exits are noticed at one.
Upstream: pkg/kubelet/{kubelet.go:SyncPod,pod_workers.go}, pkg/kubelet/pleg/generic.go @v1.36
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Literal, final

from kubesim.node.acting import RETRY_NS, act, kill_pod
from kubesim.node.actuating import observe_resize
from kubesim.node.facts import PodFacts
from kubesim.node.phase import TERMINAL_PHASES
from kubesim.node.plan import Kill, compute_pod_actions
from kubesim.node.pod_conditions import is_container_ready
from kubesim.node.probes import ContainerProbes
from kubesim.node.starting import mount_volumes
from kubesim.node.status import Observation, Reason, compute_end, compute_rejection, compute_status, with_probe_result
from kubesim.node.status_writer import StatusWriter
from kubesim.node.steps import Sequence, Steps
from kubesim.node.termination import grace_of, kill_container

if TYPE_CHECKING:
    from kubesim.api.objects import Object
    from kubesim.node.backoff import Backoff
    from kubesim.node.kubelet import Kubelet
    from kubesim.node.resizing import Resizing
    from kubesim.node.runtime import ContainerRecord, PodSandbox
    from kubesim.programs.program import Volume

Stage = Literal["syncing", "terminating", "terminated", "finished"]

_JITTER: Final = 0.5

_NO_REASONS: Final[dict[str, Reason]] = {}
_NO_PROBES: Final[dict[str, ContainerProbes]] = {}
_NO_VOLUMES: Final[dict[str, Volume]] = {}


@final
class PodWorker:
    """Brings one Pod to what its spec says, and writes its status."""

    __slots__ = (
        "_facts",
        "_is_due",
        "_is_waiting",
        "_last_sync_ns",
        "_pending",
        "_steps",
        "_wakes",
        "backoff",
        "counted",
        "has_changed_runtime",
        "image_backoff",
        "is_alive",
        "is_cancellable",
        "is_gone",
        "node",
        "parts",
        "pod",
        "probes",
        "pull_errors",
        "reasons",
        "resizing",
        "sandbox",
        "stage",
        "uid",
        "volumes",
        "writer",
    )

    def __init__(self, node: Kubelet, pod: Object) -> None:
        self.node = node
        self.pod = pod
        self.uid: str = pod["metadata"]["uid"]
        self.stage: Stage = "syncing"
        self.is_alive = True
        self.is_gone = False
        self.sandbox: PodSandbox | None = None
        self.writer = StatusWriter(self)
        self.reasons = _NO_REASONS
        self.probes = _NO_PROBES
        self.volumes = _NO_VOLUMES
        self.parts = _NO_VOLUMES
        self.backoff: Backoff | None = None
        self.image_backoff: Backoff | None = None
        self.pull_errors: dict[str, str] | None = None
        self.counted: Any = None
        self.resizing: Resizing | None = None
        self._facts: PodFacts | None = None
        self._steps: Steps | None = None
        self._pending = False
        self._is_due = False
        self._is_waiting = False
        self.is_cancellable = False
        self.has_changed_runtime = False
        self._last_sync_ns = -1
        self._wakes = 0

    # What others ask about the Pod.

    @property
    def facts(self) -> PodFacts:
        """What the spec says; kept only while something is done for the Pod."""
        facts = self._facts
        if facts is None:
            facts = self._facts = PodFacts(self.spec)
        return facts

    @property
    def spec(self) -> Object:
        """The Pod's spec with the resources that it was given, which may be others than it asks for."""
        spec: Object = self.pod["spec"] if self.resizing is None else self.resizing.spec
        return spec

    @property
    def given_pod(self) -> Object:
        """The Pod with that spec."""
        return self.pod if self.resizing is None else {**self.pod, "spec": self.resizing.spec}

    @property
    def namespace(self) -> str:
        """The Pod's namespace."""
        namespace: str = self.pod["metadata"]["namespace"]
        return namespace

    @property
    def pod_ip(self) -> str:
        """The Pod's address, empty before it has one."""
        return self.sandbox.ip if self.sandbox is not None else ""

    @property
    def is_deleting(self) -> bool:
        """Whether deletion has been asked for."""
        return "deletionTimestamp" in self.pod["metadata"]

    @property
    def may_run(self) -> bool:
        """Whether containers of the Pod could still be running, as far as the kubelet has made sure."""
        return self.stage in {"syncing", "terminating"}

    def formatted(self) -> str:
        """As the kubelet names Pods in texts: `name_namespace(uid)`."""
        return f"{self.pod['metadata']['name']}_{self.namespace}({self.uid})"

    def event(self, type_: str, reason: str, message: str, field_path: str = "") -> None:
        """Record an Event about the Pod or, with a field path, about one of its containers."""
        if self.is_alive:
            self.node.recorder.event(self.pod, type_, reason, message, field_path)

    def restart_count(self, name: str) -> int:
        """The restart count of a container that the runtime has no record of: it was known to the API before."""
        status = self.writer.status or self.pod.get("status") or {}
        for field in ("containerStatuses", "initContainerStatuses"):
            for entry in status.get(field) or ():
                if entry["name"] == name and ("running" in entry["state"] or entry.get("lastState")):
                    count: int = entry.get("restartCount", 0)
                    return count + 1
        return 0

    # What happens to the Pod.

    def update(self, pod: Object) -> None:
        """The API has a newer Pod."""
        old, given = self.pod, self.spec
        self.pod = pod
        metadata, before = pod["metadata"], old["metadata"]
        is_overwritten = self.writer.take_api_status(pod)
        if "deletionTimestamp" in metadata and "deletionTimestamp" not in before:
            self.terminate()
        elif self.stage == "finished":
            self.writer.flush()
        elif (
            (pod["spec"] is not old["spec"] and self._has_new_spec(old, given))
            or metadata.get("labels") != before.get("labels")
            or metadata.get("annotations") != before.get("annotations")
        ):
            self.request_sync()
        elif is_overwritten and self.stage == "syncing":
            self.report()

    def _has_new_spec(self, old: Object, given: Object) -> bool:
        if self.pod["spec"] == old["spec"]:
            return False
        self._facts = None
        if self.stage == "syncing":
            self.node.resizes.take(self, given)
        return True

    def sync_resized(self) -> None:
        """The node has given the Pod other resources, or has said why not."""
        self._facts = None
        if self.stage == "syncing":
            self.request_sync()

    def request_sync(self, *, is_fresh: bool = False) -> None:
        """Sync now or, unless the view of the runtime `is_fresh`, when it is newer than the last sync."""
        if not self.is_alive or self.stage == "finished":
            return
        if self._steps is not None:
            self._pending = True
            return
        node = self.node
        if not is_fresh and self._last_sync_ns >= node.last_relist_ns():
            if not self._is_waiting:
                self._is_waiting = True
                node.loop.post(node.until_relist_ns(), self._see_relist, None)
            return
        self._sync()

    def _see_relist(self, _: None) -> None:
        self._is_waiting = False
        self.request_sync(is_fresh=True)

    def sync_at_relist(self) -> None:
        """Sync when the runtime is listed the next time: something there has changed."""
        if not self._is_due and self.is_alive and self.stage != "finished":
            self._is_due = True
            self.node.loop.post(self.node.until_relist_ns(), self._relisted, None)

    def _relisted(self, _: None) -> None:
        self._is_due = False
        # What it says comes after the sync that has waited for it, and asks for one more.
        self.request_sync()

    def handle_exit(self) -> None:
        """A container has ended; a Pod that is being stopped waits for that itself."""
        if self.stage == "syncing":
            self.sync_at_relist()

    def terminate(self) -> None:
        """Stop the Pod for good: it is being deleted, or has been."""
        if self.stage == "syncing":
            self.stage = "terminating"
            if self._steps is not None and self.is_cancellable:
                self._steps.close()
                self._steps = None
        if self.stage == "finished":
            self.writer.flush()
            return
        self.request_sync()

    def reject(self, reason: str, message: str) -> None:
        """The node doesn't admit the Pod."""
        self.event("Warning", reason, message)
        self.stage = "finished"
        api = self.pod.get("status") or {}
        self.writer.set(compute_rejection(self.pod, api, reason, message, self.node.clock_ns))

    def fail(self, reason: str, message: str) -> None:
        """End the Pod as Failed for a reason of the node's own, such as its deadline."""
        if self.stage != "syncing" or self.writer.status is None:
            return
        self.writer.status = {**self.writer.status, "phase": "Failed", "reason": reason, "message": message}
        self.terminate()

    def handle_probe_result(self, record: ContainerRecord | None, field: str, *, is_success: bool) -> None:
        """A probe says something new of a container: report it, and see whether anything follows."""
        status = self.writer.status
        if not self.is_alive or self.stage == "finished" or status is None or record is None:
            return
        if field:
            probed = (record.id, field, is_success)
            changed = with_probe_result(self.pod, self.facts, status, probed, self.node.clock_ns)
            if changed is not status:
                self.writer.set(changed)
            self._observe_probes()
        if self.stage == "syncing":
            self.request_sync()

    def stop(self) -> None:
        """The kubelet dies: nothing more is done or written for the Pod."""
        self.is_alive = False
        if self._steps is not None:
            self._steps.close()
            self._steps = None
        for probes in self.probes.values():
            probes.stop()

    # Status.

    def _observe_probes(self) -> None:
        containers = self.sandbox.containers if self.sandbox is not None else {}
        for name, probes in self.probes.items():
            probes.observe(containers.get(name))

    def report(self, *, is_terminal: bool = False) -> Object:
        """Work out the status, write it where it differs, and return it."""
        old = self.writer.status
        if old is None:
            old = self.pod.get("status") or {}
        if self.probes:
            self._observe_probes()
        seen = Observation(
            self.sandbox,
            self.reasons,
            self.probes,
            self.node.config.address,
            self.node.clock_ns,
            is_terminal,
            self.is_deleting,
            () if self.resizing is None else self.resizing.conditions,
        )
        status = compute_status(self.given_pod, self.facts, self.writer.with_foreign_conditions(old), seen)
        self.writer.set(status)
        return status

    # Syncing.

    def _sync(self) -> None:
        if self.stage == "syncing":
            steps = self._sync_pod()
        elif self.stage == "terminating":
            steps = self._sync_terminating()
        else:
            self._sync_terminated()
            return
        self._pending = False
        self._steps = Steps(self.node.loop, steps, self._complete)
        self._steps.resume()

    def _complete(self, retry_ns: int | None) -> None:
        """A sync has ended; `retry_ns` is when to sync again without being asked, None for never."""
        self._steps = None
        self._wakes += 1
        self._last_sync_ns = self.node.loop.now_ns
        if not self.is_alive:
            return
        if self.stage == "terminated":
            self.sync_at_relist()
        elif retry_ns == 0 or self._pending:
            self._pending = False
            self.request_sync(is_fresh=retry_ns == 0)
        elif retry_ns is not None:
            delay_ns = retry_ns + int(retry_ns * _JITTER * self.node.stream.fraction())
            self.node.loop.post(self.node.until_sync_ns(delay_ns), self._wake, self._wakes)
        elif self.stage == "terminating":
            self.sync_at_relist()
        else:
            self._facts = None

    def _wake(self, number: int) -> None:
        if number == self._wakes and self.stage == "syncing":
            self.request_sync()

    def _sync_pod(self) -> Sequence:
        if self.resizing is not None:
            observe_resize(self, self.resizing)
        status = self.report()
        if status["phase"] in TERMINAL_PHASES:
            self.stage = "terminating"
            return None
        for name, probes in self.probes.items():
            if not is_container_ready(status, name):
                probes.trigger_readiness()
        if self.volumes is _NO_VOLUMES and self.facts.volumes:
            self.is_cancellable = True
            problem = yield from mount_volumes(self)
            self.is_cancellable = False
            if problem is not None:
                return RETRY_NS
        if self.facts.has_probes and self.probes is _NO_PROBES:
            self._add_probes()
        actions = compute_pod_actions(self.facts, self.sandbox, self.probes, is_deleting=self.is_deleting)
        if not (actions.start or actions.kill or actions.kill_pod or actions.resize):
            return None
        self.has_changed_runtime = False
        retry_ns = yield from act(self, actions)
        if not self.has_changed_runtime:
            return retry_ns
        # Seen anew at once; the relist's word of what has changed comes besides, and readiness is then probed again.
        if retry_ns is not None or self.probes:
            self.sync_at_relist()
        return 0 if retry_ns is None else retry_ns

    def remember(self, name: str, reason: Reason) -> None:
        """A container doesn't run for this reason."""
        self.reasons = {**self.reasons, name: reason}

    def forget(self, name: str) -> None:
        """The container runs."""
        left = {other: reason for other, reason in self.reasons.items() if other != name}
        self.reasons = left or _NO_REASONS

    def ensure_parts(self) -> None:
        """Parts of volumes are going to be noted."""
        if self.parts is _NO_VOLUMES:
            self.parts = {}

    def _add_probes(self) -> None:
        now_ns = self.node.loop.now_ns
        facts = self.facts
        self.probes = {
            item.name: ContainerProbes(self, item, now_ns) for item in facts.by_name.values() if item.has_probes
        }
        self._observe_probes()
        if self.node.has_adopted(self.uid):
            old = self.pod.get("status") or {}
            for entry in (*(old.get("initContainerStatuses") or ()), *(old.get("containerStatuses") or ())):
                probes = self.probes.get(entry["name"])
                record = self.sandbox.containers.get(entry["name"]) if self.sandbox is not None else None
                if probes is not None and record is not None and entry.get("containerID") == record.id:
                    probes.adopt(entry)
            self._observe_probes()

    # Killing.

    def kill(self, kill: Kill) -> Sequence:
        """Steps that stop one container."""
        yield from kill_container(self, kill, grace_of(self, kill))
        self.has_changed_runtime = True

    def _sync_terminating(self) -> Sequence:
        self.report()
        for probes in self.probes.values():
            probes.stop_restarting()
        yield from kill_pod(self)
        for probes in self.probes.values():
            probes.stop()
        self.stage = "terminated"
        self.node.forget_resources(self)
        self.report(is_terminal=True)
        return None

    def _sync_terminated(self) -> None:
        self.stage = "finished"
        for probes in self.probes.values():
            probes.stop()
        self.probes = _NO_PROBES
        self.volumes = self.parts = _NO_VOLUMES
        self.backoff = self.image_backoff = self.pull_errors = None
        if self.is_gone:
            self.node.handle_finished(self)
            return
        self.writer.set(compute_end(self.writer.status or self.report(is_terminal=True), self.facts))
        self._facts = None

    def wake_probes(self, name: str) -> None:
        """A container's health may have changed."""
        probes = self.probes.get(name)
        if probes is not None:
            probes.wake()

"""Carries out what was planned for a Pod: kills, starts and resizes of containers, and when to try again.

Upstream: pkg/kubelet/kuberuntime/kuberuntime_manager.go:SyncPod @v1.36
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from kubesim.node.actuating import resize_containers
from kubesim.node.backoff import Backoff, go_seconds
from kubesim.node.starting import start_container, start_sandbox
from kubesim.node.status import Reason
from kubesim.node.termination import kill_all
from kubesim.sim.loop import SECOND

if TYPE_CHECKING:
    from kubesim.node.facts import ContainerFacts
    from kubesim.node.plan import PodActions
    from kubesim.node.pod_worker import PodWorker
    from kubesim.node.runtime import ContainerRecord
    from kubesim.node.steps import Sequence

# Upstream: pkg/kubelet/kubelet.go:backOffPeriod and KubeletConfiguration.syncFrequency @v1.36
RETRY_NS: Final = 10 * SECOND
_RESYNC_NS: Final = 60 * SECOND


def act(worker: PodWorker, actions: PodActions) -> Sequence:
    """Steps that do what was planned; they return None for success or after how long to try again."""
    # The back-off looks at the last exited container that this sync has seen: not at one that it kills itself.
    killed = {kill.facts.name: kill.record.previous for kill in actions.kill}
    if actions.kill_pod:
        yield from kill_pod(worker)
        if not actions.create_sandbox:
            return None
    else:
        worker.is_cancellable = True
        for kill in actions.kill:
            yield from worker.kill(kill)
        worker.is_cancellable = False
    if actions.create_sandbox:
        problem = yield from start_sandbox(worker)
        if problem is not None:
            return RETRY_NS
        worker.has_changed_runtime = True
    has_failed = False
    if actions.resize:
        has_failed = not (yield from resize_containers(worker, actions.resize))
    waits: list[int] = []
    for facts in actions.start:
        record = worker.sandbox.containers.get(facts.name) if worker.sandbox is not None else None
        if worker.stage != "syncing":
            return None
        wait_ns = backoff_wait_ns(worker, facts, killed.get(facts.name) if facts.name in killed else record)
        if wait_ns is not None:
            waits.append(wait_ns)
        else:
            reason = yield from _start(worker, facts)
            if reason is None:
                worker.has_changed_runtime = True
                continue
            has_failed = True
        if facts.role == "init":
            break
    if has_failed:
        return RETRY_NS
    return min(*waits, _RESYNC_NS) if waits else None


def kill_pod(worker: PodWorker) -> Sequence:
    """Steps that stop all containers and the sandbox."""
    sandbox = worker.sandbox
    if sandbox is None:
        return
    yield from kill_all(worker)
    if sandbox.is_ready:
        yield lambda on_done: worker.node.runtime.stop_sandbox(worker.uid, on_done)
        worker.has_changed_runtime = True
        if not worker.pod["spec"].get("hostNetwork"):
            worker.node.addresses.give_back(sandbox.ip)


def _start(worker: PodWorker, facts: ContainerFacts) -> Sequence:
    if any("subPath" in mount for mount in facts.spec.get("volumeMounts") or ()):
        worker.ensure_parts()
    reason = yield from start_container(worker, facts)
    if reason is not None:
        worker.remember(facts.name, reason)
    elif worker.reasons:
        worker.forget(facts.name)
    return reason


def backoff_wait_ns(worker: PodWorker, facts: ContainerFacts, record: ContainerRecord | None) -> int | None:
    """How long a container still has to wait before it is started again; None when it may start now.

    Upstream: kuberuntime_manager.go:doBackOff @v1.36
    """
    if record is None or record.state != "exited":
        return None
    if worker.backoff is None:
        worker.backoff = Backoff()
    backoff = worker.backoff
    key = f"{facts.name}/{facts.image}"
    now_ns = worker.node.loop.now_ns
    if not backoff.is_waiting(key, record.finished_at_ns, now_ns):
        backoff.count(key, record.finished_at_ns, now_ns)
        return None
    delay_ns = backoff.delay_ns(key)
    text = f"Back-off restarting failed container {facts.name} in pod {worker.formatted()}"
    worker.event("Warning", "BackOff", text, facts.field_path)
    message = f"back-off {go_seconds(delay_ns)} restarting failed container={facts.name} pod={worker.formatted()}"
    worker.remember(facts.name, Reason("CrashLoopBackOff", message))
    return record.finished_at_ns + delay_ns - now_ns

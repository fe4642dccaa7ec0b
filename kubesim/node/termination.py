"""Stopping containers: hook, SIGTERM, grace, SIGKILL, and the order among sidecars.

Upstream: pkg/kubelet/kuberuntime/{kuberuntime_container.go:killContainer,kuberuntime_termination_order.go} @v1.36
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kubesim.node.eviction import GRACE_S
from kubesim.node.hooks import run_hook
from kubesim.node.plan import Kill
from kubesim.node.steps import Call, Latch, Sequence, Steps, together, within
from kubesim.sim.loop import SECOND

if TYPE_CHECKING:
    from kubesim.node.pod_worker import PodWorker

# Upstream: kuberuntime_manager.go:minimumGracePeriodInSeconds @v1.36
_GRACE_MIN_S = 2
_PROBE_FIELDS = {"LivenessProbe": "livenessProbe", "StartupProbe": "startupProbe"}


def grace_of(worker: PodWorker, kill: Kill) -> int:
    """The grace period in seconds that a container is stopped with.

    Upstream: kuberuntime_container.go:setTerminationGracePeriod @v1.36
    """
    if worker.writer.eviction is not None:
        return GRACE_S
    metadata, spec = worker.pod["metadata"], worker.pod["spec"]
    grace: int | None = metadata.get("deletionGracePeriodSeconds")
    if grace is not None:
        return grace
    field = _PROBE_FIELDS.get(kill.reason)
    if field is not None:
        own: int | None = (kill.facts.spec.get(field) or {}).get("terminationGracePeriodSeconds")
        if own is not None:
            return own
    grace = spec.get("terminationGracePeriodSeconds")
    return _GRACE_MIN_S if grace is None else grace


def kill_container(worker: PodWorker, kill: Kill, grace_s: int, turn: Call | None = None) -> Sequence:
    """Steps that stop one container. `turn` is done when those that have to end first have ended."""
    loop = worker.node.loop
    facts, record, message, _ = kill
    worker.event("Normal", "Killing", message or f"Stopping container {facts.name}", facts.field_path)
    hook = (facts.spec.get("lifecycle") or {}).get("preStop")
    if hook is not None and grace_s > 0:
        started_ns = loop.now_ns
        steps = run_hook(worker, facts, record, hook)
        problem: Any = yield within(loop, grace_s * SECOND, lambda on_done: Steps(loop, steps, on_done).resume())
        if problem is not None:
            worker.event("Warning", "FailedPreStopHook", "PreStopHook failed", facts.field_path)
        grace_s -= (loop.now_ns - started_ns) // SECOND
    if turn is not None and grace_s > 0:
        started_ns = loop.now_ns
        yield within(loop, grace_s * SECOND, turn)
        grace_s -= (loop.now_ns - started_ns) // SECOND
    grace_s = max(grace_s, _GRACE_MIN_S)
    yield lambda on_done: worker.node.runtime.stop_container(record, grace_s * SECOND, on_done)


def kill_all(worker: PodWorker) -> Sequence:
    """Steps that stop everything that runs: at once, but sidecars one after the other behind the main containers."""
    sandbox = worker.sandbox
    if sandbox is None:
        return
    facts = worker.facts
    running = [
        Kill(item, record, "", "")
        for item in (*facts.init, *facts.main, *facts.ephemeral)
        if (record := sandbox.containers.get(item.name)) is not None and record.state == "running"
    ]
    if not running:
        return
    if len(running) == 1:
        yield from kill_container(worker, running[0], grace_of(worker, running[0]))
        return
    latches = {kill.facts.name: Latch() for kill in running}

    def one(kill: Kill, turn: Call | None) -> Sequence:
        yield from kill_container(worker, kill, grace_of(worker, kill), turn)
        latches[kill.facts.name].open()

    sequences = [one(kill, _turn(worker, running, kill, latches)) for kill in running]
    yield together(worker.node.loop, sequences)


def _turn(worker: PodWorker, running: list[Kill], kill: Kill, latches: dict[str, Latch]) -> Call | None:
    """What a sidecar waits for: all main containers, and the sidecars that were started after it."""
    if kill.facts.role != "sidecar":
        return None
    names = [other.facts.name for other in running]
    first = [latches[other.facts.name] for other in running if other.facts.role == "main"]
    first += [latches[name] for name in names[names.index(kill.facts.name) + 1 :] if _is_sidecar(worker, name)]

    def steps() -> Sequence:
        for latch in first:
            if not latch.is_open:
                yield latch.wait

    return lambda on_done: Steps(worker.node.loop, steps(), on_done).resume()


def _is_sidecar(worker: PodWorker, name: str) -> bool:
    return worker.facts.by_name[name].role == "sidecar"

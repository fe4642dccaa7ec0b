"""Gives the containers of a Pod what it was given anew, and tells how far that is.

Upstream: pkg/kubelet/kuberuntime/kuberuntime_manager.go:doPodResizeAction, pkg/kubelet/kubelet.go:SyncPod @v1.36
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kubesim.node.resizing import (
    IN_PROGRESS,
    Resizing,
    is_behind,
    memory_limit,
    memory_refusal,
    resize_condition,
    resize_summary,
)

if TYPE_CHECKING:
    from collections.abc import Sequence as Many

    from kubesim.node.plan import Resize
    from kubesim.node.pod_worker import PodWorker
    from kubesim.node.runtime import ContainerRecord, Runtime
    from kubesim.node.steps import Call, Sequence


def observe_resize(worker: PodWorker, resizing: Resizing) -> None:
    """See whether all containers have what the Pod was given, and tell when they do."""
    generation = worker.pod["metadata"].get("generation", 0)
    containers = worker.sandbox.containers if worker.sandbox is not None else {}
    if is_behind(worker.facts, containers):
        if resizing.in_progress is None:
            resizing.in_progress = resize_condition(IN_PROGRESS, None, generation, worker.node.clock_ns)
        return
    if resizing.in_progress is not None:
        generation = resizing.in_progress.get("observedGeneration", 0)
        resizing.in_progress = None
        worker.event("Normal", "ResizeCompleted", resize_summary("Pod resize completed", worker.spec, generation))
    if resizing.pending is None and resizing.spec == worker.pod["spec"]:
        worker.resizing = None


def resize_containers(worker: PodWorker, resizes: Many[Resize]) -> Sequence:
    """Steps that give containers that run their new resources; they return whether that was possible."""
    runtime, machine = worker.node.runtime, worker.node.machine
    limits = {facts.name: (memory_limit(record.resources), memory_limit(facts.resources)) for facts, record in resizes}
    if machine is not None and worker.resizing is not None:
        refusal = memory_refusal(worker.spec, limits, machine.memory_bytes(worker.uid))
        if refusal:
            _tell_error(worker, worker.resizing, refusal)
            return False
    for facts, record in resizes:
        _, limit_bytes = limits[facts.name]
        yield _update(runtime, record, limit_bytes)
        record.resources = facts.resources
    worker.has_changed_runtime = True
    return True


def _update(runtime: Runtime, record: ContainerRecord, limit_bytes: int) -> Call:
    return lambda on_done: runtime.update_container(record, limit_bytes, on_done)


def _tell_error(worker: PodWorker, resizing: Resizing, message: str) -> None:
    before = resizing.in_progress or {}
    generation = before.get("observedGeneration", worker.pod["metadata"].get("generation", 0))
    resizing.in_progress = resize_condition(IN_PROGRESS, before, generation, worker.node.clock_ns, "Error", message)
    if before.get("message") != message:
        worker.event("Warning", "ResizeError", resize_summary("Pod resize error", worker.spec, generation, message))
        worker.report()

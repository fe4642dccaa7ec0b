"""Faults of containers, Pods and workloads, and what users do to them."""

from __future__ import annotations

from typing import Final

from kubesim.cluster import Cluster
from kubesim.faults.arguments import Crash, Delete, PodTarget, Scale, SetImage, Undo, Workload
from kubesim.faults.kinds import FaultKind, Injection
from kubesim.faults.targets import choose_pod, choose_pod_to_delete, name_of, split_reference


def _crash(cluster: Cluster, crash: Crash, namespace: str) -> Injection:
    pod = choose_pod(cluster, crash.of, namespace, crash.index)
    cluster.faults.crash(pod, crash.container, crash.exit_code)
    return Injection(name_of(pod))


def _oom(cluster: Cluster, target: PodTarget, namespace: str) -> Injection:
    pod = choose_pod(cluster, target.of, namespace, target.index)
    cluster.faults.exhaust_memory(pod, target.container)
    return Injection(name_of(pod))


def _hang(cluster: Cluster, target: PodTarget, namespace: str) -> Injection:
    pod = choose_pod(cluster, target.of, namespace, target.index)
    cluster.faults.hang(pod, target.container)
    return Injection(name_of(pod), lambda: cluster.faults.wake(pod, target.container))


def _wake(cluster: Cluster, target: PodTarget, namespace: str) -> Injection:
    pod = choose_pod(cluster, target.of, namespace, target.index)
    cluster.faults.wake(pod, target.container)
    return Injection(name_of(pod))


def _delete(cluster: Cluster, target: Delete, namespace: str) -> Injection:
    pod = choose_pod_to_delete(cluster, target, namespace)
    if pod is not None:
        own, space, subject = f"pod/{pod['metadata']['name']}", pod["metadata"]["namespace"], name_of(pod)
    else:
        (own, space), subject = split_reference(target.of, namespace), str(target.of)
    cluster.delete(own, space, **target.options)
    return Injection(subject)


def _evict(cluster: Cluster, target: PodTarget, namespace: str) -> Injection:
    pod = choose_pod(cluster, target.of, namespace, target.index)
    cluster.evict(f"pod/{pod['metadata']['name']}", pod["metadata"]["namespace"])
    return Injection(name_of(pod))


def _scale(cluster: Cluster, scale: Scale, namespace: str) -> Injection:
    own, space = split_reference(scale.of, namespace)
    cluster.scale(own, scale.replicas, space)
    return Injection(str(scale.of))


def _set_image(cluster: Cluster, change: SetImage, namespace: str) -> Injection:
    own, space = split_reference(change.of, namespace)
    cluster.set_image(own, change.image, change.container, space)
    return Injection(str(change.of))


def _restart_rollout(cluster: Cluster, target: Workload, namespace: str) -> Injection:
    cluster.restart_rollout(*split_reference(target.of, namespace))
    return Injection(str(target.of))


def _undo_rollout(cluster: Cluster, undo: Undo, namespace: str) -> Injection:
    own, space = split_reference(undo.of, namespace)
    cluster.undo_rollout(own, undo.revision, space)
    return Injection(str(undo.of))


WORKLOAD_FAULTS: Final = (
    FaultKind("crash", Crash, "workload", "a container's process ends", _crash, on_real=True),
    FaultKind("oom", PodTarget, "workload", "a process asks for more memory than its limit and is killed", _oom),
    FaultKind("hang", PodTarget, "workload", "a process stands still as after SIGSTOP", _hang, healed_by="wake"),
    FaultKind("wake", PodTarget, "workload", "a process that hung goes on", _wake, heals="hang"),
    FaultKind("delete", Delete, "workload", "a user deletes an object, or a workload's Pod", _delete, on_real=True),
    FaultKind("evict", PodTarget, "workload", "a Pod is evicted, if its budget allows", _evict, on_real=True),
    FaultKind("scale", Scale, "workload", "a user sets a workload's size", _scale, on_real=True),
    FaultKind("setImage", SetImage, "workload", "a user gives a workload another image", _set_image, on_real=True),
    FaultKind(
        "restartRollout", Workload, "workload", "`kubectl rollout restart`: new Pods", _restart_rollout, on_real=True
    ),
    FaultKind(
        "undoRollout", Undo, "workload", "`kubectl rollout undo`: an earlier revision", _undo_rollout, on_real=True
    ),
)

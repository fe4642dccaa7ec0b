"""Faults of what a node's kubelet lives on: memory, disk, clock and container runtime."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from kubesim.api import quantity
from kubesim.cluster import Cluster
from kubesim.errors import UserError
from kubesim.faults.arguments import NodeTarget, Shortage, Skew
from kubesim.faults.holding import hold, release
from kubesim.faults.kinds import FaultKind, Inject, Injection
from kubesim.faults.targets import choose_node
from kubesim.node.eviction import Resource
from kubesim.node.simulated import SimRuntime

_AREA: Final = "node"
_RUNTIME: Final = "runtime"


def _short_of(resource: Resource, verb: str) -> Inject:
    def inject(cluster: Cluster, shortage: Shortage, namespace: str) -> Injection:
        name = choose_node(cluster, shortage, namespace)
        node, subject = cluster.data_plane.node(name), f"node/{name}"
        if node.kubelet.machine is None:
            raise UserError(f"{verb}: what Pods use of {name} is not known here; it needs simulated nodes")
        give_back = node.kubelet.eviction.take(resource, quantity.value(shortage.missing))
        detail = f"what is no Pod takes so much {resource} that {shortage.missing} are missing"
        cluster.faults.note(verb, subject, detail)

        def undo() -> None:
            give_back()
            cluster.faults.note("heal", subject, f"{verb} is over")

        return Injection(subject, undo)

    return inject


def _skew_clock(cluster: Cluster, skew: Skew, namespace: str) -> Injection:
    name = choose_node(cluster, skew, namespace)
    by_ns = -skew.by if skew.behind else int(skew.by)
    subject = f"node/{name}"
    cluster.data_plane.shift_clock(name, by_ns)
    word = "behind" if skew.behind else "ahead"
    cluster.faults.note("skewClock", subject, f"its clock is {skew.by / 1e9:g} s {word}")

    def undo() -> None:
        cluster.data_plane.shift_clock(name, -by_ns)
        cluster.faults.note("heal", subject, f"its clock is no longer {skew.by / 1e9:g} s {word}")

    return Injection(subject, undo)


def _runtime_of(cluster: Cluster, name: str) -> SimRuntime:
    runtime = cluster.data_plane.node(name).runtime
    if not isinstance(runtime, SimRuntime):
        raise UserError(f"the container runtime of {name} is not a simulated one, which alone can be stopped")
    return runtime


def _stop_runtime(cluster: Cluster, target: NodeTarget, namespace: str) -> Injection:
    name = choose_node(cluster, target, namespace)
    _runtime_of(cluster, name).gate.close()
    cluster.data_plane.node(name).kubelet.runtime_health.handle_stopped()
    cluster.faults.note("stopRuntime", f"node/{name}", "its container runtime stops; containers run on")
    return Injection(f"node/{name}", hold(cluster, _RUNTIME, f"node/{name}", lambda: _start(cluster, name)))


def _start_runtime(cluster: Cluster, target: NodeTarget, namespace: str) -> Injection:
    name = choose_node(cluster, target, namespace)
    _start(cluster, name)
    release(cluster, _RUNTIME, f"node/{name}")
    return Injection(f"node/{name}")


def _start(cluster: Cluster, name: str) -> None:
    node = cluster.data_plane.node(name)
    if node.has_power:
        _runtime_of(cluster, name).gate.open()
        node.kubelet.runtime_health.handle_started()
        cluster.faults.note("startRuntime", f"node/{name}", "its container runtime runs again")


def _restart_runtime(cluster: Cluster, target: NodeTarget, namespace: str) -> Injection:
    name = choose_node(cluster, target, namespace)
    runtime = _runtime_of(cluster, name)
    if not cluster.data_plane.node(name).has_power:
        raise UserError(f"{name} has no power; what ran on it has ended")
    cluster.faults.note(
        "restartRuntime", f"node/{name}", "its container runtime starts anew; its containers end with it"
    )
    runtime.restart()
    return Injection(f"node/{name}")


_MEMORY: Final[Callable[..., Injection]] = _short_of("memory", "memoryPressure")
_DISK: Final[Callable[..., Injection]] = _short_of("ephemeral-storage", "diskPressure")
MACHINE_FAULTS: Final = (
    FaultKind(
        "memoryPressure", Shortage, _AREA, "memory is short: Pods are evicted until enough is free", _MEMORY, "heal"
    ),
    FaultKind(
        "diskPressure", Shortage, _AREA, "its disk is full: images and Pods go until enough is free", _DISK, "heal"
    ),
    FaultKind("skewClock", Skew, _AREA, "its clock is wrong: what it dates is early or late", _skew_clock, "heal"),
    FaultKind(
        "stopRuntime",
        NodeTarget,
        _AREA,
        "its container runtime stops: containers run on, none is started or stopped",
        _stop_runtime,
        "startRuntime",
    ),
    FaultKind(
        "startRuntime", NodeTarget, _AREA, "its container runtime runs again", _start_runtime, heals="stopRuntime"
    ),
    FaultKind(
        "restartRuntime",
        NodeTarget,
        _AREA,
        "its container runtime starts anew, and all containers with it",
        _restart_runtime,
    ),
)

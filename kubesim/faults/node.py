"""Faults of nodes: of the machine, of its kubelet, and of its way to others."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from kubesim.cluster import Cluster
from kubesim.faults.arguments import Drain, NodeTarget
from kubesim.faults.draining import Draining
from kubesim.faults.holding import hold, release
from kubesim.faults.kinds import FaultKind, Inject, Injection, Undo
from kubesim.faults.targets import choose_node
from kubesim.sim.loop import SECOND

# What faults take from a node, each by several ways.
_CORDON: Final = "cordon"
_POWER: Final = "power"
_NETWORK: Final = "network"
_KUBELET: Final = "kubelet"


def _cordon(cluster: Cluster, target: NodeTarget, namespace: str) -> Injection:
    name = choose_node(cluster, target, namespace)
    cluster.cordon(name)
    return Injection(f"node/{name}", _cordoned(cluster, name))


def _uncordon(cluster: Cluster, target: NodeTarget, namespace: str) -> Injection:
    name = choose_node(cluster, target, namespace)
    cluster.cordon(name, unschedulable=False)
    release(cluster, _CORDON, f"node/{name}")
    return Injection(f"node/{name}")


def _cordoned(cluster: Cluster, name: str) -> Undo:
    return hold(cluster, _CORDON, f"node/{name}", lambda: _uncordon_if_there(cluster, name))


def _uncordon_if_there(cluster: Cluster, name: str) -> None:
    if cluster.find(f"node/{name}") is not None:
        cluster.cordon(name, unschedulable=False)


def _drain(cluster: Cluster, drain: Drain, namespace: str) -> Injection:
    name = choose_node(cluster, drain, namespace)
    cluster.cordon(name)
    draining = Draining(cluster, name, drain.timeout)
    draining.start()
    cordoned = _cordoned(cluster, name)

    def undo() -> None:
        draining.stop()
        cordoned()

    return Injection(f"node/{name}", undo)


def _lasting(what: str, begin: Callable[[Cluster, str], None], end: Callable[[Cluster, str], None]) -> Inject:
    """A fault of a node that stays until its twin; `what` of the node it takes."""

    def inject(cluster: Cluster, target: NodeTarget, namespace: str) -> Injection:
        name = choose_node(cluster, target, namespace)
        begin(cluster, name)
        return Injection(f"node/{name}", hold(cluster, what, f"node/{name}", lambda: end(cluster, name)))

    return inject


def _ending(what: str, end: Callable[[Cluster, str], None]) -> Inject:
    """The twin of such a fault."""

    def inject(cluster: Cluster, target: NodeTarget, namespace: str) -> Injection:
        name = choose_node(cluster, target, namespace)
        end(cluster, name)
        release(cluster, what, f"node/{name}")
        return Injection(f"node/{name}")

    return inject


def _lose_power(cluster: Cluster, node: str) -> None:
    cluster.faults.lose_power(node)


def _restore_power(cluster: Cluster, node: str) -> None:
    cluster.faults.restore_power(node)


def _isolate(cluster: Cluster, node: str) -> None:
    cluster.faults.isolate(node)


def _rejoin(cluster: Cluster, node: str) -> None:
    cluster.faults.rejoin(node)


def _stop_kubelet(cluster: Cluster, node: str) -> None:
    cluster.faults.stop_kubelet(node)


def _start_kubelet(cluster: Cluster, node: str) -> None:
    cluster.faults.start_kubelet(node)


def _reboot(cluster: Cluster, target: NodeTarget, namespace: str) -> Injection:
    """Off, and on again after the time that a machine takes to boot."""
    name = choose_node(cluster, target, namespace)
    cluster.faults.lose_power(name)
    boot = _powerless(cluster, name)
    timer = cluster.loop.timer(_BOOT_NS, boot)

    def undo() -> None:
        timer.cancel()
        boot()

    return Injection(f"node/{name}", undo)


def _powerless(cluster: Cluster, name: str) -> Undo:
    return hold(cluster, _POWER, f"node/{name}", lambda: cluster.faults.restore_power(name))


def _cut_off_api(cluster: Cluster, node: str) -> None:
    cluster.data_plane.cut_off_api(node)
    cluster.faults.note("cutOffApi", f"node/{node}", "reaches all others, but not the API server")


def _reach_api(cluster: Cluster, node: str) -> None:
    cluster.data_plane.reach_api(node)
    cluster.faults.note("heal", f"node/{node}", "reaches the API server again")


def _remove(cluster: Cluster, target: NodeTarget, namespace: str) -> Injection:
    """The machine is gone for good and its Node deleted; its end is a machine of the same name that joins."""
    name = choose_node(cluster, target, namespace)
    # Refused by an API server that is down, nothing has been done.
    cluster.delete(f"node/{name}")
    cluster.faults.lose_power(name)
    cluster.faults.note("removeNode", f"node/{name}", "the machine is gone, and its Node is deleted")
    return Injection(f"node/{name}", _powerless(cluster, name))


# From power to a kubelet: a choice.
_BOOT_NS: Final = 30 * SECOND

NODE_FAULTS: Final = (
    FaultKind("cordon", NodeTarget, "node", "no new Pods come", _cordon, healed_by="uncordon", on_real=True),
    FaultKind("uncordon", NodeTarget, "node", "new Pods may come again", _uncordon, heals="cordon", on_real=True),
    FaultKind(
        "drain",
        Drain,
        "node",
        "it is cordoned and all its Pods are evicted",
        _drain,
        healed_by="uncordon",
        on_real=True,
    ),
    FaultKind(
        "losePower",
        NodeTarget,
        "node",
        "it is gone from one instant to the next, and nobody is told",
        _lasting(_POWER, _lose_power, _restore_power),
        healed_by="restorePower",
    ),
    FaultKind("restorePower", NodeTarget, "node", "it boots again", _ending(_POWER, _restore_power), heals="losePower"),
    FaultKind(
        "isolate",
        NodeTarget,
        "node",
        "it runs on, cut off from the API server and all other nodes",
        _lasting(_NETWORK, _isolate, _rejoin),
        healed_by="rejoin",
    ),
    FaultKind("rejoin", NodeTarget, "node", "it has its network again", _ending(_NETWORK, _rejoin), heals="isolate"),
    FaultKind(
        "stopKubelet",
        NodeTarget,
        "node",
        "its kubelet stops, containers run on",
        _lasting(_KUBELET, _stop_kubelet, _start_kubelet),
        healed_by="startKubelet",
    ),
    FaultKind(
        "startKubelet",
        NodeTarget,
        "node",
        "its kubelet starts again",
        _ending(_KUBELET, _start_kubelet),
        heals="stopKubelet",
    ),
    FaultKind("reboot", NodeTarget, "node", "it boots: off at once, and back after 30 s", _reboot, healed_by="heal"),
    FaultKind(
        "cutOffApi",
        NodeTarget,
        "node",
        "it reaches all others, but not the API server",
        _lasting("API server", _cut_off_api, _reach_api),
        healed_by="heal",
    ),
    FaultKind(
        "removeNode", NodeTarget, "node", "the machine is gone, and its Node is deleted", _remove, healed_by="heal"
    ),
)

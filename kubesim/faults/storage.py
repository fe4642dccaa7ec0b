"""Faults of volumes, and of the databases on them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from kubesim.api.objects import Object
from kubesim.cluster import Cluster
from kubesim.errors import UserError
from kubesim.faults.arguments import Crowd, PodTarget, SlowAttach, SlowVolume
from kubesim.faults.holding import hold
from kubesim.faults.kinds import FaultKind, Inject, Injection
from kubesim.faults.targets import choose_pod, name_of
from kubesim.node.simulated import SimRuntime
from kubesim.programs.postgres import PostgresProgram
from kubesim.programs.program import Volume


def _volumes(cluster: Cluster, pod: Object) -> list[Volume]:
    """What the Pod's claims are bound to, as far as it holds anything yet."""
    found = []
    for each in pod["spec"].get("volumes") or ():
        name = (each.get("persistentVolumeClaim") or {}).get("claimName")
        claim = cluster.find(f"persistentvolumeclaim/{name}", pod["metadata"]["namespace"]) if name else None
        volume = cluster.data_plane.caches.disks.get((claim or {"spec": {}})["spec"].get("volumeName", ""))
        if volume is not None:
            found.append(volume)
    if not found:
        raise UserError(f"{name_of(pod)} has no volume that outlives it")
    return found


def _slow_volume(cluster: Cluster, slow: SlowVolume, namespace: str) -> Injection:
    pod = choose_pod(cluster, slow.of, namespace, slow.index)
    volumes = _volumes(cluster, pod)
    for volume in volumes:
        volume.added_ns += slow.added
    cluster.faults.note("slowVolume", name_of(pod), f"an fsync on its volumes takes {slow.added / 1e6:g} ms longer")

    def undo() -> None:
        for volume in volumes:
            volume.added_ns -= slow.added
        cluster.faults.note("heal", name_of(pod), "its volumes are as quick as before")

    return Injection(name_of(pod), undo)


def _troubled(verb: str, trouble: str, detail: str) -> Inject:
    """A fault after which writes meet this trouble."""

    def inject(cluster: Cluster, target: PodTarget, namespace: str) -> Injection:
        pod = choose_pod(cluster, target.of, namespace, target.index)
        volumes = _volumes(cluster, pod)
        for volume in volumes:
            volume.troubles.append(trouble)
        cluster.faults.note(verb, name_of(pod), detail)

        def undo() -> None:
            for volume in volumes:
                volume.troubles.remove(trouble)
            cluster.faults.note("heal", name_of(pod), f"{verb} is over for its volumes")

        return Injection(name_of(pod), undo)

    return inject


def _slow_attach(cluster: Cluster, slow: SlowAttach, _namespace: str) -> Injection:
    manager = cluster.controller_manager
    manager.attach_delay_ns += slow.added
    cluster.faults.note("slowAttach", _CLOUD, f"a disk takes {slow.added / 1e9:g} s longer to be attached or detached")

    def undo() -> None:
        manager.attach_delay_ns -= slow.added
        cluster.faults.note("heal", _CLOUD, "disks are attached as quickly as before")

    return Injection(_CLOUD, undo)


def _lose_volume(cluster: Cluster, target: PodTarget, namespace: str) -> Injection:
    """The disk is replaced by an empty one; whatever had it open goes down."""
    pod = choose_pod(cluster, target.of, namespace, target.index)
    volumes = _volumes(cluster, pod)
    cluster.faults.note("loseVolume", name_of(pod), "its volumes are empty: all that was on them is gone")
    for node in cluster.data_plane.nodes.values():
        for process in list(node.runtime.processes()) if isinstance(node.runtime, SimRuntime) else ():
            if any(mounted is volume for mounted in process.volumes.values() for volume in volumes):
                process.log("PANIC: could not open file: No such file or directory")
                process.exit(1)
    for volume in volumes:
        volume.files.clear()
    return Injection(name_of(pod))


def _database(cluster: Cluster, target: PodTarget | Crowd, namespace: str) -> tuple[Object, PostgresProgram]:
    pod = choose_pod(cluster, target.of, namespace, target.index)
    runtime = cluster.data_plane.node_of(pod).runtime
    if isinstance(runtime, SimRuntime):
        for container in pod["spec"]["containers"]:
            process = runtime.process_of(pod["metadata"]["uid"], container["name"])
            if process is not None and isinstance(process.program, PostgresProgram):
                return pod, process.program
    raise UserError(f"{name_of(pod)}: no PostgreSQL runs in it now; wait until one does, or name another Pod")


def _crash_in_commit(cluster: Cluster, target: PodTarget, namespace: str) -> Injection:
    pod, program = _database(cluster, target, namespace)
    program.crashes_at_commit = True
    cluster.faults.note("crashInCommit", name_of(pod), "its next commit is in the volume, and answered by nobody")

    def end() -> None:
        program.crashes_at_commit = False

    return Injection(name_of(pod), hold(cluster, "commit", name_of(pod), end))


def _take_connections(cluster: Cluster, crowd: Crowd, namespace: str) -> Injection:
    pod, program = _database(cluster, crowd, namespace)
    program.taken += crowd.number
    cluster.faults.note("takeConnections", name_of(pod), f"somebody else holds {crowd.number} of its connections")

    def undo() -> None:
        program.taken -= crowd.number
        cluster.faults.note("heal", name_of(pod), f"{crowd.number} connections are free again")

    return Injection(name_of(pod), undo)


_CLOUD: Final = "cloud/disks"
_FULL: Final[Callable[..., Injection]] = _troubled("fillVolume", "full", "no space is left on its volumes")
_BROKEN: Final[Callable[..., Injection]] = _troubled("breakVolume", "broken", "an fsync on its volumes fails")
STORAGE_FAULTS: Final = (
    FaultKind("slowVolume", SlowVolume, "storage", "an fsync takes longer, as does a recovery", _slow_volume, "heal"),
    FaultKind("fillVolume", PodTarget, "storage", "no space is left: writes are refused", _FULL, "heal"),
    FaultKind("breakVolume", PodTarget, "storage", "an fsync fails, and a database goes down", _BROKEN, "heal"),
    FaultKind(
        "slowAttach", SlowAttach, "storage", "disks of the network are attached and detached late", _slow_attach, "heal"
    ),
)
DATABASE_FAULTS: Final = (
    FaultKind(
        "crashInCommit",
        PodTarget,
        "database",
        "it dies between the commit and its answer: that write is in the volume, and unknown to its user",
        _crash_in_commit,
        "heal",
    ),
    FaultKind(
        "loseVolume", PodTarget, "database", "it goes down, and all that was on its volume is lost", _lose_volume
    ),
    FaultKind("takeConnections", Crowd, "database", "others hold its connections", _take_connections, "heal"),
)

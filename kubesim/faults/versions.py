"""Faults of what containers run: readiness, slow starts, images that cannot be had, bad versions, and names."""

from __future__ import annotations

from typing import Final

from kubesim.api.kinds import STATEFUL_SET
from kubesim.api.objects import Object
from kubesim.cluster import Cluster
from kubesim.errors import ApiError, UserError
from kubesim.faults.arguments import BadVersion, Nothing, PodTarget, SlowRegistry, SlowStart
from kubesim.faults.holding import hold
from kubesim.faults.kinds import FaultKind, Injection
from kubesim.faults.targets import choose_pod, name_of, split_reference
from kubesim.node.images import full_name
from kubesim.node.simulated import SimRuntime
from kubesim.sim.loop import SECOND

_REGISTRY: Final = "registry"
_DNS: Final = "dns"
_BAD: Final = "-bad"
_AGAIN_NS: Final = 5 * SECOND


def _not_ready(cluster: Cluster, target: PodTarget, namespace: str) -> Injection:
    pod = choose_pod(cluster, target.of, namespace, target.index)
    containers = pod["spec"]["containers"]
    wanted = target.container or containers[0]["name"]
    container = next((each for each in containers if each["name"] == wanted), None)
    if container is None or "readinessProbe" not in container:
        raise UserError(f"{name_of(pod)}: container {wanted} has no readinessProbe, so nobody would notice")
    runtime = cluster.data_plane.node_of(pod).runtime
    uid = pod["metadata"]["uid"]
    if not isinstance(runtime, SimRuntime) or not runtime.set_unready(uid, wanted, is_unready=True):
        raise UserError(f"{name_of(pod)}: container {wanted} does not run now; wait until it does")
    cluster.faults.note("notReady", name_of(pod), f"container {wanted} lives, and its readiness probe fails")

    def end() -> None:
        if runtime.set_unready(uid, wanted, is_unready=False):
            cluster.faults.note("heal", name_of(pod), f"container {wanted} is well again")

    return Injection(name_of(pod), hold(cluster, f"unready {uid} {wanted}", name_of(pod), end))


def _images_of(obj: Object) -> list[str]:
    spec = obj["spec"]["template"]["spec"] if "template" in obj["spec"] else obj["spec"]
    return list(dict.fromkeys(full_name(each["image"]) or each["image"] for each in spec["containers"]))


def _slow_start(cluster: Cluster, slow: SlowStart, namespace: str) -> Injection:
    images = _images_of(cluster.get(*split_reference(slow.of, namespace)))
    delays = cluster.data_plane.images.start_delays_ns
    for image in images:
        delays[image] = delays.get(image, 0) + slow.added
    subject = str(slow.of)
    cluster.faults.note("slowStart", subject, f"its containers begin their work {slow.added / 1e9:g} s later")

    def undo() -> None:
        for image in images:
            delays[image] -= slow.added
        cluster.faults.note("heal", subject, "its containers begin at once again")

    return Injection(subject, undo)


def _bad_version(cluster: Cluster, bad: BadVersion, namespace: str) -> Injection:
    own, space = split_reference(bad.of, namespace)
    obj = cluster.get(own, space)
    image = _first_image(obj["spec"]["template"])
    if image.endswith(_BAD):
        raise UserError(f"{bad.of} has a bad version already")
    worse, subject = f"{image}{_BAD}", str(bad.of)
    cluster.set_image(own, worse, "", space)
    cluster.data_plane.images.broken[full_name(worse) or worse] = str(bad.how)
    cluster.faults.note("badVersion", subject, f"a version is rolled out that {bad.how}")

    def undo() -> None:
        found = cluster.find(own, space)
        if found is not None and _first_image(found["spec"]["template"]) == worse:
            cluster.set_image(own, image, "", space)
        cluster.faults.note("heal", subject, "goes back to the version before")
        _delete_stuck(cluster, own, space, worse)

    return Injection(subject, undo)


def _first_image(template: Object) -> str:
    image: str = template["spec"]["containers"][0]["image"]
    return image


def _delete_stuck(cluster: Cluster, own: str, space: str, worse: str) -> None:
    """The part of going back that is left to people: a StatefulSet replaces no Pod until all before it are Ready, and
    its Pod of a bad version never is. Goes on until its controller knows of the version before and makes no more.

    Upstream: pkg/controller/statefulset/stateful_set_control.go:processReplica @v1.36; the documentation of
    StatefulSets calls it a forced rollback.
    """
    obj = cluster.find(own, space)
    if obj is None or obj["kind"] != STATEFUL_SET.kind or _first_image(obj["spec"]["template"]) == worse:
        return
    is_done = (obj.get("status") or {}).get("observedGeneration", 0) >= obj["metadata"]["generation"]
    for pod in cluster.pods_of(own, space):
        if _first_image(pod) == worse and "deletionTimestamp" not in pod["metadata"]:
            try:
                cluster.delete(f"pod/{pod['metadata']['name']}", pod["metadata"]["namespace"])
            except ApiError:
                is_done = False
    if not is_done:
        cluster.loop.timer(_AGAIN_NS, lambda: _delete_stuck(cluster, own, space, worse))


def _stop_registry(cluster: Cluster, _: Nothing, _namespace: str) -> Injection:
    images = cluster.data_plane.images
    images.is_unreachable = True
    cluster.faults.note("stopRegistry", _REGISTRY, "answers nobody: what is not on a node cannot be pulled")

    def end() -> None:
        images.is_unreachable = False
        cluster.faults.note("heal", _REGISTRY, "answers again")

    return Injection(_REGISTRY, hold(cluster, "silence", _REGISTRY, end))


def _slow_registry(cluster: Cluster, slow: SlowRegistry, _namespace: str) -> Injection:
    images = cluster.data_plane.images
    images.added_ns += slow.added
    cluster.faults.note("slowRegistry", _REGISTRY, f"a pull takes {slow.added / 1e9:g} s longer")

    def undo() -> None:
        images.added_ns -= slow.added
        cluster.faults.note("heal", _REGISTRY, "is as quick as before")

    return Injection(_REGISTRY, undo)


def _stop_dns(cluster: Cluster, _: Nothing, _namespace: str) -> Injection:
    fabric = cluster.data_plane.fabric
    fabric.is_dns_silent = True
    cluster.faults.note("stopDns", _DNS, "answers nobody in the cluster: names cannot be looked up")

    def end() -> None:
        fabric.is_dns_silent = False
        cluster.faults.note("heal", _DNS, "answers again")

    return Injection(_DNS, hold(cluster, "silence", _DNS, end))


_AREA: Final = "workload"
VERSION_FAULTS: Final = (
    FaultKind("notReady", PodTarget, _AREA, "readiness fails while the process lives", _not_ready, "heal"),
    FaultKind("slowStart", SlowStart, _AREA, "new containers begin their work later", _slow_start, "heal"),
    FaultKind("badVersion", BadVersion, _AREA, "a bad version is rolled out", _bad_version, "heal"),
    FaultKind("stopRegistry", Nothing, _AREA, "images that are not on a node cannot be pulled", _stop_registry, "heal"),
    FaultKind("slowRegistry", SlowRegistry, _AREA, "pulls take longer", _slow_registry, "heal"),
    FaultKind("stopDns", Nothing, _AREA, "names cannot be looked up in the cluster", _stop_dns, "heal"),
)

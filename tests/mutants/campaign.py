"""Runs schedules of faults against a workload until a promise breaks, and shrinks what broke it."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any, NamedTuple

from kubesim.checks import Checks, Violation
from kubesim.client.inprocess import Latency
from kubesim.cluster import Cluster, ready
from kubesim.cluster.collector import calm_collector
from kubesim.faults import Disturbance, Schedule, arm
from kubesim.faults.arguments import (
    Component,
    Crash,
    CrashComponent,
    Delete,
    Drain,
    Duration,
    LateWatches,
    NodeTarget,
    PodTarget,
    Reference,
    Scale,
    SetImage,
    Undo,
    Workload,
)
from kubesim.manifests import load
from kubesim.sim.loop import MILLISECOND, MINUTE, SECOND

# The more often, the more there is to break.
WORKLOADS = (
    *("deployment/web",) * 3,
    *("statefulset/db",) * 2,
    *("statefulset/cache",) * 2,
    *("statefulset/part",) * 2,
    "deployment/edge",
    "deployment/solo",
    "deployment/side",
)
CRASHES = "app:crash"


class Town(NamedTuple):
    """What is run: manifests, the program of the image `app`, and nodes."""

    source: str
    nodes: int = 3
    disturbed_s: int = 240


def _pod(chance: random.Random) -> tuple[Reference, int]:
    return Reference(chance.choice(WORKLOADS)), chance.randrange(4)


def _crash(chance: random.Random) -> Any:
    of, index = _pod(chance)
    return Crash(of=of, index=index, exit_code=chance.choice((0, 1, 137)))


def _delete(chance: random.Random) -> Any:
    of, index = _pod(chance)
    if chance.random() < 0.15:
        return Delete(of=Reference("deployment/side"))
    return Delete(of=of, index=index, grace_seconds=chance.choice((None, None, None, 0)))


def _target(chance: random.Random) -> Any:
    of, index = _pod(chance)
    return PodTarget(of=of, index=index)


def _node(chance: random.Random) -> Any:
    return NodeTarget(node=f"node-{chance.randrange(3) + 1}")


def _drain(chance: random.Random) -> Any:
    return Drain(node=f"node-{chance.randrange(3) + 1}", timeout=Duration(120 * SECOND))


def _scale(chance: random.Random) -> Any:
    of = Reference(chance.choice(WORKLOADS))
    # Its host port lets one on each node.
    return Scale(of=of, replicas=chance.randrange(3 if of == "deployment/edge" else 6))


def _workload(chance: random.Random) -> Any:
    return Workload(of=Reference(chance.choice(WORKLOADS)))


def _image(chance: random.Random) -> Any:
    image = chance.choice(("app:0", "app:1", CRASHES))
    return SetImage(of=Reference(chance.choice(WORKLOADS)), image=image)


def _undo(_: random.Random) -> Any:
    return Undo(of=Reference("deployment/web"))


def _component(chance: random.Random) -> Any:
    names = ("kube-controller-manager", "kube-scheduler", "replicaset-controller", "generic-garbage-collector")
    return CrashComponent(of=Component(chance.choice(names)))


def _late(chance: random.Random) -> Any:
    delay = Duration(chance.choice((200, 2_000, 20_000)) * MILLISECOND)
    return LateWatches(by=Component(chance.choice(("kube-controller-manager", "kube-scheduler"))), delay=delay)


DRAWS = {
    "crashComponent": _component,
    "delayWatches": _late,
    "crash": _crash,
    "delete": _delete,
    "hang": _target,
    "evict": _target,
    "scale": _scale,
    "restartRollout": _workload,
    "setImage": _image,
    "undoRollout": _undo,
    "losePower": _node,
    "isolate": _node,
    "stopKubelet": _node,
    "cordon": _node,
    "drain": _drain,
}
LASTING = ("crashComponent", "delayWatches", "hang", "losePower", "isolate", "stopKubelet", "cordon", "drain")


def draw(seed: int, most: int = 8, within_s: int = 200) -> Schedule:
    """The schedule of a seed: faults come in bursts, for it is together that they break things."""
    chance = random.Random(seed)
    names = chance.sample(sorted(DRAWS), chance.randint(2, 6))
    made = []
    at = Duration(0)
    for _ in range(chance.randint(1, most)):
        fault = chance.choice(names)
        if not made or chance.random() < 0.4:
            at = Duration(chance.randrange(within_s * 10) * SECOND // 10)
        else:
            at = Duration(min(within_s * SECOND, at + chance.choice((10, 300, 2_000, 12_000)) * MILLISECOND))
        lasts = Duration(chance.choice((5, 30, 60, 200, 400)) * SECOND) if fault in LASTING else None
        made.append(Disturbance(fault=fault, argument=DRAWS[fault](chance), at=at, lasts=lasts))
    if not seed % 5:
        made += _lost_while_away(chance, at)
    if seed % 5 == 1:
        made += _scaled_twice(chance, at)
    if seed % 5 == 2:
        of = Reference(chance.choice(("statefulset/cache", "deployment/solo")))
        made.append(Disturbance(fault="restartRollout", argument=Workload(of=of), at=at))
    return tuple(sorted(made, key=lambda each: each.at))


def _scaled_twice(chance: random.Random, at: Duration) -> list[Disturbance]:
    """A user changes its mind before what it asked for first is seen."""
    of = Reference(chance.choice(("deployment/web", "statefulset/cache", "statefulset/db")))
    sizes = [(at, 1), (at + 30 * SECOND, 3), (at + 30 * SECOND + chance.randrange(10, 400) * MILLISECOND, 5)]
    return [Disturbance(fault="scale", argument=Scale(of=of, replicas=size), at=Duration(when)) for when, size in sizes]


def _lost_while_away(chance: random.Random, at: Duration) -> list[Disturbance]:
    """Two that are rare together: a kubelet is away, and a user deletes by force."""
    gone = [
        Disturbance(
            fault="delete",
            argument=Delete(of=Reference(chance.choice(WORKLOADS)), index=index, grace_seconds=0),
            at=Duration(at + 2 * SECOND),
        )
        for index in range(2)
    ]
    return [
        Disturbance(fault="stopKubelet", argument=_node(chance), at=at, lasts=Duration(30 * SECOND)),
        *gone,
    ]


# How late components learn of writes: in a quiet cluster, and in busy ones.
WATCH_LAGS_NS = (MILLISECOND, 40 * MILLISECOND, 500 * MILLISECOND)
PROGRAMS = {
    "app": {"readyAfterSeconds": 1.5, "terminateSeconds": 0.5},
    "app:0": {"readyAfterSeconds": 3},
    "app:1": {"readyAfterSeconds": 10, "terminateSeconds": 3},
    CRASHES: {"exitAfterSeconds": 0.5, "exitCode": 1},
    "slow": {"readyAfterSeconds": 2, "terminateSeconds": 8},
}


def new_cluster(town: Town, seed: int) -> tuple[Cluster, Checks]:
    """A cluster with everything ready."""
    latency = Latency(watch_ns=WATCH_LAGS_NS[seed % len(WATCH_LAGS_NS)])
    cluster = Cluster(nodes=town.nodes, seed=seed, records=False, programs=PROGRAMS, latency=latency)
    checks = Checks(cluster)
    applied = cluster.apply_loaded(load(town.source))
    for obj in applied:
        if obj["kind"] in ("Deployment", "StatefulSet"):
            reference = f"{obj['kind'].lower()}/{obj['metadata']['name']}"
            cluster.wait(ready(reference).holds, 120)
    for obj in applied:
        if obj["kind"] == "Service" and obj["spec"].get("clusterIP") != "None":
            cluster.load(obj["metadata"]["name"], rate_per_second=2, write_percent=0)
    return cluster, checks


def play(
    town: Town,
    schedule: Schedule,
    seed: int,
    *,
    converges: bool = True,
    prepare: Callable[[Cluster], None] = lambda _: None,
) -> Violation | None:
    """One run; the first broken promise. Some workloads cannot converge, and are watched only. `prepare` disturbs what
    no schedule can."""
    cluster, checks = new_cluster(town, seed)
    with cluster:
        if checks.violation is not None:
            return checks.violation
        prepare(cluster)
        armed = arm(cluster, schedule)
        end_ns = cluster.now_ns + town.disturbed_s * SECOND
        while cluster.now_ns < end_ns:
            cluster.run(1)
            if checks.is_broken:
                return checks.violation
        if not converges:
            return None
        armed.heal_all()
        _set_good_images(cluster)
        return checks.converge(10 * MINUTE, MINUTE)


def _set_good_images(cluster: Cluster) -> None:
    """What a user does about a version that crashes."""
    for kind in ("deployments", "statefulsets"):
        for obj in cluster.list(kind):
            if obj["spec"]["template"]["spec"]["containers"][0]["image"] == CRASHES:
                reference = f"{obj['kind'].lower()}/{obj['metadata']['name']}"
                cluster.set_image(reference, "app")
                if obj["kind"] == "StatefulSet":
                    # Upstream's known gap: a StatefulSet waits for its broken Pod, which must be deleted by hand.
                    for pod in cluster.pods_of(reference):
                        cluster.delete(f"pod/{pod['metadata']['name']}")


def shrink(town: Town, schedule: Schedule, seed: int, violation: Violation) -> tuple[Schedule, Violation]:
    """Leave out what is not needed for the same promise to break: everything at first, then one after the other until
    nothing more can go."""
    found = play(town, (), seed)
    if found is not None and found.invariant == violation.invariant:
        return (), found
    before = -1
    while before != len(schedule):
        before = len(schedule)
        for position in reversed(range(before)):
            smaller = schedule[:position] + schedule[position + 1 :]
            found = play(town, smaller, seed)
            if found is not None and found.invariant == violation.invariant:
                schedule, violation = smaller, found
    return schedule, violation


def search(town: Town, seeds: range) -> tuple[int, Schedule, Violation] | None:
    """The first seed whose schedule breaks a promise."""
    for seed in seeds:
        with calm_collector():
            schedule = draw(seed)
            violation = play(town, schedule, seed)
        if violation is not None:
            return seed, schedule, violation
    return None

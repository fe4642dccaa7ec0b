"""Faults of the control plane: of the API server as its clients see it, of watches, and of the clients themselves.

Among them are the three ways in which Sieve breaks controllers: stale reads, unobserved states, and a crash between two
writes (https://www.usenix.org/conference/osdi22/presentation/sun).
"""

from __future__ import annotations

from typing import Final

from kubesim.api.requests import patch
from kubesim.api.scheme import Kind
from kubesim.client.trouble import END_OF_STREAM, HELD, Slow, StaleReads, Trouble
from kubesim.client.trouble import Conflicts as ConflictTrouble
from kubesim.client.trouble import LateWatches as LateWatchTrouble
from kubesim.client.trouble import LostReplies as LostReplyTrouble
from kubesim.client.trouble import Overload as OverloadTrouble
from kubesim.cluster import Cluster
from kubesim.cluster.components import CONTROLLER_MANAGER, SCHEDULER
from kubesim.cluster.control_plane import HTTP
from kubesim.cluster.faults import SOMEBODY_ELSE
from kubesim.errors import UserError, expired
from kubesim.faults.arguments import (
    ChangeLeader,
    Component,
    Conflicts,
    CrashComponent,
    Lag,
    LateWatches,
    LostReplies,
    Nothing,
    Overload,
    Slowness,
    Watches,
)
from kubesim.faults.holding import hold, release
from kubesim.faults.kinds import FaultKind, Injection, Undo

_API_SERVER: Final = "component/kube-apiserver"
_ETCD: Final = "component/etcd"
_PROCESS: Final = "process"
_AREA: Final = "controlPlane"
# Who is quicker in a storm of conflicts, and what is written. Each conflict is a real one, as controllers count on the
# event that comes with it: the Deployment controller takes a failed scale-down for nothing to be done.
_TOUCHED: Final = "kubesim.dev/touched"
_TOO_OLD: Final = expired("too old resource version")
# Whose requests a priority level has: by which client, and whether it is about the heartbeats of nodes.
_LEVELS: Final[dict[str, tuple[tuple[str, bool | None], ...]]] = {
    "": (("", None),),
    "workload-high": ((CONTROLLER_MANAGER, None), (SCHEDULER, None), ("kube-proxy", None)),
    "system": (("kubelet", False),),
    "node-high": (("kubelet", True),),
}


def _client(by: str) -> str:
    return f"component/{by}" if by else _API_SERVER


def _sender(cluster: Cluster, by: str) -> str:
    """Whose requests and watches are meant, as a subject of the trace.

    Raises:
        UserError: it is those who come over HTTP, and the cluster is not served.
    """
    if by == HTTP and not cluster.plane.members(HTTP):
        raise UserError("nobody comes over HTTP at this moment; kubesim serve answers those who do")
    return _client(by)


def _trouble(cluster: Cluster, verb: str, by: Component, trouble: Trouble, detail: str) -> Injection:
    """Begin a trouble that lasts until it is healed."""
    plane, subject = cluster.plane, _sender(cluster, by)
    plane.begin_trouble(by, trouble)
    cluster.faults.note(verb, subject, detail)

    def undo() -> None:
        plane.end_trouble(trouble)
        cluster.faults.note("heal", subject, f"{verb} is over")

    return Injection(subject, undo)


def _kinds(of: str) -> tuple[str, ...]:
    return (of,) if of else ()


def _events_of(of: str) -> str:
    return f"of {of}s" if of else "of all kinds"


# --- the API server ---


def _stop_api_server(cluster: Cluster, _: Nothing, _namespace: str) -> Injection:
    cluster.plane.stop_server()
    cluster.faults.note("stopApiServer", _API_SERVER, "its process is gone: connections break, new ones are refused")
    return Injection(_API_SERVER, hold(cluster, _PROCESS, _API_SERVER, lambda: _start(cluster)))


def _start_api_server(cluster: Cluster, _: Nothing, _namespace: str) -> Injection:
    _start(cluster)
    release(cluster, _PROCESS, _API_SERVER)
    return Injection(_API_SERVER)


def _start(cluster: Cluster) -> None:
    if cluster.plane.is_down:
        cluster.plane.start_server()
        cluster.faults.note("startApiServer", _API_SERVER, "answers again; its watch cache begins anew")


def _slow_api_server(cluster: Cluster, slowness: Slowness, _namespace: str) -> Injection:
    detail = f"every request takes {slowness.added / 1e9:g} s longer"
    return _trouble(cluster, "slowApiServer", slowness.by, Slow(slowness.added), detail)


def _overload_api_server(cluster: Cluster, overload: Overload, _namespace: str) -> Injection:
    if overload.by and overload.level:
        raise UserError(f"a client is in no level but its own; leave out level: {overload.level}, or by: {overload.by}")
    plane, stream = cluster.plane, cluster.stream("faults/overload")
    subject = _sender(cluster, overload.by)
    troubles = []
    for by, heartbeats in ((overload.by, None),) if overload.by else _LEVELS[overload.level]:
        leaders = not overload.level
        troubles.append(OverloadTrouble(overload.share, stream, heartbeats=heartbeats, leaders=leaders))
        plane.begin_trouble(by, troubles[-1])
    whose = overload.by or overload.level or "every level"
    text = f"turns away {overload.share:.0%} of the requests of {whose} with 429, Retry-After: 1"
    cluster.faults.note("overloadApiServer", subject, text)

    def undo() -> None:
        for trouble in troubles:
            plane.end_trouble(trouble)
        cluster.faults.note("heal", subject, "overloadApiServer is over")

    return Injection(subject, undo)


def _conflict_storm(cluster: Cluster, storm: Conflicts, _namespace: str) -> Injection:
    number = 0

    def touch(kind: Kind, namespace: str, name: str) -> None:
        nonlocal number
        number += 1
        change = {"metadata": {"annotations": {_TOUCHED: str(number)}}}
        if cluster.plane.server.find(kind, namespace, name) is not None:
            cluster.plane.server.handle(patch(kind, namespace, name, change), SOMEBODY_ELSE)

    trouble = ConflictTrouble(storm.share, _kinds(storm.of), cluster.stream("faults/conflicts"), touch)
    detail = f"{storm.share:.0%} of the updates {_events_of(storm.of)} find that somebody was quicker"
    return _trouble(cluster, "conflictStorm", storm.by, trouble, detail)


def _lose_replies(cluster: Cluster, lost: LostReplies, _namespace: str) -> Injection:
    trouble = LostReplyTrouble(lost.number, _kinds(lost.of))
    many = f"the next {lost.number} writes" if lost.number else "all writes"
    detail = f"{many} {_events_of(lost.of)} are done, and their sender does not hear of it"
    return _trouble(cluster, "loseReplies", lost.by, trouble, detail)


def _compact_etcd(cluster: Cluster, _: Nothing, _namespace: str) -> Injection:
    cluster.store.compact(cluster.store.revision)
    cluster.faults.note("compactEtcd", _ETCD, "all revisions before the present one are forgotten")
    return Injection(_ETCD)


# --- watches and reads ---


def _drop_watches(cluster: Cluster, watches: Watches, _namespace: str) -> Injection:
    subject = _sender(cluster, watches.by)
    cluster.plane.break_watches(watches.by, END_OF_STREAM, _kinds(watches.of))
    cluster.faults.note("dropWatches", subject, f"watches {_events_of(watches.of)} end; their readers watch on")
    return Injection(subject)


def _expire_watches(cluster: Cluster, watches: Watches, _namespace: str) -> Injection:
    subject = _sender(cluster, watches.by)
    cluster.plane.break_watches(watches.by, _TOO_OLD, _kinds(watches.of))
    detail = f"watches {_events_of(watches.of)} end with 410: what they stand at is too old"
    cluster.faults.note("expireWatches", subject, detail)
    return Injection(subject)


def _delay_watches(cluster: Cluster, late: LateWatches, _namespace: str) -> Injection:
    detail = f"events {_events_of(late.of)} come {late.delay / 1e9:g} s later"
    return _trouble(cluster, "delayWatches", late.by, LateWatchTrouble(late.delay, _kinds(late.of)), detail)


def _skip_events(cluster: Cluster, watches: Watches, _namespace: str) -> Injection:
    """Nothing is seen meanwhile, and afterwards the present only: states between are never observed."""
    kinds = _kinds(watches.of)
    trouble = LateWatchTrouble(HELD, kinds)
    detail = f"what happens {_events_of(watches.of)} is not seen; afterwards only what has come of it"
    begun = _trouble(cluster, "skipEvents", watches.by, trouble, detail)

    def undo() -> None:
        cluster.plane.break_watches(watches.by, _TOO_OLD, kinds)
        _end(begun)

    return Injection(begun.subject, undo)


def _freeze_reads(cluster: Cluster, watches: Watches, _namespace: str) -> Injection:
    trouble = StaleReads(cluster.plane.freeze(), _kinds(watches.of))
    detail = f"reads {_events_of(watches.of)} from a cache that stands still"
    return _trouble(cluster, "freezeReads", watches.by, trouble, detail)


def _end(injection: Injection) -> None:
    undo: Undo | None = injection.undo
    if undo is not None:
        undo()


# --- the processes of the control plane ---


def _crash_component(cluster: Cluster, crash: CrashComponent, _namespace: str) -> Injection:
    name = str(crash.of)
    subject = _client(name)
    leaderships = {
        CONTROLLER_MANAGER: cluster.controller_manager.leadership,
        SCHEDULER: cluster.scheduler.leadership,
    }
    leadership = leaderships.get(name)
    manager = cluster.controller_manager
    if leadership is not None:
        leadership.crash()
    elif name in manager.controllers:
        manager.crash_controller(name)
    else:
        raise UserError(f"{name} does not run at this moment, or is no component that can crash by itself")
    cluster.faults.note("crashComponent", subject, "ends where it stands; what it knew is gone")

    def end() -> None:
        if leadership is not None:
            leadership.recover()
        else:
            manager.restart_controller(name)
        cluster.faults.note("heal", subject, "starts again, with empty caches")

    return Injection(subject, hold(cluster, _PROCESS, subject, end))


def _change_leader(cluster: Cluster, change: ChangeLeader, _namespace: str) -> Injection:
    component = cluster.controller_manager if change.of == CONTROLLER_MANAGER else cluster.scheduler
    component.leadership.change()
    subject = _client(change.of)
    cluster.faults.note("changeLeader", subject, "its leader is gone; another replica waits for the lease to expire")
    return Injection(subject)


def _lag_scheduler(cluster: Cluster, lag: Lag, _namespace: str) -> Injection:
    detail = f"sees everything {lag.delay / 1e9:g} s later"
    return _trouble(cluster, "lagScheduler", Component(SCHEDULER), LateWatchTrouble(lag.delay, ()), detail)


CONTROL_PLANE_FAULTS: Final = (
    FaultKind(
        "stopApiServer",
        Nothing,
        _AREA,
        "the API server's process is gone, requests are refused",
        _stop_api_server,
        "startApiServer",
    ),
    FaultKind("startApiServer", Nothing, _AREA, "it answers again", _start_api_server, heals="stopApiServer"),
    FaultKind("slowApiServer", Slowness, _AREA, "every request and every event takes longer", _slow_api_server, "heal"),
    FaultKind(
        "overloadApiServer",
        Overload,
        _AREA,
        "requests are turned away with 429 and Retry-After",
        _overload_api_server,
        "heal",
    ),
    FaultKind("conflictStorm", Conflicts, _AREA, "updates find that somebody was quicker", _conflict_storm, "heal"),
    FaultKind(
        "loseReplies",
        LostReplies,
        _AREA,
        "writes are done, and their sender hears of a broken connection",
        _lose_replies,
        "heal",
    ),
    FaultKind("dropWatches", Watches, _AREA, "open watches end, and their readers watch on", _drop_watches),
    FaultKind(
        "expireWatches", Watches, _AREA, "open watches end with 410, and their readers list anew", _expire_watches
    ),
    FaultKind("delayWatches", LateWatches, _AREA, "events come later, in their order", _delay_watches, "heal"),
    FaultKind(
        "skipEvents",
        Watches,
        _AREA,
        "nothing is seen meanwhile, and afterwards only what has come of it",
        _skip_events,
        "heal",
    ),
    FaultKind(
        "freezeReads", Watches, _AREA, "reads come from a cache that stands still at this moment", _freeze_reads, "heal"
    ),
    FaultKind(
        "crashComponent",
        CrashComponent,
        _AREA,
        "it ends where it stands, and comes back with empty caches",
        _crash_component,
        "heal",
    ),
    FaultKind(
        "changeLeader",
        ChangeLeader,
        _AREA,
        "the leader is gone, and another takes over once its lease has expired",
        _change_leader,
    ),
    FaultKind("lagScheduler", Lag, _AREA, "the scheduler sees everything later", _lag_scheduler, "heal"),
    FaultKind("compactEtcd", Nothing, _AREA, "revisions before the present one are forgotten", _compact_etcd),
)

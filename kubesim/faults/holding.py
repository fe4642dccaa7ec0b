"""What is either on or off, and may have been begun by several faults at once: it ends with the last of them."""

from __future__ import annotations

from collections.abc import Callable

from kubesim.cluster import Cluster
from kubesim.faults.kinds import Undo


def hold(cluster: Cluster, what: str, subject: str, end: Callable[[], object]) -> Undo:
    """Keep `what` of a subject (`power` of `node/node-1`) on; returns how to let it go, after which `end` is called if
    nobody else keeps it on. After `release` letting go does nothing."""
    holders = cluster.faults.holders.setdefault(f"{what} {subject}", [])
    me = object()
    holders.append(me)

    def undo() -> None:
        if me not in holders:
            return
        if holders == [me]:
            # What a server refuses stays on.
            end()
        else:
            cluster.faults.note("heal", subject, "goes on: it has been disturbed more than once")
        holders.remove(me)

    return undo


def release(cluster: Cluster, what: str, subject: str) -> None:
    """It has been ended for all who keep it on."""
    cluster.faults.holders.pop(f"{what} {subject}", [])[:] = []

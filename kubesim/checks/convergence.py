"""That a cluster comes to rest: what is desired is reached by a deadline, and stays, with nothing left to do.

To be asked once all disturbances are healed. At rest only heartbeats are written; whoever still works is a controller
that fights another one, or itself.
"""

from __future__ import annotations

from typing import NamedTuple, final

from kubesim.api.kinds import EVENT, LEASE, NODE
from kubesim.apiserver.server import Write
from kubesim.checks.desired import Divergence, find_divergence
from kubesim.checks.invariant import Violation, is_removal, subject_of
from kubesim.cluster import Cluster
from kubesim.cluster.recording import actor_of
from kubesim.sim.loop import MINUTE, SECOND

__all__ = ["CONVERGENCE", "await_convergence", "find_divergence"]

CONVERGENCE = "convergence"
WITHIN_NS = 10 * MINUTE
STAYS_NS = 2 * MINUTE
# How long nothing may have been written until the cluster counts as settled, and how often that is looked at. A kubelet
# that was cut off gives a request up after 10 s and comes back to it later.
_SETTLED_NS = 30 * SECOND
_LOOK_NS = 5 * SECOND
# A clock that is set back makes its node seem silent from then on, which shows after the 50 s of grace; the status that
# is due every five minutes begins them anew once.
_CLOCK_FAULT = "skewClock"
_CLOCK_SETTLED_NS = 2 * MINUTE
# Who saw their own writes late may have backed off up to this, which nothing shortens.
# Upstream: pkg/controller/endpointslice/endpointslice_controller.go:maxSyncBackOff @v1.36
_WATCH_FAULTS = frozenset(("skipEvents", "delayWatches", "freezeReads"))
_BACKOFF_NS_MAX = 1000 * SECOND
# Requests a second at rest: each node renews its Lease every ten seconds and looks after its own object.
_REQUESTS_PER_NODE = 1
_REQUESTS_BESIDE = 2


class _Last(NamedTuple):
    at_ns: int
    who: str
    verb: str
    subject: str


@final
class _Restlessness:
    """The last write that was more than a heartbeat."""

    def __init__(self, cluster: Cluster) -> None:
        self.last = _Last(cluster.now_ns, "", "", "")
        self._loop = cluster.loop

    def look(self, write: Write) -> None:
        """A write has happened."""
        if write.kind is LEASE or write.kind.plural == EVENT.plural or (write.kind is NODE and _is_heartbeat(write)):
            return
        verb = "deletes" if is_removal(write) else "writes"
        self.last = _Last(self._loop.now_ns, actor_of(write.identity.user), verb, subject_of(write.obj))

    def as_divergence(self) -> Divergence:
        """That somebody still writes, as what is wrong."""
        return Divergence(self.last.subject, f"{self.last.who} still {self.last.verb} it")


def _is_heartbeat(write: Write) -> bool:
    """Whether a node says nothing new: only the instants of its conditions differ."""
    if write.previous is None or write.previous["spec"] != write.obj["spec"]:
        return False
    before, after = write.previous.get("status") or {}, write.obj.get("status") or {}
    states = [{each["type"]: each["status"] for each in status.get("conditions") or ()} for status in (before, after)]
    return states[0] == states[1]


def await_convergence(cluster: Cluster, within_ns: int = WITHIN_NS, stays_ns: int = STAYS_NS) -> Violation | None:
    """Let time pass until the cluster is as desired and settled, and then for `stays_ns` more.

    Returns None when it got there by `within_ns` and stayed, else what is wrong.
    """
    restless = _Restlessness(cluster)
    cluster.listen(restless.look)
    try:
        return _await_rest(cluster, restless, within_ns) or _find_unrest(cluster, restless, stays_ns)
    finally:
        cluster.stop_listening(restless.look)


def _await_rest(cluster: Cluster, restless: _Restlessness, within_ns: int) -> Violation | None:
    """Let time pass until the cluster is as desired and settled; what is wrong if that takes longer."""
    verbs = {noted.verb for noted in cluster.faults.log}
    within_ns += _BACKOFF_NS_MAX if verbs & _WATCH_FAULTS else 0
    deadline_ns = cluster.now_ns + within_ns
    settled_ns = _CLOCK_SETTLED_NS if _CLOCK_FAULT in verbs else _SETTLED_NS
    while True:
        divergence = None
        if cluster.now_ns - restless.last.at_ns >= settled_ns:
            divergence = find_divergence(cluster)
            if divergence is None:
                return None
        if cluster.now_ns >= deadline_ns:
            divergence = divergence or find_divergence(cluster) or restless.as_divergence()
            text = f"after {within_ns // SECOND} s without disturbances: {divergence.text}"
            return Violation(CONVERGENCE, cluster.now_ns, divergence.subject, text)
        cluster.loop.run_until(min(cluster.now_ns + _LOOK_NS, deadline_ns))


def _find_unrest(cluster: Cluster, restless: _Restlessness, stays_ns: int) -> Violation | None:
    """Let `stays_ns` pass in a settled cluster; what moves then should not."""
    settled_ns, requests = cluster.now_ns, cluster.plane.server.requests
    cluster.loop.run_until(settled_ns + stays_ns)
    last = restless.last
    if last.at_ns > settled_ns:
        text = f"{last.who} {last.verb} it although everything is as desired"
        return Violation(CONVERGENCE, last.at_ns, last.subject, text)
    sent = cluster.plane.server.requests - requests
    most = (cluster.options.nodes * _REQUESTS_PER_NODE + _REQUESTS_BESIDE) * (stays_ns // SECOND)
    if sent > most:
        text = f"{sent} requests in {stays_ns // SECOND} s of rest are a hot loop; {most} would be many"
        return Violation(CONVERGENCE, cluster.now_ns, "cluster", text)
    for name, controller in cluster.controller_manager.controllers.items():
        if any(len(worker.queue) for worker in controller.workers):
            return Violation(CONVERGENCE, cluster.now_ns, name, "its work queue does not drain")
    divergence = find_divergence(cluster)
    if divergence is None:
        return None
    return Violation(CONVERGENCE, cluster.now_ns, divergence.subject, f"did not stay: {divergence.text}")

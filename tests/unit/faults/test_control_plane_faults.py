"""Faults of the control plane: what is seen of each while it is on, and that the cluster is as wanted afterwards.

Constants are upstream's: a lease of 15 s, renewed within 10 s, tried every 2 s (component-base/config @v1.36); a client
that is told to wait a second does so ten times (client-go/rest/request.go @v1.36).
"""

from __future__ import annotations

import pytest
from fault_world import SECOND, created, nth_pod, seconds, strike

from kubesim.cluster import ready
from kubesim.errors import ApiError
from kubesim.faults.arguments import (
    ChangeLeader,
    Component,
    Conflicts,
    CrashComponent,
    KindName,
    Lag,
    LateWatches,
    Leader,
    LostReplies,
    Nothing,
    Overload,
    PriorityLevel,
    Slowness,
    Watches,
)

MANAGER = Component("kube-controller-manager")
REPLICA_SETS = Component("replicaset-controller")
TAKES_OVER = (15, 15 + 2 * 2.2 + 1)


@pytest.mark.parametrize(
    "fault, argument, earliest, latest",
    [
        ("slowApiServer", Slowness(added=seconds(2)), 4, 9),
        ("slowApiServer", Slowness(by=REPLICA_SETS, added=seconds(3)), 3, 5),
        ("delayWatches", LateWatches(by=MANAGER, delay=seconds(4)), 8, 9),
        ("delayWatches", LateWatches(by=MANAGER, of=KindName("replicaset"), delay=seconds(4)), 4, 5),
        ("delayWatches", LateWatches(by=MANAGER, of=KindName("node"), delay=seconds(4)), 0, 1),
        ("overloadApiServer", Overload(level=PriorityLevel("workload-high"), share=1.0), 30, 35),
        ("overloadApiServer", Overload(level=PriorityLevel("system"), share=1.0), 0, 1),
        ("stopApiServer", Nothing(), 30 + TAKES_OVER[0], 30 + TAKES_OVER[1]),
        ("crashComponent", CrashComponent(of=MANAGER), 30 + TAKES_OVER[0], 30 + TAKES_OVER[1]),
        ("crashComponent", CrashComponent(of=REPLICA_SETS), 30, 31),
        ("crashComponent", CrashComponent(of=Component("namespace-controller")), 0, 1),
        ("changeLeader", ChangeLeader(), *TAKES_OVER),
        ("changeLeader", ChangeLeader(of=Leader("kube-scheduler")), 0, 1),
        ("skipEvents", Watches(by=MANAGER), 30, 33),
        ("freezeReads", Watches(by=MANAGER), 30, 31),
        ("dropWatches", Watches(), 0, 1),
        ("expireWatches", Watches(), 0.8, 3),
        ("compactEtcd", Nothing(), 0, 1),
    ],
)
def test_a_new_pod_comes_as_late_as_the_fault_says(cluster, fault, argument, earliest, latest):
    """A scale-up right before it waits for the controllers, which see or write late; then all is as wanted."""
    cluster.run(20)
    cluster.scale("deployment/web", 4)
    start_ns = cluster.now_ns
    strike(cluster, fault, argument, lasts_s=30)
    cluster.run(60)
    first = created(cluster, start_ns)[0]

    assert earliest <= first <= latest
    assert cluster.until(ready("deployment/web"), within=60) < 60 * SECOND
    assert len(cluster.pods_of("deployment/web")) == 4


def test_while_the_api_server_is_down_pods_run_on_and_requests_are_refused(cluster):
    """Nobody is told anything, so nothing is done about anything; the events of that time come later."""
    armed = strike(cluster, "stopApiServer", Nothing())
    before = cluster.store.revision
    with pytest.raises(ApiError) as refused:
        cluster.scale("deployment/web", 5)
    cluster.crash("deployment/web")
    cluster.run(60)
    was_written = cluster.store.revision - before
    armed.heal_all()
    cluster.run(40)
    restarts = [status["restartCount"] for pod in cluster.pods_of("deployment/web") for status in _statuses(pod)]

    assert refused.value.message == "dial tcp 172.18.0.2:6443: connect: connection refused"
    assert was_written == 0
    assert sorted(restarts) == [0, 0, 1]
    assert ready("deployment/web").holds(cluster)
    assert any(event["reason"] == "Started" and event["count"] == 2 for event in cluster.events())


def _statuses(pod):
    return pod["status"]["containerStatuses"]


def test_a_node_whose_heartbeats_are_turned_away_is_lost(cluster):
    """After 40 s and more, as the priority level of heartbeats is full; then it is there again.

    Upstream: --node-monitor-grace-period=50s @v1.36
    """
    level = PriorityLevel("node-high")
    armed = strike(cluster, "overloadApiServer", Overload(level=level, share=1.0))
    cluster.run(70)
    lost = [ready(f"node/node-{number}").holds(cluster) for number in (1, 2, 3)]
    armed.heal_all()
    cluster.run(60)

    assert lost == [False, False, False]
    assert all(ready(f"node/node-{number}").holds(cluster) for number in (1, 2, 3))


def test_a_turned_away_request_is_tried_ten_times(cluster):
    """Once a second as the answer says, and given up after the eleventh try; the controller then backs off itself."""
    armed = strike(cluster, "overloadApiServer", Overload(level=PriorityLevel("workload-high"), share=1.0))
    client = next(each.client for each in cluster.plane.members("replicaset-controller"))
    tries = []
    judge = client.troubles[0].judge
    client.troubles[0].judge = lambda request: (
        request.name == "none" and tries.append(cluster.now_ns / SECOND),
        judge(request),
    )[1]
    replies = []
    from kubesim.api.kinds import POD
    from kubesim.api.requests import get

    client.send(get(POD, "default", "none"), replies.append)
    cluster.run(30)
    armed.heal_all()

    assert [round(later - tries[0]) for later in tries] == list(range(11))
    assert [reply.code for reply in replies] == [429]


def test_conflicts_do_not_stop_a_rollout(cluster):
    """Half of the updates fail, and each is done again."""
    strike(cluster, "conflictStorm", Conflicts(share=0.5))
    cluster.set_image("deployment/web", "web:2")

    assert cluster.until(ready("deployment/web"), within=120) > 0


def test_a_lost_reply_makes_no_lasting_pod_too_many(cluster):
    """The Pod is there, its controller hears of a broken connection, and in the end there are as many as wanted."""
    strike(cluster, "loseReplies", LostReplies(by=REPLICA_SETS, of=KindName("pod"), number=2))
    cluster.scale("deployment/web", 6)
    cluster.run(60)

    assert any(event["reason"] == "FailedCreate" for event in cluster.events())
    assert len(cluster.pods_of("deployment/web")) == 6
    assert ready("deployment/web").holds(cluster)


def test_the_reply_to_the_very_write_that_brings_the_fault_is_lost(cluster):
    """A fault strikes inside its write, before the reply."""
    strike(cluster, "loseReplies", LostReplies(by=REPLICA_SETS, of=KindName("pod")), after=nth_pod(2))
    cluster.scale("deployment/web", 6)
    cluster.run(30)
    failed = [event for event in cluster.events() if event["reason"] == "FailedCreate"]

    assert [event["message"] for event in failed] == [
        "Error creating: read tcp 172.18.0.2:6443: read: connection reset by peer"
    ]


def test_a_controller_crashes_between_two_writes(cluster):
    """After its second Pod no third one comes before it is back, and then all that are wanted do."""
    argument = CrashComponent(of=REPLICA_SETS)
    start_ns = cluster.now_ns
    strike(cluster, "crashComponent", argument, lasts_s=20, after=nth_pod(2))
    cluster.scale("deployment/web", 8)
    cluster.run(60)
    at = created(cluster, start_ns)

    assert [round(each / 20) for each in at] == [0, 0, 1, 1, 1]
    assert ready("deployment/web").holds(cluster)


def test_a_controller_that_restarts_on_a_stale_cache_goes_back_in_time(cluster):
    """It lists Pods as they were before the scale-up, and makes those that it cannot see once more.

    This is Sieve's pattern of stale reads; once the cache moves on, the Pods too many are deleted.
    """
    frozen = strike(cluster, "freezeReads", Watches(by=REPLICA_SETS, of=KindName("pod")))
    cluster.scale("deployment/web", 5)
    cluster.run(5)
    strike(cluster, "crashComponent", CrashComponent(of=REPLICA_SETS), lasts_s=1)
    cluster.run(5)
    seen = len(cluster.pods_of("deployment/web"))
    frozen.heal_all()
    cluster.run(30)

    assert seen == 7
    assert len(cluster.pods_of("deployment/web")) == 5


def test_what_comes_and_goes_unseen_is_never_heard_of(cluster):
    """Sieve's unobserved states: a Pod that was deleted and replaced meanwhile is for its readers just another one."""
    heard = []
    informer = _informer(cluster)
    informer.add_handler(on_delete=lambda obj: heard.append(obj["metadata"]["name"]))
    before = {pod["metadata"]["name"] for pod in cluster.pods_of("deployment/web")}
    armed = strike(cluster, "skipEvents", Watches(by=Component("kube-proxy"), of=KindName("service")))
    service = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "a"}, "spec": {"ports": [{"port": 80}]}}
    cluster.create(service)
    cluster.run(1)
    cluster.delete("service/a")
    cluster.run(1)
    armed.heal_all()
    cluster.run(10)

    assert before
    assert heard == []


def _informer(cluster):
    from kubesim.api.kinds import SERVICE

    return cluster.data_plane._informers.informer(SERVICE)


@pytest.mark.parametrize("delay_s", [2, 10])
def test_a_scheduler_that_lags_binds_late(cluster, delay_s):
    """By as much as it sees later."""
    strike(cluster, "lagScheduler", Lag(delay=seconds(delay_s)))
    cluster.scale("deployment/web", 4)
    cluster.run(20)
    pod = max(cluster.pods_of("deployment/web"), key=lambda each: each["metadata"]["creationTimestamp"])
    records = [each for each in cluster.trace.records if pod["metadata"]["name"] in each.subject]
    born = next(each.at_ns for each in records if each.verb == "created")
    bound = next(each.at_ns for each in records if each.actor == "kube-scheduler")

    assert delay_s <= (bound - born) / SECOND < delay_s + 0.1
    assert ready("deployment/web").holds(cluster)


@pytest.mark.parametrize(
    "argument, message",
    [
        (CrashComponent(of=Component("kube-proxy")), "kube-proxy does not run at this moment"),
        (CrashComponent(of=Component("kubelet/node-1")), "kubelet/node-1 does not run at this moment"),
    ],
)
def test_what_cannot_crash_is_said(cluster, argument, message):
    """Some components are no process of their own here."""
    armed = strike(cluster, "crashComponent", argument)

    assert armed.fired[0].why_not.startswith(message)


@pytest.mark.parametrize(
    "fault, argument",
    [
        ("slowApiServer", Slowness(by=Component("http"))),
        ("overloadApiServer", Overload(by=Component("http"))),
        ("dropWatches", Watches(by=Component("http"))),
        ("expireWatches", Watches(by=Component("http"))),
        ("skipEvents", Watches(by=Component("http"))),
        ("crashComponent", CrashComponent(of=Component("http"))),
    ],
)
def test_a_cluster_that_is_not_served_has_nobody_over_http(cluster, fault, argument):
    """Such a fault meets nobody, and says so."""
    armed = strike(cluster, fault, argument)

    assert armed.fired[0].why_not.startswith(("nobody comes over HTTP at this moment", "http does not run"))
    assert armed.active == []


@pytest.mark.parametrize(
    "by, earliest, latest",
    [(MANAGER, 30 + TAKES_OVER[0], 30 + TAKES_OVER[1]), (REPLICA_SETS, 30, 35), (Component("kubelet"), 0, 1)],
)
def test_one_client_is_turned_away(cluster, by, earliest, latest):
    """In every level: a scale-up waits for its controller, longest where leases cannot be renewed; not for kubelets."""
    start_ns = cluster.now_ns
    strike(cluster, "overloadApiServer", Overload(by=by, share=1.0), lasts_s=30)
    cluster.scale("deployment/web", 4)
    cluster.run(60)

    assert earliest <= created(cluster, start_ns)[0] <= latest


def test_a_leader_that_can_renew_again_in_time_goes_on(cluster):
    """An outage of less than ten seconds costs nobody the lease."""
    controllers = cluster.controller_manager.controllers
    strike(cluster, "stopApiServer", Nothing(), lasts_s=9)
    cluster.run(9.5)
    cluster.scale("deployment/web", 4)
    cluster.run(30)

    assert cluster.controller_manager.controllers == controllers
    assert ready("deployment/web").holds(cluster)

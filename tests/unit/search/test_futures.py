"""Futures: copies of a running cluster go their ways, and the cluster itself stays where it is."""

from __future__ import annotations

import msgspec
import pytest

from kubesim.cluster import Cluster, ready
from kubesim.errors import SimBug, UserError
from kubesim.faults import Disturbance
from kubesim.faults.arguments import Crash, Delete, Duration, Reference
from kubesim.search import Users, find_odds, try_futures
from kubesim.search.forking import in_fork
from kubesim.testing.builders import deployment

SECOND = 1_000_000_000
WEB = Reference("deployment/web")


def test_each_future_begins_at_this_instant():
    """What a future does to the cluster happens in it alone."""
    with Cluster() as cluster:
        cluster.create(deployment("web", replicas=2))
        cluster.until(ready("deployment/web"))
        now_ns, digest = cluster.now_ns, cluster.trace.digest()

        def lose(count):
            for pod in cluster.pods_of("deployment/web")[:count]:
                cluster.faults.crash(pod)
            cluster.run(0.2)
            return cluster.now_ns - now_ns, sum(record.actor == "fault" for record in cluster.trace.records)

        found = try_futures([lambda count=count: lose(count) for count in (0, 1, 2)])

        assert found == [(SECOND // 5, 0), (SECOND // 5, 1), (SECOND // 5, 2)]
        assert (cluster.now_ns, cluster.trace.digest()) == (now_ns, digest)


def fail_by(error):
    """A future that raises."""

    def future():
        raise error

    return future


def test_what_a_future_raises_is_raised_here():
    """Users' mistakes as they are; what cannot travel as a bug that says what it was."""

    class LocalError(Exception):
        pass

    with pytest.raises(UserError, match="no such thing"):
        in_fork(fail_by(UserError("no such thing")))
    with pytest.raises(SimBug, match="LocalError: only here"):
        in_fork(fail_by(LocalError("only here")))


def test_odds_are_told_for_each_event_of_a_story(setting):
    """A crash is noticed when it takes the only Pod that serves, and at every event the same way in every run."""
    busy = msgspec.structs.replace(setting, users=Users(service="web", rate_per_second=20), disturbed_ns=5 * SECOND)
    story = (Disturbance(fault="delete", argument=Delete(of=WEB, index=0), at=Duration(SECOND)),)
    crashes = [Disturbance(fault="crash", argument=Crash(of=WEB, index=index), at=Duration(0)) for index in (0, 1)]

    odds = find_odds(busy, story, crashes, within_ns=2 * SECOND)

    assert [each.tries for each in odds] == [2] * len(odds)
    assert [each.at_ns for each in odds] == sorted(each.at_ns for each in odds)
    assert odds[0].what.startswith("user marked pod/default/web-")
    assert any("created pod/default/web-" in each.what for each in odds)
    assert any(each.failing == 1.0 for each in odds)
    assert find_odds(busy, story, crashes, within_ns=2 * SECOND) == odds

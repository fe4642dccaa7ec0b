"""Each request of the Deployment and ReplicaSet controllers fails once: refused, or carried out with its reply lost."""

from __future__ import annotations

import pytest
from rollout_checks import Watchman, assert_converged
from test_rollouts import new_cluster, set_template, web

from kubesim.cluster import ready
from kubesim.errors import ApiError

CONTROLLERS = ("deployment-controller", "replicaset-controller")
ROLLING = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 1}}


def live(how="", at=-1):
    """A Deployment's life with request number `at` failing; returns the cluster and the requests that were sent."""
    cluster = new_cluster(nodes=1)
    server, sent = cluster.plane.server, []
    handle = server.handle

    def answer(request, identity, attempt=0):
        if not identity.user.endswith(CONTROLLERS) or request.kind.kind == "Event":
            return handle(request, identity, attempt)
        sent.append(request)
        if len(sent) - 1 != at:
            return handle(request, identity, attempt)
        if how == "lost":
            handle(request, identity, attempt)
        raise ApiError(500, "InternalError", "Internal error occurred: planted")

    server.handle = answer
    Watchman(cluster)
    cluster.create(web(2, ROLLING, revisionHistoryLimit=0))
    cluster.until(ready("deployment/web"))
    set_template(cluster, 1)
    cluster.run(6)
    cluster.scale("deployment/web", 3)
    cluster.run(6)
    cluster.delete(f"pod/{cluster.pods_of('deployment/web')[0]['metadata']['name']}")
    cluster.run(30)
    cluster.close()
    return cluster, sent


SENT = live()[1]


@pytest.mark.parametrize("how", ["refused", "lost"])
@pytest.mark.parametrize("at", range(len(SENT)), ids=lambda at: f"{at} {SENT[at].verb} {SENT[at].kind.kind}")
def test_one_failed_request_is_made_good(at, how):
    """No failure is swallowed: in the end everything is as it would have been."""
    cluster, _ = live(how, at)

    assert_converged(cluster)
    assert len(cluster.list("replicasets")) == 1

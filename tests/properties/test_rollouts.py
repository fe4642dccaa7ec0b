"""Random Deployments, random changes, random failures: what Deployments promise at every write, and where they end."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from rollout_checks import Watchman, assert_converged, assert_quiet, live_pods

from kubesim.cluster import Cluster, ready, rolled_out
from kubesim.controllers.deployment_scale import max_surge, max_unavailable
from kubesim.testing.builders import container, deployment

AMOUNTS = st.one_of(st.integers(0, 4), st.sampled_from(["0%", "25%", "50%", "100%"]))
PROGRAM = {"app": {"readyAfterSeconds": 1.5, "terminateSeconds": 0.5}}


@st.composite
def rollings(draw):
    """The strategy RollingUpdate with any settings that validation takes."""
    surge, unavailable = draw(AMOUNTS), draw(AMOUNTS)
    if surge in (0, "0%") and unavailable in (0, "0%"):
        unavailable = 1
    return {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": surge, "maxUnavailable": unavailable}}


STRATEGIES = st.one_of(rollings(), st.just({"type": "Recreate"}))


def web(replicas, strategy, **spec):
    pods = {"terminationGracePeriodSeconds": 5, "containers": [container(port=8080, ready_path="/readyz")]}
    return deployment("web", replicas=replicas, strategy=strategy, pod_spec=pods, **spec)


def set_template(cluster, value):
    change = {"metadata": {"annotations": {"version": str(value)}}}
    cluster.patch("deployment/web", {"spec": {"template": change}})


def new_cluster(seed=0, nodes=3):
    """A cluster whose Pods are ready after 1.5 s and take 0.5 s to end."""
    return Cluster(nodes=nodes, seed=seed, limits=None, programs=PROGRAM)


@given(
    replicas=st.integers(1, 7),
    strategy=rollings(),
    pauses=st.lists(st.sampled_from([0, 0.01, 0.5, 2, 10]), min_size=1, max_size=3),
)
def test_an_update_alone_stays_within_its_bounds(replicas, strategy, pauses):
    """Never more Pods than replicas + maxSurge, never fewer ready ones than replicas - maxUnavailable.

    Also when a second and third template come in the middle of the rollout.
    """
    with new_cluster() as cluster:
        watchman = Watchman(cluster)
        made = cluster.create(web(replicas, strategy))
        cluster.until(ready("deployment/web"))
        watchman.bounds = (replicas - max_unavailable(made), replicas + max_surge(made))
        for version, pause in enumerate(pauses):
            set_template(cluster, version)
            cluster.run(pause)
        cluster.until(rolled_out("deployment/web"))
        cluster.run(10)

        assert_converged(cluster)


ACTIONS = st.one_of(
    st.tuples(st.just("scale"), st.integers(0, 6)),
    st.tuples(st.just("template"), st.integers(0, 3)),
    st.tuples(st.just("delete a Pod"), st.integers(0, 5)),
    st.tuples(st.just("crash a Pod"), st.integers(0, 5)),
    st.tuples(st.just("pause"), st.booleans()),
    st.tuples(st.just("strategy"), STRATEGIES),
)
SCRIPTS = st.lists(st.tuples(ACTIONS, st.sampled_from([0, 0.005, 0.1, 1, 4])), min_size=1, max_size=8)


def act(cluster, action, argument):
    """Do one thing to the Deployment web or to its Pods."""
    if action == "scale":
        cluster.scale("deployment/web", argument)
    elif action == "template":
        set_template(cluster, argument)
    elif action == "pause":
        cluster.patch("deployment/web", {"spec": {"paused": argument or None}})
    elif action == "strategy":
        rolling = argument.get("rollingUpdate")
        cluster.patch("deployment/web", {"spec": {"strategy": {"type": argument["type"], "rollingUpdate": rolling}}})
    else:
        pods = live_pods(cluster)
        if action == "crash a Pod":
            pods = [
                pod
                for pod in pods
                if any("running" in each["state"] for each in pod["status"].get("containerStatuses", ()))
            ]
        if pods:
            name = pods[argument % len(pods)]["metadata"]["name"]
            if action == "crash a Pod":
                cluster.crash(f"pod/{name}")
            else:
                cluster.delete(f"pod/{name}")


@given(replicas=st.integers(0, 5), strategy=STRATEGIES, script=SCRIPTS, seed=st.integers(0, 3))
def test_whatever_happens_a_deployment_converges_and_is_quiet(replicas, strategy, script, seed):
    """Changes and failures in any order, then calm: all wanted Pods are there, and nothing more is written."""
    with new_cluster(seed) as cluster:
        Watchman(cluster)
        cluster.create(web(replicas, strategy))
        for (action, argument), pause in script:
            act(cluster, action, argument)
            cluster.run(pause)
        cluster.patch("deployment/web", {"spec": {"paused": None}})
        cluster.run(400)

        assert_converged(cluster)
        assert_quiet(cluster)


@given(policy=st.sampled_from(["Background", "Foreground", "Orphan"]), pause=st.sampled_from([0, 0.02, 1, 10]))
def test_a_deleted_deployment_leaves_what_its_policy_says(policy, pause):
    """At any time of its life: nothing is left, or under Orphan what was there, without an owner."""
    with new_cluster() as cluster:
        Watchman(cluster)
        cluster.create(web(3, {"type": "RollingUpdate"}))
        cluster.run(pause)
        before = {each["metadata"]["name"] for each in cluster.list("replicasets")}
        cluster.delete("deployment/web", propagation=policy)
        cluster.run(60)

        assert cluster.find("deployment/web") is None
        left = {each["metadata"]["name"] for each in cluster.list("replicasets")}
        assert left == (before if policy == "Orphan" else set())
        assert len(live_pods(cluster)) == (3 if left else 0)
        assert_converged(cluster)
        assert_quiet(cluster)

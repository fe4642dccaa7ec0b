"""What a Pod that goes nowhere is told.

The texts marked so were recorded on a real 1.36.3 cluster of one node; the others follow from
pkg/scheduler/framework/types.go:FitError.Error and the plugins' reasons at v1.36.
"""

from __future__ import annotations

import pytest

NOT_HELPFUL = (
    "no new claims to deallocate, preemption: 0/1 nodes are available: 1 Preemption is not helpful for scheduling."
)
NO_VICTIMS = (
    "no new claims to deallocate, preemption: 0/1 nodes are available: 1 No preemption victims found for incoming pod."
)


def spread(key, **more):
    """A hard constraint over Pods labelled a=b."""
    selector = {"labelSelector": {"matchLabels": {"a": "b"}}}
    return [{"maxSkew": 1, "topologyKey": key, "whenUnsatisfiable": "DoNotSchedule", **selector, **more}]


def term(labels):
    """One required term over hosts."""
    required = [{"topologyKey": "kubernetes.io/hostname", "labelSelector": {"matchLabels": labels}}]
    return {"requiredDuringSchedulingIgnoredDuringExecution": required}


HOST_PORT = {"ports": [{"containerPort": 80, "hostPort": 31999}]}
HUGE = {"requests": {"cpu": "1000", "memory": "100Ti", "ephemeral-storage": "100Ti"}}
NOWHERE = {"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["nosuch"]}]}
FIELD_AFFINITY = {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [NOWHERE]}}}

RECORDED = [
    pytest.param({"cpu": "1000"}, f"1 Insufficient cpu. {NOT_HELPFUL}", id="more cpu than any node has"),
    pytest.param(
        {"container": {"resources": HUGE}},
        f"1 Insufficient cpu, 1 Insufficient ephemeral-storage, 1 Insufficient memory. {NOT_HELPFUL}",
        id="more of everything than any node has",
    ),
    pytest.param(
        {"nodeSelector": {"no": "such"}},
        f"1 node(s) didn't match Pod's node affinity/selector. {NOT_HELPFUL}",
        id="a node selector that no node matches",
    ),
    pytest.param(
        {"affinity": FIELD_AFFINITY},
        f"1 node(s) didn't satisfy plugin(s) [NodeAffinity]. {NOT_HELPFUL}",
        id="affinity to a node by a name that is not there",
    ),
    pytest.param(
        {"topologySpreadConstraints": spread("no/such"), "labels": {"a": "b"}},
        f"1 node(s) didn't match pod topology spread constraints (missing required label). {NOT_HELPFUL}",
        id="spreading over a label that no node has",
    ),
    pytest.param(
        {"affinity": {"podAffinity": term({"no": "such"})}},
        f"1 node(s) didn't match pod affinity rules. {NOT_HELPFUL}",
        id="affinity to Pods that are not there",
    ),
    pytest.param(
        {"affinity": {"podAntiAffinity": term({"port": "1"})}},
        f"1 node(s) didn't match pod anti-affinity rules. {NO_VICTIMS}",
        id="anti-affinity to a Pod that is there",
    ),
    pytest.param(
        {"container": HOST_PORT},
        f"1 node(s) didn't have free ports for the requested pod ports. {NO_VICTIMS}",
        id="a host port that is taken",
    ),
    pytest.param(
        {"volumes": [{"name": "v", "persistentVolumeClaim": {"claimName": "nope"}}]},
        'persistentvolumeclaim "nope" not found. not found',
        id="a claim that is not there",
    ),
    pytest.param(
        {"volumes": [{"name": "v", "persistentVolumeClaim": {"claimName": "immediate"}}]},
        "pod has unbound immediate PersistentVolumeClaims. not found",
        id="a claim that should have been bound before",
    ),
    pytest.param(
        {"volumes": [{"name": "v", "persistentVolumeClaim": {"claimName": "waiting"}}]},
        f"1 node(s) didn't find available persistent volumes to bind. {NOT_HELPFUL}",
        id="a claim that waits for a consumer but has nobody to provision it",
    ),
]


def claim(name, class_name):
    """An unbound claim."""
    return {
        "metadata": {"namespace": "default", "name": name, "uid": name},
        "spec": {"storageClassName": class_name, "accessModes": ["ReadWriteOnce"]},
        "status": {"phase": "Pending"},
    }


@pytest.mark.parametrize("wants, expected", RECORDED)
def test_one_node_refuses_in_the_words_of_the_real_scheduler(world, node, pod, wants, expected) -> None:
    """Each text is what a 1.36.3 cluster of one node wrote into the PodScheduled condition."""
    cluster = world(node("node-1"))
    cluster.place(pod("there", labels={"port": "1"}, container=HOST_PORT), "node-1")
    late = {"metadata": {"name": "late"}, "provisioner": "kubernetes.io/no-provisioner"}
    cluster.put("storage_classes", {**late, "volumeBindingMode": "WaitForFirstConsumer"})
    cluster.put("claims", claim("waiting", "late"))
    cluster.put("claims", claim("immediate", ""))

    assert cluster.message(pod("p", **wants)) == f"0/1 nodes are available: {expected}"


def test_reasons_of_several_nodes_are_counted_and_sorted_as_text(world, node, pod) -> None:
    """Two full nodes, one tainted, one cordoned."""
    cluster = world(
        node("a", cpu="1"),
        node("b", cpu="1"),
        node("c", taints=[{"key": "x", "effect": "NoSchedule"}]),
        node("d", unschedulable=True),
    )
    for name in ("a", "b"):
        cluster.place(pod(f"on-{name}", cpu="900m"), name)

    assert cluster.message(pod("p", cpu="500m")) == (
        "0/4 nodes are available: 1 node(s) had untolerated taint(s), 1 node(s) were unschedulable, "
        "2 Insufficient cpu. no new claims to deallocate, preemption: 0/4 nodes are available: "
        "2 No preemption victims found for incoming pod, 2 Preemption is not helpful for scheduling."
    )


def test_skew_is_measured_from_the_emptiest_domain(world, node, pod) -> None:
    """With one Pod in each zone but the third, only the third may take the next; it is full."""
    cluster = world(*[node(f"n{zone}", zone=zone, cpu="1") for zone in "123"])
    for zone in "12":
        cluster.place(pod(f"p{zone}", labels={"a": "b"}), f"n{zone}")
    cluster.place(pod("filler", cpu="1"), "n3")
    waiting = pod("p", cpu="500m", labels={"a": "b"}, topologySpreadConstraints=spread("topology.kubernetes.io/zone"))

    assert cluster.message(waiting).startswith(
        "0/3 nodes are available: 1 Insufficient cpu, 2 node(s) didn't match pod topology spread constraints."
    )


def test_a_cluster_without_nodes_says_so(world, pod) -> None:
    """Upstream: pkg/scheduler/scheduler.go:ErrNoNodesAvailable @v1.36"""
    assert world().message(pod("p")) == "no nodes available to schedule pods"


def test_a_pod_that_never_preempts_is_told_so(world, node, pod) -> None:
    """Upstream: default_preemption.go:PodEligibleToPreemptOthers @v1.36"""
    cluster = world(node("node-1"))

    message = cluster.message(pod("p", cpu="1000", preemptionPolicy="Never"))

    assert message.endswith("no new claims to deallocate, preemption: not eligible due to preemptionPolicy=Never.")


def test_a_failure_is_remembered_until_something_changes(world, node, pod) -> None:
    """Pods of one template that fail one after the other share the verdict; a deletion makes it anew."""
    cluster = world(node("node-1", cpu="1"))
    cluster.place(pod("there", cpu="1"), "node-1")
    first, second = cluster.run(pod("a", cpu="500m")), cluster.run(pod("b", cpu="500m"))
    cluster.snapshot.remove_pod("uid-default-there")

    assert first is second
    assert cluster.run(pod("c", cpu="500m")).node_name == "node-1"

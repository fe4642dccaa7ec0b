"""The garbage collector in a running control plane."""

import sys

import pytest
from control_plane_world import SOON_NS, World

from kubesim.api.kinds import (
    CLUSTER_ROLE,
    CONFIG_MAP,
    DEPLOYMENT,
    EVENT,
    LEASE,
    NODE,
    POD,
    REPLICA_SET,
    SECRET,
)
from kubesim.controllers.dependency_graph import AbsentOwners, Graph, Identity, Node
from kubesim.controllers.garbage_collector import monitored_kinds
from kubesim.sim.loop import SECOND


@pytest.fixture
def world():
    return World()


def graph_of(world):
    return world.manager.controllers["garbage-collector-controller"].graph


def deployment(world, replicas=2):
    """A Deployment whose ReplicaSet and Pods are there."""
    template = {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "main", "image": "x"}]}}
    spec = {"replicas": replicas, "selector": {"matchLabels": {"app": "web"}}, "template": template}
    world.create(DEPLOYMENT, "web", spec=spec)
    world.run()
    assert len(world.list(POD)) == replicas


def test_background(world):
    """The owner goes at once, then what it owned, level by level: recorded as Deployment, ReplicaSet, Pods."""
    deployment(world)
    world.writes.clear()

    world.delete(DEPLOYMENT, "web")
    world.run()

    assert world.list(DEPLOYMENT) == world.list(REPLICA_SET) == world.list(POD) == []
    deleted = [kind for writer, verb, kind, _ in world.writes if verb == "deleted"]
    assert deleted == ["ReplicaSet", "Pod", "Pod"]


def test_foreground(world):
    """The owner waits with a finalizer until all that it owns and that blocks it is gone, deepest first."""
    deployment(world)
    world.node()
    for pod in world.list(POD):
        world.bind(pod["metadata"]["name"])
    world.run()

    world.delete(DEPLOYMENT, "web", propagation="Foreground")
    world.run()
    for obj in (world.find(DEPLOYMENT, "web"), world.list(REPLICA_SET)[0]):
        assert obj["metadata"]["finalizers"] == ["foregroundDeletion"]
        assert "deletionTimestamp" in obj["metadata"]
    assert all("deletionTimestamp" in pod["metadata"] for pod in world.list(POD))

    world.writes.clear()
    for pod in world.list(POD):
        world.delete(POD, pod["metadata"]["name"], grace_period_s=0)
    world.run()
    assert world.find(DEPLOYMENT, "web") is None
    removed = [kind for writer, verb, kind, _ in world.writes if verb == "deleted"]
    assert removed == ["ReplicaSet", "Deployment"]


def test_foreground_waits_only_for_blocking_dependents(world):
    """A dependent without blockOwnerDeletion is deleted too, but not waited for."""
    owner = world.create(CONFIG_MAP, "owner")
    for name, blocks in (("blocking", True), ("other", False)):
        world.create(SECRET, name, owners=[world.owner(owner, blockOwnerDeletion=blocks)], finalizers=["x.y/z"])
    world.run()

    world.delete(CONFIG_MAP, "owner", propagation="Foreground")
    world.run()
    assert world.find(CONFIG_MAP, "owner") is not None

    world.patch(SECRET, "blocking", {"metadata": {"finalizers": None}})
    world.run()
    assert world.find(CONFIG_MAP, "owner") is None
    assert "deletionTimestamp" in world.find(SECRET, "other")["metadata"]


def test_unblocking_ends_the_wait(world):
    """A dependent that stops blocking lets the waiting owner go: addUnblockedOwnersToDeleteQueue."""
    owner = world.create(CONFIG_MAP, "owner")
    world.create(SECRET, "held", owners=[world.owner(owner, blockOwnerDeletion=True)], finalizers=["x.y/z"])
    world.run()
    world.delete(CONFIG_MAP, "owner", propagation="Foreground")
    world.run()
    assert world.find(CONFIG_MAP, "owner") is not None

    world.patch(SECRET, "held", {"metadata": {"ownerReferences": [world.owner(owner)]}})
    world.run()
    assert world.find(CONFIG_MAP, "owner") is None


def test_orphan(world):
    """The owner goes once its dependents no longer name it; they stay. Recorded: the ReplicaSet loses its owner first."""
    deployment(world)

    world.delete(DEPLOYMENT, "web", propagation="Orphan")
    world.run()

    assert world.find(DEPLOYMENT, "web") is None
    (replica_set,) = world.list(REPLICA_SET)
    assert "ownerReferences" not in replica_set["metadata"]
    assert len(world.list(POD)) == 2


def test_circle_of_foreground_deletions(world):
    """Two objects that own each other do not wait for each other for ever."""
    first = world.create(CONFIG_MAP, "first")
    second = world.create(CONFIG_MAP, "second", owners=[world.owner(first, blockOwnerDeletion=True)])
    world.patch(CONFIG_MAP, "first", {"metadata": {"ownerReferences": [world.owner(second, blockOwnerDeletion=True)]}})
    world.run()

    world.delete(CONFIG_MAP, "first", propagation="Foreground")
    world.run(SECOND)

    assert [each["metadata"]["name"] for each in world.list(CONFIG_MAP)] == ["kube-root-ca.crt"]


@pytest.mark.parametrize(
    "changes",
    [{"name": "missing"}, {"uid": "11111111-1111-4111-8111-111111111111"}],
    ids=["an owner that is not there", "an owner of that name with another uid"],
)
def test_absent_owner(world, changes):
    """An object whose only owner does not exist is deleted."""
    owner = world.create(CONFIG_MAP, "owner")
    reference = {**world.owner(owner), "uid": "00000000-0000-4000-8000-000000000000", **changes}
    world.create(SECRET, "lost", owners=[reference])
    world.run()
    assert world.find(SECRET, "lost") is None
    assert world.find(CONFIG_MAP, "owner") is not None


def test_one_of_two_owners_is_gone(world):
    """The reference to the owner that is gone is removed; the object stays for the other."""
    kept, gone = world.create(CONFIG_MAP, "kept"), world.create(CONFIG_MAP, "gone")
    world.create(SECRET, "shared", owners=[world.owner(kept), world.owner(gone)])
    world.run()

    world.delete(CONFIG_MAP, "gone")
    world.run()

    assert world.find(SECRET, "shared")["metadata"]["ownerReferences"] == [world.owner(kept)]


def test_owner_waiting_for_a_shared_dependent(world):
    """An owner that is deleted in the foreground loses a dependent that somebody else still owns."""
    kept, gone = world.create(CONFIG_MAP, "kept"), world.create(CONFIG_MAP, "gone")
    world.create(SECRET, "shared", owners=[world.owner(kept), world.owner(gone, blockOwnerDeletion=True)])
    world.run()

    world.delete(CONFIG_MAP, "gone", propagation="Foreground")
    world.run()

    assert world.find(CONFIG_MAP, "gone") is None
    assert world.find(SECRET, "shared")["metadata"]["ownerReferences"] == [world.owner(kept)]


def test_owner_in_another_namespace(world):
    """An owner elsewhere is none: the object is told so by an event, and deleted."""
    world.namespace("other")
    owner = world.create(CONFIG_MAP, "owner", "other")
    world.run()
    reference = world.owner(owner)
    world.create(SECRET, "lost", owners=[reference])
    world.run()

    assert world.find(SECRET, "lost") is None
    assert world.find(CONFIG_MAP, "owner", "other") is not None
    (event,) = [event for event in world.list(EVENT) if event["reason"] == "OwnerRefInvalidNamespace"]
    assert event["message"] == (
        f"ownerRef [v1/ConfigMap, namespace: default, name: owner, uid: {reference['uid']}] does not exist in "
        'namespace "default"'
    )
    assert event["involvedObject"]["name"] == "lost"


def test_cluster_scoped_owner(world):
    """A namespaced object may be owned by a cluster-scoped one, as a Lease by its Node."""
    node = world.create(NODE, "n")
    world.create(LEASE, "n", owners=[world.owner(node)])
    world.run(SECOND)
    assert world.find(LEASE, "n") is not None

    world.delete(NODE, "n")
    world.run()
    assert world.find(LEASE, "n") is None


def test_namespaced_owner_of_a_cluster_scoped_object(world):
    """Such an object is left alone: namespacedOwnerOfClusterScopedObjectErr."""
    owner = world.create(CONFIG_MAP, "owner")
    world.create(CLUSTER_ROLE, "role", owners=[world.owner(owner)], rules=[])
    world.run()
    world.delete(CONFIG_MAP, "owner")
    world.run(10 * SECOND)
    assert world.find(CLUSTER_ROLE, "role") is not None


def test_owner_of_an_unknown_kind(world):
    """Nothing is known about an owner of a kind that is not served, so nothing is deleted."""
    reference = {"apiVersion": "example.com/v1", "kind": "Widget", "name": "w", "uid": "u"}
    world.create(SECRET, "owned", owners=[reference])
    world.run(10 * SECOND)
    assert world.find(SECRET, "owned") is not None


def test_owner_that_appears_in_the_cache_later(world):
    """An owner that exists is found by look-up even where the graph has not seen it; nothing is deleted."""
    owner = world.create(CONFIG_MAP, "owner")
    world.create(SECRET, "owned", owners=[world.owner(owner)])
    world.run(5 * SECOND)
    assert world.find(SECRET, "owned") is not None
    assert not graph_of(world).nodes[owner["metadata"]["uid"]].is_virtual


def test_object_that_is_held_keeps_its_policy(world):
    """An object that waits for a finalizer is not deleted twice."""
    owner = world.create(CONFIG_MAP, "owner")
    world.create(SECRET, "held", owners=[world.owner(owner)], finalizers=["x.y/z"])
    world.run()
    world.delete(CONFIG_MAP, "owner")
    world.run()
    assert world.find(SECRET, "held")["metadata"]["finalizers"] == ["x.y/z"]

    world.writes.clear()
    world.run(10 * SECOND)
    assert world.writes == []


def test_monitored_kinds():
    """All kinds that can be deleted are monitored once, except events: graph_builder.go:ignoredResources."""
    resources = [kind.resource for kind in monitored_kinds()]
    assert len(set(resources)) == len(resources)
    assert {
        "pods",
        "leases.coordination.k8s.io",
        "nodes",
        "namespaces",
        "clusterroles.rbac.authorization.k8s.io",
    } <= set(resources)
    assert not any("event" in resource for resource in resources)
    assert "componentstatuses" not in resources


def test_graph_forgets(world):
    """When everything is deleted, nothing is left in the graph but what was there before."""
    before = set(graph_of(world).nodes)
    deployment(world, replicas=5)
    world.delete(DEPLOYMENT, "web")
    world.run(SECOND)
    assert set(graph_of(world).nodes) == before


def test_pod_costs_less_than_300_bytes():
    """The graph of 10,000 Pods in ReplicaSets of ten takes at most 300 bytes a Pod beyond the Pods themselves."""
    graph = Graph(None, None, None)
    type_ = ("v1", "Pod")
    replica_sets = []
    for index in range(1000):
        graph.handle_add(
            ("apps/v1", "ReplicaSet"), {"metadata": {"namespace": "a", "name": f"r{index}", "uid": f"r{index}"}}
        )
        replica_sets.append([{"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": f"r{index}", "uid": f"r{index}"}])
    for index in range(10_000):
        owners = replica_sets[index % 1000]
        metadata = {"namespace": "a", "name": f"p{index}", "uid": f"u{index}", "ownerReferences": owners}
        graph.handle_add(type_, {"metadata": metadata})

    size = sys.getsizeof(graph.nodes)
    for node in graph.nodes.values():
        # sys.getsizeof counts neither slots' targets, which are shared, nor what the collector of cycles prepends.
        size += sys.getsizeof(node) + 16 + (sys.getsizeof(node.dependents) if node.dependents else 0)
    assert size / 10_000 <= 300


@pytest.mark.parametrize("count, is_kept", [(499, True), (500, False)])
def test_absent_owners_are_bounded(count, is_kept):
    """Of the owners known to be gone the last 500 are remembered: NewReferenceCache(500)."""
    absent = AbsentOwners()
    first = Identity("Pod", "v1", "a", "first", "first")
    absent.add(first)
    for index in range(count):
        absent.add(Identity("Pod", "v1", "a", f"p{index}", f"u{index}"))
    assert (first in absent) is is_kept


def test_dependents_that_disagree_about_an_owner(world):
    """Two objects name one uid by different coordinates: the right one stays, the wrong one goes."""
    owner = world.create(CONFIG_MAP, "owner")
    right = world.owner(owner)
    world.create(SECRET, "wrong", owners=[{**right, "name": "nobody"}])
    world.create(SECRET, "right", owners=[right])
    world.run(5 * SECOND)
    assert world.find(SECRET, "wrong") is None
    assert world.find(SECRET, "right") is not None


def test_nodes_print_their_coordinates():
    """A node prints as upstream prints references in logs and events."""
    node = Node(("v1", "Pod"), "a", "p", "u", [], is_virtual=False)
    assert repr(node) == "[v1/Pod, namespace: a, name: p, uid: u]"


def test_restarted_manager_rebuilds_the_graph(world):
    """A manager that starts among existing objects deletes nothing that is owned, and what has lost its owner meanwhile."""
    deployment(world)
    owner = world.create(CONFIG_MAP, "owner")
    world.create(SECRET, "owned", owners=[world.owner(owner)])
    world.run()
    world.manager.stop()
    world.delete(CONFIG_MAP, "owner")
    world.run(SOON_NS)
    assert world.find(SECRET, "owned") is not None

    world.restart_manager()
    world.run(SECOND)

    assert world.find(SECRET, "owned") is None
    assert len(world.list(POD)) == 2

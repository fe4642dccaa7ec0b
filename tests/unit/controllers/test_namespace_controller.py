"""Namespace deletion in a running control plane. Conditions and texts are those of a recorded deletion on 1.36.3."""

import pytest
from control_plane_world import World

from kubesim.api.kinds import CONFIG_MAP, DEPLOYMENT, ENDPOINT_SLICE, NAMESPACE, POD, SECRET, SERVICE
from kubesim.errors import ApiError
from kubesim.sim.loop import MILLISECOND, SECOND

GRACE_NS = 5 * SECOND
# One pass asks two or three times for each of some forty kinds.
PASS_NS = 400 * MILLISECOND
GOOD = [
    ("NamespaceDeletionDiscoveryFailure", "False", "ResourcesDiscovered", "All resources successfully discovered"),
    (
        "NamespaceDeletionGroupVersionParsingFailure",
        "False",
        "ParsedGroupVersions",
        "All legacy kube types successfully parsed",
    ),
    (
        "NamespaceDeletionContentFailure",
        "False",
        "ContentDeleted",
        "All content successfully deleted, may be waiting on finalization",
    ),
    ("NamespaceContentRemaining", "False", "ContentRemoved", "All content successfully removed"),
    ("NamespaceFinalizersRemaining", "False", "ContentHasNoFinalizers", "All content-preserving finalizers finished"),
]


@pytest.fixture
def world():
    world = World()
    world.node()
    world.namespace("shop")
    world.run()
    return world


def conditions(world):
    status = world.find(NAMESPACE, "shop")["status"]
    return [(each["type"], each["status"], each["reason"], each["message"]) for each in status.get("conditions", [])]


def test_empty_namespace(world):
    """Terminating at once, untouched for five seconds, then gone with what every namespace has."""
    world.delete(NAMESPACE, "shop")
    assert world.find(NAMESPACE, "shop")["status"] == {"phase": "Terminating"}

    world.run(GRACE_NS)
    assert world.find(CONFIG_MAP, "kube-root-ca.crt", "shop") is not None

    world.run(PASS_NS)
    assert world.find(NAMESPACE, "shop") is None
    assert world.list(CONFIG_MAP, "shop") == []


def test_everything_goes(world):
    """Workloads, Services and Secrets go, and nothing comes back while they do."""
    template = {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "main", "image": "x"}]}}
    spec = {"replicas": 2, "selector": {"matchLabels": {"app": "web"}}, "template": template}
    world.create(DEPLOYMENT, "web", "shop", spec=spec)
    world.service(namespace="shop")
    world.create(SECRET, "s", "shop")
    world.run()
    assert len(world.list(POD, "shop")) == 2

    world.delete(NAMESPACE, "shop")
    world.run(30 * SECOND)

    assert world.find(NAMESPACE, "shop") is None
    for kind in (DEPLOYMENT, POD, SERVICE, SECRET, ENDPOINT_SLICE):
        assert world.list(kind, "shop") == []


def test_pods_go_first(world):
    """While a Pod is left nothing else is deleted, and the conditions do not speak of it yet."""
    world.pod("slow", "shop", ip="10.0.0.1")
    world.create(SECRET, "s", "shop")
    world.delete(NAMESPACE, "shop")
    world.run(GRACE_NS + PASS_NS)

    assert "deletionTimestamp" in world.find(POD, "slow", "shop")["metadata"]
    assert conditions(world) == GOOD
    assert world.find(SECRET, "s", "shop") is not None

    world.delete(POD, "slow", "shop", grace_period_s=0)
    world.run(20 * SECOND)
    assert world.find(NAMESPACE, "shop") is None


def test_finalizers_hold_the_namespace(world):
    """What a finalizer holds is named and counted; the namespace goes once it is gone."""
    for name in ("a", "b"):
        world.create(SECRET, name, "shop", finalizers=["x.y/z"])
    world.delete(NAMESPACE, "shop")
    world.run(GRACE_NS + PASS_NS)

    assert conditions(world)[:3] == GOOD[:3]
    assert conditions(world)[3:] == [
        (
            "NamespaceContentRemaining",
            "True",
            "SomeResourcesRemain",
            "Some resources are remaining: secrets. has 2 resource instances",
        ),
        (
            "NamespaceFinalizersRemaining",
            "True",
            "SomeFinalizersRemain",
            "Some content in the namespace has finalizers remaining: x.y/z in 2 resource instances",
        ),
    ]

    for name in ("a", "b"):
        world.patch(SECRET, name, {"metadata": {"finalizers": None}}, "shop")
    world.run(10 * SECOND)
    assert world.find(NAMESPACE, "shop") is None


def test_grace_that_is_over(world):
    """Pods that outlast the grace that they were given are an error, retried with back-off."""
    world.pod("stuck", "shop", ip="10.0.0.1", terminationGracePeriodSeconds=1)
    world.delete(NAMESPACE, "shop")
    world.run(GRACE_NS + PASS_NS)

    assert conditions(world)[2] == (
        "NamespaceDeletionContentFailure",
        "True",
        "ContentDeletionFailed",
        "Failed to delete all resource types, 1 remaining: unexpected items still remain in namespace: shop for gvr: /v1, Resource=pods",
    )

    world.delete(POD, "stuck", "shop", grace_period_s=0)
    world.run(60 * SECOND)
    assert world.find(NAMESPACE, "shop") is None


def test_transition_times_stay(world):
    """A condition whose status stays keeps its lastTransitionTime."""
    world.create(SECRET, "a", "shop", finalizers=["x.y/z"])
    world.delete(NAMESPACE, "shop")
    world.run(GRACE_NS + PASS_NS)
    before = world.find(NAMESPACE, "shop")["status"]["conditions"]
    world.run(30 * SECOND)
    assert world.find(NAMESPACE, "shop")["status"]["conditions"] == before


def test_own_finalizer(world):
    """A finalizer of the user's own on the namespace holds it after its content is gone."""
    world.patch(NAMESPACE, "shop", {"metadata": {"finalizers": ["x.y/z"]}})
    world.delete(NAMESPACE, "shop")
    world.run(GRACE_NS + PASS_NS)
    held = world.find(NAMESPACE, "shop")
    assert "finalizers" not in held["spec"]
    assert conditions(world) == GOOD

    world.patch(NAMESPACE, "shop", {"metadata": {"finalizers": None}})
    assert world.find(NAMESPACE, "shop") is None


def test_nothing_new_while_terminating(world):
    """Nothing can be created in a terminating namespace."""
    world.delete(NAMESPACE, "shop")
    with pytest.raises(ApiError) as refused:
        world.create(SECRET, "late", "shop")
    assert refused.value.code == 403


def test_other_namespaces_are_left_alone(world):
    """Deleting one namespace touches no other."""
    kept = world.create(SECRET, "s")
    world.delete(NAMESPACE, "shop")
    world.run(10 * SECOND)
    assert world.find(SECRET, "s") == kept
    assert len(world.list(NAMESPACE)) == 4

"""Finalizers that keep claims and volumes in use: recorded from a real 1.36.3, and pkg/controller/volume/{pvc,pv}protection."""

import pytest
from volumes_world import VolumesWorld

from kubesim.api.kinds import PERSISTENT_VOLUME, PERSISTENT_VOLUME_CLAIM, POD
from kubesim.sim.loop import SECOND


@pytest.fixture
def world():
    world = VolumesWorld()
    world.node("node-1")
    world.volume()
    world.claim()
    world.run()
    return world


def test_claim_in_use(world):
    """A deleted claim stays Bound until the last Pod on a node that refers to it is gone, and then goes at once."""
    world.pod_with("data", "one", node="node-1")
    world.pod_with("data", "two", node="node-1")
    world.run()
    world.delete(PERSISTENT_VOLUME_CLAIM, "data")
    world.run(SECOND)
    claim = world.get_claim()
    assert claim["status"]["phase"] == "Bound"
    assert claim["metadata"]["finalizers"] == ["kubernetes.io/pvc-protection"]
    world.finish("one")
    world.run(SECOND)
    assert world.get_claim() is not None
    world.finish("two")
    world.run()
    assert world.get_claim() is None
    assert world.volume_phase() == "Released"


def test_claim_of_a_pod_without_a_node(world):
    """A Pod that is on no node does not hold a claim back."""
    world.pod_with("data")
    world.run()
    world.delete(PERSISTENT_VOLUME_CLAIM, "data")
    world.run()
    assert world.get_claim() is None


def test_claim_of_a_finished_pod(world):
    """A Pod that has finished still holds its claim, as long as it is there."""
    world.pod_with("data", "app", node="node-1")
    world.patch(POD, "app", {"status": {"phase": "Succeeded"}}, subresource="status")
    world.delete(PERSISTENT_VOLUME_CLAIM, "data")
    world.run(SECOND)
    assert world.get_claim() is not None
    world.delete(POD, "app")
    world.run()
    assert world.get_claim() is None


def test_claim_of_a_pod_that_the_informer_has_not_seen(world):
    """Before the finalizer goes the API server is asked for Pods that were bound meanwhile."""
    world.pod_with("data")
    world.run()
    world.delete(PERSISTENT_VOLUME_CLAIM, "data")
    world.bind("app")
    world.run(SECOND)
    assert world.get_claim() is not None


def test_many_claims_of_one_namespace(world):
    """Claims deleted together are served by one list of the namespace's Pods, whatever holds some of them back."""
    for number in range(4):
        world.claim(f"data-{number}", "none")
    world.pod_with("data-2", node="node-1")
    world.run()
    for number in range(4):
        world.delete(PERSISTENT_VOLUME_CLAIM, f"data-{number}")
    world.run(SECOND)
    assert [number for number in range(4) if world.get_claim(f"data-{number}") is not None] == [2]


def test_volume_in_use(world):
    """A deleted volume stays while it is Bound, and goes with its claim."""
    world.delete(PERSISTENT_VOLUME, "disk")
    world.run(SECOND)
    assert (world.claim_phase(), world.volume_phase()) == ("Bound", "Bound")
    world.delete(PERSISTENT_VOLUME_CLAIM, "data")
    world.run(SECOND)
    assert (world.get_claim(), world.get_volume()) == (None, None)


def test_finalizer_that_somebody_took_away(world):
    """A claim or volume that is not being deleted gets it back."""
    world.patch(PERSISTENT_VOLUME_CLAIM, "data", {"metadata": {"finalizers": None}})
    world.patch(PERSISTENT_VOLUME, "disk", {"metadata": {"finalizers": None}})
    world.run()
    assert world.get_claim()["metadata"]["finalizers"] == ["kubernetes.io/pvc-protection"]
    assert world.get_volume()["metadata"]["finalizers"] == ["kubernetes.io/pv-protection"]

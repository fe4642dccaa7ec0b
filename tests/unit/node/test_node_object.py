"""The Node object and its Lease, as recordings of a fresh cluster show them."""

from __future__ import annotations

from worlds import World

from kubesim.api.kinds import LEASE, NODE
from kubesim.api.requests import delete
from kubesim.api.timestamps import from_time
from kubesim.node.addresses import PodAddresses
from kubesim.sim.loop import SECOND


def test_registration(world):
    """The node registers with labels, addresses, resources and four conditions."""
    node = world.node()

    assert node["metadata"]["labels"]["kubernetes.io/hostname"] == "node-1"
    assert node["spec"]["podCIDR"] == "10.244.1.0/24"
    assert node["status"]["addresses"] == [
        {"type": "InternalIP", "address": "10.0.0.1"},
        {"type": "Hostname", "address": "node-1"},
    ]
    assert [(item["type"], item["status"], item["reason"]) for item in node["status"]["conditions"]] == [
        ("MemoryPressure", "False", "KubeletHasSufficientMemory"),
        ("DiskPressure", "False", "KubeletHasNoDiskPressure"),
        ("PIDPressure", "False", "KubeletHasSufficientPID"),
        ("Ready", "True", "KubeletReady"),
    ]
    assert node["status"]["nodeInfo"]["kubeletVersion"] == "v1.36.3"
    assert world.reasons("node-1")[:1] == ["Starting"]


def test_status_is_reported_every_five_minutes(world):
    """Heartbeat times move, transition times don't."""
    before = world.node()["status"]["conditions"]
    world.run(460)
    after = world.node()["status"]["conditions"]

    assert from_time(after[3]["lastHeartbeatTime"]) > from_time(before[3]["lastHeartbeatTime"]) + 100 * SECOND
    assert after[3]["lastTransitionTime"] == before[3]["lastTransitionTime"]


def test_lease_is_renewed(world):
    """Every ten seconds and a little; it lasts forty and belongs to the node."""
    world.run(60)
    lease = world.get("node-1", LEASE, "kube-node-lease")

    assert lease["spec"]["holderIdentity"] == "node-1"
    assert lease["spec"]["leaseDurationSeconds"] == 40
    assert lease["metadata"]["ownerReferences"][0]["uid"] == world.node()["metadata"]["uid"]
    assert world.loop.now_ns - from_time(lease["spec"]["renewTime"]) < 10.5 * SECOND


def test_a_deleted_lease_is_made_again(world):
    """The next renewal finds nothing and creates it."""
    world.run(5)
    world.call(delete(LEASE, "kube-node-lease", "node-1"))
    world.run(15)

    assert world.get("node-1", LEASE, "kube-node-lease") is not None


def test_a_stopped_kubelet_renews_nothing(world):
    """The Lease grows old."""
    world.run(5)
    world.kubelets["node-1"].stop()
    world.run(100)

    assert (
        world.loop.now_ns - from_time(world.get("node-1", LEASE, "kube-node-lease")["spec"]["renewTime"]) > 90 * SECOND
    )


def test_a_deleted_node_registers_again(world):
    """The kubelet's next report finds no Node."""
    world.call(delete(NODE, "", "node-1"))
    world.run(500)

    assert world.node() is not None


def test_images_are_reported():
    """What was pulled is in the next report, under its full name."""
    world = World()
    world.pod(image="other:1")
    world.run(470)

    assert {"names": ["docker.io/library/other:1"], "sizeBytes": 60_000_000} in world.node()["status"]["images"]


def test_pod_addresses():
    """Network, gateway and broadcast are left out; an address comes around only when all others have been used."""
    addresses = PodAddresses("10.0.0.0/29")
    taken = [addresses.take() for _ in range(5)]

    assert taken == [f"10.0.0.{number}" for number in range(2, 7)]
    assert addresses.take() is None
    addresses.give_back("10.0.0.3")
    addresses.give_back("10.0.0.2")
    assert addresses.take() == "10.0.0.2"


def test_a_kubelet_that_starts_again_goes_on_where_it_was():
    """An address that was in use before is not the first one to be given out again."""
    addresses = PodAddresses("10.0.0.0/29")
    addresses.take()
    addresses.take()
    addresses.forget()
    addresses.keep("10.0.0.4")

    assert [addresses.take() for _ in range(3)] == ["10.0.0.5", "10.0.0.6", "10.0.0.2"]

"""Local folders and network disks made for claims.

Shapes and texts: rancher/local-path-provisioner, sig-storage-lib-external-provisioner v11.
"""

import pytest
from volumes_world import VolumesWorld

from kubesim.api.kinds import NODE, PERSISTENT_VOLUME_CLAIM
from kubesim.sim.loop import SECOND

MADE_NS = 3 * SECOND
ASKED = (
    "Waiting for a volume to be created either by the external provisioner '{}' or manually by the system "
    "administrator. If volume creation is delayed, please verify that the provisioner is running and correctly registered."
)


@pytest.fixture
def world():
    world = VolumesWorld()
    world.create(NODE, "node-1", labels={"kubernetes.io/hostname": "host-1"})
    return world


def test_local_path(world):
    """The class that kind ships: a folder on the node of the claim's first Pod, which binds the volume to that node."""
    uid = world.claim(storage_class="standard")["metadata"]["uid"]
    world.run()
    world.select_node("data", "node-1")
    world.run(SECOND)
    assert world.claim_phase() == "Pending"
    world.run(MADE_NS)
    assert world.claim_phase() == "Bound"
    volume = world.get_volume(f"pvc-{uid}")
    assert volume["metadata"]["annotations"] == {
        "local.path.provisioner/selected-node": "node-1",
        "pv.kubernetes.io/provisioned-by": "rancher.io/local-path",
    }
    assert volume["metadata"]["finalizers"] == ["kubernetes.io/pv-protection"]
    spec = volume["spec"]
    assert spec["hostPath"] == {
        "path": f"/var/local-path-provisioner/pvc-{uid}_default_data",
        "type": "DirectoryOrCreate",
    }
    expression = {"key": "kubernetes.io/hostname", "operator": "In", "values": ["host-1"]}
    assert spec["nodeAffinity"] == {"required": {"nodeSelectorTerms": [{"matchExpressions": [expression]}]}}
    assert (spec["persistentVolumeReclaimPolicy"], spec["storageClassName"]) == ("Delete", "standard")
    assert (spec["capacity"], spec["volumeMode"]) == ({"storage": "1Gi"}, "Filesystem")
    texts = [(reason, text) for reason, text, _ in world.events("data")]
    assert texts == [
        ("WaitForFirstConsumer", "waiting for first consumer to be created before binding"),
        ("ExternalProvisioning", ASKED.format("rancher.io/local-path")),
        ("Provisioning", 'External provisioner is provisioning volume for claim "default/data"'),
        ("ProvisioningSucceeded", f"Successfully provisioned volume pvc-{uid}"),
    ]
    assert world.errors == []


def test_local_path_deleted(world):
    """The folder is removed after its claim, and the volume with it."""
    uid = world.claim(storage_class="standard")["metadata"]["uid"]
    world.select_node("data", "node-1")
    world.run(MADE_NS)
    world.delete(PERSISTENT_VOLUME_CLAIM, "data")
    world.run()
    assert (world.claim_phase(), world.volume_phase(f"pvc-{uid}")) == (None, "Released")
    world.run(MADE_NS)
    assert world.get_volume(f"pvc-{uid}") is None
    assert world.is_settled("persistent-volume-binder", "local-path-provisioner", "pv-protection-controller")


@pytest.mark.parametrize(
    "mode, modes, text",
    [
        pytest.param(
            "Immediate", ("ReadWriteOnce",), "configuration error, no node was specified", id="no node has been chosen"
        ),
        pytest.param(
            "WaitForFirstConsumer",
            ("ReadWriteMany",),
            "NodePath only supports ReadWriteOnce and ReadWriteOncePod (1.22+) access modes",
            id="a folder cannot be shared by nodes",
        ),
    ],
)
def test_local_path_refused(world, mode, modes, text):
    """What a folder cannot be is said in an Event, and tried again after 15 s."""
    world.storage_class("folders", "rancher.io/local-path", volumeBindingMode=mode)
    world.claim(storage_class="folders", modes=modes)
    if mode != "Immediate":
        world.select_node("data", "node-1")
    world.run(SECOND)
    full = f'failed to provision volume with StorageClass "folders": {text}'
    failed = [(message, count) for reason, message, count in world.events("data") if reason == "ProvisioningFailed"]
    assert failed[0][0] == full
    world.run(120 * SECOND)
    assert world.claim_phase() == "Pending"


def test_network_disk(world):
    """Any other provisioner makes disks that are tied to no node, as a CSI driver does."""
    world.storage_class("gp3", "ebs.csi.aws.com", parameters={"csi.storage.k8s.io/fstype": "xfs"})
    uid = world.claim(storage_class="gp3")["metadata"]["uid"]
    world.run(MADE_NS)
    assert world.claim_phase() == "Bound"
    volume = world.get_volume(f"pvc-{uid}")
    assert volume["spec"]["csi"] == {"driver": "ebs.csi.aws.com", "volumeHandle": f"pvc-{uid}", "fsType": "xfs"}
    assert "nodeAffinity" not in volume["spec"]
    assert volume["metadata"]["finalizers"] == [
        "external-provisioner.volume.kubernetes.io/finalizer",
        "kubernetes.io/pv-protection",
    ]
    world.delete(PERSISTENT_VOLUME_CLAIM, "data")
    world.run(MADE_NS)
    assert world.get_volume(f"pvc-{uid}") is None


def test_class_of_a_plugin_that_was_migrated(world):
    """An old in-tree name is the CSI driver's business."""
    world.storage_class("gp2", "kubernetes.io/aws-ebs")
    uid = world.claim(storage_class="gp2")["metadata"]["uid"]
    world.run(MADE_NS)
    assert world.annotations()["volume.kubernetes.io/storage-provisioner"] == "ebs.csi.aws.com"
    assert world.get_volume(f"pvc-{uid}")["spec"]["csi"]["driver"] == "ebs.csi.aws.com"


def test_claim_deleted_while_its_disk_is_made(world):
    """The disk comes too late, is released and deleted again."""
    world.storage_class("gp3", "ebs.csi.aws.com")
    uid = world.claim(storage_class="gp3")["metadata"]["uid"]
    world.run(SECOND)
    world.delete(PERSISTENT_VOLUME_CLAIM, "data")
    world.run(1500_000_000)
    assert world.volume_phase(f"pvc-{uid}") == "Released"
    world.run(MADE_NS)
    assert world.get_volume(f"pvc-{uid}") is None


def test_many_folders_at_once(world):
    """Four folders are made at a time, as local-path-provisioner has four workers."""
    for number in range(6):
        world.claim(f"data-{number}", "standard")
        world.select_node(f"data-{number}", "node-1")
    world.run(3 * SECOND)
    phases = [world.claim_phase(f"data-{number}") for number in range(6)]
    assert phases == ["Bound"] * 4 + ["Pending"] * 2
    world.run(2 * SECOND)
    assert {world.claim_phase(f"data-{number}") for number in range(6)} == {"Bound"}

"""The persistent volume binder in a running control plane.

Expected writes, phases and texts: a real 1.36.3, and pkg/controller/volume/persistentvolume/pv_controller.go @v1.36.
"""

import pytest
from volumes_world import ROOT, VolumesWorld

from kubesim.api.kinds import PERSISTENT_VOLUME, PERSISTENT_VOLUME_CLAIM, STORAGE_CLASS
from kubesim.sim.loop import MILLISECOND, SECOND

RESYNC_NS = 15 * SECOND
NAME = "persistent-volume-binder"
BOUND_ANNOTATIONS = {"pv.kubernetes.io/bind-completed": "yes", "pv.kubernetes.io/bound-by-controller": "yes"}


@pytest.fixture
def world():
    world = VolumesWorld()
    world.delete(STORAGE_CLASS, "standard")
    return world


def test_dynamic_volume_of_the_in_tree_plugin(world):
    """Writes in the order of the real cluster: annotation, volume, its phase, the claim, its phase; one Event."""
    world.storage_class("folders")
    uid = world.claim(storage_class="folders")["metadata"]["uid"]
    world.run()
    assert world.volume_writes() == [
        (NAME, "updated", "PersistentVolumeClaim"),
        (NAME, "created", "PersistentVolume"),
        (NAME, "updated", "PersistentVolume"),
        (NAME, "updated", "PersistentVolumeClaim"),
        (NAME, "updated", "PersistentVolumeClaim"),
    ]
    claim, volume = world.get_claim(), world.get_volume(f"pvc-{uid}")
    assert claim["spec"]["volumeName"] == f"pvc-{uid}"
    assert claim["status"] == {"phase": "Bound", "accessModes": ["ReadWriteOnce"], "capacity": {"storage": "1Gi"}}
    assert world.annotations() == {
        **BOUND_ANNOTATIONS,
        "volume.beta.kubernetes.io/storage-provisioner": "kubernetes.io/host-path",
        "volume.kubernetes.io/storage-provisioner": "kubernetes.io/host-path",
    }
    assert volume["metadata"]["annotations"] == {
        "kubernetes.io/createdby": "hostpath-dynamic-provisioner",
        "pv.kubernetes.io/bound-by-controller": "yes",
        "pv.kubernetes.io/provisioned-by": "kubernetes.io/host-path",
    }
    assert volume["metadata"]["finalizers"] == ["kubernetes.io/pv-controller", "kubernetes.io/pv-protection"]
    assert volume["spec"]["hostPath"]["path"].startswith(f"{ROOT}/hostpath_pv/")
    assert volume["status"] == {"phase": "Bound", "lastPhaseTransitionTime": "2026-01-01T00:00:00Z"}
    text = f"Successfully provisioned volume pvc-{uid} using kubernetes.io/host-path"
    assert world.events("data") == [("ProvisioningSucceeded", text, 1)]


def test_released_volume_of_the_in_tree_plugin(world):
    """With its claim goes the volume, if the policy is Delete; Retain keeps it as Released."""
    world.storage_class("folders")
    world.storage_class("kept", reclaimPolicy="Retain")
    gone = world.claim("gone", "folders")["metadata"]["uid"]
    kept = world.claim("kept", "kept")["metadata"]["uid"]
    world.run()
    assert world.get_volume(f"pvc-{kept}")["metadata"]["finalizers"] == ["kubernetes.io/pv-protection"]
    world.delete(PERSISTENT_VOLUME_CLAIM, "gone")
    world.delete(PERSISTENT_VOLUME_CLAIM, "kept")
    world.run()
    assert world.get_volume(f"pvc-{gone}") is None
    assert world.volume_phase(f"pvc-{kept}") == "Released"
    assert world.is_settled(NAME)


def test_static_volume(world):
    """A claim takes the smallest free volume that suits it: four writes, the volume's first."""
    world.volume("big", "5Gi")
    world.volume("less", "2Gi")
    world.run()
    assert (world.volume_phase("big"), world.volume_phase("less")) == ("Available", "Available")
    world.writes.clear()
    world.claim()
    world.run()
    assert world.writes == [
        (NAME, "updated", "PersistentVolume", "less"),
        (NAME, "updated", "PersistentVolume", "less"),
        (NAME, "updated", "PersistentVolumeClaim", "data"),
        (NAME, "updated", "PersistentVolumeClaim", "data"),
    ]
    assert world.annotations() == BOUND_ANNOTATIONS
    assert world.get_claim()["status"]["capacity"] == {"storage": "2Gi"}
    assert world.volume_phase("big") == "Available"


def test_many_claims_at_once(world):
    """No two claims get one volume, although the informers lag behind."""
    for number in range(5):
        world.volume(f"disk-{number}")
    world.run()
    for number in range(5):
        world.claim(f"data-{number}")
    world.run(SECOND)
    names = {world.get_claim(f"data-{number}")["spec"]["volumeName"] for number in range(5)}
    assert names == {f"disk-{number}" for number in range(5)}
    assert world.errors == []


def test_claim_before_its_volume(world):
    """A new volume wakes no claim: that is found at the next look, 15 s apart."""
    world.claim()
    world.run()
    text = "no persistent volumes available for this claim and no storage class is set"
    assert world.events("data") == [("FailedBinding", text, 1)]
    world.run(2 * SECOND)
    world.volume()
    world.run(2 * SECOND)
    assert (world.claim_phase(), world.volume_phase()) == ("Pending", "Available")
    world.run(RESYNC_NS)
    assert (world.claim_phase(), world.volume_phase()) == ("Bound", "Bound")


def test_nothing_to_do(world):
    """While all claims are bound nothing runs every 15 s, and nothing waits in a queue."""
    world.volume()
    world.claim()
    world.run(2 * RESYNC_NS)
    binder = world.manager.controllers[NAME]
    assert world.is_settled(NAME)
    assert not binder._has_resync
    assert not binder._unsettled_claims


@pytest.mark.parametrize(
    "class_name, provisioner, text",
    [
        pytest.param("missing", "", 'storageclass.storage.k8s.io "missing" not found', id="the class is missing"),
        pytest.param(
            "manual",
            "kubernetes.io/no-provisioner",
            "no volume plugin matched name: kubernetes.io/no-provisioner",
            id="the class has no provisioner",
        ),
    ],
)
def test_no_provisioner(world, class_name, provisioner, text):
    """The claim says so again at every look."""
    if provisioner:
        world.storage_class(class_name, provisioner)
    world.claim(storage_class=class_name)
    world.run(RESYNC_NS + SECOND)
    assert world.events("data") == [("ProvisioningFailed", text, 2)]
    assert world.claim_phase() == "Pending"


def test_wait_for_first_consumer(world):
    """The claim waits for a Pod, then for its node; only then is the volume made."""
    world.storage_class("late", volumeBindingMode="WaitForFirstConsumer")
    world.node("node-1")
    world.volume("free", storageClassName="late")
    uid = world.claim(storage_class="late")["metadata"]["uid"]
    world.run()
    assert world.events("data") == [
        ("WaitForFirstConsumer", "waiting for first consumer to be created before binding", 1)
    ]
    world.pod_with("data", "app")
    world.run(RESYNC_NS)
    assert world.events("data")[1:] == [("WaitForPodScheduled", "waiting for pod app to be scheduled", 1)]
    assert world.get_volume(f"pvc-{uid}") is None
    world.select_node("data", "node-1")
    world.run()
    assert (world.claim_phase(), world.volume_phase(f"pvc-{uid}")) == ("Bound", "Bound")
    assert world.volume_phase("free") == "Available"


def test_volume_that_the_scheduler_has_chosen(world):
    """A delayed claim is bound to the volume that the scheduler reserves for it."""
    world.storage_class("late", "kubernetes.io/no-provisioner", volumeBindingMode="WaitForFirstConsumer")
    world.volume(storageClassName="late")
    claim = world.claim(storage_class="late")
    world.run()
    reference = {"kind": "PersistentVolumeClaim", "apiVersion": "v1", "namespace": "default", "name": "data"}
    reference["uid"] = claim["metadata"]["uid"]
    annotations = {"pv.kubernetes.io/bound-by-controller": "yes"}
    world.patch(PERSISTENT_VOLUME, "disk", {"metadata": {"annotations": annotations}, "spec": {"claimRef": reference}})
    world.run()
    assert (world.claim_phase(), world.volume_phase()) == ("Bound", "Bound")
    assert world.annotations() == BOUND_ANNOTATIONS


def test_default_class_afterwards(world):
    """A claim without a class gets the default one, even if that comes later; a claim for no class does not."""
    world.claim("any", None)
    world.claim("none", "")
    world.run()
    default = {"storageclass.kubernetes.io/is-default-class": "true"}
    world.storage_class("folders")
    world.patch(STORAGE_CLASS, "folders", {"metadata": {"annotations": default}})
    world.run(RESYNC_NS)
    assert world.get_claim("any")["spec"]["storageClassName"] == "folders"
    assert (world.claim_phase("any"), world.claim_phase("none")) == ("Bound", "Pending")


def test_volume_reserved_by_its_creator(world):
    """A volume with a claimRef waits for that claim alone, Available meanwhile."""
    reference = {"namespace": "default", "name": "data"}
    world.volume(claimRef=reference)
    world.volume("smaller", "1Gi")
    world.claim("other")
    world.run()
    assert world.get_claim("other")["spec"]["volumeName"] == "smaller"
    assert world.volume_phase() == "Available"
    world.claim()
    world.run()
    assert (world.claim_phase(), world.volume_phase()) == ("Bound", "Bound")
    assert world.annotations() == BOUND_ANNOTATIONS
    assert "annotations" not in world.get_volume()["metadata"]


@pytest.mark.parametrize(
    "storage, taken, event",
    [
        pytest.param(
            "1Gi", True, ("FailedBinding", 'volume "disk" already bound to a different claim.'), id="another has it"
        ),
        pytest.param(
            "3Gi",
            False,
            ("VolumeMismatch", 'Cannot bind to requested volume "disk": requested PV is too small'),
            id="it does not suit",
        ),
    ],
)
def test_claim_that_names_a_volume_in_vain(world, storage, taken, event):
    """It stays Pending with a reason."""
    world.volume(**({"claimRef": {"namespace": "default", "name": "other"}} if taken else {}))
    world.claim(storage=storage, volumeName="disk")
    world.run()
    assert world.claim_phase() == "Pending"
    assert [(reason, text) for reason, text, _ in world.events("data")] == [event]


def test_claim_that_names_its_volume(world):
    """It is bound without the controller's mark on the claim, and waits for a volume that is not there yet."""
    world.claim(volumeName="disk")
    world.run()
    assert world.claim_phase() == "Pending"
    world.volume()
    world.run(RESYNC_NS)
    assert world.claim_phase() == "Bound"
    assert world.annotations() == {"pv.kubernetes.io/bind-completed": "yes"}


def test_lost_volume(world):
    """A claim whose volume is removed by force is Lost, and Bound again if the volume comes back."""
    world.volume()
    world.claim()
    world.run()
    world.patch(PERSISTENT_VOLUME, "disk", {"metadata": {"finalizers": None}})
    world.delete(PERSISTENT_VOLUME, "disk")
    world.run()
    assert world.get_claim()["status"] == {"phase": "Lost"}
    text = "Bound claim has lost its PersistentVolume. Data on the volume is lost!"
    assert world.events("data") == [("ClaimLost", text, 1)]
    world.volume()
    world.run(RESYNC_NS)
    assert world.claim_phase() == "Bound"


@pytest.mark.parametrize(
    "policy, source, phase, event",
    [
        pytest.param("Retain", None, "Released", None, id="Retain leaves it Released"),
        pytest.param("Delete", None, None, None, id="Delete of a folder under /tmp"),
        pytest.param(
            "Delete",
            {"hostPath": {"path": "/data"}},
            "Failed",
            ("VolumeFailedDelete", "host_path deleter only supports /tmp/.+ but received provided /data"),
            id="Delete of a folder elsewhere is refused",
        ),
        pytest.param(
            "Delete",
            {"nfs": {"server": "a", "path": "/b"}},
            "Failed",
            (
                "VolumeFailedDelete",
                'error getting deleter volume plugin for volume "disk": no deletable volume plugin matched',
            ),
            id="Delete of what nobody can delete",
        ),
        pytest.param(
            "Delete",
            {"csi": {"driver": "d", "volumeHandle": "h"}},
            "Released",
            None,
            id="Delete is left to the driver of a disk that nobody provisioned",
        ),
        pytest.param(
            "Recycle",
            None,
            "Failed",
            ("VolumeFailedRecycle", "No recycler plugin found for the volume!"),
            id="Recycle is not there",
        ),
    ],
)
def test_reclaim_policy(world, policy, source, phase, event):
    """What becomes of a static volume when its claim is deleted."""
    world.volume(source=source, persistentVolumeReclaimPolicy=policy)
    world.claim()
    world.run()
    assert world.claim_phase() == "Bound"
    world.delete(PERSISTENT_VOLUME_CLAIM, "data")
    world.run(SECOND)
    assert world.volume_phase() == phase
    assert [(reason, text) for reason, text, _ in world.events("disk")] == ([event] if event else [])


def test_released_volume_is_not_reused(world):
    """A Retain volume keeps its claimRef, so that a new claim of the name does not get the old one's data."""
    world.volume()
    world.claim()
    world.run()
    world.delete(PERSISTENT_VOLUME_CLAIM, "data")
    world.run()
    world.claim()
    world.run(RESYNC_NS)
    assert (world.claim_phase(), world.volume_phase()) == ("Pending", "Released")
    world.patch(PERSISTENT_VOLUME, "disk", {"spec": {"claimRef": None}})
    world.run(RESYNC_NS)
    assert (world.claim_phase(), world.volume_phase()) == ("Bound", "Bound")


@pytest.mark.parametrize(
    "annotations, left",
    [
        pytest.param({"pv.kubernetes.io/bound-by-controller": "yes"}, None, id="which the controller had reserved"),
        pytest.param({}, {"namespace": "default", "name": "data"}, id="which a user had reserved"),
    ],
)
def test_volume_that_its_claim_did_not_take(world, annotations, left):
    """It is free again, or stays reserved by name."""
    world.volume()
    claim = world.claim()
    world.run()
    reference = {"namespace": "default", "name": "data", "uid": claim["metadata"]["uid"]}
    spec = {**world.get_volume()["spec"], "claimRef": reference}
    world.create(PERSISTENT_VOLUME, "second", spec=spec)
    world.patch(PERSISTENT_VOLUME, "second", {"metadata": {"annotations": annotations}})
    world.run()
    assert world.get_volume("second")["spec"].get("claimRef") == left
    assert world.volume_phase("second") == "Available"


def test_manager_that_dies_between_two_writes(world):
    """A half-done binding is finished by the next process."""
    world.volume()
    world.claim()
    world.run(7 * MILLISECOND)
    assert (world.get_volume()["spec"]["claimRef"]["name"], world.claim_phase()) == ("data", "Pending")
    world.manager.stop()
    world.restart_manager()
    world.run(SECOND)
    assert (world.claim_phase(), world.volume_phase()) == ("Bound", "Bound")

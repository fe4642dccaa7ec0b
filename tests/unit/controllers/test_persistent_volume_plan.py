"""Which volume a claim gets: cases of pkg/controller/volume/persistentvolume/index_test.go and pv_controller.go @v1.36."""

import pytest

from kubesim.controllers import persistent_volume_plan as plan

RWO, ROX, RWX = "ReadWriteOnce", "ReadOnlyMany", "ReadWriteMany"
CLAIM_REF = {"kind": "PersistentVolumeClaim", "namespace": "default", "name": "data", "uid": "u1"}


def make_claim(storage="5Gi", modes=(RWO,), **spec):
    metadata = {"namespace": "default", "name": "data", "uid": "u1", "resourceVersion": "7"}
    resources = {"requests": {"storage": storage}}
    return {"metadata": metadata, "spec": {"accessModes": list(modes), "resources": resources, **spec}}


def make_volume(name, storage="10Gi", modes=(RWO,), phase="Available", labels=None, metadata=(), **spec):
    return {
        "metadata": {"name": name, "labels": labels or {}, **dict(metadata)},
        "spec": {"accessModes": list(modes), "capacity": {"storage": storage}, **spec},
        "status": {"phase": phase},
    }


@pytest.mark.parametrize(
    "claim, volumes, expected",
    [
        pytest.param(make_claim(), [], None, id="there is none"),
        pytest.param(make_claim(), [make_volume("small", "1Gi")], None, id="the only one is too small"),
        pytest.param(
            make_claim(),
            [make_volume("big", "20Gi"), make_volume("less", "5120Mi")],
            "less",
            id="the smallest that holds it",
        ),
        pytest.param(
            make_claim(),
            [make_volume("any", "5Gi", (RWO, ROX, RWX)), make_volume("one", "20Gi", (RWO, ROX))],
            "one",
            id="fewer access modes count before size",
        ),
        pytest.param(make_claim(modes=(RWX,)), [make_volume("one")], None, id="an access mode is not offered"),
        pytest.param(make_claim(storageClassName="gold"), [make_volume("plain")], None, id="another class"),
        pytest.param(
            make_claim(storageClassName="gold"),
            [make_volume("gold", storageClassName="gold")],
            "gold",
            id="the same class",
        ),
        pytest.param(
            make_claim(selector={"matchLabels": {"a": "b"}}),
            [make_volume("other", "5Gi"), make_volume("chosen", labels={"a": "b"})],
            "chosen",
            id="the selector decides",
        ),
        pytest.param(
            make_claim(volumeMode="Block"), [make_volume("files")], None, id="a file system for a block device"
        ),
        pytest.param(make_claim(), [make_volume("used", phase="Released")], None, id="not Available"),
        pytest.param(
            make_claim(), [make_volume("going", metadata={"deletionTimestamp": "x"})], None, id="being deleted"
        ),
        pytest.param(
            make_claim(),
            [make_volume("small", "5Gi"), make_volume("mine", "50Gi", claimRef=CLAIM_REF)],
            "mine",
            id="a reserved one before a smaller one",
        ),
        pytest.param(
            make_claim(),
            [make_volume("his", claimRef={**CLAIM_REF, "uid": "u2"})],
            None,
            id="reserved for an earlier claim of that name",
        ),
        pytest.param(
            make_claim(),
            [make_volume("mine", claimRef={"namespace": "default", "name": "data"}, phase="Pending")],
            "mine",
            id="reserved by name alone, in whatever phase",
        ),
    ],
)
def test_find_matching_volume(claim, volumes, expected):
    """Suitable is what is free, large enough and of the class; best is the closest."""
    found = plan.find_matching_volume(claim, volumes, is_delayed=False)
    assert (found and found["metadata"]["name"]) == expected


def test_find_matching_volume_for_the_scheduler():
    """Where the scheduler chooses, a free volume does not count and a reserved one does."""
    free, reserved = make_volume("free"), make_volume("mine", claimRef=CLAIM_REF)
    assert plan.find_matching_volume(make_claim(), [free], is_delayed=True) is None
    assert plan.find_matching_volume(make_claim(), [free, reserved], is_delayed=True) is reserved


@pytest.mark.parametrize(
    "volume, expected",
    [
        pytest.param(make_volume("v"), "", id="nothing is wrong"),
        pytest.param(
            make_volume("v", metadata={"deletionTimestamp": "x"}), 'the volume is marked for deletion "v"', id="going"
        ),
        pytest.param(make_volume("v", "1Gi"), "requested PV is too small", id="too small"),
        pytest.param(make_volume("v", storageClassName="gold"), "storageClassName does not match", id="another class"),
        pytest.param(
            make_volume("v", volumeAttributesClassName="fast"),
            "volumeAttributesClassName does not match",
            id="attributes",
        ),
        pytest.param(make_volume("v", volumeMode="Block"), "incompatible volumeMode", id="a block device"),
        pytest.param(make_volume("v", modes=(ROX,)), "incompatible accessMode", id="another access mode"),
    ],
)
def test_explain_mismatch(volume, expected):
    """Texts of checkVolumeSatisfyClaim, in its order."""
    assert plan.explain_mismatch(volume, make_claim()) == expected


def test_binding_both_ways_and_back():
    """What the controller bound it marks, and unbinding takes the mark away again."""
    claim, volume = make_claim(), make_volume("v")
    bound = plan.with_claim(volume, claim)
    assert bound["spec"]["claimRef"] == {**CLAIM_REF, "apiVersion": "v1", "resourceVersion": "7"}
    assert bound["metadata"]["annotations"] == {"pv.kubernetes.io/bound-by-controller": "yes"}
    assert plan.with_claim(bound, claim) is bound
    assert plan.without_claim(bound)["spec"] == volume["spec"]
    assert "annotations" not in plan.without_claim(bound)["metadata"]

    bound_claim = plan.with_volume(claim, volume)
    assert bound_claim["spec"]["volumeName"] == "v"
    assert bound_claim["metadata"]["annotations"] == {
        "pv.kubernetes.io/bound-by-controller": "yes",
        "pv.kubernetes.io/bind-completed": "yes",
    }
    assert plan.with_volume(bound_claim, volume) is bound_claim


def test_volume_that_a_user_reserved():
    """It gets the claim's uid without the controller's mark, and unbound it stays reserved by name."""
    volume = make_volume("v", claimRef={"namespace": "default", "name": "data"})
    bound = plan.with_claim(volume, make_claim())
    assert bound["spec"]["claimRef"]["uid"] == "u1"
    assert "annotations" not in bound["metadata"]
    unbound = plan.without_claim(bound)["spec"]["claimRef"]
    assert (unbound["name"], "uid" in unbound) == ("data", False)


def test_capacity_once_bound():
    """A bound claim keeps the capacity in its status when the volume's grows: its file system has not."""
    volume = make_volume("v")
    bound = plan.with_claim_phase(make_claim(), "Bound", volume)
    assert bound["status"] == {"phase": "Bound", "accessModes": [RWO], "capacity": {"storage": "10Gi"}}
    assert plan.with_claim_phase(bound, "Bound", make_volume("v", "20Gi")) is bound
    assert plan.with_claim_phase(bound, "Lost", None)["status"] == {"phase": "Lost"}

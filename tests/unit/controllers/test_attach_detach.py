"""Where network disks are attached: pkg/controller/volume/attachdetach/reconciler @v1.36."""

import pytest
from volumes_world import VolumesWorld

from kubesim.api.kinds import NODE, PERSISTENT_VOLUME, POD, VOLUME_ATTACHMENT
from kubesim.cluster import Cluster
from kubesim.controllers.attach_detach import MAX_WAIT_FOR_UNMOUNT_NS, attachment_name
from kubesim.sim.loop import SECOND

MOVED_NS = 3 * SECOND
DISK = {"csi": {"driver": "ebs.csi.aws.com", "volumeHandle": "vol-1"}}
ATTACHED = ("SuccessfulAttachVolume", 'AttachVolume.Attach succeeded for volume "disk" ', 1)
ELSEWHERE = (
    "FailedAttachVolume",
    'Multi-Attach error for volume "disk" Volume is already exclusively attached to one node and can\'t be attached to another',
    1,
)


class AttachWorld(VolumesWorld):
    def attachments(self):
        """(node, attached, being deleted) of each."""
        return [
            (
                each["spec"]["nodeName"],
                (each.get("status") or {}).get("attached", False),
                "deletionTimestamp" in each["metadata"],
            )
            for each in self.list(VOLUME_ATTACHMENT)
        ]

    def set_ready(self, node, ready):
        conditions = [{"type": "Ready", "status": "True" if ready else "Unknown"}]
        self.patch(NODE, node, {"status": {"conditions": conditions}}, subresource="status")


@pytest.fixture
def world():
    world = AttachWorld()
    for name in ("node-1", "node-2"):
        world.node(name)
    world.volume(source=DISK)
    world.claim()
    world.run()
    return world


def test_attach(world):
    """A Pod's node gets an attachment, which the driver's attacher makes true; the Pod is told."""
    world.pod_with("data", node="node-1")
    world.run()
    assert world.attachments() == [("node-1", False, False)]
    world.run(MOVED_NS)
    assert world.attachments() == [("node-1", True, False)]
    (attachment,) = world.list(VOLUME_ATTACHMENT)
    assert attachment["metadata"]["name"] == attachment_name(world.get_volume(), "node-1")
    assert attachment["metadata"]["finalizers"] == ["external-attacher/ebs-csi-aws-com"]
    assert attachment["spec"] == {
        "attacher": "ebs.csi.aws.com",
        "nodeName": "node-1",
        "source": {"persistentVolumeName": "disk"},
    }
    assert world.events("app") == [ATTACHED]
    assert world.is_settled("attachdetach-controller", "external-attacher")


def test_name_of_an_attachment(world):
    """`csi-` and the SHA-256 of handle, driver and node: printf 'vol-1ebs.csi.aws.comnode-1' | sha256sum."""
    expected = "csi-58932ddfc9a6504f794af09a26429db947138ba3d683dee3d975aa932cb39f48"
    assert attachment_name(world.get_volume(), "node-1") == expected


def test_volume_that_needs_no_attaching(world):
    """A folder has no attachment."""
    world.volume("folder")
    world.claim("folder", volumeName="folder")
    world.run()
    world.pod_with("folder", node="node-1")
    world.run(MOVED_NS)
    assert world.attachments() == []


def test_move_from_a_healthy_node(world):
    """With its last Pod a volume leaves a node that is Ready; the next one gets it without a complaint."""
    world.pod_with("data", "old", node="node-1")
    world.run(MOVED_NS)
    world.finish("old")
    world.run()
    assert world.attachments() == [("node-1", True, True)]
    world.pod_with("data", "new", node="node-2")
    world.run(2 * MOVED_NS)
    assert world.attachments() == [("node-2", True, False)]
    assert world.events("new") == [ATTACHED]


def test_two_pods_on_two_nodes(world):
    """A volume for one node at a time stays with the first; the second Pod is told who has it, once."""
    world.pod_with("data", "first", node="node-1")
    world.run(MOVED_NS)
    world.pod_with("data", "second", node="node-2")
    world.run(60 * SECOND)
    assert world.attachments() == [("node-1", True, False)]
    text = 'Multi-Attach error for volume "disk" Volume is already used by pod(s) first'
    assert world.events("second") == [("FailedAttachVolume", text, 1)]


def test_volume_for_many_nodes(world):
    """A ReadWriteMany volume is attached wherever it is used."""
    world.volume(
        "shared", source={"csi": {"driver": "efs.csi.aws.com", "volumeHandle": "fs-1"}}, accessModes=["ReadWriteMany"]
    )
    world.claim("shared", modes=("ReadWriteMany",))
    world.run()
    for node in ("node-1", "node-2"):
        world.pod_with("shared", f"on-{node}", node=node)
    world.run(MOVED_NS)
    assert world.attachments() == [("node-1", True, False), ("node-2", True, False)]


def test_lost_node(world):
    """A node that is not Ready may still write: its volume goes elsewhere six minutes after its Pod is gone."""
    world.pod_with("data", "old", node="node-1")
    world.run(MOVED_NS)
    world.set_ready("node-1", ready=False)
    world.finish("old")
    world.pod_with("data", "new", node="node-2")
    world.run(MAX_WAIT_FOR_UNMOUNT_NS - SECOND)
    assert world.attachments() == [("node-1", True, False)]
    assert world.events("new") == [ELSEWHERE]
    world.run(SECOND + 2 * MOVED_NS)
    assert world.attachments() == [("node-2", True, False)]
    assert world.events("new") == [ELSEWHERE, ATTACHED]


def test_pod_that_stays_on_a_lost_node(world):
    """As long as the Pod object is there, even deleted, its volume stays."""
    world.pod_with("data", "old", node="node-1")
    world.running("old", "10.0.0.1", ready=True)
    world.patch(
        POD,
        "old",
        {
            "status": {
                "containerStatuses": [
                    {
                        "name": "main",
                        "image": "x",
                        "imageID": "",
                        "ready": True,
                        "restartCount": 0,
                        "state": {"running": {}},
                    }
                ]
            }
        },
        subresource="status",
    )
    world.run(MOVED_NS)
    world.set_ready("node-1", ready=False)
    world.delete(POD, "old")
    world.pod_with("data", "new", node="node-2")
    world.run(2 * MAX_WAIT_FOR_UNMOUNT_NS)
    assert world.attachments() == [("node-1", True, False)]
    text = 'Multi-Attach error for volume "disk" Volume is already used by pod(s) old'
    assert world.events("new") == [("FailedAttachVolume", text, 1)]


def test_node_out_of_service(world):
    """The taint out-of-service spares the six minutes."""
    world.pod_with("data", "old", node="node-1")
    world.run(MOVED_NS)
    world.set_ready("node-1", ready=False)
    world.finish("old")
    world.run(MOVED_NS)
    assert world.attachments() == [("node-1", True, False)]
    taint = {"key": "node.kubernetes.io/out-of-service", "effect": "NoExecute"}
    world.patch(NODE, "node-1", {"spec": {"taints": [taint]}})
    world.run(MOVED_NS)
    assert world.attachments() == []


def test_lost_node_that_comes_back(world):
    """Ready again, it has let go of what no Pod needs."""
    world.pod_with("data", "old", node="node-1")
    world.run(MOVED_NS)
    world.set_ready("node-1", ready=False)
    world.finish("old")
    world.run(MOVED_NS)
    world.set_ready("node-1", ready=True)
    world.run(MOVED_NS)
    assert world.attachments() == []


def test_kubelet_waits_for_the_disk():
    """A container starts only when its disk is attached to the node."""
    with Cluster(nodes=1) as cluster:
        for obj in (
            {
                "kind": "StorageClass",
                "apiVersion": "storage.k8s.io/v1",
                "metadata": {"name": "gp3"},
                "provisioner": "ebs.csi.aws.com",
            },
            {
                "kind": "PersistentVolumeClaim",
                "apiVersion": "v1",
                "metadata": {"name": "data", "namespace": "default"},
                "spec": {
                    "accessModes": ["ReadWriteOnce"],
                    "storageClassName": "gp3",
                    "resources": {"requests": {"storage": "1Gi"}},
                },
            },
            {
                "kind": "Pod",
                "apiVersion": "v1",
                "metadata": {"name": "app", "namespace": "default"},
                "spec": {
                    "containers": [
                        {"name": "main", "image": "nginx:1", "volumeMounts": [{"name": "v", "mountPath": "/v"}]}
                    ],
                    "volumes": [{"name": "v", "persistentVolumeClaim": {"claimName": "data"}}],
                },
            },
        ):
            cluster.create(obj)
        cluster.run(4)
        assert cluster.get("pod/app")["spec"]["nodeName"]
        assert cluster.get("pod/app")["status"]["phase"] == "Pending"
        cluster.run(4)
        assert cluster.get("pod/app")["status"]["phase"] == "Running"
        (volume,) = cluster.list(PERSISTENT_VOLUME.kind)
        assert volume["status"]["phase"] == "Bound"

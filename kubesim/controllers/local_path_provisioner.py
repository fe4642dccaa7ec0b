"""The provisioners of a simulated cluster: folders on the nodes, and disks in the network.

`rancher.io/local-path`, which kind ships as the class `standard`, makes a folder on the node where the claim's first
Pod lands; the volume stays there. Every other name stands for a disk in the network that can be attached to any node,
so that classes written for clouds (`ebs.csi.aws.com`) work.

What volumes hold is not theirs: it is kept by the volume's name, and goes with the PersistentVolume.
Upstream: rancher/local-path-provisioner/provisioner.go @v0.0.37-rc2
"""

from __future__ import annotations

from typing import Final

from kubesim.api.objects import Object, labels_of
from kubesim.api.volume_binding import volume_mode_of
from kubesim.controllers.base import ControllerContext
from kubesim.controllers.external_provisioner import Driver, ExternalProvisioner, ProvisionError
from kubesim.controllers.persistent_volume_plan import IN_TREE_PREFIX, csi_name
from kubesim.controllers.volume_claims import provisioned_name
from kubesim.sim.loop import SECOND

LOCAL_PATH: Final = "rancher.io/local-path"
LOCAL_PATH_PROVISIONER: Final = "local-path-provisioner"
NETWORK_DISK_PROVISIONER: Final = "network-disk-provisioner"
# A Pod is started on the node to make or remove the folder, and looked at once a second until it has Succeeded.
_LOCAL_PATH_NS: Final = 2 * SECOND
# Upstream: the default of --worker-threads of local-path-provisioner
_LOCAL_PATH_THREADS: Final = 4
# kind sets this as the root instead of /opt/local-path-provisioner.
_LOCAL_PATH_ROOT: Final = "/var/local-path-provisioner"
_HOST_NAME: Final = "kubernetes.io/hostname"
# What a cloud takes to make or delete a disk. Its volumes have no node affinity: zones and regions are not modelled.
_NETWORK_DISK_NS: Final = 2 * SECOND
# Upstream: the default of --worker-threads of external-provisioner
_NETWORK_DISK_THREADS: Final = 100


def local_path_provisioner(context: ControllerContext) -> ExternalProvisioner:
    """The provisioner of folders on nodes."""
    return ExternalProvisioner(
        context,
        Driver(
            LOCAL_PATH_PROVISIONER,
            lambda provisioner: provisioner == LOCAL_PATH,
            local_path_source,
            _LOCAL_PATH_NS,
            _LOCAL_PATH_THREADS,
            has_finalizer=False,
        ),
    )


def network_disk_provisioner(context: ControllerContext) -> ExternalProvisioner:
    """The provisioner of disks in the network, under every name that nobody else has."""
    return ExternalProvisioner(
        context,
        Driver(
            NETWORK_DISK_PROVISIONER,
            _is_network_disk,
            network_disk_source,
            _NETWORK_DISK_NS,
            _NETWORK_DISK_THREADS,
            has_finalizer=True,
        ),
    )


def _is_network_disk(provisioner: str) -> bool:
    return bool(provisioner) and provisioner != LOCAL_PATH and not provisioner.startswith(IN_TREE_PREFIX)


def local_path_source(claim: Object, storage_class: Object, node: Object | None) -> tuple[Object, dict[str, str]]:
    """A folder on the node. Upstream: provisioner.go:provisionFor

    Raises:
        ProvisionError: the claim asks for what a folder cannot be, or no node has been chosen.
    """
    spec = claim["spec"]
    if spec.get("selector") is not None:
        raise ProvisionError("claim.Spec.Selector is not supported")
    if any(mode not in ("ReadWriteOnce", "ReadWriteOncePod") for mode in spec.get("accessModes") or ()):
        raise ProvisionError("NodePath only supports ReadWriteOnce and ReadWriteOncePod (1.22+) access modes")
    if node is None:
        raise ProvisionError("configuration error, no node was specified")
    metadata = claim["metadata"]
    name = node["metadata"]["name"]
    folder = f"{provisioned_name(claim)}_{metadata['namespace']}_{metadata['name']}"
    root = (storage_class.get("parameters") or {}).get("nodePath", _LOCAL_PATH_ROOT)
    host = labels_of(node).get(_HOST_NAME, name)
    expression = {"key": _HOST_NAME, "operator": "In", "values": [host]}
    return {
        "hostPath": {"path": f"{root}/{folder}", "type": "DirectoryOrCreate"},
        "nodeAffinity": {"required": {"nodeSelectorTerms": [{"matchExpressions": [expression]}]}},
        "volumeMode": "Filesystem",
    }, {"local.path.provisioner/selected-node": name}


def network_disk_source(claim: Object, storage_class: Object, _node: Object | None) -> tuple[Object, dict[str, str]]:
    """A disk by the name of its volume."""
    source: Object = {"driver": csi_name(storage_class["provisioner"]), "volumeHandle": provisioned_name(claim)}
    if volume_mode_of(claim) == "Filesystem":
        parameters = storage_class.get("parameters") or {}
        source["fsType"] = parameters.get("csi.storage.k8s.io/fstype", "ext4")
    spec: Object = {"csi": source}
    if storage_class.get("mountOptions"):
        spec["mountOptions"] = storage_class["mountOptions"]
    return spec, {}

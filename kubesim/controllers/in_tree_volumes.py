"""What the volume binder provisions and deletes itself: folders of the one node, by the in-tree host-path plugin.

The plugin is kube-controller-manager's own for clusters of one node (--enable-hostpath-provisioner). Everything else is
some external provisioner's.
Upstream: pkg/volume/hostpath/host_path.go, cmd/kube-controller-manager/app/plugins.go,
pv_controller.go:findProvisionablePlugin, findDeletablePlugin @v1.36
"""

from __future__ import annotations

from typing import Final

from kubesim.api.objects import Object, annotations_of
from kubesim.api.volume_binding import BOUND_BY_CONTROLLER, class_name_of, volume_mode_of
from kubesim.controllers.persistent_volume_plan import IN_TREE_FINALIZER, IN_TREE_PREFIX, csi_name, requested_storage
from kubesim.controllers.volume_claims import PROVISIONED_BY, claim_reference, provisioned_name
from kubesim.sim.chooser import Stream

HOST_PATH: Final = "kubernetes.io/host-path"
_ROOT: Final = "/tmp/"  # noqa: S108 - where the plugin puts its folders, and all that it deletes


class NoPluginError(Exception):
    """No plugin can do it; the message is the Event's."""


def explain_no_provisioner(provisioner: str) -> str:
    """Why nobody will ever make volumes for this name, or nothing where the plugin or somebody external does."""
    if provisioner == HOST_PATH or not csi_name(provisioner).startswith(IN_TREE_PREFIX):
        return ""
    return f"no volume plugin matched name: {provisioner}"


def explain_no_volume(claim: Object, storage_class: Object) -> str:
    """Why the plugin cannot make this claim's volume, or nothing."""
    name = storage_class["metadata"]["name"]
    if claim["spec"].get("dataSource") is not None:
        return f'plugin "{HOST_PATH}" is not a CSI plugin. Only CSI plugin can provision a claim with a datasource'
    if storage_class.get("mountOptions"):
        options = " ".join(storage_class["mountOptions"])
        why = f'StorageClass "{name}" has mount options [{options}]'
        return f"Mount options are not supported by the provisioner but {why}"
    if volume_mode_of(claim) == "Block":
        why = f"{HOST_PATH} does not support block volume provisioning"
        return f'Failed to provision volume with StorageClass "{name}": {why}'
    return ""


def host_path_volume(claim: Object, storage_class: Object, stream: Stream) -> Object:
    """The volume that the plugin makes for the claim, bound to it."""
    policy = storage_class.get("reclaimPolicy", "Delete")
    metadata: Object = {
        "name": provisioned_name(claim),
        "annotations": {
            "kubernetes.io/createdby": "hostpath-dynamic-provisioner",
            BOUND_BY_CONTROLLER: "yes",
            PROVISIONED_BY: HOST_PATH,
        },
    }
    if policy == "Delete":
        metadata["finalizers"] = [IN_TREE_FINALIZER]
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": metadata,
        "spec": {
            "accessModes": claim["spec"].get("accessModes") or [],
            "capacity": {"storage": requested_storage(claim)},
            "claimRef": claim_reference(claim),
            "hostPath": {"path": f"{_ROOT}hostpath_pv/{stream.uid()}", "type": ""},
            "persistentVolumeReclaimPolicy": policy,
            "storageClassName": class_name_of(claim),
        },
    }


def is_deleted_in_tree(volume: Object) -> bool:
    """Whether the plugin deletes the volume's contents; if not, an external provisioner does.

    Raises:
        NoPluginError: nobody does, or the plugin refuses to.
    """
    name = volume["metadata"]["name"]
    provisioner = annotations_of(volume).get(PROVISIONED_BY, "")
    if provisioner:
        why = explain_no_provisioner(provisioner)
        if why:
            raise NoPluginError(why)
        if provisioner != HOST_PATH:
            return False
    elif "csi" in volume["spec"]:
        return False
    source = volume["spec"].get("hostPath")
    if source is None:
        known = any(kind in volume["spec"] for kind in ("nfs", "fc", "iscsi"))
        why = "no deletable volume plugin matched" if known else "no volume plugin matched"
        raise NoPluginError(f'error getting deleter volume plugin for volume "{name}": {why}')
    if not source["path"].startswith(_ROOT) or source["path"] == _ROOT:
        raise NoPluginError(f"host_path deleter only supports {_ROOT}.+ but received provided {source['path']}")
    return True

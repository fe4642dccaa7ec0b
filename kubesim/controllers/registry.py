"""The explicit list of what kube-controller-manager runs here."""

from __future__ import annotations

from collections.abc import Callable

from kubesim.controllers.attach_detach import AttachDetachController, ExternalAttacher
from kubesim.controllers.base import Controller, ControllerContext
from kubesim.controllers.deployment import DeploymentController
from kubesim.controllers.disruption import DisruptionController
from kubesim.controllers.endpoints import EndpointsController
from kubesim.controllers.endpointslice import EndpointSliceController
from kubesim.controllers.garbage_collector import GarbageCollector
from kubesim.controllers.local_path_provisioner import (
    LOCAL_PATH_PROVISIONER,
    NETWORK_DISK_PROVISIONER,
    local_path_provisioner,
    network_disk_provisioner,
)
from kubesim.controllers.namespace import NamespaceController
from kubesim.controllers.node_lifecycle import NodeLifecycleController
from kubesim.controllers.persistent_volume_binder import PersistentVolumeBinder
from kubesim.controllers.pod_garbage_collector import PodGarbageCollector
from kubesim.controllers.replicaset import ReplicaSetController
from kubesim.controllers.serviceaccount import RootCaPublisher, ServiceAccountController
from kubesim.controllers.statefulset import StatefulSetController
from kubesim.controllers.taint_eviction import TaintEvictionController
from kubesim.controllers.volume_protection import ClaimProtection, VolumeProtection

CONTROLLERS: dict[str, Callable[[ControllerContext], Controller]] = {
    AttachDetachController.name: AttachDetachController,
    ClaimProtection.name: ClaimProtection,
    DeploymentController.name: DeploymentController,
    DisruptionController.name: DisruptionController,
    EndpointsController.name: EndpointsController,
    EndpointSliceController.name: EndpointSliceController,
    GarbageCollector.name: GarbageCollector,
    NamespaceController.name: NamespaceController,
    NodeLifecycleController.name: NodeLifecycleController,
    PersistentVolumeBinder.name: PersistentVolumeBinder,
    PodGarbageCollector.name: PodGarbageCollector,
    ReplicaSetController.name: ReplicaSetController,
    RootCaPublisher.name: RootCaPublisher,
    ServiceAccountController.name: ServiceAccountController,
    StatefulSetController.name: StatefulSetController,
    TaintEvictionController.name: TaintEvictionController,
    VolumeProtection.name: VolumeProtection,
    # These three are no part of kube-controller-manager, but run in every cluster that has volumes.
    ExternalAttacher.name: ExternalAttacher,
    LOCAL_PATH_PROVISIONER: local_path_provisioner,
    NETWORK_DISK_PROVISIONER: network_disk_provisioner,
}

# By how much a controller's own limits, requests a second and burst, exceed those of the others.
# Upstream: cmd/kube-controller-manager/app/core.go:newNamespaceController, newGarbageCollectorController @v1.36
LIMIT_FACTORS: dict[str, tuple[int, int]] = {
    GarbageCollector.name: (2, 1),
    NamespaceController.name: (20, 100),
}

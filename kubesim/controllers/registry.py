"""The explicit list of what kube-controller-manager runs here."""

from __future__ import annotations

from collections.abc import Callable

from kubesim.controllers.base import Controller, ControllerContext
from kubesim.controllers.deployment import DeploymentController
from kubesim.controllers.endpoints import EndpointsController
from kubesim.controllers.endpointslice import EndpointSliceController
from kubesim.controllers.garbage_collector import GarbageCollector
from kubesim.controllers.namespace import NamespaceController
from kubesim.controllers.pod_garbage_collector import PodGarbageCollector
from kubesim.controllers.replicaset import ReplicaSetController
from kubesim.controllers.serviceaccount import RootCaPublisher, ServiceAccountController
from kubesim.controllers.statefulset import StatefulSetController

CONTROLLERS: dict[str, Callable[[ControllerContext], Controller]] = {
    DeploymentController.name: DeploymentController,
    EndpointsController.name: EndpointsController,
    EndpointSliceController.name: EndpointSliceController,
    GarbageCollector.name: GarbageCollector,
    NamespaceController.name: NamespaceController,
    PodGarbageCollector.name: PodGarbageCollector,
    ReplicaSetController.name: ReplicaSetController,
    RootCaPublisher.name: RootCaPublisher,
    ServiceAccountController.name: ServiceAccountController,
    StatefulSetController.name: StatefulSetController,
}

# By how much a controller's own limits, requests a second and burst, exceed those of the others.
# Upstream: cmd/kube-controller-manager/app/core.go:newNamespaceController, newGarbageCollectorController @v1.36
LIMIT_FACTORS: dict[str, tuple[int, int]] = {
    GarbageCollector.name: (2, 1),
    NamespaceController.name: (20, 100),
}

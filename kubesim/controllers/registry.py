"""The explicit list of what kube-controller-manager runs here."""

from __future__ import annotations

from collections.abc import Callable

from kubesim.controllers.base import Controller, ControllerContext
from kubesim.controllers.deployment import DeploymentController
from kubesim.controllers.replicaset import ReplicaSetController
from kubesim.controllers.serviceaccount import RootCaPublisher, ServiceAccountController

CONTROLLERS: dict[str, Callable[[ControllerContext], Controller]] = {
    DeploymentController.name: DeploymentController,
    ReplicaSetController.name: ReplicaSetController,
    RootCaPublisher.name: RootCaPublisher,
    ServiceAccountController.name: ServiceAccountController,
}

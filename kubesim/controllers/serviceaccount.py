"""What every namespace gets: the `default` ServiceAccount and the `kube-root-ca.crt` ConfigMap.

Two small loops, each woken by namespaces and by the loss or change of its object.
Upstream: pkg/controller/serviceaccount/serviceaccounts_controller.go,
pkg/controller/certificates/rootcacertpublisher/publisher.go @v1.36
"""

from __future__ import annotations

from typing import final

from kubesim.api.kinds import CONFIG_MAP, NAMESPACE, SERVICE_ACCOUNT
from kubesim.api.objects import Object
from kubesim.api.requests import create, update
from kubesim.client.workqueue import WorkQueue
from kubesim.controllers.base import DONE, ControllerContext, Reconcile, Worker
from kubesim.errors import ApiError

_ACCOUNT = "default"
_ROOT_CA = "kube-root-ca.crt"
# No TLS is simulated; Pods mount the file, none reads it.
_CA_DATA = {"ca.crt": "-----BEGIN CERTIFICATE-----\nsimulated\n-----END CERTIFICATE-----\n"}
_CA_ANNOTATIONS = {
    "kubernetes.io/description": "Contains a CA bundle that can be used to verify the kube-apiserver when using "
    "internal endpoints such as the internal service IP or kubernetes.default.svc. No other usage is guaranteed across "
    "distributions of Kubernetes clusters."
}


def _is_active(namespace: Object | None) -> bool:
    return namespace is not None and (namespace.get("status") or {}).get("phase") == "Active"


@final
class ServiceAccountController:
    """Keeps a `default` ServiceAccount in every active namespace."""

    name = "service-account-controller"

    def __init__(self, context: ControllerContext) -> None:
        self._queue = WorkQueue(context.loop)
        self._namespaces = context.informers.lister(NAMESPACE)
        self._accounts = context.informers.lister(SERVICE_ACCOUNT)
        context.informers.informer(NAMESPACE).add_handler(self._on_namespace, lambda _, new: self._on_namespace(new))
        context.informers.informer(SERVICE_ACCOUNT).add_handler(on_delete=self._on_account_delete)
        # Upstream: --concurrent-serviceaccount-token-syncs is the tokens'; accounts are synced by one worker.
        self.workers = (Worker(self._queue, self.reconcile, 1),)

    def _on_namespace(self, namespace: Object) -> None:
        self._queue.add(namespace["metadata"]["name"])

    def _on_account_delete(self, account: Object) -> None:
        self._queue.add(account["metadata"]["namespace"])

    def reconcile(self, name: str) -> Reconcile:
        """Create the account if the namespace lacks it."""
        if not _is_active(self._namespaces.get("", name)) or self._accounts.get(name, _ACCOUNT) is not None:
            return DONE
        account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": _ACCOUNT, "namespace": name}}
        try:
            yield create(SERVICE_ACCOUNT, account)
        except ApiError as error:
            is_terminating = error.is_namespace_terminating
            if error.reason != "AlreadyExists" and not is_terminating:
                raise
        return DONE


@final
class RootCaPublisher:
    """Keeps the root certificate's ConfigMap in every active namespace."""

    name = "root-ca-cert-publisher"

    def __init__(self, context: ControllerContext) -> None:
        self._queue = WorkQueue(context.loop)
        self._namespaces = context.informers.lister(NAMESPACE)
        self._config_maps = context.informers.lister(CONFIG_MAP)
        context.informers.informer(NAMESPACE).add_handler(self._on_namespace, lambda _, new: self._on_namespace(new))
        context.informers.informer(CONFIG_MAP).add_handler(
            on_update=lambda _, new: self._on_config_map(new), on_delete=self._on_config_map
        )
        self.workers = (Worker(self._queue, self.reconcile, 1),)

    def _on_namespace(self, namespace: Object) -> None:
        if _is_active(namespace):
            self._queue.add(namespace["metadata"]["name"])

    def _on_config_map(self, config_map: Object) -> None:
        if config_map["metadata"]["name"] == _ROOT_CA:
            self._queue.add(config_map["metadata"]["namespace"])

    def reconcile(self, name: str) -> Reconcile:
        """Create the ConfigMap, or put back what somebody changed in it."""
        if not _is_active(self._namespaces.get("", name)):
            return DONE
        found = self._config_maps.get(name, _ROOT_CA)
        if found is None:
            metadata = {"name": _ROOT_CA, "namespace": name, "annotations": _CA_ANNOTATIONS}
            wanted = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": _CA_DATA}
            try:
                yield create(CONFIG_MAP, wanted)
            except ApiError as error:
                if not error.is_namespace_terminating:
                    raise
        elif found.get("data") != _CA_DATA:
            yield update(CONFIG_MAP, {**found, "data": _CA_DATA})
        return DONE

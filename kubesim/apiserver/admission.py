"""Admission: what the default plugins of kube-apiserver add to a new object, and what they refuse.

Upstream: pkg/kubeapiserver/options/plugins.go @v1.36, which names the plugins that are on by default. Modelled here:
NamespaceLifecycle, ServiceAccount, TaintNodesByCondition, Priority, DefaultTolerationSeconds, DefaultStorageClass,
StorageObjectInUseProtection, PodTopologyLabels. The others have nothing to do until their kinds are modelled.
"""

from __future__ import annotations

from collections.abc import Callable

from kubesim.api.objects import Object, with_metadata
from kubesim.api.scheme import Kind
from kubesim.errors import Cause, forbidden, not_found
from kubesim.store.log import Store

IMMORTAL_NAMESPACES = ("default", "kube-system", "kube-public")
_TOPOLOGY = ("topology.kubernetes.io/region", "topology.kubernetes.io/zone")
_DEFAULT_CLASS = "storageclass.kubernetes.io/is-default-class"


def asked_name(metadata: Object) -> str:
    """What a refusal calls a new object: admission comes before names are generated.

    Upstream: apiserver/pkg/admission/errors.go:extractResourceName @v1.36
    """
    return metadata.get("name") or metadata.get("generateName") or "Unknown"


def check_namespace(store: Store, kind: Kind, namespace: str, metadata: Object) -> None:
    """NamespaceLifecycle for a create: the namespace must be there and not on its way out.

    Upstream: apiserver/pkg/admission/plugin/namespace/lifecycle/admission.go @v1.36
    """
    found = store.get("namespaces", ("", namespace))
    if found is None:
        raise not_found("namespaces", "", namespace)
    if (found.get("status") or {}).get("phase") == "Terminating":
        why = f"unable to create new content in namespace {namespace} because it is being terminated"
        error = forbidden(kind.plural, kind.group, asked_name(metadata), why)
        error.causes = (
            Cause("NamespaceTerminating", "metadata.namespace", f"namespace {namespace} is being terminated"),
        )
        raise error


def check_namespace_delete(kind: Kind, name: str) -> None:
    """NamespaceLifecycle for a delete: some namespaces must stay."""
    if kind.resource == "namespaces" and name in IMMORTAL_NAMESPACES:
        raise forbidden(kind.plural, kind.group, name, "this namespace may not be deleted")


def _admit_claim(store: Store, claim: Object) -> Object:
    spec = claim["spec"]
    if spec.get("storageClassName") is None and "volume.beta.kubernetes.io/storage-class" not in (
        claim["metadata"].get("annotations") or {}
    ):
        default = default_storage_class(store)
        if default is not None:
            claim = {**claim, "spec": {**spec, "storageClassName": default["metadata"]["name"]}}
    return _protected(claim, "kubernetes.io/pvc-protection")


def default_storage_class(store: Store) -> Object | None:
    """The class that claims without one get: the newest of those marked as default.

    Upstream: pkg/volume/util/storageclass.go:GetDefaultClass @v1.36
    """
    marked = [
        storage_class
        for storage_class in store.table("storageclasses.storage.k8s.io").objects.values()
        if (storage_class["metadata"].get("annotations") or {}).get(_DEFAULT_CLASS) == "true"
    ]
    marked.sort(key=lambda storage_class: storage_class["metadata"]["name"])
    marked.sort(key=lambda storage_class: storage_class["metadata"]["creationTimestamp"], reverse=True)
    return marked[0] if marked else None


def _admit_volume(_: Store, volume: Object) -> Object:
    return _protected(volume, "kubernetes.io/pv-protection")


def _protected(obj: Object, finalizer: str) -> Object:
    finalizers = obj["metadata"].get("finalizers") or []
    return obj if finalizer in finalizers else with_metadata(obj, finalizers=[*finalizers, finalizer])


def _admit_node(_: Store, node: Object) -> Object:
    taint = {"key": "node.kubernetes.io/not-ready", "effect": "NoSchedule"}
    spec = node.get("spec") or {}
    taints = spec.get("taints") or []
    if taint in taints:
        return node
    return {**node, "spec": {**spec, "taints": [*taints, taint]}}


def topology_labels(store: Store, node_name: str) -> Object:
    """PodTopologyLabels: the node's zone and region, for the Pod that it gets.

    Upstream: plugin/pkg/admission/podtopologylabels/admission.go @v1.36
    """
    node = store.get("nodes", ("", node_name))
    labels = None if node is None else node["metadata"].get("labels")
    return {label: labels[label] for label in _TOPOLOGY if label in labels} if labels else {}


_ADMIT: dict[str, Callable[[Store, Object], Object]] = {
    "persistentvolumeclaims": _admit_claim,
    "persistentvolumes": _admit_volume,
    "nodes": _admit_node,
}


def admit_create(store: Store, kind: Kind, obj: Object) -> Object:
    """What the plugins make of a new object of any kind but Pod, which has `pod_admission`."""
    admit = _ADMIT.get(kind.resource)
    return obj if admit is None else admit(store, obj)

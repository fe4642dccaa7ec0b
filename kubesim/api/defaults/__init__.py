"""Defaulting: the object as the API server would store it where the client left fields out.

A pure function per kind, in the module that `_MODULES` names and imported when its first object arrives. The very same
object comes back when nothing is to be set, and untouched subtrees are shared, so defaulting twice costs nothing.
What admission adds (service account, tolerations, priority, storage class) is not defaulting.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module

from kubesim.api.objects import Object
from kubesim.api.scheme import Kind

# Kind.resource -> module of this package with a `DEFAULTS: dict[str, Callable]` that has a row for it.
_MODULES: dict[str, str] = {
    "pods": "pod",
    "podtemplates": "workloads",
    "replicasets.apps": "workloads",
    "deployments.apps": "workloads",
    "statefulsets.apps": "workloads",
    "endpoints": "endpoints",
    "endpointslices.discovery.k8s.io": "endpoints",
    "leases.coordination.k8s.io": "endpoints",
    "limitranges": "storage",
    "namespaces": "cluster",
    "nodes": "cluster",
    "persistentvolumeclaims": "storage",
    "persistentvolumes": "storage",
    "priorityclasses.scheduling.k8s.io": "cluster",
    "resourcequotas": "storage",
    "secrets": "config",
    "services": "service",
    "storageclasses.storage.k8s.io": "storage",
}
_loaded: dict[str, Callable[[Object], Object]] = {}


def _nothing_to_set(obj: Object) -> Object:
    return obj


def default(kind: Kind, obj: Object) -> Object:
    """The object with the defaults of its kind filled in; `obj` itself when there is nothing to fill in."""
    resource = kind.resource
    setter = _loaded.get(resource)
    if setter is None:
        module = _MODULES.get(resource)
        setter = import_module(f"{__name__}.{module}").DEFAULTS[resource] if module else _nothing_to_set
        _loaded[resource] = setter
    return setter(obj)

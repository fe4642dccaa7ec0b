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


class _Setters(dict[str, Callable[[Object], Object] | None]):
    """What sets the defaults, by resource; None where there are none."""

    def __missing__(self, resource: str) -> Callable[[Object], Object] | None:
        module = _MODULES.get(resource)
        setter: Callable[[Object], Object] | None = None
        if module is not None:
            setter = import_module(f"{__name__}.{module}").DEFAULTS[resource]
        self[resource] = setter
        return setter


_SETTERS = _Setters()


def default(kind: Kind, obj: Object) -> Object:
    """The object with the defaults of its kind filled in; `obj` itself when there is nothing to fill in."""
    setter = _SETTERS[kind.resource]
    return obj if setter is None else setter(obj)

"""Object and transition checks: a value in, the list of its broken rules out, in the order upstream reports them.

Metadata is checked for every kind. What else is checked is a `Rules` row in the module that `_MODULES` names; a module
is imported when its first object arrives. A kind without a row has only its metadata checked.
Objects must have been through `api.defaults` first, as upstream validates only defaulted objects.
"""

from __future__ import annotations

from importlib import import_module

from kubesim.api.objects import Object
from kubesim.api.scheme import Kind
from kubesim.api.validation.metadata import is_checked_last, validate_object_meta, validate_object_meta_update
from kubesim.api.validation.rules import Rules
from kubesim.errors import Cause

# Kind.resource -> module of this package with a `RULES: dict[str, Rules]` that has a row for it.
_MODULES: dict[str, str] = {
    "pods": "pod",
    "podtemplates": "pod",
    "replicasets.apps": "workloads",
    "deployments.apps": "workloads",
    "statefulsets.apps": "statefulset",
    "controllerrevisions.apps": "workloads",
    "configmaps": "config",
    "endpoints": "endpoints",
    "endpointslices.discovery.k8s.io": "endpoints",
    "events": "events",
    "events.events.k8s.io": "events",
    "leases.coordination.k8s.io": "events",
    "namespaces": "cluster",
    "nodes": "cluster",
    "persistentvolumeclaims": "storage",
    "persistentvolumes": "persistent_volume",
    "poddisruptionbudgets.policy": "policy",
    "priorityclasses.scheduling.k8s.io": "cluster",
    "secrets": "config",
    "services": "service",
    "storageclasses.storage.k8s.io": "storage",
}


class _RulesByResource(dict[str, Rules]):
    """The rules by resource, imported when they are first asked for."""

    def __missing__(self, resource: str) -> Rules:
        module = _MODULES.get(resource)
        rules = import_module(f"{__name__}.{module}").RULES[resource] if module else Rules()
        self[resource] = rules
        return rules


_RULES = _RulesByResource()


def validate_create(kind: Kind, obj: Object) -> list[Cause]:
    """The rules that a new object breaks; empty when it may be stored."""
    causes = _RULES[kind.resource].create(obj)
    if causes and is_checked_last(kind):
        return causes
    return validate_object_meta(kind, obj["metadata"]) + causes


def validate_update(kind: Kind, new: Object, old: Object) -> list[Cause]:
    """The rules that replacing `old` with `new` breaks. System metadata must have been carried over from `old`."""
    return _metadata_update(kind, new, old) + _RULES[kind.resource].update(new, old)


def validate_status_update(kind: Kind, new: Object, old: Object) -> list[Cause]:
    """The rules that a write of the status breaks; everything but metadata and status is taken to be unchanged."""
    return _metadata_update(kind, new, old) + _RULES[kind.resource].status_update(new, old)


def _metadata_update(kind: Kind, new: Object, old: Object) -> list[Cause]:
    metadata, old_metadata = new["metadata"], old["metadata"]
    if metadata is old_metadata:
        return []
    return validate_object_meta_update(kind, metadata, old_metadata)

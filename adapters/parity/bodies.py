"""What random requests are made of: a body that is right for each kind, and changes of what all kinds have.

A change is a path like a JSON pointer's and the value that it puts there; without a value it takes the field away.
"""

from __future__ import annotations

from typing import Any, Final

from kubesim.api.kinds import (
    CONFIG_MAP,
    DEPLOYMENT,
    LEASE,
    PERSISTENT_VOLUME_CLAIM,
    POD,
    POD_DISRUPTION_BUDGET,
    PRIORITY_CLASS,
    REPLICA_SET,
    SECRET,
    SERVICE,
    SERVICE_ACCOUNT,
    STATEFUL_SET,
    STORAGE_CLASS,
)
from kubesim.api.objects import Object
from kubesim.api.scheme import Kind

Change = tuple[str, Any] | tuple[str]

_LONG: Final = "x" * 64
CONTAINER: Final = {"name": "main", "image": "python:3.11-slim"}
# Nobody runs what stands here: no node has that label.
_POD: Final = {"nodeSelector": {"example.com/nowhere": "true"}, "containers": [CONTAINER]}
_TEMPLATE: Final = {"metadata": {"labels": {"app": "web"}}, "spec": _POD}
_WORKLOAD: Final = {"replicas": 0, "selector": {"matchLabels": {"app": "web"}}, "template": _TEMPLATE}

KINDS: Final[dict[str, Kind]] = {
    kind.plural: kind
    for kind in (
        CONFIG_MAP,
        SECRET,
        SERVICE_ACCOUNT,
        SERVICE,
        PERSISTENT_VOLUME_CLAIM,
        POD,
        DEPLOYMENT,
        REPLICA_SET,
        STATEFUL_SET,
        POD_DISRUPTION_BUDGET,
        LEASE,
        PRIORITY_CLASS,
        STORAGE_CLASS,
    )
}

TEMPLATES: Final[dict[str, Object]] = {
    "configmaps": {"data": {"a": "1"}},
    "secrets": {"type": "Opaque", "data": {"a": "MQ=="}},
    "serviceaccounts": {},
    "services": {"spec": {"selector": {"app": "web"}, "ports": [{"name": "http", "port": 80}]}},
    "persistentvolumeclaims": {
        "spec": {
            "storageClassName": "example-none",
            "accessModes": ["ReadWriteOnce"],
            "resources": {"requests": {"storage": "1Gi"}},
        }
    },
    "pods": {"spec": _POD},
    "deployments": {"spec": _WORKLOAD},
    "replicasets": {"spec": _WORKLOAD},
    "statefulsets": {"spec": {**_WORKLOAD, "serviceName": "web"}},
    "poddisruptionbudgets": {"spec": {"minAvailable": 1, "selector": {"matchLabels": {"app": "web"}}}},
    "leases": {"spec": {"holderIdentity": "one", "leaseDurationSeconds": 15}},
    "priorityclasses": {"value": 1000, "description": "for tests"},
    "storageclasses": {"provisioner": "example.com/none", "volumeBindingMode": "WaitForFirstConsumer"},
}

_OWNER: Final = {"apiVersion": "v1", "kind": "ConfigMap", "name": "x", "uid": "u-1"}

COMMON: Final[tuple[Change, ...]] = (
    ("metadata/labels/tier", "back"),
    ("metadata/labels/tier", "bad value!"),
    ("metadata/labels/tier", _LONG),
    ("metadata/labels/tier", 5),
    ("metadata/labels/bad key!", "x"),
    ("metadata/labels/example.com~1team", "one"),
    ("metadata/labels/-bad.example~1team", "one"),
    ("metadata/labels", ["a"]),
    ("metadata/labels", None),
    ("metadata/annotations/note", "hello"),
    ("metadata/annotations/note", 7),
    ("metadata/annotations/bad key!", "x"),
    ("metadata/name", "Bad_Name"),
    ("metadata/name", "other"),
    ("metadata/name", ""),
    ("metadata/name", 12),
    ("metadata/name", "a" * 254),
    ("metadata/name",),
    ("metadata/namespace", "elsewhere"),
    ("metadata/uid", "other"),
    ("metadata/creationTimestamp", "yesterday"),
    ("metadata/generation", "two"),
    ("metadata/unknown", 1),
    ("metadata/finalizers", ["example.com/hold"]),
    ("metadata/finalizers", ["nodomain"]),
    ("metadata/finalizers", ["bad finalizer"]),
    ("metadata/finalizers", "example.com/hold"),
    ("metadata/ownerReferences", [{"apiVersion": "v1", "kind": "ConfigMap", "name": "x"}]),
    ("metadata/ownerReferences", [{**_OWNER, "controller": True}, {**_OWNER, "uid": "u-2", "controller": True}]),
    ("metadata/ownerReferences", [{**_OWNER, "kind": "Event"}]),
    ("metadata/ownerReferences", [{**_OWNER, "apiVersion": "a/b/c"}]),
    ("metadata", 5),
    ("unknownField", 1),
    ("kind", "Other"),
    ("kind",),
    ("apiVersion", "example.com/v2"),
    ("apiVersion",),
)

"""What the API server knows of Pods: their quality of service class, and binding one to a node.

Upstream: pkg/apis/core/v1/helper/qos/qos.go, pkg/registry/core/pod/storage/storage.go @v1.36
"""

from __future__ import annotations

from kubesim.api.memo import IdentityMemo
from kubesim.api.objects import Object
from kubesim.api.quantity import milli

_QOS_RESOURCES = ("cpu", "memory")


def _qos_class(spec: Object) -> str:
    requests: dict[str, int] = {}
    limits: dict[str, int] = {}
    every_container_limited = True
    # Where the Pod itself says what it needs, that alone counts.
    containers = (*(spec.get("initContainers") or ()), *(spec.get("containers") or ()))
    for holder in (spec,) if spec.get("resources") else containers:
        resources = holder.get("resources") or {}
        limited = 0
        for name in _QOS_RESOURCES:
            request = (resources.get("requests") or {}).get(name)
            limit = (resources.get("limits") or {}).get(name)
            if request is not None and milli(request) > 0:
                requests[name] = requests.get(name, 0) + milli(request)
            if limit is not None and milli(limit) > 0:
                limits[name] = limits.get(name, 0) + milli(limit)
                limited += 1
        if limited < len(_QOS_RESOURCES):
            every_container_limited = False
    if not requests and not limits:
        return "BestEffort"
    if every_container_limited and requests == limits:
        return "Guaranteed"
    return "Burstable"


compute_qos_class = IdentityMemo(_qos_class)

"""What Endpoints and EndpointSlices have in common: which Pods count, their ports, and since when a change is due.

Upstream: k8s.io/endpointslice/utils.go, util/controller_utils.go, util/trigger_time_tracker.go @v1.36
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import final

from kubesim.api.conditions import find_condition
from kubesim.api.objects import Key, Object

TRIGGER_TIME = "endpoints.kubernetes.io/last-change-trigger-time"
HEADLESS = "service.kubernetes.io/headless"


def has_endpoint(pod: Object, *, include_terminating: bool) -> bool:
    """Whether the Pod is to be listed. Upstream: controller_utils.go:ShouldPodBeInEndpoints @v1.36"""
    status = pod["status"]
    if status.get("phase") in ("Succeeded", "Failed") or not (status.get("podIP") or status.get("podIPs")):
        return False
    return include_terminating or "deletionTimestamp" not in pod["metadata"]


def ip_of(pod: Object) -> str | None:
    """The Pod's IPv4 address."""
    for entry in pod["status"].get("podIPs") or ():
        ip: str = entry["ip"]
        if ":" not in ip:
            return ip
    return None


def target_of(pod: Object) -> Object:
    """The reference from an endpoint to its Pod."""
    metadata = pod["metadata"]
    return {"kind": "Pod", "namespace": metadata["namespace"], "name": metadata["name"], "uid": metadata["uid"]}


def shows_hostname(pod: Object, service: Object) -> bool:
    """Whether DNS gives the Pod a name of its own under this Service."""
    spec = pod["spec"]
    return bool(spec.get("hostname")) and spec.get("subdomain") == service["metadata"]["name"]


def is_headless(service: Object) -> bool:
    """Whether the Service has no address."""
    return service["spec"].get("clusterIP", "None") in ("None", "")


def find_port(pod: Object, port: Object) -> int | None:
    """The number that a Service's port means on this Pod; None where no container has a port of that name.

    Upstream: utils.go:FindPort @v1.36
    """
    target = port.get("targetPort", port["port"])
    if isinstance(target, int):
        return target
    spec, protocol = pod["spec"], port.get("protocol", "TCP")
    sidecars = [each for each in spec.get("initContainers") or () if each.get("restartPolicy") == "Always"]
    for container in [*spec["containers"], *sidecars]:
        for each in container.get("ports") or ():
            if each.get("name") == target and each.get("protocol", "TCP") == protocol:
                number: int = each["containerPort"]
                return number
    return None


@final
class TriggerTimes:
    """When the change that endpoints are about to show has happened: the earliest of what is new since the last sync.

    Instants stay the strings that the objects carry; these order as they read.
    """

    def __init__(self) -> None:
        self._seen: dict[Key, tuple[str, dict[str, str]]] = {}

    def compute(self, key: Key, service: Object, pods: Iterable[Object]) -> str:
        """The time to write into `TRIGGER_TIME`; empty where the annotation should go."""
        known = self._seen.get(key)
        last_service, last_pods = known or ("", {})
        times: dict[str, str] = {}
        earliest = ""
        for pod in pods:
            ready = find_condition(pod["status"].get("conditions"), "Ready")
            at = ready.get("lastTransitionTime") if ready is not None else None
            if at:
                name = pod["metadata"]["name"]
                times[name] = at
                if at > last_pods.get(name, "") and (not earliest or at < earliest):
                    earliest = at
        created: str = service["metadata"]["creationTimestamp"]
        if created > last_service and (not earliest or created < earliest):
            earliest = created
        self._seen[key] = (created, times)
        return created if known is None else earliest

    def forget(self, key: Key) -> None:
        """The Service is gone: one of its name starts anew."""
        self._seen.pop(key, None)

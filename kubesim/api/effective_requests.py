"""What a Pod takes of its node while a resize is under way: the most that it asks for, was given or has.

Upstream: component-helpers/resource/helpers.go:determineEffectiveRequests @v1.36
"""

from __future__ import annotations

from kubesim.api import quantity
from kubesim.api.objects import Object

_STATUSES = (("containers", "containerStatuses"), ("initContainers", "initContainerStatuses"))


def effective_spec(pod: Object) -> Object:
    """The Pod's spec with these requests; the very spec where nobody has resized the Pod."""
    spec: Object = pod["spec"]
    # The first generation of a Pod is as it was made.
    if pod["metadata"].get("generation") == 1:
        return spec
    status = pod.get("status") or {}
    if not status.get("containerStatuses"):
        return spec
    changes: Object = {}
    for field, of in _STATUSES:
        containers, found = spec.get(field), status.get(of)
        if not containers or not found:
            continue
        by_name = {each["name"]: each for each in found}
        after = [_effective(each, by_name.get(each["name"]), status, field) for each in containers]
        if any(new is not old for new, old in zip(after, containers, strict=True)):
            changes[field] = after
    own, shown = spec.get("resources"), status.get("resources")
    if own and own.get("requests") and shown is not None:
        requests = own["requests"]
        most = _most(requests, shown.get("requests") or {}, status.get("allocatedResources") or {}, status)
        most = {name: amount for name, amount in most.items() if name in requests}
        if most != requests:
            changes["resources"] = {**own, "requests": most}
    return {**spec, **changes} if changes else spec


def _effective(container: Object, found: Object | None, status: Object, field: str) -> Object:
    if found is None or "resources" not in found:
        return container
    if field == "initContainers" and container.get("restartPolicy") != "Always":
        return container
    resources = container.get("resources") or {}
    requests, actual = resources.get("requests") or {}, found["resources"].get("requests") or {}
    given = found.get("allocatedResources") or {}
    if requests == actual and requests == given:
        return container
    most = _most(requests, actual, given, status)
    return container if most == requests else {**container, "resources": {**resources, "requests": most}}


def _most(requests: Object, actual: Object, given: Object, status: Object) -> Object:
    most = {} if _is_infeasible(status) else dict(requests)
    for amounts in (actual, given):
        for name, amount in amounts.items():
            if name not in most or quantity.compare(amount, most[name]) > 0:
                most[name] = amount
    return most


def _is_infeasible(status: Object) -> bool:
    """Whether the node will never grant what the Pod asks for."""
    for condition in status.get("conditions") or ():
        if condition["type"] == "PodResizePending":
            return bool(condition.get("reason") == "Infeasible")
    return False

"""What controllers ask about Pods: whose they are, and whether they are active, ready and available.

Upstream: pkg/controller/controller_utils.go, pkg/api/v1/pod/util.go @v1.36
"""

from __future__ import annotations

from kubesim.api.objects import Object
from kubesim.api.timestamps import from_time
from kubesim.client.informer import Lister
from kubesim.sim.loop import SECOND

BY_CONTROLLER = "controller"
BY_NODE = "node"


def _controller_values(pod: Object) -> tuple[str, ...]:
    for reference in pod["metadata"].get("ownerReferences") or ():
        if reference.get("controller"):
            return (reference["uid"],)
    return ("orphans/" + pod["metadata"]["namespace"],)


def index_by_controller(lister: Lister) -> None:
    """Have the lister answer `pods_of` and `orphans_in`; it may hold any kind that is controlled."""
    lister.add_index(BY_CONTROLLER, _controller_values)


def pods_of(lister: Lister, owner: Object) -> list[Object]:
    """The Pods that the owner controls, in the order in which they appeared."""
    return lister.by_index(BY_CONTROLLER, owner["metadata"]["uid"])


def orphans_in(lister: Lister, namespace: str) -> list[Object]:
    """The namespace's objects without a controller."""
    return lister.by_index(BY_CONTROLLER, "orphans/" + namespace)


def _node_values(pod: Object) -> tuple[str, ...]:
    name = pod["spec"].get("nodeName")
    return (name,) if name else ()


def index_by_node(lister: Lister) -> None:
    """Have the lister answer `pods_on`."""
    lister.add_index(BY_NODE, _node_values)


def pods_on(lister: Lister, node_name: str) -> list[Object]:
    """The Pods bound to a node, in the order in which they were bound."""
    return lister.by_index(BY_NODE, node_name)


def is_active(pod: Object) -> bool:
    """Neither finished nor being deleted."""
    return "deletionTimestamp" not in pod["metadata"] and pod["status"].get("phase") not in ("Succeeded", "Failed")


def ready_condition(pod: Object) -> Object | None:
    """The Pod's Ready condition if it is True."""
    for condition in pod["status"].get("conditions") or ():
        if condition["type"] == "Ready":
            return condition if condition["status"] == "True" else None
    return None


def is_ready(pod: Object) -> bool:
    """Whether the Ready condition is True."""
    return ready_condition(pod) is not None


def available_in_ns(pod: Object, min_ready_s: int, now_ns: int) -> int | None:
    """How long until a ready Pod is available, 0 when it is; None for a Pod that is not ready."""
    condition = ready_condition(pod)
    if condition is None:
        return None
    if not min_ready_s:
        return 0
    return max(0, from_time(condition["lastTransitionTime"]) + min_ready_s * SECOND - now_ns)


def is_available(pod: Object, min_ready_s: int, now_ns: int) -> bool:
    """Ready for at least `min_ready_s`."""
    return available_in_ns(pod, min_ready_s, now_ns) == 0

"""Whether a Pod's node could ever give what a resize asks for, whoever else is there.

Upstream: plugin/pkg/admission/podresize/admission.go @v1.36
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from kubesim.api.container_totals import total_of_pod
from kubesim.api.kinds import NODE
from kubesim.api.objects import labels_of
from kubesim.api.quantity import milli, value
from kubesim.errors import ApiError, Cause, forbidden

if TYPE_CHECKING:
    from kubesim.api.objects import Object
    from kubesim.store.log import Store

_OS: Final = "kubernetes.io/os"


def check_node(pod: Object, store: Store) -> None:
    """Refuse what is more than the node has to give.

    Raises:
        ApiError: 403.
    """
    name = pod["spec"].get("nodeName")
    if not name:
        return
    node = store.get(NODE.resource, ("", name))
    if node is None:
        raise _refusal(pod, f'node "{name}" not found')
    system = labels_of(node).get(_OS, "linux")
    if system != "linux":
        why = f'pod resize is only supported on linux nodes, node "{name}" is "{system}"'
        raise _refusal(pod, why, "UnsupportedPlatform")
    allocatable = (node.get("status") or {}).get("allocatable") or {}
    requests = total_of_pod(pod["spec"], "requests")
    problems = []
    for resource, amount in (("cpu", milli), ("memory", value)):
        requested, offered = (amount(amounts.get(resource, "0")) for amounts in (requests, allocatable))
        if requested > offered:
            problems.append(f"{resource}, requested: {requested}, allocatable: {offered}")
    if problems:
        why = f"node didn't have enough allocatable resources: {'; '.join(problems)}"
        raise _refusal(pod, why, "NodeCapacity")


def _refusal(pod: Object, why: str, cause: str = "") -> ApiError:
    error = forbidden("pods", "", pod["metadata"]["name"], why)
    if cause:
        error.causes = (Cause(cause, "", ""),)
    return error

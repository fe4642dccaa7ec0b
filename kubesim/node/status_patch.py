"""The strategic merge patch that turns the status in the API into the one that the kubelet computed.

Only what differs is sent, so an unchanged status needs no request; this comparison is also how the kubelet notices that
somebody else has written over its fields.
Upstream: pkg/util/pod/pod.go:PatchPodStatus, pkg/kubelet/status/status_manager.go:mergePodStatus @v1.36
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from kubesim.api.objects import Object
from kubesim.node.status import KUBELET_CONDITIONS, TERMINAL_PHASES

# Plain fields and lists that are replaced as a whole.
_REPLACED = (
    "observedGeneration",
    "phase",
    "reason",
    "message",
    "hostIP",
    "podIP",
    "startTime",
    "initContainerStatuses",
    "containerStatuses",
    "qosClass",
)
_MAPS = ("allocatedResources", "resources")
_ADDRESSES = ("hostIPs", "podIPs")


def _changed_members(old: Object, new: Object) -> Object:
    patch: Object = {name: value for name, value in new.items() if old.get(name) != value}
    patch.update((name, None) for name in old if name not in new)
    return patch


def _changed_addresses(old: Sequence[Object], new: Sequence[Object]) -> list[Object]:
    kept = [entry["ip"] for entry in new]
    added = [entry for entry in new if entry not in old]
    return [*added, *({"ip": entry["ip"], "$patch": "delete"} for entry in old if entry["ip"] not in kept)]


def _changed_conditions(old: Sequence[Object], new: Sequence[Object]) -> list[Object]:
    """The kubelet's conditions that differ; those of others are not touched."""
    before = {condition["type"]: condition for condition in old}
    patch: list[Object] = []
    for condition in new:
        kind = condition["type"]
        if kind not in KUBELET_CONDITIONS:
            continue
        other = before.pop(kind, None)
        if other is None:
            patch.append(condition)
        elif other is not condition and other != condition:
            patch.append({**_changed_members(other, condition), "type": kind})
    patch.extend({"type": kind, "$patch": "delete"} for kind in before if kind in KUBELET_CONDITIONS)
    return patch


def _order(old: Sequence[Object], new: Sequence[Object]) -> list[Object]:
    """All conditions that there will be, foreign ones first, as `$setElementOrder` wants them."""
    foreign = [condition["type"] for condition in old if condition["type"] not in KUBELET_CONDITIONS]
    own = [condition["type"] for condition in new if condition["type"] in KUBELET_CONDITIONS]
    return [{"type": kind} for kind in (*foreign, *own)]


def compute_status_patch(api: Object, status: Object, *, may_run: bool) -> Object | None:
    """The patch of `status`, or None when nothing is to be changed.

    A Pod whose containers `may_run` is not reported as ended: its phase waits, all else is sent.
    """
    patch: Object = {}
    holds_phase = may_run and status["phase"] in TERMINAL_PHASES and api.get("phase") not in TERMINAL_PHASES
    for field in _REPLACED:
        new: Any = status.get(field)
        old: Any = api.get(field)
        if new is not old and new != old:
            if holds_phase and field in {"phase", "reason", "message"}:
                continue
            patch[field] = new
    for field in _MAPS:
        new, old = status.get(field), api.get(field)
        if new is not old and new != old:
            patch[field] = new if new is None or old is None else _changed_members(old, new)
    for field in _ADDRESSES:
        new, old = status.get(field) or (), api.get(field) or ()
        if new is not old and new != old:
            patch[field] = _changed_addresses(old, new)
    before, after = api.get("conditions") or (), status["conditions"]
    if before is not after:
        conditions = _changed_conditions(before, after)
        if conditions:
            patch["$setElementOrder/conditions"] = _order(before, after)
            patch["conditions"] = conditions
    return patch or None

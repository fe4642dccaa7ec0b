"""The strategic merge patch that turns the status in the API into the one that the kubelet computed.

Only what differs is sent, so an unchanged status needs no request; this comparison is also how the kubelet notices that
somebody else has written over its fields.
Upstream: pkg/util/pod/pod.go:PatchPodStatus, pkg/kubelet/status/status_manager.go:mergePodStatus @v1.36
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kubesim.api.memo import IdentitiesMemo
from kubesim.node.phase import TERMINAL_PHASES
from kubesim.node.pod_conditions import KUBELET_CONDITIONS, OWN_CONDITIONS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kubesim.api.objects import Object

_OWN_ORDER = [{"type": kind} for kind in KUBELET_CONDITIONS]
# Fields that are merged; all others, lists of container statuses among them, are replaced as a whole.
_MAPS = frozenset({"allocatedResources", "resources"})
_ADDRESSES = frozenset({"hostIPs", "podIPs"})
_OF_PHASE = frozenset({"phase", "reason", "message"})
# Fields that a later status may lack.
_REMOVABLE = ("reason", "message", "allocatedResources")


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
        if kind not in OWN_CONDITIONS:
            continue
        other = before.pop(kind, None)
        if other is None:
            patch.append(condition)
        elif other is not condition and other != condition:
            patch.append({**_changed_members(other, condition), "type": kind})
    patch.extend({"type": kind, "$patch": "delete"} for kind in before if kind in OWN_CONDITIONS)
    return patch


def _order(old: Sequence[Object], new: Sequence[Object]) -> list[Object]:
    """All conditions that there will be, foreign ones first, as `$setElementOrder` wants them."""
    foreign = [condition["type"] for condition in old if condition["type"] not in OWN_CONDITIONS]
    own = [condition["type"] for condition in new if condition["type"] in OWN_CONDITIONS]
    if not foreign and len(own) == len(_OWN_ORDER) and own[0] == KUBELET_CONDITIONS[0]:
        return _OWN_ORDER
    return [{"type": kind} for kind in (*foreign, *own)]


# Pods that do the same in the same second share their lists of conditions.
_condition_changes: IdentitiesMemo[tuple[list[Object], list[Object]]] = IdentitiesMemo(
    lambda old, new: (_changed_conditions(old, new), _order(old, new))
)


def compute_status_patch(api: Object, status: Object, *, may_run: bool) -> Object | None:
    """The patch of `status`, or None when nothing is to be changed.

    A Pod whose containers `may_run` is not reported as ended: its phase waits, all else is sent.
    """
    patch: Object = {}
    holds_phase = may_run and status["phase"] in TERMINAL_PHASES and api.get("phase") not in TERMINAL_PHASES
    for field, new in status.items():
        old: Any = api.get(field)
        if new is old or new == old:
            continue
        if field == "conditions":
            conditions, order = _condition_changes(old or (), new)
            if conditions:
                patch["$setElementOrder/conditions"] = order
                patch["conditions"] = conditions
        elif field in _ADDRESSES:
            patch[field] = _changed_addresses(old or (), new)
        elif field in _MAPS and old is not None:
            patch[field] = _changed_members(old, new)
        elif not (holds_phase and field in _OF_PHASE):
            patch[field] = new
    for field in _REMOVABLE:
        if field in api and field not in status and not (holds_phase and field in _OF_PHASE):
            patch[field] = None
    return patch or None


def with_condition(patch: Object | None, api: Object, condition: Object) -> Object | None:
    """The patch with one more condition, unless the status in the API has it."""
    old = api.get("conditions") or ()
    if any(each["type"] == condition["type"] for each in old):
        return patch
    patch = patch or {}
    order = patch.get("$setElementOrder/conditions") or [{"type": each["type"]} for each in old]
    return {
        **patch,
        "$setElementOrder/conditions": [{"type": condition["type"]}, *order],
        "conditions": [condition, *(patch.get("conditions") or ())],
    }

"""Namespace, Node and PriorityClass.

Upstream: pkg/apis/core/validation/validation.go:ValidateNamespace, ValidateNode,
pkg/apis/scheduling/validation/validation.go @v1.36
"""

from __future__ import annotations

from collections.abc import Iterator

from kubesim.api import names
from kubesim.api.objects import Object, is_deleting
from kubesim.api.validation import addresses, field, formats, internal_form
from kubesim.api.validation.container_resources import validate_amount
from kubesim.api.validation.metadata import immutable, standard_finalizer
from kubesim.api.validation.rules import Rules
from kubesim.errors import Cause

_TAINT_EFFECTS = ("NoSchedule", "PreferNoSchedule", "NoExecute")
_USER_PRIORITY_MAX = 1_000_000_000
_SYSTEM_PRIORITIES = {"system-node-critical": 2_000_001_000, "system-cluster-critical": 2_000_000_000}
_RESERVED = "priority class names with 'system-' prefix are reserved for system use only. error: "
_CIDR_FIXED = 'node updates may not change podCIDR except from "" to valid'
_PROVIDER_FIXED = 'node updates may not change providerID except from "" to valid'


def _namespace(obj: Object) -> list[Cause]:
    causes: list[Cause] = []
    for finalizer in (obj.get("spec") or {}).get("finalizers") or ():
        causes += formats.qualified_name("spec.finalizers", finalizer)
        causes += standard_finalizer("spec.finalizers", finalizer)
    return causes


def _namespace_status(new: Object, _old: Object) -> list[Cause]:
    phase = (new.get("status") or {}).get("phase", "")
    if is_deleting(new):
        if phase != "Terminating":
            why = "may only be 'Terminating' if `deletionTimestamp` is not empty"
            return [field.invalid("status.Phase", phase, why)]
    elif phase != "Active":
        return [field.invalid("status.Phase", phase, "may only be 'Active' if `deletionTimestamp` is empty")]
    return []


def _taints(taints: list[Object]) -> Iterator[Cause]:
    """Upstream reports the taints of the spec at `metadata.taints`."""
    seen: set[tuple[str, str]] = set()
    for index, taint in enumerate(taints):
        path = f"metadata.taints[{index}]"
        key, value, effect = taint.get("key", ""), taint.get("value", ""), taint.get("effect", "")
        yield from formats.qualified_name(f"{path}.key", key)
        problems = names.label_value(value)
        if problems:
            yield field.invalid(f"{path}.value", value, ";".join(problems))
        if not effect:
            yield field.required(f"{path}.effect")
        elif effect not in _TAINT_EFFECTS:
            yield field.not_supported(f"{path}.effect", effect, _TAINT_EFFECTS)
        if (key, effect) in seen:
            shown = field.go_json(internal_form.taint(taint))
            why = "taints must be unique by key and effect pair"
            yield Cause("FieldValueDuplicate", path, f"Duplicate value: {shown}: {why}")
        seen.add((key, effect))


def _node_resources(obj: Object, old: Object | None = None) -> Iterator[Cause]:
    """Capacity and allocatable; a list that is shared with `old` was checked with it."""
    status, old_status = obj.get("status") or {}, (old or {}).get("status") or {}
    for resources in ("capacity", "allocatable"):
        amounts = status.get(resources)
        if not amounts or amounts is old_status.get(resources):
            continue
        for name, amount in amounts.items():
            yield from validate_amount(name, amount, f"status.{resources}.{name}")


def _pod_cidrs(cidrs: list[str]) -> Iterator[Cause]:
    for index, cidr in enumerate(cidrs):
        yield from addresses.legacy_cidr(f"spec.podCIDRs[{index}]", cidr)
    if len(cidrs) < 2:
        return
    families = [addresses.cidr_family(cidr) for cidr in cidrs]
    if "" in families:
        at = families.index("")
        why = "invalid PodCIDRs. failed to check with dual stack with error:invalid CIDR"
        yield field.internal("spec.podCIDRs", f"{why}[{at}]: <nil> (invalid CIDR address: {cidrs[at]})")
    if len(cidrs) > 2 or "" in families or len(set(families)) == 1:
        yield field.invalid("spec.podCIDRs", cidrs, "may specify no more than one CIDR for each IP family")


def _node(obj: Object) -> list[Cause]:
    spec = obj.get("spec") or {}
    return [*_taints(spec.get("taints") or []), *_node_resources(obj), *_pod_cidrs(spec.get("podCIDRs") or [])]


def _node_change(new: Object, old: Object) -> Iterator[Cause]:
    """Upstream: pkg/apis/core/validation/validation.go:ValidateNodeUpdate @v1.36"""
    if new.get("status") is not old.get("status"):
        yield from _node_resources(new, old)
        yield from _node_addresses((new.get("status") or {}).get("addresses") or [])
    spec, old_spec = new.get("spec") or {}, old.get("spec") or {}
    if spec is old_spec:
        return
    cidrs, old_cidrs = spec.get("podCIDRs") or [], old_spec.get("podCIDRs") or []
    if old_cidrs and len(cidrs) != len(old_cidrs):
        yield field.forbidden("spec.podCIDRs", _CIDR_FIXED)
    elif old_cidrs:
        for old_cidr, cidr in zip(old_cidrs, cidrs, strict=True):
            if old_cidr != cidr:
                yield field.forbidden("spec.podCIDRs", _CIDR_FIXED)
    provider = old_spec.get("providerID")
    if provider and provider != spec.get("providerID"):
        yield field.forbidden("spec.providerID", _PROVIDER_FIXED)
    yield from _taints(spec.get("taints") or [])


def _node_addresses(listed: list[Object]) -> Iterator[Cause]:
    seen: set[tuple[str, str]] = set()
    for index, address in enumerate(listed):
        pair = (address.get("type", ""), address.get("address", ""))
        if pair in seen:
            yield field.duplicate(f"status.addresses[{index}]", {"Type": pair[0], "Address": pair[1]})
        seen.add(pair)


def _node_update(new: Object, old: Object) -> list[Cause]:
    causes = _node(new) if new.get("spec") is not old.get("spec") else []
    return [*causes, *_node_change(new, old)]


def _node_status(new: Object, old: Object) -> list[Cause]:
    return list(_node_change(new, old))


def _priority_class(obj: Object) -> list[Cause]:
    name, value = obj["metadata"].get("name", ""), obj.get("value", 0)
    causes: list[Cause] = []
    if name.startswith("system-"):
        problem = _system_class_problem(name, value, is_default=bool(obj.get("globalDefault")))
        if problem:
            causes.append(field.forbidden("metadata.name", _RESERVED + problem))
    elif value > _USER_PRIORITY_MAX:
        why = f"maximum allowed value of a user defined priority is {_USER_PRIORITY_MAX}"
        causes.append(field.forbidden("value", why))
    policy = obj.get("preemptionPolicy")
    if policy == "":
        causes.append(field.required("preemptionPolicy"))
    elif policy not in (None, "PreemptLowerPriority", "Never"):
        causes.append(field.not_supported("preemptionPolicy", policy, ("PreemptLowerPriority", "Never")))
    return causes


def _system_class_problem(name: str, value: int, *, is_default: bool) -> str:
    expected = _SYSTEM_PRIORITIES.get(name)
    if expected is None:
        return f"{name} is not a known system priority class"
    if value != expected:
        return f"value of {name} PriorityClass must be {expected}"
    return f"globalDefault of {name} PriorityClass must be false" if is_default else ""


def _priority_class_update(new: Object, old: Object) -> list[Cause]:
    causes: list[Cause] = []
    if new.get("value", 0) != old.get("value", 0):
        causes.append(field.forbidden("value", "may not be changed in an update."))
    causes += immutable("preemptionPolicy", new.get("preemptionPolicy"), old.get("preemptionPolicy"))
    return causes


RULES: dict[str, Rules] = {
    "namespaces": Rules(_namespace, lambda new, _old: _namespace(new), _namespace_status),
    "nodes": Rules(_node, _node_update, _node_status),
    "priorityclasses.scheduling.k8s.io": Rules(_priority_class, _priority_class_update),
}

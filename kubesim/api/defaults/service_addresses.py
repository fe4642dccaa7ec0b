"""The fields of a Service that its registry fills in around allocation: which of them a client left to the server.

A client may send back a Service without what was allocated to it, name one of two linked fields, or change the type
and leave behind what the new type does not use. The cluster has one stack, IPv4.
Upstream: pkg/registry/core/service/storage/{storage,alloc}.go, pkg/registry/core/service/strategy.go @v1.36
"""

from __future__ import annotations

from kubesim.api.objects import Object
from kubesim.api.service_types import (
    is_externally_accessible,
    needs_cluster_ip,
    needs_health_check,
    needs_node_ports,
)
from kubesim.api.validation import addresses, field
from kubesim.api.validation.service_addresses import validate_cluster_ips
from kubesim.errors import Cause

_FAMILY = "IPv4"


def resolve_addresses(new: Object, old: Object | None) -> tuple[Object, list[Cause]]:
    """The Service as its registry completes it before allocating, and why it cannot be allocated for.

    Call it on a defaulted Service before addresses are given out; `old` is None on create. A caller that gets causes
    answers 422 with them alone: upstream has not validated the Service yet.
    Upstream: pkg/registry/core/service/storage/storage.go:beginCreate, beginUpdate @v1.36
    """
    spec = {**(new.get("spec") or {})}
    old_spec = (old.get("spec") or {}) if old is not None else None
    if old_spec is not None:
        _keep_allocated(spec, old_spec)
    _link_cluster_ips(spec, old_spec)
    causes = _set_families(spec, old_spec) if needs_cluster_ip(spec) else []
    return {**new, "spec": spec}, causes


def _keep_allocated(spec: Object, old_spec: Object) -> None:
    """Take over what was allocated and the client did not send.

    Upstream: pkg/registry/core/service/storage/storage.go:patchAllocatedValues @v1.36
    """
    if needs_cluster_ip(old_spec) and needs_cluster_ip(spec):
        for name in ("clusterIP", "clusterIPs"):
            if not spec.get(name) and old_spec.get(name):
                spec[name] = old_spec[name]
    if needs_node_ports(old_spec) and needs_node_ports(spec):
        spec["ports"] = _ports_with_old_numbers(spec.get("ports") or [], old_spec.get("ports") or [])
    if needs_health_check(old_spec) and needs_health_check(spec) and not spec.get("healthCheckNodePort"):
        spec["healthCheckNodePort"] = old_spec.get("healthCheckNodePort", 0)


def _ports_with_old_numbers(ports: list[Object], old_ports: list[Object]) -> list[Object]:
    taken = {port["nodePort"] for port in ports if port.get("nodePort")}
    by_name = {port.get("name", ""): port.get("nodePort", 0) for port in old_ports}
    filled = []
    for port in ports:
        number = by_name.get(port.get("name", ""), 0)
        is_missing = not port.get("nodePort") and number and number not in taken
        filled.append({**port, "nodePort": number} if is_missing else port)
    return filled


def _link_cluster_ips(spec: Object, old_spec: Object | None) -> None:
    """Make `clusterIPs` follow a `clusterIP` that was set, changed or cleared on its own.

    Upstream: pkg/registry/core/service/storage/storage.go:normalizeClusterIPs @v1.36
    """
    single = spec.get("clusterIP", "")
    if old_spec is None:
        if single and not spec.get("clusterIPs"):
            spec["clusterIPs"] = [single]
        return
    old_single, old_listed = old_spec.get("clusterIP", ""), old_spec.get("clusterIPs") or []
    if old_listed and not spec.get("clusterIPs") and single == old_single:
        spec["clusterIPs"] = old_listed
    if single == old_single or (spec.get("clusterIPs") or []) != old_listed:
        return
    if single:
        spec["clusterIPs"] = [single]
    else:
        spec.pop("clusterIPs", None)


def _set_families(spec: Object, old_spec: Object | None) -> list[Cause]:
    """Fill in policy and families.

    Upstream: pkg/registry/core/service/storage/alloc.go:initIPFamilyFields @v1.36
    """
    is_free = spec.get("clusterIP") == "None" and not spec.get("selector")
    if spec.get("ipFamilyPolicy") is None:
        kept = (old_spec or {}).get("ipFamilyPolicy")
        spec["ipFamilyPolicy"] = kept or ("RequireDualStack" if is_free else "SingleStack")
    causes = validate_cluster_ips(spec, old_spec)
    if causes:
        return causes
    if old_spec is not None and spec["ipFamilyPolicy"] == "SingleStack":
        for name in ("clusterIPs", "ipFamilies"):
            if len(spec.get(name) or ()) > 1 and spec[name] == old_spec.get(name):
                spec[name] = spec[name][:1]
    causes = [*_stack_conflicts(spec, old_spec), *_infer_families(spec)]
    if causes:
        return causes
    families = spec.get("ipFamilies") or [_FAMILY]
    if is_free:
        if len(families) == 1 and spec["ipFamilyPolicy"] != "SingleStack":
            families = [*families, "IPv6" if families[0] == "IPv4" else "IPv4"]
        spec["ipFamilies"] = families
        return []
    if spec["ipFamilyPolicy"] == "RequireDualStack":
        why = "this cluster is not configured for dual-stack services"
        causes.append(field.invalid("spec.ipFamilyPolicy", spec["ipFamilyPolicy"], why))
    causes += [
        field.invalid(f"spec.ipFamilies[{index}]", family, "not configured on this cluster")
        for index, family in enumerate(families)
        if family != _FAMILY
    ]
    spec["ipFamilies"] = families
    return causes


def _stack_conflicts(spec: Object, old_spec: Object | None) -> list[Cause]:
    policy, path = spec["ipFamilyPolicy"], "spec.ipFamilyPolicy"
    causes: list[Cause] = []
    for name, released, several in (
        ("clusterIPs", "the secondary cluster IP", "cluster IPs"),
        ("ipFamilies", "the secondary IP family", "IP families"),
    ):
        count, old_count = len(spec.get(name) or ()), len((old_spec or {}).get(name) or ())
        if policy != "SingleStack" and 0 < count < old_count:
            causes.append(field.invalid(path, policy, f"must be 'SingleStack' to release {released}"))
        if policy == "SingleStack" and count == 2:
            why = f"must be 'RequireDualStack' or 'PreferDualStack' when multiple {several} are specified"
            causes.append(field.invalid(path, policy, why))
    return causes


def _infer_families(spec: Object) -> list[Cause]:
    """Add the family of each address that has none yet."""
    listed, families = spec.get("clusterIPs") or [], list(spec.get("ipFamilies") or ())
    causes: list[Cause] = []
    for index, address in enumerate(listed):
        if address == "None":
            break
        family = addresses.parse(address).family
        if index < len(families):
            continue
        if family == _FAMILY:
            families.append(family)
        else:
            why = f"{family} is not configured on this cluster"
            causes.append(field.invalid(f"spec.clusterIPs[{index}]", listed, why))
    if families:
        spec["ipFamilies"] = families
    return causes


def drop_fields_of_old_type(new: Object, old: Object) -> Object:
    """The updated Service without what the server had set for the old type and the client left as it was.

    Call it after allocation and before validation.
    Upstream: pkg/registry/core/service/strategy.go:dropTypeDependentFields @v1.36
    """
    spec, old_spec = {**(new.get("spec") or {})}, old.get("spec") or {}
    if needs_cluster_ip(old_spec) and not needs_cluster_ip(spec):
        if all(spec.get(name) == old_spec.get(name) for name in ("clusterIP", "clusterIPs")):
            spec.pop("clusterIP", None)
            spec.pop("clusterIPs", None)
        _drop_unchanged(spec, old_spec, "ipFamilies", "ipFamilyPolicy")
    balanced, was_balanced = spec.get("type") == "LoadBalancer", old_spec.get("type") == "LoadBalancer"
    has_node_ports, had_node_ports = (
        (balanced or spec.get("type") == "NodePort"),
        (was_balanced or old_spec.get("type") == "NodePort"),
    )
    ports = spec.get("ports") or []
    if had_node_ports and not has_node_ports and _node_ports(ports) <= _node_ports(old_spec.get("ports") or []):
        spec["ports"] = [{name: port[name] for name in port if name != "nodePort"} for port in ports]
    if needs_health_check(old_spec) and not needs_health_check(spec):
        _drop_unchanged(spec, old_spec, "healthCheckNodePort")
    if was_balanced and not balanced:
        _drop_unchanged(spec, old_spec, "allocateLoadBalancerNodePorts", "loadBalancerClass")
    if is_externally_accessible(old_spec) and not is_externally_accessible(spec):
        _drop_unchanged(spec, old_spec, "externalTrafficPolicy")
    changed = {**new, "spec": spec}
    if not balanced and (new.get("status") or {}).get("loadBalancer"):
        changed["status"] = {**new["status"], "loadBalancer": {}}
    return changed


def _node_ports(ports: list[Object]) -> set[int]:
    return {port["nodePort"] for port in ports if port.get("nodePort")}


def _drop_unchanged(spec: Object, old_spec: Object, *names: str) -> None:
    for name in names:
        if spec.get(name) == old_spec.get(name):
            spec.pop(name, None)

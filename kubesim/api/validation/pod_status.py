"""Writes of a Pod's status: containers do not come back to life, the QoS class and the node stay.

Upstream: pkg/apis/core/validation/validation.go:ValidatePodStatusUpdate @v1.36
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from kubesim.api.memo import IdentityMemo
from kubesim.api.objects import Object, annotations_of
from kubesim.api.validation.container_restart import could_restart_all, should_restart
from kubesim.api.validation.field import forbidden, internal, invalid
from kubesim.api.validation.formats import dns_subdomain, ip_address, qualified_name
from kubesim.api.validation.pod_update import validate_annotation_changes
from kubesim.errors import Cause

_NOT_NEGATIVE = "must be a non-negative integer"
_SYSTEM_CONDITIONS = frozenset(
    {
        "ContainersReady",
        "DisruptionTarget",
        "Initialized",
        "PodReadyToStartContainers",
        "PodScheduled",
        "Ready",
    }
)
_STATUS_LISTS = (
    ("containerStatuses", "containers"),
    ("initContainerStatuses", "initContainers"),
    ("ephemeralContainerStatuses", ""),
)


def validate_pod_status_update(new: Object, old: Object) -> list[Cause]:
    """The rules that a write of the status breaks; reads nothing of the spec but the restart policies."""
    status, old_status = new.get("status") or {}, old.get("status") or {}
    spec, old_spec = new.get("spec") or {}, old.get("spec") or {}
    causes: list[Cause] = []
    if new["metadata"] is not old["metadata"] and annotations_of(new) is not annotations_of(old):
        causes += validate_annotation_changes(annotations_of(new), annotations_of(old), spec)
    conditions = status.get("conditions")
    if conditions:
        causes += _checked_conditions(conditions)
    if spec is not old_spec and spec.get("nodeName", "") != old_spec.get("nodeName", ""):
        causes.append(forbidden("status.nodeName", "may not be changed directly"))
    nominated = status.get("nominatedNodeName", "")
    if nominated and nominated != old_status.get("nominatedNodeName", ""):
        causes += _nomination(nominated, old_spec.get("nodeName", ""))
    if status.get("observedGeneration", 0) < 0:
        causes.append(invalid("status.observedGeneration", status["observedGeneration"], _NOT_NEGATIVE))
    if status.get("qosClass", "") != old_status.get("qosClass", ""):
        causes.append(invalid("status.qosClass", status.get("qosClass", ""), "field is immutable"))
    for list_name, containers in _STATUS_LISTS:
        statuses, old_statuses = status.get(list_name), old_status.get(list_name)
        if statuses is not old_statuses and statuses and old_statuses:
            causes += _transitions(statuses, old_statuses, old_spec, containers, f"status.{list_name}")
    for name in ("podIPs", "hostIPs"):
        entries, known = status.get(name), old_status.get(name)
        if entries and entries is not known and entries != known:
            causes += _changed_addresses(status, entries, known or (), name)
    return causes


def _conditions(conditions: Sequence[Object]) -> tuple[Cause, ...]:
    return tuple(
        cause
        for index, condition in enumerate(conditions)
        if condition.get("type") not in _SYSTEM_CONDITIONS or condition.get("observedGeneration", 0) < 0
        for cause in _condition(condition, f"status.conditions[{index}]")
    )


_checked_conditions: IdentityMemo[tuple[Cause, ...]] = IdentityMemo(_conditions)


def _condition(condition: Object, path: str) -> Iterator[Cause]:
    if condition.get("observedGeneration", 0) < 0:
        yield invalid(f"{path}.observedGeneration", condition["observedGeneration"], _NOT_NEGATIVE)
    yield from qualified_name(f"{path}.Type", condition.get("type", ""))


def _nomination(node: str, bound_to: str) -> Iterator[Cause]:
    yield from dns_subdomain("status.nominatedNodeName", node)
    if bound_to:
        detail = "may not be set on pods that are already bound to a node"
        yield forbidden("status.nominatedNodeName", detail)


def _transitions(
    new: Sequence[Object], old: Sequence[Object], spec: Object, containers: str, path: str
) -> Iterator[Cause]:
    """A terminated container that is not to be restarted stays terminated."""
    if containers and could_restart_all(spec):
        return
    for index, before in enumerate(old):
        terminated = (before.get("state") or {}).get("terminated")
        if terminated is None:
            continue
        name = before.get("name")
        after = next((status for status in new if status.get("name") == name), None)
        if after is None or "terminated" in (after.get("state") or {}):
            continue
        container = next((each for each in spec.get(containers) or () if each.get("name") == name), None)
        if container is None or not should_restart(container, spec, terminated.get("exitCode", 0)):
            yield forbidden(f"{path}[{index}].state", "may not be transitioned to non-terminated state")


def _changed_addresses(
    status: Object, entries: Sequence[Object], known: Sequence[Object], name: str
) -> Iterator[Cause]:
    path = f"status.{name}"
    addresses = [entry.get("ip", "") for entry in entries]
    if name == "hostIPs" and status.get("hostIP", "") != addresses[0]:
        yield invalid(f"{path}[0].ip", addresses[0], "must be equal to `hostIP`")
    tolerated = {entry.get("ip", "") for entry in known}
    for index, address in enumerate(addresses):
        yield from ip_address(f"{path}[{index}]", address, tolerated)
    if len(addresses) > 1:
        yield from _families(addresses, path)


def _families(addresses: Sequence[str], path: str) -> Iterator[Cause]:
    from kubesim.api.validation.addresses import parse

    families = [parse(address).family for address in addresses]
    if "" in families:
        index = families.index("")
        yield internal(path, f"failed to check for dual stack with error:invalid IP[{index}]: {addresses[index]}")
    if len(addresses) > 2 or set(families) != {"IPv4", "IPv6"}:
        printed = [{"IP": address} for address in addresses]
        yield invalid(path, printed, "may specify no more than one IP for each IP family")

"""Which events may let a Pod in that has been refused, by the plugin that refused it.

Without this every event would bring every waiting Pod back. A row says which kinds of event a plugin is to be asked
about; its hint looks at the objects, and no hint means that any event of the kind is enough.
Upstream: EventsToRegister and isSchedulableAfter… of pkg/scheduler/framework/plugins/*, framework/events.go @v1.36
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Final, NamedTuple

from kubesim.api.objects import Object, labels_of
from kubesim.scheduler.plugins import (
    inter_pod_affinity,
    node_affinity,
    node_ports,
    node_resources_fit,
    node_unschedulable,
    node_volume_limits,
    pod_topology_spread,
    taint_toleration,
    volume_binding,
    volume_restrictions,
    volume_zone,
)
from kubesim.scheduler.profile import PodProfile
from kubesim.scheduler.snapshot import NodeInfo
from kubesim.scheduler.terms import has_untolerated_taint

SCHEDULING_GATES: Final = "SchedulingGates"


class Event(StrEnum):
    """Something that happened to an object that decisions depend on."""

    NODE_ADD = "NodeAdd"
    NODE_DELETE = "NodeDelete"
    NODE_ALLOCATABLE = "NodeAllocatableUpdate"
    NODE_LABEL = "NodeLabelUpdate"
    NODE_TAINT = "NodeTaintUpdate"
    POD_ADD = "AssignedPodAdd"
    POD_LABEL = "AssignedPodLabelUpdate"
    POD_SCALE_DOWN = "AssignedPodScaleDown"
    POD_DELETE = "AssignedPodDelete"
    OWN_UPDATE = "UnscheduledPodUpdate"
    CLAIM_ADD = "PvcAdd"
    CLAIM_UPDATE = "PvcUpdate"
    VOLUME_ADD = "PvAdd"
    VOLUME_UPDATE = "PvUpdate"
    CLASS_ADD = "StorageClassAdd"
    CLASS_UPDATE = "StorageClassUpdate"
    CSI_NODE_ADD = "CSINodeAdd"
    CSI_NODE_UPDATE = "CSINodeUpdate"


class Happening(NamedTuple):
    """An event with what hints look at: a node or a Pod's profile now and, where it was another, before."""

    event: Event
    old_node: NodeInfo | None = None
    node: NodeInfo | None = None
    pod: PodProfile | None = None
    old_pod: PodProfile | None = None
    obj: Object | None = None


Hint = Callable[[PodProfile, Happening], bool]


def node_events(old: Object, new: Object) -> tuple[Event, ...]:
    """The kinds of change between two versions of a node that may matter to a waiting Pod."""
    found = []
    old_spec, new_spec = old.get("spec") or {}, new.get("spec") or {}
    if (old_spec.get("taints") or []) != (new_spec.get("taints") or []) or (
        old_spec.get("unschedulable", False) != new_spec.get("unschedulable", False)
    ):
        found.append(Event.NODE_TAINT)
    if (old.get("status") or {}).get("allocatable") != (new.get("status") or {}).get("allocatable"):
        found.append(Event.NODE_ALLOCATABLE)
    if labels_of(old) != labels_of(new):
        found.append(Event.NODE_LABEL)
    return tuple(found)


def _now_uncordoned(_profile: PodProfile, happening: Happening) -> bool:
    node, old = happening.node, happening.old_node
    return node is not None and not node.unschedulable and (old is None or old.unschedulable)


def _now_tolerated(profile: PodProfile, happening: Happening) -> bool:
    node, old = happening.node, happening.old_node
    if node is None or has_untolerated_taint(node.taints, profile.tolerations):
        return False
    return old is None or has_untolerated_taint(old.taints, profile.tolerations)


def _now_matched(profile: PodProfile, happening: Happening) -> bool:
    node, old = happening.node, happening.old_node
    if node is None or not node_affinity.matches_required(profile, node):
        return False
    return old is None or not node_affinity.matches_required(profile, old)


def _fits_new_node(profile: PodProfile, happening: Happening) -> bool:
    node = happening.node
    return node is not None and node_resources_fit.NodeResourcesFit().filter(profile.requests, node) is None


def _offers_more(profile: PodProfile, happening: Happening) -> bool:
    node, old = happening.node, happening.old_node
    if node is None or old is None or not _fits_new_node(profile, happening):
        return False
    requests, before, after = profile.requests, old.allocatable, node.allocatable
    scalars = dict(before.scalars)
    return (
        after.pods > before.pods
        or (requests.milli_cpu > 0 and after.milli_cpu > before.milli_cpu)
        or (requests.memory > 0 and after.memory > before.memory)
        or (requests.ephemeral_storage > 0 and after.ephemeral_storage > before.ephemeral_storage)
        or any(amount > scalars.get(name, 0) for name, amount in after.scalars if name in dict(requests.scalars))
    )


def asks_for_less(now: PodProfile, before: PodProfile, of: PodProfile | None = None) -> bool:
    """Whether a Pod asks for less than it did of anything, or of what another Pod asks for.

    Upstream: framework/events.go:extractPodScaleDown, noderesources/fit.go:isSchedulableAfterPodScaleDown @v1.36
    """
    new, old = _amounts(now), _amounts(before)
    wanted = old if of is None else _amounts(of)
    return any(new.get(name, 0) < old.get(name, 0) for name, amount in wanted.items() if amount)


def _amounts(profile: PodProfile) -> dict[str, int]:
    requests = profile.requests
    amounts = dict(requests.scalars)
    amounts |= {"cpu": requests.milli_cpu, "memory": requests.memory, "ephemeral-storage": requests.ephemeral_storage}
    return amounts


def _gives_back(profile: PodProfile, happening: Happening) -> bool:
    pod, before = happening.pod, happening.old_pod
    return pod is not None and before is not None and asks_for_less(pod, before, profile)


def _frees_port(_profile: PodProfile, happening: Happening) -> bool:
    return happening.pod is not None and bool(happening.pod.host_ports)


def _shares_claim(profile: PodProfile, happening: Happening) -> bool:
    pod = happening.pod
    if pod is None or pod.namespace != profile.namespace:
        return False
    return any(claim in profile.claims for claim in pod.claims)


def _has_claims(_profile: PodProfile, happening: Happening) -> bool:
    return happening.pod is not None and bool(happening.pod.claims)


def _is_own_claim(profile: PodProfile, happening: Happening) -> bool:
    metadata = (happening.obj or {}).get("metadata") or {}
    names = [claim.name for claim in profile.claims]
    return metadata.get("namespace") == profile.namespace and metadata.get("name") in names


def _is_spread_with(profile: PodProfile, happening: Happening) -> bool:
    pod = happening.pod
    constraints = pod_topology_spread.constraints_of(profile, "DoNotSchedule")
    return pod is not None and pod.namespace == profile.namespace and any(c.selects(pod.labels) for c in constraints)


def _is_in_spread_topology(profile: PodProfile, happening: Happening) -> bool:
    constraints = pod_topology_spread.constraints_of(profile, "DoNotSchedule")
    nodes = [node for node in (happening.node, happening.old_node) if node is not None]
    return any(all(c.topology_key in node.labels for c in constraints) for node in nodes)


def _is_in_affinity_topology(profile: PodProfile, happening: Happening) -> bool:
    node = happening.node
    keys = [term.topology_key for term in profile.affinity_terms + profile.anti_affinity_terms]
    return node is not None and (not keys or any(key in node.labels for key in keys))


# A changed Pod is asked again about everything that it says itself.
_OWN: Final[Mapping[Event, Hint | None]] = {Event.OWN_UPDATE: None}
_CLAIMS: Final[Mapping[Event, Hint | None]] = {Event.CLAIM_ADD: _is_own_claim, Event.CLAIM_UPDATE: _is_own_claim}

HINTS: Final[Mapping[str, Mapping[Event, Hint | None]]] = {
    SCHEDULING_GATES: _OWN,
    node_unschedulable.NAME: {**_OWN, Event.NODE_ADD: _now_uncordoned, Event.NODE_TAINT: _now_uncordoned},
    taint_toleration.NAME: {**_OWN, Event.NODE_ADD: _now_tolerated, Event.NODE_TAINT: _now_tolerated},
    node_affinity.NAME: {Event.NODE_ADD: _now_matched, Event.NODE_LABEL: _now_matched},
    node_ports.NAME: {Event.POD_DELETE: _frees_port, Event.NODE_ADD: None},
    node_resources_fit.NAME: {
        **_OWN,
        Event.POD_DELETE: None,
        Event.POD_SCALE_DOWN: _gives_back,
        Event.NODE_ADD: _fits_new_node,
        Event.NODE_ALLOCATABLE: _offers_more,
    },
    volume_restrictions.NAME: {**_CLAIMS, Event.POD_DELETE: _shares_claim, Event.NODE_ADD: None},
    node_volume_limits.NAME: {
        Event.CSI_NODE_ADD: None,
        Event.CSI_NODE_UPDATE: None,
        Event.POD_DELETE: _has_claims,
        Event.CLAIM_ADD: _is_own_claim,
    },
    volume_binding.NAME: {
        **_CLAIMS,
        Event.CLASS_ADD: None,
        Event.CLASS_UPDATE: None,
        Event.VOLUME_ADD: None,
        Event.VOLUME_UPDATE: None,
        Event.NODE_ADD: None,
        Event.NODE_LABEL: None,
        Event.CSI_NODE_ADD: None,
        Event.CSI_NODE_UPDATE: None,
    },
    volume_zone.NAME: {
        **_CLAIMS,
        Event.CLASS_ADD: None,
        Event.VOLUME_ADD: None,
        Event.VOLUME_UPDATE: None,
        Event.NODE_ADD: None,
        Event.NODE_LABEL: None,
    },
    pod_topology_spread.NAME: {
        **_OWN,
        Event.POD_ADD: _is_spread_with,
        Event.POD_LABEL: None,
        Event.POD_DELETE: _is_spread_with,
        Event.NODE_ADD: _is_in_spread_topology,
        Event.NODE_DELETE: _is_in_spread_topology,
        Event.NODE_LABEL: _is_in_spread_topology,
        Event.NODE_TAINT: _is_in_spread_topology,
    },
    inter_pod_affinity.NAME: {
        **_OWN,
        Event.POD_ADD: None,
        Event.POD_LABEL: None,
        Event.POD_DELETE: None,
        Event.NODE_ADD: _is_in_affinity_topology,
        Event.NODE_LABEL: _is_in_affinity_topology,
    },
}

# The plugins to ask, by event.
INTERESTED: Final[Mapping[Event, tuple[str, ...]]] = {
    event: tuple(plugin for plugin, hints in HINTS.items() if event in hints) for event in Event
}


def is_worth_retrying(profile: PodProfile, plugins: frozenset[str], happening: Happening) -> bool:
    """Whether one of the plugins that refused the Pod may think otherwise now."""
    event = happening.event
    for plugin in INTERESTED[event]:
        if plugin in plugins:
            hint = HINTS[plugin][event]
            if hint is None or hint(profile, happening):
                return True
    return False

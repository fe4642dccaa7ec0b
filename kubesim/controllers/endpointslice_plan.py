"""From a Service, its Pods and its EndpointSlices to what must be created, changed and deleted.

Slices are changed as little as may be: an endpoint stays in its slice, new ones fill the slices that change anyway,
then the one unchanged slice that they fill best, then new slices. Upstream takes endpoints and slices in the random
order of Go's maps; here it is the order in which they came.

Upstream: k8s.io/endpointslice/reconciler.go:reconcileByAddressType, reconcileByPortMapping, utils.go @v1.36
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from kubesim.api.objects import Object, labels_of, owner_reference, with_metadata
from kubesim.controllers.endpointslice_endpoints import Built, EndpointKey, Endpoints, FindNode, endpoint_key
from kubesim.controllers.port_order import in_slice_order
from kubesim.controllers.service_endpoints import HEADLESS, find_port, is_headless

MANAGER = "endpointslice-controller.k8s.io"
SERVICE_NAME = "kubernetes.io/service-name"
MANAGED_BY = "endpointslice.kubernetes.io/managed-by"
# Upstream: --max-endpoints-per-slice is 100 by default.
ENDPOINTS_MAX = 100
_RESERVED = (SERVICE_NAME, MANAGED_BY, HEADLESS)

PortKey = tuple[tuple[str, str, int, str], ...]


class Plan(NamedTuple):
    """The writes that a sync owes, and what it could not do because a Pod's node is unknown."""

    create: list[Object]
    update: list[Object]
    delete: list[Object]
    problems: list[str]


def ports_of(service: Object, pod: Object) -> list[Object]:
    """The ports under which the Pod serves the Service; those without a number on this Pod are left out."""
    ports = []
    for port in service["spec"].get("ports") or ():
        number = find_port(pod, port)
        if number is not None:
            found = {"name": port.get("name", ""), "port": number, "protocol": port.get("protocol", "TCP")}
            if "appProtocol" in port:
                found["appProtocol"] = port["appProtocol"]
            ports.append(found)
    return in_slice_order(ports)


def _port_key(ports: Iterable[Object] | None) -> PortKey:
    return tuple(
        sorted(
            (port.get("name") or "", port.get("protocol") or "", port.get("port") or -1, port.get("appProtocol") or "")
            for port in ports or ()
        )
    )


def labels_for(service: Object) -> dict[str, str]:
    """The labels of a Service's slices: the Service's own and the reserved ones."""
    labels = _plain(labels_of(service))
    if is_headless(service):
        labels[HEADLESS] = ""
    labels[SERVICE_NAME] = service["metadata"]["name"]
    labels[MANAGED_BY] = MANAGER
    return labels


def _plain(labels: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in labels.items() if name not in _RESERVED}


def _new_slice(service: Object, labels: dict[str, str], ports: list[Object], endpoints: list[Object]) -> Object:
    metadata = service["metadata"]
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {
            "generateName": metadata["name"] + "-",
            "namespace": metadata["namespace"],
            "labels": labels,
            "ownerReferences": [owner_reference(service)],
        },
        "addressType": "IPv4",
        # An empty list reads as null, as it does where a component has written it in protobuf.
        "endpoints": endpoints or None,
        "ports": ports or None,
    }


def is_owned(piece: Object, service: Object) -> bool:
    """Whether the slice is this very Service's, not that of an earlier one of the same name."""
    uid = service["metadata"]["uid"]
    return any(
        reference["uid"] == uid and reference["kind"] == "Service" and reference["apiVersion"] == "v1"
        for reference in piece["metadata"].get("ownerReferences") or ()
    )


def plan_slices(
    service: Object, pods: Sequence[Object], slices: Sequence[Object], endpoints: Endpoints, find_node: FindNode
) -> Plan:
    """What to write so that the slices show the Pods. `endpoints` is the Service's own from one sync to the next."""
    built, problems = endpoints.build(service, pods, find_node)
    wanted = _wanted_by_ports(service, pods, built)
    labels = labels_for(service)
    existing: dict[PortKey, list[Object]] = {}
    plan = Plan([], [], [], problems)
    for piece in slices:
        if piece["addressType"] == "IPv4" and is_owned(piece, service):
            existing.setdefault(_port_key(piece.get("ports")), []).append(piece)
        else:
            plan.delete.append(piece)
    for key, (ports, desired) in wanted.items():
        _plan_ports(service, labels, ports, desired, existing.pop(key, []), plan)
    for left in existing.values():
        plan.delete.extend(left)
    if len(slices) == len(plan.delete) and not plan.create:
        placeholder = _new_slice(service, labels, [], [])
        if len(plan.delete) == 1 and _is_placeholder(plan.delete[0], labels):
            plan.delete.clear()
        else:
            plan.create.append(placeholder)
    return _with_names_reused(service, plan)


def _wanted_by_ports(
    service: Object, pods: Sequence[Object], endpoints: Sequence[Built | None]
) -> dict[PortKey, tuple[list[Object], dict[EndpointKey, Object]]]:
    """The endpoints in groups of equal ports: named target ports may mean different numbers on different Pods."""
    is_named = any(isinstance(port.get("targetPort"), str) for port in service["spec"].get("ports") or ())
    # The Pods of one template share its containers, so the look-up by name is done once for all of them.
    by_containers: dict[int, dict[EndpointKey, Object]] = {}
    groups: dict[PortKey, tuple[list[Object], dict[EndpointKey, Object]]] = {}
    for pod, built in zip(pods, endpoints, strict=True):
        # A Pod whose node is unknown still makes a group, as upstream looks for the node after the ports.
        if built is not None and built.endpoint is None:
            continue
        identity = id(pod["spec"]["containers"]) if is_named else 0
        desired = by_containers.get(identity)
        if desired is None:
            ports = ports_of(service, pod)
            desired = groups.setdefault(_port_key(ports), (ports, {}))[1]
            by_containers[identity] = desired
        if built is not None and built.endpoint is not None:
            desired[built.key] = built.endpoint
    return groups


def _plan_ports(
    service: Object,
    labels: dict[str, str],
    ports: list[Object],
    desired: dict[EndpointKey, Object],
    slices: Sequence[Object],
    plan: Plan,
) -> None:
    changed: dict[str, Object] = {}
    unchanged: dict[str, Object] = {}
    # An endpoint that was built before is in its slice as that very object: its key need not be made again.
    keys = {id(endpoint): key for key, endpoint in desired.items()}
    for piece in slices:
        name = piece["metadata"]["name"]
        kept, is_changed = _take_kept(piece, desired, keys)
        if is_changed and not kept:
            plan.delete.append(piece)
        elif is_changed or _plain(labels_of(piece)) != _plain(labels):
            changed[name] = {**with_metadata(piece, labels=labels), "endpoints": kept}
        else:
            unchanged[name] = piece
    new = list(desired.values())
    for piece in sorted(changed.values(), key=lambda piece: -len(piece["endpoints"])):
        _fill(piece, new)
    while new:
        best = _best_to_fill(unchanged.values(), len(new)) if len(new) < ENDPOINTS_MAX else None
        if best is None:
            endpoints, new = new[:ENDPOINTS_MAX], new[ENDPOINTS_MAX:]
            plan.create.append(_new_slice(service, labels, ports, endpoints))
        else:
            name = best["metadata"]["name"]
            del unchanged[name]
            changed[name] = piece = {**best, "endpoints": list(best.get("endpoints") or ())}
            _fill(piece, new)
    plan.update.extend(changed.values())


def _take_kept(
    piece: Object, desired: dict[EndpointKey, Object], keys: Mapping[int, EndpointKey]
) -> tuple[list[Object], bool]:
    """The slice's endpoints that stay, as they should be now, taken out of `desired`; and whether that is a change."""
    present = piece.get("endpoints") or ()
    kept: list[Object] = []
    is_changed = False
    for endpoint in present:
        wanted = desired.pop(keys.get(id(endpoint)) or endpoint_key(endpoint), None)
        if wanted is not None:
            kept.append(wanted)
            if wanted is not endpoint and wanted != endpoint:
                is_changed = True
    return kept, is_changed or len(kept) != len(present)


def _fill(piece: Object, new: list[Object]) -> None:
    """Move endpoints from `new` into a slice that nobody else has seen yet."""
    room = ENDPOINTS_MAX - len(piece["endpoints"])
    piece["endpoints"].extend(new[:room])
    del new[:room]


def _best_to_fill(slices: Iterable[Object], count: int) -> Object | None:
    """The slice that is fullest after `count` more; None where they fit into none. Upstream: utils.go:getSliceToFill"""
    best, best_room = None, ENDPOINTS_MAX
    for piece in slices:
        room = ENDPOINTS_MAX - (count + len(piece.get("endpoints") or ()))
        if 0 <= room < best_room:
            best, best_room = piece, room
    return best


def _is_placeholder(piece: Object, labels: dict[str, str]) -> bool:
    return (
        not piece.get("endpoints")
        and not piece.get("ports")
        and piece["addressType"] == "IPv4"
        and dict(labels_of(piece)) == labels
    )


def _with_names_reused(service: Object, plan: Plan) -> Plan:
    """A slice to delete and one to create are one update. Upstream: reconciler.go:finalize @v1.36"""
    create, update = list(plan.create), list(plan.update)
    delete: list[Object] = []
    for piece in plan.delete:
        if create and piece["addressType"] == "IPv4" and is_owned(piece, service):
            update.append(with_metadata(create.pop(), name=piece["metadata"]["name"]))
        else:
            delete.append(piece)
    return Plan(create, update, delete, plan.problems)

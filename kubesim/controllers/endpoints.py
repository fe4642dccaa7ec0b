"""Endpoints, the older form of EndpointSlices: one object per Service with a selector, of at most 1000 addresses.

Woken by its Services, by Pods that a Service selects (`service_pods`), and by the deletion of an Endpoints object.
The subsets are computed purely; the object is written when they, its labels or its capacity annotation differ.

Upstream: pkg/controller/endpoint/endpoints_controller.go, pkg/api/v1/endpoints/util.go:RepackSubsets @v1.36
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import Any, NamedTuple, final

from kubesim.api.kinds import ENDPOINTS, SERVICE
from kubesim.api.objects import Key, Object, annotations_of, key_of, labels_of, with_metadata
from kubesim.api.requests import create, delete, update
from kubesim.client.recorder import Recorder
from kubesim.client.workqueue import WorkQueue
from kubesim.controllers.base import DONE, ControllerContext, NotYetError, Reconcile, Worker
from kubesim.controllers.pods import is_ready
from kubesim.controllers.port_order import in_endpoints_order, subsets_in_order
from kubesim.controllers.service_endpoints import (
    HEADLESS,
    TRIGGER_TIME,
    TriggerTimes,
    find_port,
    has_endpoint,
    ip_of,
    is_headless,
    shows_hostname,
    target_of,
)
from kubesim.controllers.service_pods import ServicePods
from kubesim.errors import ApiError

# Upstream: endpoints_controller.go:maxCapacity, maxRetries, LabelManagedBy, ControllerName
ADDRESSES_MAX = 1000
_RETRIES = 15
MANAGED_BY = "endpoints.kubernetes.io/managed-by"
MANAGER = "endpoint-controller"
OVER_CAPACITY = "endpoints.kubernetes.io/over-capacity"
_LEADER = "control-plane.alpha.kubernetes.io/leader"

# Name, number, protocol and application protocol; None stands for a headless Service without ports.
Port = tuple[str, int, str, str] | None
Who = tuple[str, str]


class Entry(NamedTuple):
    """What one Pod adds: its IP and uid, its address, whether it is listed as ready, and its ports."""

    who: Who
    address: Object
    is_ready: bool
    ports: tuple[Port, ...]


@final
class Entries:
    """The entries of one Service's Pods, each built once per state of its Pod and of the Service."""

    __slots__ = ("_built", "_service")

    def __init__(self) -> None:
        self._service: Object | None = None
        self._built: dict[str, tuple[Object, Entry | None]] = {}

    def build(self, service: Object, pods: Sequence[Object]) -> list[Entry]:
        """One entry for each Pod that is to be listed."""
        before = self._built if self._service is service else {}
        self._service = service
        self._built = built = {}
        entries: list[Entry] = []
        for pod in pods:
            uid = pod["metadata"]["uid"]
            known = before.get(uid)
            if known is None or known[0] is not pod:
                known = (pod, entry_of(pod, service))
            built[uid] = known
            if known[1] is not None:
                entries.append(known[1])
        return entries


@final
class EndpointsController:
    """The control loop over Services that writes their Endpoints."""

    name = "endpoints-controller"

    def __init__(self, context: ControllerContext) -> None:
        self._recorder = Recorder(context.loop, context.client, MANAGER)
        self._queue = WorkQueue(context.loop)
        self._service_pods = context.informers.view(ServicePods)
        self._service_pods.subscribe(self._queue.add)
        self._services = context.informers.lister(SERVICE)
        self._endpoints = context.informers.lister(ENDPOINTS)
        self._informer = context.informers.informer(ENDPOINTS)
        self._trigger_times = TriggerTimes()
        self._stale: dict[Key, str] = {}
        self._entries: dict[Key, Entries] = {}
        context.informers.informer(SERVICE).add_handler(self._enqueue, lambda _, new: self._enqueue(new), self._enqueue)
        self._informer.add_handler(self._on_endpoints_add, on_delete=self._enqueue)
        # Upstream: --concurrent-endpoint-syncs is 5 by default.
        self.workers = (Worker(self._queue, self.reconcile, 5, _RETRIES),)

    def _enqueue(self, obj: Object) -> None:
        self._queue.add(key_of(obj))

    def _on_endpoints_add(self, endpoints: Object) -> None:
        """Those found at the start may be of a Service that went while nobody looked."""
        if not self._informer.synced and _LEADER not in annotations_of(endpoints):
            self._enqueue(endpoints)

    def reconcile(self, key: Key) -> Reconcile:
        """Bring the Endpoints of one Service up to date."""
        service = self._services.get(*key)
        if service is None:
            yield from self._delete(key)
            return DONE
        spec = service["spec"]
        if spec.get("type") == "ExternalName" or not spec.get("selector"):
            return DONE
        pods = self._service_pods.pods_of(key)
        trigger_time = self._trigger_times.compute(key, service, pods)
        subsets = compute_subsets(self._entries.setdefault(key, Entries()).build(service, pods))
        current = self._endpoints.get(*key)
        if current is not None:
            if self._stale.get(key) == current["metadata"]["resourceVersion"]:
                version = current["metadata"]["resourceVersion"]
                raise NotYetError(
                    f"endpoints informer cache is out of date, resource version {version} already processed for "
                    f"endpoints {key}"
                )
            if is_current(current, service, subsets):
                return DONE
        yield from self._write(key, current, build(service, current, subsets, trigger_time))
        return DONE

    def _delete(self, key: Key) -> Generator[Any, Any, None]:
        try:
            yield delete(ENDPOINTS, *key)
        except ApiError as error:
            if error.code != 404:
                raise
        self._trigger_times.forget(key)
        self._stale.pop(key, None)
        self._entries.pop(key, None)

    def _write(self, key: Key, current: Object | None, wanted: Object) -> Generator[Any, Any, None]:
        try:
            if current is None:
                yield create(ENDPOINTS, wanted)
                return
            written = yield update(ENDPOINTS, wanted)
        except ApiError as error:
            if current is None and error.is_namespace_terminating:
                return
            reason, what = ("FailedToUpdateEndpoint", "update endpoint")
            if current is None:
                reason, what = ("FailedToCreateEndpoint", "create endpoint for service")
            self._recorder.event(wanted, "Warning", reason, f"Failed to {what} {key}: {error.message}")
            raise
        version = current["metadata"]["resourceVersion"]
        if written["metadata"]["resourceVersion"] != version:
            self._stale[key] = version


def entry_of(pod: Object, service: Object) -> Entry | None:
    """What the Pod adds to the Service's Endpoints; None where it is not to be listed."""
    spec = service["spec"]
    includes_unready = bool(spec.get("publishNotReadyAddresses"))
    ip = ip_of(pod)
    if ip is None or not has_endpoint(pod, include_terminating=includes_unready):
        return None
    address: Object = {"ip": ip, "targetRef": target_of(pod)}
    if shows_hostname(pod, service):
        address["hostname"] = pod["spec"]["hostname"]
    if "nodeName" in pod["spec"]:
        address["nodeName"] = pod["spec"]["nodeName"]
    ports: list[Port] = []
    for port in spec.get("ports") or ():
        number = find_port(pod, port)
        if number is not None:
            ports.append((port.get("name", ""), number, port.get("protocol", "TCP"), port.get("appProtocol", "")))
    if not spec.get("ports") and is_headless(service):
        ports.append(None)
    return Entry((ip, pod["metadata"]["uid"]), address, includes_unready or is_ready(pod), tuple(ports))


def compute_subsets(entries: Sequence[Entry]) -> list[Object]:
    """The subsets that the entries make: ports with the same addresses together, each list in its canonical order.

    Upstream: util.go:RepackSubsets @v1.36
    """
    by_ports: dict[tuple[Port, ...], list[Entry]] = {}
    for entry in entries:
        by_ports.setdefault(entry.ports, []).append(entry)
    groups: dict[tuple[Who, ...], tuple[list[Entry], list[Port]]] = {}
    for port, members in _by_port(by_ports).items():
        ordered = sorted(members, key=_who)
        groups.setdefault(tuple(entry.who for entry in ordered), (ordered, []))[1].append(port)
    return subsets_in_order([_subset(members, ports) for members, ports in groups.values()])


def _who(entry: Entry) -> Who:
    return entry.who


def _by_port(by_ports: dict[tuple[Port, ...], list[Entry]]) -> dict[Port, list[Entry]]:
    found: dict[Port, list[Entry]] = {}
    for ports, entries in by_ports.items():
        for port in dict.fromkeys(ports):
            found[port] = found[port] + entries if port in found else entries
    return found


def _subset(entries: Sequence[Entry], ports: Sequence[Port]) -> Object:
    subset: Object = {}
    ready = [entry.address for entry in entries if entry.is_ready]
    unready = [entry.address for entry in entries if not entry.is_ready]
    if ready:
        subset["addresses"] = ready
    if unready:
        subset["notReadyAddresses"] = unready
    listed = [_port_object(port) for port in ports if port is not None]
    if listed:
        subset["ports"] = in_endpoints_order(listed)
    return subset


def _port_object(port: tuple[str, int, str, str]) -> Object:
    name, number, protocol, application = port
    found: Object = {"port": number, "protocol": protocol}
    if name:
        found["name"] = name
    if application:
        found["appProtocol"] = application
    return found


def _count(subsets: Sequence[Object], field: str) -> int:
    return sum(len(subset.get(field) or ()) for subset in subsets)


def is_current(current: Object, service: Object, subsets: list[Object]) -> bool:
    """Whether the object needs no write.

    One that was cut down to capacity always does: it never equals what it was cut from.
    """
    labels = {name: value for name, value in labels_of(current).items() if name not in (HEADLESS, MANAGED_BY)}
    return (
        (current.get("subsets") or []) == subsets
        and labels_of(current).get(MANAGED_BY) == MANAGER
        and labels == labels_of(service)
        and OVER_CAPACITY not in annotations_of(current)
        and _count(subsets, "addresses") + _count(subsets, "notReadyAddresses") <= ADDRESSES_MAX
    )


def build(service: Object, current: Object | None, subsets: list[Object], trigger_time: str) -> Object:
    """The Endpoints object to write in place of `current`."""
    metadata = service["metadata"]
    if current is None:
        bare = {"name": metadata["name"], "namespace": metadata["namespace"]}
        current = {"apiVersion": "v1", "kind": "Endpoints", "metadata": bare}
    truncated = truncate(subsets)
    annotations = dict(annotations_of(current))
    annotations.pop(TRIGGER_TIME, None)
    annotations.pop(OVER_CAPACITY, None)
    if trigger_time:
        annotations[TRIGGER_TIME] = trigger_time
    if truncated is not subsets:
        annotations[OVER_CAPACITY] = "truncated"
    labels = {name: value for name, value in labels_of(service).items() if name != HEADLESS}
    if is_headless(service):
        labels[HEADLESS] = ""
    labels[MANAGED_BY] = MANAGER
    wanted = with_metadata(current, labels=labels, annotations=annotations)
    if not annotations:
        del wanted["metadata"]["annotations"]
    wanted.pop("subsets", None)
    if truncated:
        wanted["subsets"] = truncated
    return wanted


def truncate(subsets: list[Object]) -> list[Object]:
    """At most `ADDRESSES_MAX` addresses, ready ones first, each subset cut in proportion; the same list if all fit.

    Upstream: endpoints_controller.go:truncateEndpoints @v1.36
    """
    ready, unready = _count(subsets, "addresses"), _count(subsets, "notReadyAddresses")
    if ready + unready <= ADDRESSES_MAX:
        return subsets
    field, total, room = "notReadyAddresses", unready, ADDRESSES_MAX - ready
    if ready > ADDRESSES_MAX:
        field, total, room = "addresses", ready, ADDRESSES_MAX
    left = room
    truncated = []
    for subset in subsets:
        count = len(subset.get(field) or ())
        # Rounded up, so that the last subset bears the difference.
        kept = min(-(-count * room // total), left, count)
        left -= kept
        cut = {name: value for name, value in subset.items() if name != field}
        if field == "addresses":
            cut.pop("notReadyAddresses", None)
        if kept:
            cut[field] = subset[field][:kept]
        truncated.append(cut)
    return truncated

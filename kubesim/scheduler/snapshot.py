"""The scheduler's picture of the nodes and of the Pods on them, assumed ones included, kept by single events.

Adding or removing a Pod costs the same whatever is there already. Who caches conclusions about nodes follows `changes`,
a log of the nodes that an event has touched, and starts anew when `epoch` moves: then the order of the nodes is
another one.
Upstream: pkg/scheduler/backend/cache/{cache,node_tree,snapshot}.go, pkg/scheduler/framework/types.go:NodeInfo @v1.36
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final, NamedTuple, Protocol, final

from kubesim.api.objects import Object, labels_of, new_tuple
from kubesim.errors import SimBug
from kubesim.scheduler.profile import PodProfile, PodProfiles, has_same_template
from kubesim.scheduler.resources import Allocatable, compute_allocatable

ZONE_LABEL: Final = "topology.kubernetes.io/zone"
REGION_LABEL: Final = "topology.kubernetes.io/region"
_LOADS_MAX: Final = 262_144


class Reader(Protocol):
    """What the scheduler asks of a lister."""

    def get(self, namespace: str, name: str) -> Object | None: ...

    def in_namespace(self, namespace: str) -> Iterator[Object]: ...

    def all(self) -> Iterator[Object]: ...


class Listers(NamedTuple):
    """The other kinds that decisions depend on."""

    namespaces: Reader
    services: Reader
    replication_controllers: Reader
    replica_sets: Reader
    stateful_sets: Reader
    claims: Reader
    volumes: Reader
    storage_classes: Reader
    csi_nodes: Reader
    budgets: Reader


class PodEntry(NamedTuple):
    """A Pod on a node."""

    pod: Object
    profile: PodProfile
    terminating: bool


class Change(NamedTuple):
    """What an event did to a node: `number` Pods of a profile came (or went, negative), `leaving` of them terminating.

    Without a profile the node itself has changed; with one in `before`, one Pod's profile became another one, and
    nothing else on the node is different.
    """

    node: NodeInfo
    profile: PodProfile | None
    number: int
    leaving: int
    before: PodProfile | None = None


class ImageState(NamedTuple):
    """An image as the nodes report it: its size in bytes and on how many of them it is."""

    size: int
    node_count: int


@final
class NodeInfo:
    """A node and the sum of what is on it."""

    __slots__ = (
        "affinity_count",
        "allocatable",
        "ephemeral_storage",
        "images",
        "labels",
        "load",
        "memory",
        "milli_cpu",
        "name",
        "node",
        "non_zero_memory",
        "non_zero_milli_cpu",
        "pods",
        "ports",
        "position",
        "profiles",
        "revision",
        "scalars",
        "taints",
        "terminating",
        "unschedulable",
    )

    def __init__(self, node: Object) -> None:
        self.name: str = node["metadata"]["name"]
        self.position = -1
        # Moves when the node itself changes in a way that scheduling reads, as against the Pods on it.
        self.revision = 0
        # A number that stands for all that resource filters and scores read, see `Snapshot.load_of`; 0 is unknown.
        self.load = 0
        self.pods: dict[str, PodEntry] = {}
        # How many Pods of each profile are here, and how many of those are on their way out.
        self.profiles: dict[PodProfile, int] = {}
        self.terminating: dict[PodProfile, int] = {}
        self.affinity_count = 0
        self.milli_cpu = self.memory = self.ephemeral_storage = 0
        self.non_zero_milli_cpu = self.non_zero_memory = 0
        self.scalars: dict[str, int] = {}
        self.ports: dict[tuple[str, str, int], int] = {}
        self.allocatable: Allocatable
        self.set_node(node)

    def set_node(self, node: Object) -> None:
        """Take over a newer version of the node."""
        spec = node.get("spec") or {}
        self.node = node
        self.revision += 1
        self.load = 0
        self.labels = labels_of(node)
        self.taints: list[Object] = spec.get("taints") or []
        self.unschedulable: bool = spec.get("unschedulable", False)
        self.allocatable = compute_allocatable(node)
        self.images: dict[str, int] = {
            name: image.get("sizeBytes", 0)
            for image in (node.get("status") or {}).get("images") or ()
            for name in image.get("names") or ()
        }

    def copy(self) -> NodeInfo:
        """A copy for a dry run."""
        copy = object.__new__(NodeInfo)
        for name in NodeInfo.__slots__:
            part = getattr(self, name)
            setattr(copy, name, dict(part) if part.__class__ is dict and name not in {"node", "labels"} else part)
        return copy

    def add(self, uid: str, entry: PodEntry) -> None:
        """Put a Pod on the node."""
        self.pods[uid] = entry
        self._count(entry, 1)

    def remove(self, uid: str) -> PodEntry:
        """Take a Pod off the node."""
        entry = self.pods.pop(uid)
        self._count(entry, -1)
        return entry

    def _count(self, entry: PodEntry, sign: int) -> None:
        profile = entry.profile
        requests = profile.requests
        self.load = 0
        self.milli_cpu += sign * requests.milli_cpu
        self.memory += sign * requests.memory
        self.non_zero_milli_cpu += sign * requests.non_zero_milli_cpu
        self.non_zero_memory += sign * requests.non_zero_memory
        if requests.ephemeral_storage:
            self.ephemeral_storage += sign * requests.ephemeral_storage
        for name, amount in requests.scalars:
            self.scalars[name] = self.scalars.get(name, 0) + sign * amount
        for port in profile.host_ports:
            _tally(self.ports, port, sign)
        _tally(self.profiles, profile, sign)
        if entry.terminating:
            _tally(self.terminating, profile, sign)
        if profile.has_affinity:
            self.affinity_count += sign


def _tally(counts: dict[Any, int], key: Any, delta: int) -> None:
    left = counts.get(key, 0) + delta
    if left:
        counts[key] = left
    else:
        del counts[key]


@final
class Snapshot:
    """All nodes with their Pods. `version` moves with every change that a decision could depend on."""

    def __init__(self, listers: Listers) -> None:
        self.listers = listers
        self.profiles = PodProfiles()
        self.nodes: dict[str, NodeInfo] = {}
        self.images: dict[str, ImageState] = {}
        # Moves when `images` does.
        self.images_version = 0
        self.claims_in_use: dict[tuple[str, str], int] = {}
        self.pods_by_priority: dict[int, int] = {}
        self.nodes_with_affinity: dict[str, NodeInfo] = {}
        self.changes: list[Change] = []
        self.changes_base = 0
        self.version = 0
        self.epoch = 0
        self._order: list[NodeInfo] | None = []
        self._loads: dict[tuple[object, ...], int] = {}
        self._last_load = 0
        self._zones: dict[tuple[str, str], dict[str, NodeInfo]] = {}
        self._node_of: dict[str, str] = {}
        # Pods whose node is not there (yet, or any more); they count as soon as it appears.
        self._homeless: dict[str, dict[str, PodEntry]] = {}

    @property
    def order(self) -> list[NodeInfo]:
        """The nodes in the order in which cycles go through them: one of each zone in turn."""
        if self._order is None:
            self._order = list(_round_robin([list(zone.values()) for zone in self._zones.values()]))
            self.epoch += 1
            self.changes.clear()
            self.changes_base = 0
            for position, node in enumerate(self._order):
                node.position = position
        return self._order

    # Nodes

    def add_node(self, node: Object) -> None:
        """A node has appeared; the same name again is an update."""
        name = node["metadata"]["name"]
        if name in self.nodes:
            self.update_node(node)
            return
        info = self.nodes[name] = NodeInfo(node)
        self._zones.setdefault(_zone_of(node), {})[name] = info
        self._order = None
        self.version += 1
        self._count_images(info.images, 1)
        for uid, entry in self._homeless.pop(name, {}).items():
            self._place(info, uid, entry)

    def update_node(self, node: Object) -> None:
        """A node has changed."""
        name = node["metadata"]["name"]
        info = self.nodes.get(name)
        if info is None:
            self.add_node(node)
            return
        old = info.node
        if not has_scheduling_change(old, node):
            info.node = node
            return
        if _zone_of(old) != _zone_of(node):
            self._leave_zone(old)
            self._zones.setdefault(_zone_of(node), {})[name] = info
            self._order = None
        self._count_images(info.images, -1)
        info.set_node(node)
        self._count_images(info.images, 1)
        self._changed(Change(info, None, 0, 0))

    def remove_node(self, name: str) -> None:
        """A node has gone; its Pods stay known until their own deletion is heard of."""
        info = self.nodes.pop(name, None)
        if info is None:
            return
        self._leave_zone(info.node)
        self._order = None
        self.version += 1
        self._count_images(info.images, -1)
        self.nodes_with_affinity.pop(name, None)
        for entry in info.pods.values():
            self._count_pod(entry, -1)
        if info.pods:
            self._homeless[name] = dict(info.pods)

    def _leave_zone(self, node: Object) -> None:
        zone = self._zones[_zone_of(node)]
        del zone[node["metadata"]["name"]]
        if not zone:
            del self._zones[_zone_of(node)]

    def _count_images(self, images: dict[str, int], sign: int) -> None:
        self.images_version += bool(images)
        for name, size in images.items():
            state = self.images.get(name) or ImageState(size, 0)
            if state.node_count + sign:
                self.images[name] = ImageState(state.size, state.node_count + sign)
            else:
                del self.images[name]

    # Pods

    def has_pod(self, uid: str) -> bool:
        """Whether the Pod is on a node, assumed or bound."""
        return uid in self._node_of

    def node_of(self, uid: str) -> str | None:
        """The name of the node that the Pod is on."""
        return self._node_of.get(uid)

    def add_pod(self, pod: Object, node_name: str, profile: PodProfile | None = None) -> None:
        """Put a Pod on a node: one that is bound, or one that is assumed to be soon."""
        uid = pod["metadata"]["uid"]
        if uid in self._node_of:
            raise SimBug(f"Pod {uid} is on node {self._node_of[uid]} already")
        self._node_of[uid] = node_name
        entry = PodEntry(pod, profile or self.profiles.of(pod), "deletionTimestamp" in pod["metadata"])
        info = self.nodes.get(node_name)
        if info is None:
            self._homeless.setdefault(node_name, {})[uid] = entry
        else:
            self._place(info, uid, entry)

    def update_pod(self, pod: Object) -> tuple[PodProfile, PodProfile]:
        """A Pod on a node has changed, or its binding has been confirmed; returns its profile before, and now."""
        metadata = pod["metadata"]
        uid = metadata["uid"]
        info = self.nodes.get(self._node_of[uid])
        pods = self._homeless[self._node_of[uid]] if info is None else info.pods
        entry = pods[uid]
        terminating = "deletionTimestamp" in metadata
        old = entry.profile
        if (
            entry.terminating == terminating
            and entry.pod["metadata"].get("labels") is metadata.get("labels")
            and has_same_template(entry.pod, pod)
        ):
            pods[uid] = new_tuple(PodEntry, (pod, old, terminating))
            return old, old
        profile = self.profiles.relabelled(old, entry.pod, pod)
        new = PodEntry(pod, profile, terminating)
        if info is None or (profile is old and entry.terminating == terminating):
            pods[uid] = new
        elif entry.terminating == terminating and not terminating and old.weighs_like(profile):
            pods[uid] = new
            _tally(info.profiles, old, -1)
            _tally(info.profiles, profile, 1)
            self._changed(Change(info, profile, 0, 0, old))
        else:
            self._displace(info, uid)
            self._place(info, uid, new)
        return old, profile

    def remove_pod(self, uid: str) -> None:
        """A Pod has left its node: deleted, finished, or not bound after all."""
        node_name = self._node_of.pop(uid, None)
        if node_name is None:
            return
        info = self.nodes.get(node_name)
        if info is not None:
            self._displace(info, uid)
        else:
            homeless = self._homeless[node_name]
            del homeless[uid]
            if not homeless:
                del self._homeless[node_name]

    def _place(self, info: NodeInfo, uid: str, entry: PodEntry) -> None:
        info.add(uid, entry)
        self._count_pod(entry, 1)
        if entry.profile.has_affinity:
            self.nodes_with_affinity[info.name] = info
        self._changed(new_tuple(Change, (info, entry.profile, 1, int(entry.terminating), None)))

    def _displace(self, info: NodeInfo, uid: str) -> None:
        entry = info.remove(uid)
        self._count_pod(entry, -1)
        if entry.profile.has_affinity and not info.affinity_count:
            del self.nodes_with_affinity[info.name]
        self._changed(Change(info, entry.profile, -1, -int(entry.terminating)))

    def _count_pod(self, entry: PodEntry, sign: int) -> None:
        profile = entry.profile
        _tally(self.pods_by_priority, profile.priority, sign)
        for claim in profile.claims:
            _tally(self.claims_in_use, (profile.namespace, claim.name), sign)

    def _changed(self, change: Change) -> None:
        self.version += 1
        changes = self.changes
        changes.append(change)
        if len(changes) > 4 * len(self.nodes) + 1024:
            cut = len(changes) // 2
            del changes[:cut]
            self.changes_base += cut

    def load_of(self, node: NodeInfo) -> int:
        """A number that is the same for nodes with the same offer and the same use of it, scalar resources apart."""
        if not node.load:
            load = (
                node.allocatable,
                node.milli_cpu,
                node.memory,
                node.non_zero_milli_cpu,
                node.non_zero_memory,
                node.ephemeral_storage,
                len(node.pods),
            )
            known = self._loads.get(load, 0)
            if not known:
                if len(self._loads) >= _LOADS_MAX:
                    self._loads.clear()
                # Numbers are never given twice, so forgetting old loads cannot confuse two of them.
                self._last_load = known = self._loads[load] = self._last_load + 1
            node.load = known
        return node.load

    def namespace_labels(self, namespace: str) -> dict[str, str]:
        """The labels of a namespace, none where it is not known."""
        obj = self.listers.namespaces.get("", namespace)
        return {} if obj is None else obj["metadata"].get("labels") or {}


def _zone_of(node: Object) -> tuple[str, str]:
    """Upstream: component-helpers/node/topology/helpers.go:GetZoneKey @v1.36"""
    labels = labels_of(node)
    return labels.get(REGION_LABEL, ""), labels.get(ZONE_LABEL, "")


def _round_robin(zones: list[list[NodeInfo]]) -> Iterable[NodeInfo]:
    for index in range(max(map(len, zones), default=0)):
        for zone in zones:
            if index < len(zone):
                yield zone[index]


def has_scheduling_change(old: Object, new: Object) -> bool:
    """Whether something that filters or scores read differs between two versions of a node; heartbeats do not."""
    old_status, new_status = old.get("status") or {}, new.get("status") or {}
    return (
        (old.get("spec") is not new.get("spec") and old.get("spec") != new.get("spec"))
        or labels_of(old) != labels_of(new)
        or old_status.get("allocatable") != new_status.get("allocatable")
        or old_status.get("images") != new_status.get("images")
    )

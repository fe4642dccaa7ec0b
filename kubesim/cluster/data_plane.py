"""Nodes with their kubelets, the network between them, and the disks that outlive them."""

from __future__ import annotations

from typing import Any, Protocol, final

from kubesim.api.kinds import ENDPOINT_SLICE, PERSISTENT_VOLUME, SERVICE
from kubesim.api.objects import Object
from kubesim.client.informer import InformerFactory
from kubesim.client.inprocess import InProcessClient
from kubesim.cluster.bootstrap import node_ip, node_name, pod_cidr
from kubesim.cluster.control_plane import ControlPlane
from kubesim.cluster.options import ClusterOptions
from kubesim.errors import UserError
from kubesim.network.dns import Names
from kubesim.network.fabric import Fabric
from kubesim.network.proxy import ProxyViews
from kubesim.node.caches import ClusterCaches
from kubesim.node.image_catalogue import ImageCatalogue
from kubesim.node.kubelet import Kubelet, NodeConfig
from kubesim.node.runtime import Network, Runtime
from kubesim.node.simulated import SimRuntime
from kubesim.programs.catalog import Catalog
from kubesim.programs.postgres import PostgresProgram, rows_in
from kubesim.sim.chooser import Chooser
from kubesim.sim.loop import Loop


class NodeRuntime(Runtime, Protocol):
    """A container runtime with what fault injection does to it."""

    def crash(self) -> None:
        """The node loses power."""
        ...

    def boot(self) -> None:
        """It has power again: whatever ran has exited."""
        ...

    def end_container(self, uid: str, name: str, exit_code: int) -> bool:
        """Let a container's process end; False when it doesn't run."""
        ...

    def hang_container(self, uid: str, name: str) -> bool:
        """Stop a container's process as SIGSTOP does; False when it doesn't run."""
        ...

    def resume_container(self, uid: str, name: str) -> bool:
        """The end of `hang_container`."""
        ...


class Bodies(Protocol):
    """What nodes are made of where it is not simulated. `loop` is the cluster's, and paced by its owner."""

    loop: Loop

    def make_runtime(self, node_name: str) -> NodeRuntime:
        """The container runtime of a node."""
        ...

    def make_network(self, node_name: str) -> Network:
        """A node's way to Pods."""
        ...


# Upstream: KubeletConfiguration evictionHard memory.available<100Mi is what allocatable lacks of capacity.
_EPHEMERAL_STORAGE = "100Gi"
# What can stand between a node and the API server.
_NO_POWER = "no power"
_ISOLATED = "isolated"
_API_OUT_OF_REACH = "API server out of reach"


@final
class Node:
    """One machine: its kubelet, its container runtime, and its connections to the API server."""

    def __init__(self, kubelet: Kubelet, runtime: NodeRuntime, clients: tuple[InProcessClient, ...]) -> None:
        self.kubelet = kubelet
        self.runtime = runtime
        self._clients = clients
        # What stands between the node and the API server at this moment.
        self._obstacles: dict[str, None] = {}

    @property
    def has_power(self) -> bool:
        """Whether the machine runs."""
        return _NO_POWER not in self._obstacles

    @property
    def is_in_touch(self) -> bool:
        """Whether nothing stands between the node and the API server."""
        return not self._obstacles

    def block(self, obstacle: str) -> bool:
        """Put something between the node and the API server; returns whether it was not there yet."""
        if obstacle in self._obstacles:
            return False
        self._obstacles[obstacle] = None
        for client in self._clients:
            client.disconnect()
        return True

    def unblock(self, obstacle: str) -> bool:
        """Take it away; returns whether it was there. The way is open once nothing stands in it."""
        if obstacle not in self._obstacles:
            return False
        del self._obstacles[obstacle]
        if not self._obstacles:
            for client in self._clients:
                client.connect()
        return True


@final
class DataPlane:
    """Everything that runs or connects Pods."""

    def __init__(
        self, plane: ControlPlane, chooser: Chooser, options: ClusterOptions, bodies: Bodies | None = None
    ) -> None:
        self._loop = plane.loop
        self._bodies = bodies
        self._informers = InformerFactory(plane.loop, plane.client("system:kube-proxy"))
        services, slices = self._informers.informer(SERVICE), self._informers.informer(ENDPOINT_SLICE)
        proxy = ProxyViews(plane.loop, chooser)
        proxy.follow(services, slices)
        self.names = Names(services.lister, slices.lister, chooser.stream("dns"))
        self.fabric = Fabric(plane.loop, chooser, self.names, proxy)
        self.caches = ClusterCaches(self._informers)
        self.programs = Catalog(options.programs)
        self._informers.informer(PERSISTENT_VOLUME).add_handler(on_delete=self._on_volume_delete)
        self._informers.start()
        self._images = ImageCatalogue(options.present_images, options.missing_images)
        self.nodes = {
            node_name(index): self._make_node(plane, chooser, options, index) for index in range(options.nodes)
        }
        for node in self.nodes.values():
            node.kubelet.start()

    def _make_node(self, plane: ControlPlane, chooser: Chooser, options: ClusterOptions, index: int) -> Node:
        name, address = node_name(index), node_ip(index)
        resources = {
            "cpu": options.node_cpu,
            "memory": options.node_memory,
            "ephemeral-storage": _EPHEMERAL_STORAGE,
            "pods": str(options.node_pods),
        }
        config = NodeConfig(
            name, address, pod_cidr(index, options.nodes), resources, resources, options.node_labels.get(name, {})
        )
        user = f"system:node:{name}"
        # Heartbeats are not limited upstream, or a burst of Pods would look like a dead node.
        heartbeats = plane.client(user)
        client = events = heartbeats
        limits = options.limits
        if limits is not None:
            client = plane.client(user, limits.kubelet_qps, limits.kubelet_burst)
            events = plane.client(user, limits.kubelet_qps, limits.kubelet_burst)
        stream = chooser.stream(f"kubelet/{name}")
        runtime: NodeRuntime
        network: Network
        if self._bodies is not None:
            runtime, network = self._bodies.make_runtime(name), self._bodies.make_network(name)
        else:
            runtime = SimRuntime(plane.loop, stream, self.fabric, name, self._images, self.programs.find_program)
            network = self.fabric.open(self.fabric.attach(address, name, is_node=True), "")
        kubelet = Kubelet(
            plane.loop,
            client,
            stream,
            config,
            runtime,
            network,
            self.caches,
            event_client=events,
            heartbeat_client=heartbeats,
            machine=runtime if isinstance(runtime, SimRuntime) else None,
        )
        return Node(kubelet, runtime, (client, events, heartbeats))

    def node(self, name: str) -> Node:
        """The machine with that name.

        Raises:
            UserError: there is none.
        """
        node = self.nodes.get(name)
        if node is None:
            names = ", ".join(list(self.nodes)[:5])
            raise UserError(f"there is no node {name}; there are {names}{', …' if len(self.nodes) > 5 else ''}")
        return node

    def _on_volume_delete(self, volume: Object) -> None:
        """What a volume held goes with it if its policy says so; a retained disk is found again under its name."""
        if volume["spec"].get("persistentVolumeReclaimPolicy") == "Delete":
            self.caches.disks.pop(volume["metadata"]["name"], None)

    def database_rows(self, table: str, column: str) -> dict[str, Any]:
        """A table's rows by a column's values: in every PostgreSQL that runs; where none does, in volumes that outlive
        Pods."""
        rows: dict[str, Any] = {}
        is_there = False
        for node in self.nodes.values():
            for process in node.runtime.processes() if isinstance(node.runtime, SimRuntime) else ():
                if isinstance(process.program, PostgresProgram):
                    is_there = True
                    rows.update(process.program.rows(table, column))
        if not is_there:
            for volume in self.caches.disks.values():
                rows.update(rows_in(volume, table, column))
        return rows

    def node_of(self, pod: Object) -> Node:
        """The machine on which a Pod is.

        Raises:
            UserError: the Pod is on none.
        """
        name = pod["spec"].get("nodeName")
        if not name:
            raise UserError(f"pod/{pod['metadata']['name']} is on no node yet")
        return self.node(name)

    # --- faults; each has its healing twin ---

    def lose_power(self, name: str) -> None:
        """A node is gone from one instant to the next: processes, kubelet and network."""
        node = self.node(name)
        if node.block(_NO_POWER):
            node.kubelet.stop()
            # The network goes first: it knows by the processes' connections who will miss them.
            self.fabric.lose_node(name)
            node.runtime.crash()

    def restore_power(self, name: str) -> None:
        """The node boots: its containers are down, its kubelet starts."""
        node = self.node(name)
        if node.unblock(_NO_POWER):
            self.fabric.restore_node(name)
            node.runtime.boot()
            node.kubelet.runtime_health.handle_started()
            node.kubelet.start()

    def isolate(self, name: str) -> None:
        """A node runs on, but reaches neither the API server nor any other node."""
        if self.node(name).block(_ISOLATED):
            self.fabric.isolate_node(name)

    def rejoin(self, name: str) -> None:
        """The end of `isolate`."""
        if self.node(name).unblock(_ISOLATED):
            self.fabric.rejoin_node(name)

    def cut_off_api(self, name: str) -> None:
        """A node reaches all others, but not the API server; neither does its kube-proxy."""
        if self.node(name).block(_API_OUT_OF_REACH):
            self.fabric.proxy.cut_off(name)

    def reach_api(self, name: str) -> None:
        """The end of `cut_off_api`."""
        if self.node(name).unblock(_API_OUT_OF_REACH) and self.node(name).is_in_touch:
            self.fabric.proxy.reconnect(name)

    def shift_clock(self, name: str, by_ns: int) -> None:
        """Put a node's clock forward, or back."""
        node = self.node(name)
        node.kubelet.set_clock(node.kubelet.clock_ns - self._loop.now_ns + by_ns)
        if isinstance(node.runtime, SimRuntime):
            node.runtime.skew_ns += by_ns

    @property
    def images(self) -> ImageCatalogue:
        """What the registries and images are like, for all nodes."""
        return self._images

    def start_kubelet(self, name: str) -> None:
        """The kubelet starts; on a machine without power it does so with the next boot."""
        node = self.node(name)
        if node.has_power:
            node.kubelet.start()

    def stop(self) -> None:
        """All nodes stop where they are."""
        self._informers.stop()
        for node in self.nodes.values():
            node.kubelet.stop()

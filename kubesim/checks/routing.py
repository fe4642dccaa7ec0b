"""Where requests go: to Pods that are ready, as far as a node's proxy can know."""

from __future__ import annotations

from typing import final

from kubesim.api.kinds import ENDPOINT_SLICE, NODE
from kubesim.api.objects import Key, key_of, labels_of
from kubesim.api.selectors import compile_selector
from kubesim.apiserver.server import Write
from kubesim.checks.desired import puts_off_endpoints
from kubesim.checks.invariant import Scene
from kubesim.checks.pod_book import PodEntry
from kubesim.network.endpoints import Backend
from kubesim.network.proxy import SERVICE_NAME_LABEL
from kubesim.sim.loop import SECOND

# The EndpointSlice controller's write, the watch, the proxy's own wait between two syncs: some two seconds together.
PROPAGATION_NS = 10 * SECOND


@final
class RoutedToReady:
    """Upstream: pkg/proxy/topology.go:CategorizeEndpoints @v1.36: where no endpoint is ready, terminating ones that
    still serve are used."""

    name = "routedToReady"
    promise = "A node that is in touch sends no new connection to a Pod that is gone or not ready since ten seconds."

    def __init__(self) -> None:
        # By Service: when its slices were last written by a controller that had failed before.
        self._late_ns: dict[Key, int] = {}

    def attach(self, scene: Scene) -> None:
        """Judge each connection to a Service."""
        self._scene = scene
        self._pods = scene.pods
        scene.on_route(self._handle)
        scene.on_write(ENDPOINT_SLICE, self._note_late)

    def _note_late(self, write: Write) -> None:
        metadata = write.obj["metadata"]
        service = Key(metadata["namespace"], (metadata.get("labels") or {}).get(SERVICE_NAME_LABEL, ""))
        if puts_off_endpoints(self._scene.cluster, service):
            self._late_ns[service] = self._scene.now_ns

    def _handle(self, node: str, backend: Backend) -> None:
        entry = self._pods.at(backend.ip)
        if entry is None or (entry.is_ready and entry.is_active):
            return
        if entry.was_ready_within(PROPAGATION_NS) and entry.was_active_within(PROPAGATION_NS):
            return
        if self._is_out_of_touch(node) or self._is_last_resort(entry):
            return
        if self._scene.is_disturbed():
            return
        pod = entry.pod["metadata"]
        state = "is gone" if not entry.is_there else "is going" if not entry.is_active else "is not ready"
        text = f"gets a new connection from {node} although it {state} since more than {PROPAGATION_NS // SECOND} s"
        self._scene.report(self.name, f"pod/{pod['namespace']}/{pod['name']}", text)

    def _is_out_of_touch(self, node: str) -> bool:
        """Whether the node's proxy hears nothing, or has begun to hear again only now."""
        since_ns = self._scene.now_ns - PROPAGATION_NS
        machine = self._scene.cluster.data_plane.nodes.get(node)
        if machine is not None and not machine.is_in_touch:
            return True
        for noted in reversed(self._scene.cluster.faults.log):
            if noted.at_ns < since_ns:
                return False
            if noted.verb in ("rejoin", "restorePower") and noted.subject == f"node/{node}":
                return True
        return False

    def _is_put_off(self, service: Key) -> bool:
        """Whether the Service's slices are behind, or were until less than the propagation ago."""
        since_ns = self._late_ns.get(service)
        is_late = since_ns is not None and self._scene.now_ns - since_ns < PROPAGATION_NS
        return is_late or puts_off_endpoints(self._scene.cluster, service)

    def _is_last_resort(self, entry: PodEntry) -> bool:
        """Whether a Service selects the Pod that lists unready Pods, has no ready ones, or whose slices are behind."""
        namespace, labels = entry.pod["metadata"]["namespace"], labels_of(entry.pod)
        for service in self._scene.cluster.list("services", namespace):
            selector = service["spec"].get("selector")
            if not selector or not compile_selector({"matchLabels": selector})(labels):
                continue
            if service["spec"].get("publishNotReadyAddresses"):
                return True
            if self._is_put_off(key_of(service)):
                return True
            selects = compile_selector({"matchLabels": selector})
            if not entry.is_active and not any(
                self._is_usable(other) and selects(labels_of(other.pod)) for other in self._pods.all()
            ):
                return True
        return False

    def _is_usable(self, entry: PodEntry) -> bool:
        """Whether a Pod has been ready for long enough to be known everywhere; one whose Node is gone is not listed.

        Upstream: endpointslice/reconciler.go:reconcileByAddressType, which skips it @v1.36
        """
        if not entry.is_ready or not entry.is_active or self._scene.now_ns - entry.since_ready_ns <= PROPAGATION_NS:
            return False
        node = entry.pod["spec"].get("nodeName", "")
        return self._scene.cluster.store.get(NODE.resource, ("", node)) is not None

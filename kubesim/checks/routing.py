"""Where requests go: to Pods that are ready, as far as a node's proxy can know."""

from __future__ import annotations

from typing import final

from kubesim.api.kinds import NODE
from kubesim.api.objects import key_of, labels_of
from kubesim.api.selectors import compile_selector
from kubesim.checks.desired import has_given_up_endpoints
from kubesim.checks.invariant import Scene
from kubesim.checks.pod_book import PodEntry
from kubesim.network.endpoints import Backend
from kubesim.sim.loop import SECOND

# The EndpointSlice controller's write, the watch, the proxy's own wait between two syncs: some two seconds together.
PROPAGATION_NS = 10 * SECOND
# For how long the EndpointSlice controller may put off what it has failed at: it does while its own writes come back
# late, and each change of a Pod in that time is a failure more.
# Upstream: pkg/controller/endpointslice/endpointslice_controller.go:maxSyncBackOff @v1.36
_BACKOFF_NS_MAX = 1000 * SECOND


@final
class RoutedToReady:
    """Upstream: pkg/proxy/topology.go:CategorizeEndpoints @v1.36: where no endpoint is ready, terminating ones that
    still serve are used."""

    name = "routedToReady"
    promise = "A node that is in touch sends no new connection to a Pod that is gone or not ready since ten seconds."

    def attach(self, scene: Scene) -> None:
        """Judge each connection to a Service."""
        self._scene = scene
        self._pods = scene.pods
        scene.on_route(self._handle)

    def _handle(self, node: str, backend: Backend) -> None:
        entry = self._pods.at(backend.ip)
        if entry is None or (entry.is_ready and entry.is_active):
            return
        if entry.was_ready_within(PROPAGATION_NS) and entry.was_active_within(PROPAGATION_NS):
            return
        if self._is_out_of_touch(node) or self._is_last_resort(entry):
            return
        if self._scene.is_disturbed() or self._is_put_off(entry):
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

    def _is_put_off(self, entry: PodEntry) -> bool:
        """Whether the Pod went while components saw the API late, and the end of that is not long enough ago."""
        now_ns, was_disturbed = self._scene.now_ns, self._scene.was_disturbed
        went_ns = min(
            now_ns if entry.is_ready else entry.since_ready_ns,
            now_ns if entry.is_active else entry.since_active_ns,
        )
        return was_disturbed(went_ns) and was_disturbed(now_ns - _BACKOFF_NS_MAX)

    def _is_last_resort(self, entry: PodEntry) -> bool:
        """Whether a Service selects the Pod that lists unready Pods, has no ready ones, or is given up."""
        namespace, labels = entry.pod["metadata"]["namespace"], labels_of(entry.pod)
        for service in self._scene.cluster.list("services", namespace):
            selector = service["spec"].get("selector")
            if not selector or not compile_selector({"matchLabels": selector})(labels):
                continue
            if service["spec"].get("publishNotReadyAddresses"):
                return True
            if has_given_up_endpoints(self._scene.cluster, key_of(service)):
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

"""EndpointSlices: the addresses behind each Service with a selector, in slices of up to a hundred.

Woken by its Services, by Pods that a Service selects (`service_pods`), and by slices that somebody else has changed.
What to write is decided in `endpointslice_plan`. It acts only on a cache that shows all that it wrote before.

Upstream: pkg/controller/endpointslice/endpointslice_controller.go, k8s.io/endpointslice/reconciler.go,
util/endpointslice_tracker.go @v1.36
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import Any, final

from kubesim.api.kinds import ENDPOINT_SLICE, NODE, SERVICE
from kubesim.api.objects import Key, Object, annotations_of, key_of, labels_of, with_metadata
from kubesim.api.requests import create, delete, update
from kubesim.client.ratelimit import ItemBackoff
from kubesim.client.recorder import Recorder
from kubesim.client.workqueue import WorkQueue
from kubesim.controllers.base import DONE, ControllerContext, NotYetError, Reconcile, Worker
from kubesim.controllers.endpointslice_endpoints import Endpoints
from kubesim.controllers.endpointslice_plan import MANAGED_BY, MANAGER, SERVICE_NAME, Plan, plan_slices
from kubesim.controllers.service_endpoints import TRIGGER_TIME, TriggerTimes
from kubesim.controllers.service_pods import ServicePods
from kubesim.errors import ApiError
from kubesim.sim.loop import SECOND

# Upstream: endpointslice_controller.go:defaultSyncBackOff, maxSyncBackOff, maxRetries, endpointSliceChangeMinSyncDelay
_BACKOFF_NS = 1 * SECOND
_BACKOFF_NS_MAX = 1000 * SECOND
_RETRIES = 15
_SLICE_CHANGE_DELAY_NS = 1 * SECOND
_DELETION_EXPECTED = -1
FAILED = "FailedToUpdateEndpointSlices"


@final
class SliceTracker:
    """The generation of each slice after our last write: a cache that is behind it must not be acted on."""

    def __init__(self) -> None:
        self._generations: dict[Key, dict[str, int]] = {}

    def wrote(self, service: Key, piece: Object) -> None:
        """A slice was written by us; the cache may not show it yet."""
        metadata = piece["metadata"]
        self._generations.setdefault(service, {})[metadata["uid"]] = metadata.get("generation", 0)

    def expect_deletion(self, service: Key, piece: Object) -> None:
        """A slice was deleted by us; the cache may still show it."""
        self._generations.setdefault(service, {})[piece["metadata"]["uid"]] = _DELETION_EXPECTED

    def is_news(self, service: Key, piece: Object) -> bool:
        """Whether somebody else has changed the slice since."""
        known = self._generations.get(service, {}).get(piece["metadata"]["uid"])
        return known is None or piece["metadata"].get("generation", 0) > known

    def is_unexpected_deletion(self, service: Key, piece: Object) -> bool:
        """Take note of a deletion; whether it was not ours."""
        known = self._generations.get(service, {}).pop(piece["metadata"]["uid"], None)
        return known is not None and known != _DELETION_EXPECTED

    def is_behind(self, service: Key, slices: Sequence[Object]) -> bool:
        """Whether a cache that shows these slices has yet to see writes of ours."""
        generations = self._generations.get(service)
        if not generations:
            return False
        shown = {piece["metadata"]["uid"]: piece["metadata"].get("generation", 0) for piece in slices}
        for uid, generation in generations.items():
            if uid not in shown:
                if generation != _DELETION_EXPECTED:
                    return True
            elif generation == _DELETION_EXPECTED or generation > shown[uid]:
                return True
        return False

    def forget(self, service: Key) -> None:
        """The Service is gone, and with it what was awaited of its slices."""
        self._generations.pop(service, None)


@final
class EndpointSliceController:
    """The control loop over Services that writes their EndpointSlices."""

    name = "endpointslice-controller"

    def __init__(self, context: ControllerContext) -> None:
        self._recorder = Recorder(context.loop, context.client, "endpoint-slice-controller")
        self._queue = WorkQueue(context.loop, ItemBackoff(_BACKOFF_NS, _BACKOFF_NS_MAX))
        self._service_pods = context.informers.view(ServicePods)
        self._service_pods.subscribe(self._queue.add)
        self._services = context.informers.lister(SERVICE)
        self._slices = context.informers.lister(ENDPOINT_SLICE)
        self._nodes = context.informers.lister(NODE)
        self._tracker = SliceTracker()
        self._trigger_times = TriggerTimes()
        self._endpoints: dict[Key, Endpoints] = {}
        self._slices.add_index(SERVICE_NAME, _service_names)
        context.informers.informer(SERVICE).add_handler(self._enqueue, lambda _, new: self._enqueue(new), self._enqueue)
        context.informers.informer(ENDPOINT_SLICE).add_handler(
            self._on_slice_add, self._on_slice_update, self._on_slice_delete
        )
        # Upstream: --concurrent-service-endpoint-syncs is 5 by default.
        self.workers = (Worker(self._queue, self.reconcile, 5, _RETRIES),)

    # --- what wakes it ---

    def _enqueue(self, service: Object) -> None:
        self._queue.add(key_of(service))

    def _enqueue_owner(self, piece: Object) -> None:
        service = _service_of(piece)
        if service.name:
            self._queue.add_after(service, _SLICE_CHANGE_DELAY_NS)

    def _on_slice_add(self, piece: Object) -> None:
        if _is_ours(piece) and self._tracker.is_news(_service_of(piece), piece):
            self._enqueue_owner(piece)

    def _on_slice_update(self, old: Object, new: Object) -> None:
        if _service_of(old) != _service_of(new):
            self._enqueue_owner(new)
            self._enqueue_owner(old)
        elif _is_ours(old) != _is_ours(new):
            self._enqueue_owner(new)
        else:
            self._on_slice_add(new)

    def _on_slice_delete(self, piece: Object) -> None:
        if _is_ours(piece) and self._tracker.is_unexpected_deletion(_service_of(piece), piece):
            self._enqueue_owner(piece)

    # --- what it does ---

    def reconcile(self, key: Key) -> Reconcile:
        """Bring the slices of one Service up to date."""
        service = self._services.get(*key)
        if service is None:
            self._trigger_times.forget(key)
            self._tracker.forget(key)
            self._endpoints.pop(key, None)
            return DONE
        spec = service["spec"]
        if spec.get("type") == "ExternalName" or not spec.get("selector"):
            return DONE
        slices = [
            piece
            for piece in self._slices.by_index(SERVICE_NAME, str(key))
            if _is_ours(piece) and "deletionTimestamp" not in piece["metadata"]
        ]
        if self._tracker.is_behind(key, slices):
            raise NotYetError("EndpointSlice informer cache is out of date")
        pods = self._service_pods.pods_of(key)
        trigger_time = self._trigger_times.compute(key, service, pods)
        endpoints = self._endpoints.setdefault(key, Endpoints())
        plan = plan_slices(service, pods, slices, endpoints, lambda name: self._nodes.get("", name))
        failure = yield from self._carry_out(key, service, plan, trigger_time)
        problems = [*plan.problems, failure] if failure else plan.problems
        if problems:
            problem = problems[0] if len(problems) == 1 else f"[{', '.join(problems)}]"
            message = f"Error updating Endpoint Slices for Service {key}: {problem}"
            self._recorder.event(service, "Warning", FAILED, message)
            raise NotYetError(problem)
        return DONE

    def _carry_out(self, key: Key, service: Object, plan: Plan, trigger_time: str) -> Generator[Any, Any, str]:
        """Make the writes one by one until one fails; returns what went wrong, empty when nothing did."""
        what = "create EndpointSlice"
        try:
            if "deletionTimestamp" not in service["metadata"]:
                for piece in plan.create:
                    written = yield create(ENDPOINT_SLICE, _annotated(piece, trigger_time))
                    self._tracker.wrote(key, written)
            for piece in plan.update:
                what = f"update {piece['metadata']['name']} EndpointSlice"
                written = yield update(ENDPOINT_SLICE, _annotated(piece, trigger_time))
                self._tracker.wrote(key, written)
            for piece in plan.delete:
                what = f"delete {piece['metadata']['name']} EndpointSlice"
                yield delete(ENDPOINT_SLICE, key.namespace, piece["metadata"]["name"])
                self._tracker.expect_deletion(key, piece)
        except ApiError as error:
            if error.is_namespace_terminating:
                return ""
            return f"failed to {what} for Service {key}: {error.message}"
        return ""


def _service_of(piece: Object) -> Key:
    return Key(piece["metadata"]["namespace"], labels_of(piece).get(SERVICE_NAME, ""))


def _service_names(piece: Object) -> tuple[str, ...]:
    return (str(_service_of(piece)),)


def _is_ours(piece: Object) -> bool:
    return labels_of(piece).get(MANAGED_BY) == MANAGER


def _annotated(piece: Object, trigger_time: str) -> Object:
    annotations = {name: value for name, value in annotations_of(piece).items() if name != TRIGGER_TIME}
    if trigger_time:
        annotations[TRIGGER_TIME] = trigger_time
    if not annotations and "annotations" not in piece["metadata"]:
        return piece
    return with_metadata(piece, annotations=annotations or None)

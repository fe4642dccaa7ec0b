"""Which Pods each Service selects, kept Pod by Pod, and word to subscribers of the Services whose endpoints may change.

A Service is filed under one pair of its selector, the one that fewest others are filed under. A Pod's event then costs
one look-up per label, however many Services and Pods there are. Shared by the controllers of Endpoints and of
EndpointSlices, so the work is done once.

Upstream: k8s.io/endpointslice/util/controller_utils.go:GetPodUpdateProjectionKey, GetServicesToUpdate @v1.36 (which
goes through all Services of the namespace for each Pod, and all its Pods for each Service)
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import final

from kubesim.api.kinds import POD, SERVICE
from kubesim.api.objects import Key, Object, key_of, labels_of
from kubesim.client.informer import InformerFactory
from kubesim.controllers.pods import is_ready

OnChange = Callable[[Key], None]
Pair = tuple[str, str]


@final
class ServicePods:
    """The selected Pods of every Service with a selector. Made once per process: `informers.view(ServicePods)`."""

    def __init__(self, informers: InformerFactory) -> None:
        self._pods = informers.lister(POD)
        self._filed: dict[str, dict[Pair, dict[Key, Mapping[str, str]]]] = {}
        self._filed_under: dict[Key, Pair] = {}
        self._selected: dict[Key, dict[tuple[str, str], None]] = {}
        self._subscribers: list[OnChange] = []
        informers.informer(SERVICE).add_handler(self._on_service_add, self._on_service_update, self._on_service_delete)
        informers.informer(POD).add_handler(self._on_pod_add, self._on_pod_update, self._on_pod_delete)

    def subscribe(self, on_change: OnChange) -> None:
        """Hear of each Service, by key, of which a Pod has come, gone or changed in a way that endpoints show."""
        self._subscribers.append(on_change)

    def pods_of(self, service: Key) -> list[Object]:
        """The Pods that the Service selects, in the order in which it began to."""
        objects = self._pods.objects
        return [objects[key] for key in self._selected.get(service, ())]

    # --- Services ---

    def _on_service_add(self, service: Object) -> None:
        selector: Mapping[str, str] = service["spec"].get("selector") or {}
        if not selector:
            return
        key = key_of(service)
        filed = self._filed.setdefault(key.namespace, {})
        pair = min(selector.items(), key=lambda pair: len(filed.get(pair, ())))
        filed.setdefault(pair, {})[key] = selector
        self._filed_under[key] = pair
        self._selected[key] = {
            key_of(pod): None
            for pod in self._pods.in_namespace(key.namespace)
            if selector.items() <= labels_of(pod).items()
        }

    def _on_service_update(self, old: Object, new: Object) -> None:
        if old["spec"].get("selector") != new["spec"].get("selector"):
            self._on_service_delete(old)
            self._on_service_add(new)

    def _on_service_delete(self, service: Object) -> None:
        key = key_of(service)
        pair = self._filed_under.pop(key, None)
        if pair is None:
            return
        del self._selected[key]
        filed = self._filed[key.namespace]
        del filed[pair][key]
        if not filed[pair]:
            del filed[pair]
            if not filed:
                del self._filed[key.namespace]

    # --- Pods ---

    def _selecting(self, pod: Object) -> list[Key]:
        metadata = pod["metadata"]
        filed = self._filed.get(metadata["namespace"])
        labels = metadata.get("labels")
        found: list[Key] = []
        if filed and labels:
            for pair in labels.items():
                for key, selector in filed.get(pair, {}).items():
                    if len(selector) == 1 or selector.items() <= labels.items():
                        found.append(key)
        return found

    def _tell(self, services: Iterable[Key]) -> None:
        for service in services:
            for on_change in self._subscribers:
                on_change(service)

    def _on_pod_add(self, pod: Object) -> None:
        services = self._selecting(pod)
        if services:
            key = key_of(pod)
            for service in services:
                self._selected[service][key] = None
            self._tell(services)

    def _on_pod_update(self, old: Object, new: Object) -> None:
        if not self._filed:
            return
        before, after = old["metadata"].get("labels"), new["metadata"].get("labels")
        if before is after or before == after:
            if matters_to_endpoints(old, new):
                self._tell(self._selecting(new))
            return
        left, joined = self._selecting(old), self._selecting(new)
        key = key_of(new)
        for service in left:
            self._selected[service].pop(key, None)
        for service in joined:
            self._selected[service][key] = None
        if matters_to_endpoints(old, new):
            self._tell(dict.fromkeys(joined + left))
        else:
            stayed = set(left) & set(joined)
            self._tell(service for service in joined + left if service not in stayed)

    def _on_pod_delete(self, pod: Object) -> None:
        services = self._selecting(pod)
        key = key_of(pod)
        for service in services:
            self._selected[service].pop(key, None)
        self._tell(services)


def matters_to_endpoints(old: Object, new: Object) -> bool:
    """Whether endpoints may differ between two states of a Pod with the same labels.

    Upstream compares the addresses of two deletion timestamps, so every update of a terminating Pod counts; that is
    what takes a Pod out of its Services when it has finished. A Pod that finishes by itself stays in, not ready.
    Upstream: k8s.io/endpointslice/util/controller_utils.go:podEndpointsChanged @v1.36
    """
    if "deletionTimestamp" in new["metadata"] or "deletionTimestamp" in old["metadata"]:
        return True
    before, after = old["status"], new["status"]
    if before is after:
        return bool(old["metadata"]["uid"] != new["metadata"]["uid"])
    if before.get("podIPs") != after.get("podIPs"):
        return True
    if before.get("conditions") is after.get("conditions"):
        return False
    return is_ready(old) != is_ready(new)

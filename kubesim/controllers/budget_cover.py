"""Which Pods each PodDisruptionBudget covers and how many of them are healthy, kept up to date event by event.

Counting a budget's Pods anew at each of their changes would cost a large workload the square of its size.
"""

from __future__ import annotations

from typing import final

from kubesim.api.objects import Key, Object, controller_of, key_of, labels_of
from kubesim.api.selectors import Predicate, compile_selector
from kubesim.client.informer import Lister
from kubesim.controllers.pods import is_ready


def is_healthy(pod: Object) -> bool:
    """Ready, and not on its way out."""
    return "deletionTimestamp" not in pod["metadata"] and is_ready(pod)


@final
class Cover:
    """One budget's Pods by name: all, the healthy ones, and how many each controller has (by reference UID).

    `controllers` maps the UID to the reference and the names of its Pods; `unmanaged` are Pods without a controller.
    """

    __slots__ = ("budget", "controllers", "healthy", "pods", "selects", "unmanaged")

    def __init__(self, budget: Object) -> None:
        self.budget = budget
        self.selects: Predicate = compile_selector(budget["spec"].get("selector"))
        self.pods: dict[str, Object] = {}
        self.healthy: dict[str, None] = {}
        self.controllers: dict[str, tuple[Object, dict[str, None]]] = {}
        self.unmanaged: dict[str, None] = {}

    def put(self, pod: Object) -> None:
        """Count the Pod as it is now."""
        name = pod["metadata"]["name"]
        old = self.pods.get(name)
        self.pods[name] = pod
        if old is None:
            self._count_controller(name, pod)
        elif old["metadata"].get("ownerReferences") != pod["metadata"].get("ownerReferences"):
            self._uncount_controller(name, old)
            self._count_controller(name, pod)
        if is_healthy(pod):
            self.healthy[name] = None
        else:
            self.healthy.pop(name, None)

    def drop(self, name: str) -> None:
        """The Pod is gone, or no longer selected."""
        old = self.pods.pop(name, None)
        if old is not None:
            self._uncount_controller(name, old)
            self.healthy.pop(name, None)

    def _count_controller(self, name: str, pod: Object) -> None:
        reference = controller_of(pod)
        if reference is None:
            self.unmanaged[name] = None
            return
        known = self.controllers.get(reference["uid"])
        if known is None:
            known = self.controllers[reference["uid"]] = (reference, {})
        known[1][name] = None

    def _uncount_controller(self, name: str, pod: Object) -> None:
        reference = controller_of(pod)
        if reference is None:
            self.unmanaged.pop(name, None)
            return
        names = self.controllers[reference["uid"]][1]
        names.pop(name, None)
        if not names:
            del self.controllers[reference["uid"]]


@final
class Covers:
    """The covers of all budgets, by namespace; `pods` is the lister that new budgets find their Pods in."""

    def __init__(self, pods: Lister) -> None:
        self._pods = pods
        self._by_namespace: dict[str, dict[Key, Cover]] = {}

    def get(self, key: Key) -> Cover | None:
        return self._by_namespace.get(key.namespace, {}).get(key)

    def put_budget(self, budget: Object) -> None:
        """A budget has come or changed; its Pods are looked for only if its selector is new."""
        key = key_of(budget)
        covers = self._by_namespace.setdefault(key.namespace, {})
        known = covers.get(key)
        if known is not None and known.budget["spec"].get("selector") == budget["spec"].get("selector"):
            known.budget = budget
            return
        cover = covers[key] = Cover(budget)
        for pod in self._pods.in_namespace(key.namespace):
            if cover.selects(labels_of(pod)):
                cover.put(pod)

    def drop_budget(self, budget: Object) -> None:
        """The budget is gone: nothing is counted for it any more."""
        key = key_of(budget)
        covers = self._by_namespace.get(key.namespace, {})
        covers.pop(key, None)
        if not covers:
            self._by_namespace.pop(key.namespace, None)

    def put_pod(self, pod: Object) -> list[Cover]:
        """Count the Pod where it belongs; returns the covers that it is in."""
        covers = self._by_namespace.get(pod["metadata"]["namespace"])
        if covers is None:
            return []
        labels, name = labels_of(pod), pod["metadata"]["name"]
        found = []
        for cover in covers.values():
            if cover.selects(labels):
                cover.put(pod)
                found.append(cover)
            else:
                cover.drop(name)
        return found

    def drop_pod(self, pod: Object) -> list[Cover]:
        """The Pod is gone; returns the covers that it was in."""
        name = pod["metadata"]["name"]
        found = [
            cover for cover in self._by_namespace.get(pod["metadata"]["namespace"], {}).values() if name in cover.pods
        ]
        for cover in found:
            cover.drop(name)
        return found

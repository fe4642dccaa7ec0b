"""Pod affinity terms and tolerations, made ready for asking many times.

Upstream: kube-scheduler/framework/types.go:AffinityTerm, component-helpers/scheduling/corev1/helpers.go @v1.36
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from kubesim.api.objects import Object
from kubesim.api.selectors import compile_selector
from kubesim.api.tolerations import tolerates

Labels = Mapping[str, str]
Predicate = Callable[[Labels], bool]

NO_SCHEDULE_EFFECTS: Final = frozenset({"NoSchedule", "NoExecute"})


class PodTerm(NamedTuple):
    """A PodAffinityTerm: which Pods it is about, and the topology in which it wants them near or far."""

    topology_key: str
    namespaces: frozenset[str]
    namespace_selects: Predicate
    selects: Predicate
    weight: int

    def matches(self, namespace: str, namespace_labels: Labels, labels: Labels) -> bool:
        """Whether a Pod with these labels in that namespace is one of those meant."""
        if namespace not in self.namespaces and not self.namespace_selects(namespace_labels):
            return False
        return self.selects(labels)


def pod_term_of(term: Object, namespace: str, weight: int = 0) -> PodTerm:
    """`namespace` is that of the Pod that has the term; it is meant where the term names none."""
    namespaces = term.get("namespaces") or ()
    if not namespaces and term.get("namespaceSelector") is None:
        namespaces = (namespace,)
    return PodTerm(
        term["topologyKey"],
        frozenset(namespaces),
        compile_selector(term.get("namespaceSelector")),
        compile_selector(term.get("labelSelector")),
        weight,
    )


def is_tolerated(taint: Object, tolerations: Sequence[Object]) -> bool:
    """Whether one of the tolerations covers the taint."""
    return any(tolerates(toleration, taint) for toleration in tolerations)


def has_untolerated_taint(taints: Sequence[Object], tolerations: Sequence[Object]) -> bool:
    """Whether a NoSchedule or NoExecute taint keeps the Pod away."""
    return any(taint["effect"] in NO_SCHEDULE_EFFECTS and not is_tolerated(taint, tolerations) for taint in taints)


def field(obj: Any, *path: str) -> Any:
    """The value at a path of optional objects, or None."""
    for name in path:
        if obj is None:
            return None
        obj = obj.get(name)
    return obj

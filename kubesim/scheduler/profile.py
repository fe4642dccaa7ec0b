"""What scheduling reads of a Pod, in one object that all Pods of a ReplicaSet share.

Two Pods with one profile get the same verdict on every node, so whatever is worked out for one holds for the other.
Finding a Pod's profile must cost little: Pods made from one template share the template's subtrees, so their
identities, taken together, are looked up first, and only a miss compares contents.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, NamedTuple, final

import msgspec

from kubesim.api.effective_requests import effective_spec
from kubesim.api.objects import Object, controller_of
from kubesim.api.selectors import NodePredicate, compile_match_labels, compile_node_selector_term
from kubesim.scheduler.resources import compute_requests
from kubesim.scheduler.terms import PodTerm, Predicate, field, pod_term_of

_IDENTITIES_MAX: Final = 8192
_encode = msgspec.json.Encoder(order="deterministic").encode


class HostPort(NamedTuple):
    """A port of the node that a Pod takes."""

    address: str
    protocol: str
    port: int


class Claim(NamedTuple):
    """A volume of a Pod that a PersistentVolumeClaim stands behind."""

    name: str
    is_ephemeral: bool


@final
class PodProfile:
    """The part of a Pod that scheduling reads; compared by identity. Made by `PodProfiles.of`."""

    __slots__ = (
        "affinity_terms",
        "anti_affinity_terms",
        "claims",
        "container_count",
        "has_affinity",
        "host_ports",
        "images",
        "labels",
        "namespace",
        "node_names",
        "node_selector",
        "node_terms",
        "owner",
        "preemption_policy",
        "preferred_affinity_terms",
        "preferred_anti_affinity_terms",
        "preferred_node_terms",
        "priority",
        "requests",
        "spread_constraints",
        "tolerations",
    )

    def __init__(self, pod: Object) -> None:
        spec = pod["spec"]
        metadata = pod["metadata"]
        affinity = spec.get("affinity")
        self.namespace: str = metadata.get("namespace", "")
        self.labels: dict[str, str] = metadata.get("labels") or {}
        self.owner = _owner(pod)
        self.priority: int = spec.get("priority") or 0
        self.preemption_policy: str = spec.get("preemptionPolicy", "PreemptLowerPriority")
        self.requests = compute_requests(spec)
        self.tolerations: Sequence[Object] = spec.get("tolerations") or ()
        self.host_ports = _host_ports(spec)
        self.claims = _claims(pod)
        self.spread_constraints: Sequence[Object] = spec.get("topologySpreadConstraints") or ()
        self.images, self.container_count = _images(spec)
        self._read_node_affinity(spec, field(affinity, "nodeAffinity"))
        self._read_pod_affinity(field(affinity, "podAffinity"), field(affinity, "podAntiAffinity"))

    def _read_node_affinity(self, spec: Object, affinity: Object | None) -> None:
        selector = spec.get("nodeSelector")
        self.node_selector: Predicate | None = compile_match_labels(selector) if selector else None
        required = field(affinity, "requiredDuringSchedulingIgnoredDuringExecution")
        self.node_terms: tuple[NodePredicate, ...] | None = None
        self.node_names: frozenset[str] | None = None
        if required is not None:
            terms = required.get("nodeSelectorTerms") or ()
            self.node_terms = tuple(compile_node_selector_term(term) for term in terms)
            self.node_names = _node_names(terms)
        preferred = field(affinity, "preferredDuringSchedulingIgnoredDuringExecution") or ()
        self.preferred_node_terms: tuple[tuple[NodePredicate, int], ...] = tuple(
            (compile_node_selector_term(term["preference"]), term["weight"]) for term in preferred
        )

    def _read_pod_affinity(self, near: Object | None, far: Object | None) -> None:
        required, preferred = "requiredDuringSchedulingIgnoredDuringExecution", "preferredDuringScheduling"
        preferred += "IgnoredDuringExecution"

        def hard(side: Object | None) -> tuple[PodTerm, ...]:
            return tuple(pod_term_of(term, self.namespace) for term in field(side, required) or ())

        def soft(side: Object | None) -> tuple[PodTerm, ...]:
            terms = field(side, preferred) or ()
            return tuple(pod_term_of(term["podAffinityTerm"], self.namespace, term["weight"]) for term in terms)

        self.affinity_terms = hard(near)
        self.anti_affinity_terms = hard(far)
        self.preferred_affinity_terms = soft(near)
        self.preferred_anti_affinity_terms = soft(far)
        # Whether its presence on a node matters to the affinity of other Pods.
        self.has_affinity = bool(
            self.affinity_terms
            or self.anti_affinity_terms
            or self.preferred_affinity_terms
            or self.preferred_anti_affinity_terms
        )

    def weighs_like(self, other: PodProfile) -> bool:
        """Whether a Pod of either profile takes the same of its node; labels may differ."""
        return (
            self.requests == other.requests
            and self.priority == other.priority
            and self.host_ports == other.host_ports
            and self.claims == other.claims
            and not self.has_affinity
            and not other.has_affinity
        )


def _owner(pod: Object) -> tuple[str, str]:
    """Kind and name of the controller; they decide the default spreading selector."""
    owner = controller_of(pod)
    return ("", "") if owner is None else (owner["kind"], owner["name"])


def _host_ports(spec: Object) -> tuple[HostPort, ...]:
    """Upstream: pkg/scheduler/util/utils.go:GetHostPorts (containers and sidecars) @v1.36"""
    containers = list(spec["containers"])
    containers += [c for c in spec.get("initContainers") or () if c.get("restartPolicy") == "Always"]
    return tuple(
        HostPort(port.get("hostIP") or "0.0.0.0", port.get("protocol") or "TCP", port["hostPort"])  # noqa: S104
        for container in containers
        for port in container.get("ports") or ()
        if port.get("hostPort")
    )


def _claims(pod: Object) -> tuple[Claim, ...]:
    claims = []
    for volume in pod["spec"].get("volumes") or ():
        if "persistentVolumeClaim" in volume:
            claims.append(Claim(volume["persistentVolumeClaim"]["claimName"], is_ephemeral=False))
        elif "ephemeral" in volume:
            claims.append(Claim(f"{pod['metadata']['name']}-{volume['name']}", is_ephemeral=True))
    return tuple(claims)


def _images(spec: Object) -> tuple[tuple[str, ...], int]:
    """Image names, in full, of everything that is pulled, and the number of containers."""
    containers = [*(spec.get("initContainers") or ()), *spec["containers"]]
    names = [container.get("image", "") for container in containers]
    names += [volume["image"].get("reference", "") for volume in spec.get("volumes") or () if "image" in volume]
    return tuple(name if name.rfind(":") > name.rfind("/") else name + ":latest" for name in names), len(containers)


def _node_names(terms: Sequence[Object]) -> frozenset[str] | None:
    """The only nodes that required affinity leaves, where every alternative names some; None where all are open.

    Upstream: pkg/scheduler/framework/plugins/nodeaffinity/node_affinity.go:PreFilter @v1.36
    """
    if not terms:
        return None
    names: frozenset[str] = frozenset()
    for term in terms:
        fields = term.get("matchFields") or ()
        listed = [frozenset(f["values"]) for f in fields if f["key"] == "metadata.name" and f["operator"] == "In"]
        if not listed:
            return None
        names |= frozenset.intersection(*listed)
    return names


@final
class PodProfiles:
    """The profiles of all Pods seen, each distinct one once."""

    __slots__ = ("_by_content", "_by_identity", "_relabelled")

    def __init__(self) -> None:
        self._by_identity: dict[tuple[Any, ...], tuple[PodProfile, tuple[Any, ...]]] = {}
        self._by_content: dict[bytes, PodProfile] = {}
        self._relabelled: dict[tuple[PodProfile, tuple[tuple[str, str], ...]], PodProfile] = {}

    def of(self, pod: Object) -> PodProfile:
        """The Pod's profile; equal Pods have the same one."""
        spec = effective_spec(pod)
        if spec is not pod["spec"]:
            pod = {**pod, "spec": spec}
        parts = _parts(pod)
        identity = tuple([part if part.__class__ is str else id(part) for part in parts])
        known = self._by_identity.get(identity)
        if known is not None:
            return known[0]
        content = _encode(parts)
        profile = self._by_content.get(content)
        if profile is None:
            if len(self._by_content) >= 4 * _IDENTITIES_MAX:
                self._by_content.clear()
            profile = self._by_content[content] = PodProfile(pod)
        if len(self._by_identity) >= _IDENTITIES_MAX:
            self._by_identity.clear()
        # The parts are kept with the entry: an identity must not be reused by another object while it stands here.
        self._by_identity[identity] = (profile, tuple(parts))
        return profile

    def relabelled(self, profile: PodProfile, before: Object, pod: Object) -> PodProfile:
        """The profile of a newer version of a Pod that had `profile`; binding adds the node's zone to its labels."""
        if not has_same_template(before, pod):
            return self.of(pod)
        key = (profile, tuple((pod["metadata"].get("labels") or {}).items()))
        known = self._relabelled.get(key)
        if known is None:
            if len(self._relabelled) >= _IDENTITIES_MAX:
                self._relabelled.clear()
            known = self._relabelled[key] = self.of(pod)
        return known


def has_same_template(before: Object, after: Object) -> bool:
    """Whether two versions of a Pod share everything that can change in its spec while it is on a node, and its
    requests are those of the spec."""
    old, new = before["spec"], after["spec"]
    is_shared = old is new or (
        old["containers"] is new["containers"]
        and old.get("initContainers") is new.get("initContainers")
        and old.get("tolerations") is new.get("tolerations")
        and old.get("resources") is new.get("resources")
    )
    return is_shared and effective_spec(before) is old and effective_spec(after) is new


_SPEC_FIELDS: Final = (
    "nodeSelector",
    "affinity",
    "tolerations",
    "topologySpreadConstraints",
    "priority",
    "preemptionPolicy",
    "overhead",
    "resources",
)


def _parts(pod: Object) -> list[Any]:
    """The subtrees that a profile is made of, without what differs from Pod to Pod of one template."""
    metadata = pod["metadata"]
    spec = pod["spec"]
    get = spec.get
    parts = [metadata.get("namespace", ""), metadata.get("labels")]
    parts += [get(name) for name in _SPEC_FIELDS]
    for reference in metadata.get("ownerReferences") or ():
        if reference.get("controller"):
            parts.append(reference["kind"])
            parts.append(reference["name"])
    for container in spec["containers"]:
        parts += (container.get("image"), container.get("resources"), container.get("ports"))
    if "initContainers" in spec:
        for container in spec["initContainers"]:
            parts += ("init", container.get("image"), container.get("resources"), container.get("ports"))
            parts.append(container.get("restartPolicy"))
    for volume in get("volumes") or ():
        if "persistentVolumeClaim" in volume:
            parts.append("claim")
            parts.append(volume["persistentVolumeClaim"])
        elif "ephemeral" in volume:
            parts += ("ephemeral", metadata["name"], volume["name"])
        elif "image" in volume:
            parts.append(volume)
    return parts

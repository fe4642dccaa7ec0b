"""Where a Pod may run: node selectors and affinity, Pod affinity, tolerations, topology spread.

Upstream: pkg/apis/core/validation/validation.go:validateAffinity, ValidateTolerations,
validateTopologySpreadConstraints @v1.36
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from kubesim.api import names
from kubesim.api.objects import Object
from kubesim.api.validation.field import duplicate, forbidden, invalid, not_supported, required
from kubesim.api.validation.formats import dns_label, label_selector, positive, qualified_name
from kubesim.api.validation.node_selector import validate_node_selector, validate_node_selector_term
from kubesim.errors import Cause

_EFFECTS = ("NoSchedule", "PreferNoSchedule", "NoExecute")
_SPREAD_ACTIONS = ("DoNotSchedule", "ScheduleAnyway")
_INCLUSION_POLICIES = ("Honor", "Ignore")
_REQUIRED, _PREFERRED = (
    "requiredDuringSchedulingIgnoredDuringExecution",
    "preferredDuringSchedulingIgnoredDuringExecution",
)
_OPERATORS_BY_GATE = ("Equal", "Exists", "Lt", "Gt")


def validate_affinity(affinity: Object, path: str) -> Iterator[Cause]:
    """`spec.affinity`."""
    node = affinity.get("nodeAffinity")
    if node is not None:
        yield from _node_affinity(node, f"{path}.nodeAffinity")
    for name in ("podAffinity", "podAntiAffinity"):
        pods = affinity.get(name)
        if pods is not None:
            yield from _pod_affinity(pods, f"{path}.{name}")


def _node_affinity(affinity: Object, path: str) -> Iterator[Cause]:
    selector = affinity.get(_REQUIRED)
    if selector is not None:
        yield from validate_node_selector(selector, f"{path}.{_REQUIRED}")
    for index, term in enumerate(affinity.get(_PREFERRED) or ()):
        at = f"{path}.{_PREFERRED}[{index}]"
        yield from _weight(term, at)
        # Upstream lets invalid label values pass here: a preference that nothing meets does no harm.
        yield from validate_node_selector_term(term.get("preference") or {}, f"{at}.preference", check_values=False)


def _pod_affinity(affinity: Object, path: str) -> Iterator[Cause]:
    for index, term in enumerate(affinity.get(_REQUIRED) or ()):
        yield from _pod_affinity_term(term, f"{path}.{_REQUIRED}[{index}]")
    for index, weighted in enumerate(affinity.get(_PREFERRED) or ()):
        at = f"{path}.{_PREFERRED}[{index}]"
        yield from _weight(weighted, at)
        yield from _pod_affinity_term(weighted.get("podAffinityTerm") or {}, f"{at}.podAffinityTerm")


def _weight(term: Object, path: str) -> Iterator[Cause]:
    weight = term.get("weight", 0)
    if not 0 < weight <= 100:
        yield invalid(f"{path}.weight", weight, "must be in the range 1-100")


def _pod_affinity_term(term: Object, path: str) -> Iterator[Cause]:
    yield from label_selector(f"{path}.labelSelector", term.get("labelSelector"))
    yield from label_selector(f"{path}.namespaceSelector", term.get("namespaceSelector"))
    for namespace in term.get("namespaces") or ():
        yield from dns_label(f"{path}.namespace", namespace)
    match, mismatch = term.get("matchLabelKeys") or (), term.get("mismatchLabelKeys") or ()
    yield from _label_keys(match, mismatch, term.get("labelSelector"), path)
    topology_key = term.get("topologyKey", "")
    if not topology_key:
        yield required(f"{path}.topologyKey", "can not be empty")
    yield from qualified_name(f"{path}.topologyKey", topology_key)


def _label_keys(match: Sequence[str], mismatch: Sequence[str], selector: Object | None, path: str) -> Iterator[Cause]:
    for name, keys in (("matchLabelKeys", match), ("mismatchLabelKeys", mismatch)):
        if keys and selector is None:
            yield forbidden(f"{path}.{name}", "must not be specified when labelSelector is not set")
            continue
        for index, key in enumerate(keys):
            yield from qualified_name(f"{path}.{name}[{index}]", key)
    if selector is not None and match:
        selected = set(selector.get("matchLabels") or ())
        for requirement in selector.get("matchExpressions") or ():
            key = requirement.get("key", "")
            if key in match and key in selected:
                # The API server has merged the selector of matchLabelKeys already, so the second time is the user's.
                index = len(match) - 1 - list(reversed(match)).index(key)
                yield invalid(f"{path}[{index}]", key, "exists in both matchLabelKeys and labelSelector")
            selected.add(key)
    for index, key in enumerate(match):
        if key in mismatch:
            detail = "exists in both matchLabelKeys and mismatchLabelKeys"
            yield invalid(f"{path}.matchLabelKeys[{index}]", key, detail)


def validate_tolerations(tolerations: Sequence[Object], path: str) -> Iterator[Cause]:
    """`spec.tolerations`."""
    for index, toleration in enumerate(tolerations):
        yield from _toleration(toleration, f"{path}[{index}]")


def _toleration(toleration: Object, path: str) -> Iterator[Cause]:
    key, operator = toleration.get("key", ""), toleration.get("operator", "")
    value, effect = toleration.get("value", ""), toleration.get("effect", "")
    if key:
        yield from qualified_name(f"{path}.key", key)
    elif operator != "Exists":
        detail = 'operator must be Exists when `key` is empty, which means "match all values and all keys"'
        yield invalid(f"{path}.operator", operator, detail)
    if toleration.get("tolerationSeconds") is not None and effect != "NoExecute":
        yield invalid(f"{path}.effect", effect, "effect must be 'NoExecute' when `tolerationSeconds` is set")
    if operator in ("Equal", ""):
        messages = names.label_value(value)
        if messages:
            yield invalid(f"{path}.operator", value, ";".join(messages))
    elif operator == "Exists":
        if value:
            yield invalid(f"{path}.operator", value, "value must be empty when `operator` is 'Exists'")
    elif operator in ("Lt", "Gt"):
        yield not_supported(f"{path}.operator", operator, _OPERATORS_BY_GATE)
    else:
        yield not_supported(f"{path}.operator", operator, ("Equal", "Exists"))
    if effect and effect not in _EFFECTS:
        yield not_supported(f"{path}.effect", effect, _EFFECTS)


def validate_topology_spread(constraints: Sequence[Object], path: str) -> Iterator[Cause]:
    """`spec.topologySpreadConstraints`."""
    for index, constraint in enumerate(constraints):
        at = f"{path}[{index}]"
        key, action = constraint.get("topologyKey", ""), constraint.get("whenUnsatisfiable", "")
        yield from positive(f"{at}.maxSkew", constraint.get("maxSkew", 0))
        if not key:
            yield required(f"{at}.topologyKey", "can not be empty")
        if action not in _SPREAD_ACTIONS:
            yield not_supported(f"{at}.whenUnsatisfiable", action, _SPREAD_ACTIONS)
        for other in constraints[index + 1 :]:
            if (other.get("topologyKey", ""), other.get("whenUnsatisfiable", "")) == (key, action):
                yield duplicate(f"{at}.{{topologyKey, whenUnsatisfiable}}", f"{{{key}, {action}}}")
                break
        yield from _min_domains(constraint.get("minDomains"), action, f"{at}.minDomains")
        for name in ("nodeAffinityPolicy", "nodeTaintsPolicy"):
            policy = constraint.get(name)
            if policy is not None and policy not in _INCLUSION_POLICIES:
                yield not_supported(f"{at}.{name}", policy, _INCLUSION_POLICIES)
        selector = constraint.get("labelSelector")
        yield from _label_keys(constraint.get("matchLabelKeys") or (), (), selector, at)
        yield from label_selector(f"{at}.labelSelector", selector)


def _min_domains(minimum: int | None, action: str, path: str) -> Iterator[Cause]:
    if minimum is None:
        return
    yield from positive(path, minimum)
    if action != "DoNotSchedule":
        detail = f"can only use minDomains if whenUnsatisfiable=DoNotSchedule, not {action}"
        yield invalid(path, minimum, detail)

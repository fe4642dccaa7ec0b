"""PodDisruptionBudget, and the conditions of status that carry an observed generation.

Upstream: pkg/apis/policy/validation/validation.go, apimachinery/pkg/apis/meta/v1/validation/validation.go @v1.36
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from kubesim.api import names
from kubesim.api.int_or_string import IntOrString
from kubesim.api.objects import Object
from kubesim.api.validation import field, formats, internal_form
from kubesim.api.validation.rules import Rules
from kubesim.errors import Cause

_EVICTION_POLICIES = ("AlwaysAllow", "IfHealthyBudget")
_COUNTS = ("disruptionsAllowed", "currentHealthy", "desiredHealthy", "expectedPods")
_CONDITION_STATES = ("False", "True", "Unknown")
_REASON_BYTES_MAX = 1024
_MESSAGE_BYTES_MAX = 32 * 1024
_REASON_PATTERN = "[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?"
_REASON_PROBLEM = (
    "a condition reason must start with alphabetic character, optionally followed by a string of alphanumeric "
    "characters or '_,:', and must end with an alphanumeric character or '_' (e.g. 'my_name',  or 'MY_NAME',  or "
    f"'MyName',  or 'ReasonA,ReasonB',  or 'ReasonA:ReasonB', regex used for validation is '{_REASON_PATTERN}')"
)


def _bound(path: str, value: IntOrString | None) -> Iterator[Cause]:
    """A count of Pods, or a percentage of them."""
    if value is None:
        return
    if isinstance(value, int):
        yield from formats.nonnegative(path, value)
        return
    problems = names.percent(value)
    yield from formats.check(path, value, problems)
    if not problems and int(value[:-1]) > 100:
        yield field.invalid(path, value, "must not be greater than 100%")


def _budget(obj: Object) -> list[Cause]:
    spec = obj.get("spec") or {}
    causes: list[Cause] = []
    if "minAvailable" in spec and "maxUnavailable" in spec:
        shown = internal_form.budget_spec(spec)
        causes.append(field.invalid("spec", shown, "minAvailable and maxUnavailable cannot be both set"))
    causes += _bound("spec.minAvailable", spec.get("minAvailable"))
    causes += _bound("spec.maxUnavailable", spec.get("maxUnavailable"))
    causes += formats.label_selector("spec.selector", spec.get("selector"))
    policy = spec.get("unhealthyPodEvictionPolicy")
    if policy is not None and policy not in _EVICTION_POLICIES:
        causes.append(field.not_supported("spec.unhealthyPodEvictionPolicy", policy, _EVICTION_POLICIES))
    return causes


def _budget_status(new: Object, _old: Object) -> list[Cause]:
    status = new.get("status") or {}
    causes = list(validate_conditions(status.get("conditions") or [], "status.conditions"))
    for name in _COUNTS:
        causes += formats.nonnegative(f"status.{name}", status.get(name, 0))
    return causes


def validate_conditions(conditions: list[Object], path: str) -> Iterator[Cause]:
    """A list of `metav1.Condition`, at most one of a type.

    Upstream: apimachinery/pkg/apis/meta/v1/validation/validation.go:ValidateConditions @v1.36
    """
    seen: set[str] = set()
    for index, condition in enumerate(conditions):
        name = condition.get("type", "")
        if name in seen:
            yield field.duplicate(f"{path}[{index}].type", name)
        seen.add(name)
        yield from _condition(condition, f"{path}[{index}]")


def _condition(condition: Object, path: str) -> Iterator[Cause]:
    yield from formats.qualified_name(f"{path}.type", condition.get("type", ""))
    state = condition.get("status", "")
    if state not in _CONDITION_STATES:
        yield field.not_supported(f"{path}.status", state, _CONDITION_STATES)
    generation = condition.get("observedGeneration", 0)
    if generation < 0:
        yield field.invalid(f"{path}.observedGeneration", generation, "must be greater than or equal to zero")
    if not condition.get("lastTransitionTime"):
        yield field.required(f"{path}.lastTransitionTime")
    reason = condition.get("reason", "")
    if not reason:
        yield field.required(f"{path}.reason")
    elif not re.fullmatch(_REASON_PATTERN, reason):
        yield field.invalid(f"{path}.reason", reason, _REASON_PROBLEM)
    if len(reason.encode()) > _REASON_BYTES_MAX:
        yield field.too_long(f"{path}.reason", _REASON_BYTES_MAX)
    if len(condition.get("message", "").encode()) > _MESSAGE_BYTES_MAX:
        yield field.too_long(f"{path}.message", _MESSAGE_BYTES_MAX)


RULES: dict[str, Rules] = {
    "poddisruptionbudgets.policy": Rules(_budget, lambda new, _old: _budget(new), _budget_status)
}

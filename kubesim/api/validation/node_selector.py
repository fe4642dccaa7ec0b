"""Node selectors with terms: those of volumes and of a Pod's node affinity.

Upstream: pkg/apis/core/validation/validation.go:ValidateNodeSelector @v1.36
"""

from __future__ import annotations

from collections.abc import Iterator

from kubesim.api import names
from kubesim.api.objects import Object
from kubesim.api.validation import field, formats
from kubesim.errors import Cause

_NO_VALUES = "must be specified when `operator` is 'In' or 'NotIn'"
_VALUES = "may not be specified when `operator` is 'Exists' or 'DoesNotExist'"
_ONE_VALUE = "must be specified single value when `operator` is 'Lt' or 'Gt'"
_ONE_FIELD_VALUE = "must be only one value when `operator` is 'In' or 'NotIn' for node field selector"
_NOT_AN_OPERATOR = "not a valid selector operator"


def validate_node_selector(selector: Object, path: str) -> Iterator[Cause]:
    """A `NodeSelector`: at least one term, and each of its requirements."""
    terms = selector.get("nodeSelectorTerms")
    if not terms:
        yield field.required(f"{path}.nodeSelectorTerms", "must have at least one node selector term")
        return
    for index, term in enumerate(terms):
        yield from validate_node_selector_term(term, f"{path}.nodeSelectorTerms[{index}]")


def validate_node_selector_term(term: Object, path: str, *, check_values: bool = True) -> Iterator[Cause]:
    """A `NodeSelectorTerm`; an empty one is valid and selects nothing. Preferences leave label values unchecked."""
    for index, requirement in enumerate(term.get("matchExpressions") or ()):
        yield from _expression(requirement, f"{path}.matchExpressions[{index}]", check_values=check_values)
    for index, requirement in enumerate(term.get("matchFields") or ()):
        yield from _field(requirement, f"{path}.matchFields[{index}]")


def _expression(requirement: Object, path: str, *, check_values: bool) -> Iterator[Cause]:
    operator, values = requirement.get("operator", ""), requirement.get("values") or []
    if operator in ("In", "NotIn"):
        if not values:
            yield field.required(f"{path}.values", _NO_VALUES)
    elif operator in ("Exists", "DoesNotExist"):
        if values:
            yield field.forbidden(f"{path}.values", _VALUES)
    elif operator in ("Gt", "Lt"):
        if len(values) != 1:
            yield field.required(f"{path}.values", _ONE_VALUE)
    else:
        yield field.invalid(f"{path}.operator", operator, _NOT_AN_OPERATOR)
    yield from formats.qualified_name(f"{path}.key", requirement.get("key", ""))
    for index, value in enumerate(values if check_values else ()):
        yield from formats.check(f"{path}.values[{index}]", value, names.label_value(value))


def _field(requirement: Object, path: str) -> Iterator[Cause]:
    operator, values = requirement.get("operator", ""), requirement.get("values") or []
    if operator not in ("In", "NotIn"):
        yield field.invalid(f"{path}.operator", operator, _NOT_AN_OPERATOR)
    elif len(values) != 1:
        yield field.required(f"{path}.values", _ONE_FIELD_VALUE)
    key = requirement.get("key", "")
    if key != "metadata.name":
        yield field.invalid(f"{path}.key", key, "not a valid field selector key")
        return
    for index, value in enumerate(values):
        yield from formats.dns_subdomain(f"{path}.values[{index}]", value)

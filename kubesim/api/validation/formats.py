"""The formats that many fields share, each as a generator of the causes a value gives at a path."""

from __future__ import annotations

import re
from collections.abc import Container, Iterable, Iterator, Mapping
from typing import Any

from kubesim.api import names
from kubesim.api.objects import Object
from kubesim.api.validation.field import forbidden, invalid, required
from kubesim.errors import Cause


def check(path: str, value: Any, messages: Iterable[str]) -> Iterator[Cause]:
    """One `Invalid` per message of a format check."""
    for message in messages:
        yield invalid(path, value, message)


def dns_label(path: str, value: str) -> Iterator[Cause]:
    """An RFC 1123 label."""
    return check(path, value, names.dns_1123_label(value))


def dns_subdomain(path: str, value: str) -> Iterator[Cause]:
    """An RFC 1123 subdomain: the name of most objects."""
    return check(path, value, names.dns_1123_subdomain(value))


def qualified_name(path: str, value: str) -> Iterator[Cause]:
    """A label key, with or without a prefix."""
    return check(path, value, names.qualified_name(value))


def nonnegative(path: str, value: int) -> Iterator[Cause]:
    """An integer that is zero or more."""
    if value < 0:
        yield invalid(path, value, "must be greater than or equal to 0")


def positive(path: str, value: int) -> Iterator[Cause]:
    """An integer of one or more."""
    if value <= 0:
        yield invalid(path, value, "must be greater than zero")


def ip_address(path: str, value: str, accepted: Container[str] = ()) -> Iterator[Cause]:
    """An IPv4 or IPv6 address; the values in `accepted` were there before and may stay."""
    if _is_plain_ipv4(value):
        return
    from kubesim.api.validation.addresses import legacy_ip

    yield from legacy_ip(path, value, accepted)


_BYTE = "(?:25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])"
_is_plain_ipv4 = re.compile(rf"{_BYTE}(?:\.{_BYTE}){{3}}").fullmatch


def labels(path: str, values: Mapping[str, str]) -> Iterator[Cause]:
    """A map of labels; a broken key and a broken value are both reported at the map's own path."""
    for key, value in values.items():
        yield from qualified_name(path, key)
        yield from check(path, value, names.label_value(value))


def label_selector(path: str, selector: Object | None) -> Iterator[Cause]:
    """A `metav1.LabelSelector`.

    Upstream: apimachinery/pkg/apis/meta/v1/validation/validation.go:ValidateLabelSelector @v1.36
    """
    if selector is None:
        return
    yield from labels(f"{path}.matchLabels", selector.get("matchLabels") or {})
    for index, requirement in enumerate(selector.get("matchExpressions") or ()):
        yield from _selector_requirement(f"{path}.matchExpressions[{index}]", requirement)


def _selector_requirement(path: str, requirement: Object) -> Iterator[Cause]:
    operator, values = requirement.get("operator", ""), requirement.get("values") or ()
    if operator in ("In", "NotIn"):
        if not values:
            yield required(f"{path}.values", "must be specified when `operator` is 'In' or 'NotIn'")
    elif operator in ("Exists", "DoesNotExist"):
        if values:
            yield forbidden(f"{path}.values", "may not be specified when `operator` is 'Exists' or 'DoesNotExist'")
    else:
        yield invalid(f"{path}.operator", operator, "not a valid selector operator")
    yield from qualified_name(f"{path}.key", requirement.get("key", ""))
    for index, value in enumerate(values):
        yield from check(f"{path}.values[{index}]", value, names.label_value(value))


def is_valid_selector(selector: Object | None) -> bool:
    """Whether a selector can be evaluated at all: what `LabelSelectorAsSelector` accepts."""
    return next(label_selector("", selector), None) is None

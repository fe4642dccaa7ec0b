"""Setting what is missing while sharing what is there: every function returns its argument when nothing is missing."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from kubesim.api.objects import Object


def absent(holder: Object, defaults: Mapping[str, Any]) -> Object:
    """`holder` with the defaults of those fields that it does not have: pointers upstream."""
    missing = {name: value for name, value in defaults.items() if holder.get(name) is None}
    return {**holder, **missing} if missing else holder


def zero(holder: Object, defaults: Mapping[str, Any]) -> Object:
    """`holder` with the defaults of those fields that it does not have or that are zero: plain values upstream."""
    missing = {name: value for name, value in defaults.items() if not holder.get(name)}
    return {**holder, **missing} if missing else holder


def within(holder: Object, name: str, default: Callable[[Any], Any]) -> Object:
    """`holder` with the default of the object in one of its fields, if that is there."""
    value = holder.get(name)
    if value is None:
        return holder
    defaulted = default(value)
    return holder if defaulted is value else {**holder, name: defaulted}


def each(holder: Object, name: str, default: Callable[[Object], Object]) -> Object:
    """`holder` with the default of every item of one of its lists."""
    items = holder.get(name)
    if not items:
        return holder
    defaulted = [default(item) for item in items]
    if all(new is old for new, old in zip(defaulted, items, strict=True)):
        return holder
    return {**holder, name: defaulted}

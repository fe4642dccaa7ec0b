"""Quantities as the API server stores them: decoded, rounded up to thousandths, and printed again.

`cpu: 1` is stored as "1", `0.5` as "500m" and `1000m` as "1". A list that is canonical already comes back itself,
so that subtrees stay shared; lists that many objects share are rewritten once.
Upstream: pkg/apis/core/v1/defaults.go:SetDefaults_ResourceList,
apimachinery/pkg/api/resource/quantity.go:RoundUp @v1.36
"""

from __future__ import annotations

from functools import lru_cache

from kubesim.api import quantity
from kubesim.api.memo import IdentityMemo
from kubesim.api.objects import Object

_NANO_PER_MILLI = 1_000_000


@lru_cache(16384, typed=True)
def canonical_amount(amount: quantity.QuantityText) -> str:
    """The text that is stored for an amount of a resource: nothing finer than thousandths."""
    nano, form, _ = quantity.parse(amount)
    if nano % _NANO_PER_MILLI == 0:
        return quantity.canonical(amount)
    # Away from zero, as upstream rounds: 100u is 1m.
    rounded = -(-nano // _NANO_PER_MILLI) if nano > 0 else nano // _NANO_PER_MILLI
    return quantity.from_milli(rounded, form)


def _resource_list(amounts: Object) -> Object:
    canonical = {name: canonical_amount(amount) for name, amount in amounts.items()}
    # A number equal to its text does not exist, so unequal here means unlike what is stored.
    return amounts if canonical == amounts else canonical


def _resources(resources: Object) -> Object:
    changed: Object = {
        name: canonical
        for name in ("limits", "requests")
        if name in resources and (canonical := canonical_resource_list(resources[name] or {})) is not resources[name]
    }
    return {**resources, **changed} if changed else resources


canonical_resource_list: IdentityMemo[Object] = IdentityMemo(_resource_list)
"""A `ResourceList` (name → amount) with canonical amounts; `canonical_resource_list(amounts)`."""

canonical_resources: IdentityMemo[Object] = IdentityMemo(_resources)
"""`ResourceRequirements` (`limits`, `requests`, …) with canonical amounts; `canonical_resources(resources)`."""


def with_canonical_lists(holder: Object, *names: str) -> Object:
    """`holder` with the resource lists under these names made canonical; itself when they are."""
    changed = {
        name: canonical
        for name in names
        if holder.get(name) and (canonical := canonical_resource_list(holder[name])) is not holder[name]
    }
    return {**holder, **changed} if changed else holder

"""The linked address fields of a Service: clusterIP, clusterIPs, ipFamilies and ipFamilyPolicy.

They must agree with one another, and most of them may not change while the Service keeps an address.
Upstream: pkg/apis/core/validation/validation.go:ValidateServiceClusterIPsRelatedFields,
validateUpgradeDowngradeClusterIPs, validateUpgradeDowngradeIPFamilies @v1.36
"""

from __future__ import annotations

from collections.abc import Iterator

from kubesim.api.objects import Object
from kubesim.api.service_types import is_headless
from kubesim.api.validation import addresses, field
from kubesim.errors import Cause

_FAMILIES = ("IPv4", "IPv6")
_POLICIES = ("PreferDualStack", "RequireDualStack", "SingleStack")
_ONCE_SET = "may not change once set"


def validate_cluster_ips(spec: Object, old_spec: Object | None) -> list[Cause]:
    """What is wrong with the address fields of a Service; `old_spec` is None on create."""
    if spec.get("type") == "ExternalName":
        return []
    listed = spec.get("clusterIPs") or []
    causes = [*_first(spec, listed), *_families(spec.get("ipFamilies") or [])]
    policy = spec.get("ipFamilyPolicy")
    if policy is not None and policy not in _POLICIES:
        causes.append(field.not_supported("spec.ipFamilyPolicy", policy, _POLICIES))
    broken = list(_listed(listed, (old_spec or {}).get("clusterIPs") or ()))
    causes += broken
    if len(listed) > 2:
        causes.append(field.invalid("spec.clusterIPs", listed, "may only hold up to 2 values"))
    if not broken:
        causes += _matching_families(spec, listed)
    return causes


def _first(spec: Object, listed: list[str]) -> Iterator[Cause]:
    single = spec.get("clusterIP")
    if not single:
        if listed:
            yield field.invalid("spec.clusterIPs", listed, "must be empty when `clusterIP` is not specified")
    elif not listed:
        yield field.required("spec.clusterIPs")
    elif listed[0] != single:
        yield field.invalid("spec.clusterIPs", listed, "first value must match `clusterIP`")


def _families(families: list[str]) -> Iterator[Cause]:
    for index, family in enumerate(families):
        if family not in _FAMILIES:
            yield field.not_supported(f"spec.ipFamilies[{index}]", family, _FAMILIES)
        if family in families[:index]:
            yield field.duplicate(f"spec.ipFamilies[{index}]", family)


def _listed(listed: list[str], accepted: list[str] | tuple[()]) -> Iterator[Cause]:
    for index, address in enumerate(listed):
        if index == 0 and address == "None":
            if len(listed) > 1:
                yield field.invalid("spec.clusterIPs", listed, "'None' must be the first and only value")
            continue
        yield from addresses.legacy_ip(f"spec.clusterIPs[{index}]", address, accepted)


def _matching_families(spec: Object, listed: list[str]) -> Iterator[Cause]:
    of_addresses = [addresses.parse(address).family for address in listed]
    if len(listed) > 1 and len(set(of_addresses)) == 1:
        yield field.invalid("spec.clusterIPs", listed, "may specify no more than one IP for each IP family")
    if is_headless(spec):
        return
    pairs = zip(listed, of_addresses, spec.get("ipFamilies") or (), strict=False)
    for index, (address, family, expected) in enumerate(pairs):
        if family != expected and expected in _FAMILIES:
            why = f"expected an {expected} value as indicated by `ipFamilies[{index}]`"
            yield field.invalid(f"spec.clusterIPs[{index}]", address, why)


def validate_address_change(spec: Object, old_spec: Object) -> list[Cause]:
    """What of the addresses and families may not change: the first of each, unless the Service becomes external."""
    if "ExternalName" in (spec.get("type"), old_spec.get("type")):
        return []
    headless, was_headless = is_headless(spec), is_headless(old_spec)
    causes = [] if headless and was_headless else list(_cluster_ip_change(spec, old_spec))
    if not headless and not was_headless:
        causes += _family_change(spec, old_spec)
    return causes


def _cluster_ip_change(spec: Object, old_spec: Object) -> Iterator[Cause]:
    listed, old_listed = spec.get("clusterIPs") or [], old_spec.get("clusterIPs") or []
    if len(listed) == len(old_listed):
        for index, (address, old_address) in enumerate(zip(listed, old_listed, strict=True)):
            if address != old_address:
                yield field.invalid(f"spec.clusterIPs[{index}]", listed, _ONCE_SET)
        return
    if not listed:
        yield field.invalid("spec.clusterIPs[0]", None, "primary clusterIP can not be unset")
    elif old_listed and listed[0] != old_listed[0]:
        yield field.invalid("spec.clusterIPs[0]", listed, _ONCE_SET)
    if len(listed) == 1 and len(old_listed) > 1:
        yield from _released(spec, "clusterIP")


def _family_change(spec: Object, old_spec: Object) -> Iterator[Cause]:
    families, old_families = spec.get("ipFamilies") or [], old_spec.get("ipFamilies") or []
    if len(families) == len(old_families):
        for family, old_family in zip(families, old_families, strict=True):
            if family != old_family:
                yield field.invalid("spec.ipFamilies[0]", families, _ONCE_SET)
        return
    addresses_listed = spec.get("clusterIPs") or None
    if len(old_families) > len(families) and not addresses_listed:
        yield field.invalid("spec.ipFamilies[0]", families or None, "primary ipFamily can not be unset")
    if families and old_families and families[0] != old_families[0]:
        # Upstream prints the addresses here, not the families.
        yield field.invalid("spec.ipFamilies[0]", addresses_listed, _ONCE_SET)
    if len(families) == 1 and len(old_families) > 1:
        yield from _released(spec, "ipFamily")


def _released(spec: Object, what: str) -> Iterator[Cause]:
    policy = spec.get("ipFamilyPolicy")
    if policy != "SingleStack":
        why = f"must be set to 'SingleStack' when releasing the secondary {what}"
        yield field.invalid("spec.ipFamilyPolicy", policy, why)

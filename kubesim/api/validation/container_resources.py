"""Resource requests and limits: known names, well-formed amounts, requests within limits.

Upstream: pkg/apis/core/validation/validation.go:validateResourceRequirements @v1.36, pkg/apis/core/helper/helpers.go
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from kubesim.api import names, quantity
from kubesim.api.objects import Object
from kubesim.api.validation.field import duplicate, forbidden, invalid, not_found, not_supported, required
from kubesim.api.validation.formats import dns_label
from kubesim.errors import Cause

_CONTAINER_RESOURCES = frozenset({"cpu", "memory", "ephemeral-storage"})
_INTEGER_RESOURCES = frozenset(
    {
        "pods",
        "resourcequotas",
        "services",
        "replicationcontrollers",
        "secrets",
        "configmaps",
        "persistentvolumeclaims",
        "services.nodeports",
        "services.loadbalancers",
    }
)
_STANDARD_RESOURCES = (
    _CONTAINER_RESOURCES
    | _INTEGER_RESOURCES
    | {"storage"}
    | {f"{kind}.{name}" for kind in ("requests", "limits") for name in ("cpu", "memory", "ephemeral-storage")}
    | {"requests.storage"}
)
_HUGE_PAGES = "hugepages-"


def is_huge_page(resource: str) -> bool:
    """Whether the resource is a size of huge pages, e.g. `hugepages-2Mi`."""
    return resource.startswith(_HUGE_PAGES)


def is_native(resource: str) -> bool:
    """Whether the resource is Kubernetes' own: without a prefix, or with one under kubernetes.io."""
    return "/" not in resource or "kubernetes.io/" in resource


def is_extended(resource: str) -> bool:
    """Whether the resource is one that somebody else defines, e.g. `nvidia.com/gpu`."""
    if is_native(resource) or resource.startswith("requests."):
        return False
    return not names.qualified_name(f"requests.{resource}")


def is_overcommit_allowed(resource: str) -> bool:
    """Whether a request may be less than the limit."""
    return is_native(resource) and not is_huge_page(resource)


def validate_container_resources(resources: Object, claim_names: frozenset[str], path: str) -> Iterator[Cause]:
    """`resources` of one container; `claim_names` are the Pod's `resourceClaims`."""
    return _requirements(resources, _container_resource_name, claim_names, path)


def validate_pod_resources(resources: Object, claim_names: frozenset[str], path: str) -> Iterator[Cause]:
    """`spec.resources`: what the Pod as a whole requests."""
    if resources.get("claims"):
        yield forbidden(f"{path}.claims", "claims may not be set for Resources at pod-level")
    yield from _requirements(resources, _pod_resource_name, claim_names, path)


def _requirements(
    resources: Object, check_name: Callable[[str, str], Iterator[Cause]], claim_names: frozenset[str], path: str
) -> Iterator[Cause]:
    limits, requests = resources.get("limits") or {}, resources.get("requests") or {}
    for name, amount in limits.items():
        at = f"{path}.limits[{name}]"
        yield from check_name(name, at)
        yield from _amount(name, amount, at)
    for name, amount in requests.items():
        at = f"{path}.requests[{name}]"
        yield from check_name(name, at)
        yield from validate_amount(name, amount, at)
        yield from _within_limit(name, amount, limits.get(name), path)
        yield from _huge_page_amount(name, amount, at)
    named = limits.keys() | requests.keys()
    if not named & {"cpu", "memory"} and any(is_huge_page(name) for name in named):
        yield forbidden(path, "HugePages require cpu or memory")
    if resources.get("claims"):
        yield from _claims(resources["claims"], claim_names, f"{path}.claims")


def _amount(name: str, amount: str, path: str) -> Iterator[Cause]:
    yield from validate_amount(name, amount, path)
    yield from _huge_page_amount(name, amount, path)


def validate_amount(name: str, amount: str, path: str) -> Iterator[Cause]:
    """An amount of a resource: not negative, and whole for what comes in pieces.

    Upstream: pkg/apis/core/validation/validation.go:ValidateResourceQuantityValue @v1.36
    """
    if quantity.parse(amount).nano < 0:
        yield invalid(path, quantity.canonical(amount), "must be greater than or equal to 0")
    if (name in _INTEGER_RESOURCES or is_extended(name)) and quantity.milli(amount) % 1000 != 0:
        yield invalid(path, quantity.canonical(amount), "must be an integer")


def _huge_page_amount(name: str, amount: str, path: str) -> Iterator[Cause]:
    if not is_huge_page(name):
        return
    if not _is_multiple(amount, name.removeprefix(_HUGE_PAGES)):
        printed = quantity.canonical(amount)
        yield invalid(path, printed, f"{printed} is not positive integer multiple of {name}")


def _is_multiple(amount: str, page: str) -> bool:
    try:
        page_milli = quantity.milli(page)
    except quantity.QuantityError:
        return False
    if page_milli <= 0 or page_milli % 1000 != 0:
        return False
    return quantity.value(amount) % (page_milli // 1000) == 0


def _within_limit(name: str, amount: str, limit: str | None, path: str) -> Iterator[Cause]:
    if limit is None:
        if not is_overcommit_allowed(name):
            yield required(f"{path}.limits", "Limit must be set for non overcommitable resources")
        return
    order = quantity.compare(amount, limit)
    if order != 0 and not is_overcommit_allowed(name):
        relation = "equal to"
    elif order > 0:
        relation = "less than or equal to"
    else:
        return
    detail = f"must be {relation} {name} limit of {quantity.canonical(limit)}"
    yield invalid(f"{path}.requests", quantity.canonical(amount), detail)


def _resource_name(name: str, path: str) -> list[Cause]:
    causes = [invalid(path, name, message) for message in names.qualified_name(name)]
    if not causes and "/" not in name and name not in _STANDARD_RESOURCES and not _is_huge_page_name(name):
        causes.append(invalid(path, name, "must be a standard resource type or fully qualified"))
    return causes


def _is_huge_page_name(name: str) -> bool:
    return name.startswith((_HUGE_PAGES, "requests.hugepages-"))


def _container_resource_name(name: str, path: str) -> Iterator[Cause]:
    if name in _CONTAINER_RESOURCES:
        return
    yield from _resource_name(name, path)
    if "/" not in name:
        if not is_huge_page(name):
            yield invalid(path, name, "must be a standard resource for containers")
    elif not is_native(name) and not is_extended(name):
        yield invalid(path, name, "doesn't follow extended resource name standard")


def _pod_resource_name(name: str, path: str) -> Iterator[Cause]:
    causes = _resource_name(name, path)
    yield from causes
    if not causes and name not in ("cpu", "memory") and not is_huge_page(name):
        yield not_supported(path, name, ("cpu", _HUGE_PAGES, "memory"))


def _claims(claims: list[Object], claim_names: frozenset[str], path: str) -> Iterator[Cause]:
    seen: set[str] = set()
    for index, claim in enumerate(claims):
        name, request = claim.get("name", ""), claim.get("request", "")
        at = f"{path}[{index}]"
        if not name:
            yield required(at)
            continue
        key = f"{name}/{request}" if request else name
        if name in seen:
            yield duplicate(at, name)
        else:
            if request:
                yield from dns_label(f"{at}.request", request)
            if key in seen:
                yield duplicate(at, key)
            elif not request and any(other.startswith(f"{name}/") for other in seen):
                yield duplicate(at, name)
            seen.add(key)
        if name not in claim_names:
            listed = f": {', '.join(sorted(claim_names))}" if claim_names else " which is empty"
            cause = not_found(at, name)
            detail = f"must be one of the names in pod.spec.resourceClaims{listed}"
            yield cause._replace(message=f"{cause.message}: {detail}")

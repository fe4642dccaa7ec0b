"""Resources of a Pod as a whole against those of its containers.

Upstream: pkg/apis/core/validation/validation.go:validatePodResourceConsistency @v1.36
"""

from __future__ import annotations

from collections.abc import Iterator

from kubesim.api import quantity
from kubesim.api.container_totals import total_of_containers
from kubesim.api.objects import Object
from kubesim.api.validation.container_resources import is_huge_page
from kubesim.api.validation.field import invalid
from kubesim.errors import Cause


def validate_resource_consistency(spec: Object, path: str) -> Iterator[Cause]:
    """`spec.resources` must hold what the containers ask for. `path` is that of `spec.resources`."""
    resources = spec["resources"]
    requests, limits = resources.get("requests") or {}, resources.get("limits") or {}
    for name, total in total_of_containers(spec, "requests").items():
        if name in requests and quantity.compare(total, requests[name]) > 0:
            detail = f"must be greater than or equal to aggregate container requests of {total}"
            yield invalid(f"{path}.requests[{name}]", quantity.canonical(requests[name]), detail)
    for name, total in total_of_containers(spec, "limits").items():
        if is_huge_page(name) and name in limits and quantity.compare(total, limits[name]) > 0:
            detail = f"must be greater than or equal to aggregate container limits of {total}"
            yield invalid(f"{path}.limits[{name}]", quantity.canonical(limits[name]), detail)
    for index, container in enumerate(spec.get("containers") or ()):
        for name, limit in ((container.get("resources") or {}).get("limits") or {}).items():
            if name in limits and quantity.compare(limit, limits[name]) > 0:
                detail = f"must be less than or equal to pod limits of {quantity.canonical(limits[name])}"
                yield invalid(f"{path}.containers[{index}][{name}].limits", quantity.canonical(limit), detail)

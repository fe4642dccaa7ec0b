"""What the containers of a Pod request, or are limited to, together, and what the Pod does.

Upstream: component-helpers/resource/helpers.go:AggregateContainerRequests, AggregateContainerLimits @v1.36
"""

from __future__ import annotations

from typing import Literal

from kubesim.api import quantity
from kubesim.api.objects import Object


def total_of_containers(spec: Object, kind: Literal["requests", "limits"]) -> dict[str, str]:
    """Canonical amounts by resource: regular containers and sidecars add up, other init containers peak.

    An init container runs beside the sidecars that were started before it.
    """
    total: dict[str, str] = {}
    for container in spec.get("containers") or ():
        _add(total, _amounts(container, kind))
    sidecars: dict[str, str] = {}
    peak: dict[str, str] = {}
    for container in spec.get("initContainers") or ():
        amounts = _amounts(container, kind)
        if container.get("restartPolicy") == "Always":
            _add(total, amounts)
            _add(sidecars, amounts)
            amounts = sidecars
        else:
            amounts = dict(amounts)
            _add(amounts, sidecars)
        _raise_to(peak, amounts)
    _raise_to(total, peak)
    return total


def total_of_pod(spec: Object, kind: Literal["requests", "limits"]) -> dict[str, str]:
    """The total of a Pod's containers, or what the Pod itself says, with its overhead.

    Upstream: component-helpers/resource/helpers.go:{PodRequests,PodLimits} @v1.36
    """
    total = total_of_containers(spec, kind)
    total.update((spec.get("resources") or {}).get(kind) or {})
    for name, amount in (spec.get("overhead") or {}).items():
        if name in total:
            total[name] = quantity.add(total[name], amount)
        elif kind == "requests":
            total[name] = amount
    return total


def _amounts(container: Object, kind: str) -> dict[str, str]:
    return (container.get("resources") or {}).get(kind) or {}


def _add(total: dict[str, str], amounts: dict[str, str]) -> None:
    for name, amount in amounts.items():
        total[name] = quantity.add(total[name], amount) if name in total else quantity.canonical(amount)


def _raise_to(total: dict[str, str], amounts: dict[str, str]) -> None:
    for name, amount in amounts.items():
        if name not in total or quantity.compare(amount, total[name]) > 0:
            total[name] = quantity.canonical(amount)

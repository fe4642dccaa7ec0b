"""What the containers of a Pod request, or are limited to, together.

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


def _amounts(container: Object, kind: str) -> dict[str, str]:
    return (container.get("resources") or {}).get(kind) or {}


def _add(total: dict[str, str], amounts: dict[str, str]) -> None:
    for name, amount in amounts.items():
        total[name] = quantity.add(total[name], amount) if name in total else quantity.canonical(amount)


def _raise_to(total: dict[str, str], amounts: dict[str, str]) -> None:
    for name, amount in amounts.items():
        if name not in total or quantity.compare(amount, total[name]) > 0:
            total[name] = quantity.canonical(amount)

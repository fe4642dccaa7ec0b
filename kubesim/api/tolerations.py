"""Which taints a toleration covers: what scheduler, eviction and kubelet all ask."""

from __future__ import annotations

from kubesim.api.objects import Object


def tolerates(toleration: Object, taint: Object) -> bool:
    """Whether the toleration covers the taint. An empty key or effect stands for every one.

    Upstream: api/core/v1/toleration.go:ToleratesTaint @v1.36
    """
    effect = toleration.get("effect")
    if effect and effect != taint["effect"]:
        return False
    key = toleration.get("key")
    if key and key != taint["key"]:
        return False
    operator = toleration.get("operator") or "Equal"
    if operator == "Exists":
        return True
    return operator == "Equal" and toleration.get("value", "") == taint.get("value", "")

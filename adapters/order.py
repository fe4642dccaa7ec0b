"""In which order objects are applied: first what others need to exist. Deletion goes the other way.

Upstream: helm pkg/release/v1/util/kind_sorter.go lists the same dependencies; kubectl keeps the order of the files.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from kubesim.manifests import Manifest

_FIRST: Final = (
    "Namespace",
    "PriorityClass",
    "StorageClass",
    "ResourceQuota",
    "LimitRange",
    "ServiceAccount",
    "Secret",
    "ConfigMap",
    "PersistentVolume",
    "PersistentVolumeClaim",
    "ClusterRole",
    "ClusterRoleBinding",
    "Role",
    "RoleBinding",
    "PodDisruptionBudget",
    "Service",
)
_RANK: Final = {kind: rank for rank, kind in enumerate(_FIRST)}


def in_dependency_order(manifests: Iterable[Manifest]) -> list[Manifest]:
    """What others need first, otherwise as in the files."""
    return sorted(manifests, key=lambda manifest: _RANK.get(manifest.kind.kind, len(_FIRST)))

"""A wait that fails says what keeps its object from being so."""

from __future__ import annotations

from typing import Any, NamedTuple

import pytest

from kubesim.cluster import Cluster, bound, gone, ready
from kubesim.testing.builders import container, deployment, pod


class Case(NamedTuple):
    title: str
    objects: list[dict[str, Any]]
    condition: Any
    says: str


def _probed(**fields: Any) -> dict[str, Any]:
    return deployment("web", replicas=2, pod_spec={"containers": [container(**fields)]})


_NEVER = {"exec": {"command": ["false"]}}
_NO_NODE = "0/2 nodes are available: 2 Insufficient cpu."
_CLAIM = {
    "apiVersion": "v1",
    "kind": "PersistentVolumeClaim",
    "metadata": {"name": "data"},
    "spec": {
        "accessModes": ["ReadWriteOnce"],
        "resources": {"requests": {"storage": "1Gi"}},
        "storageClassName": "none",
    },
}
_HELD = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "held", "finalizers": ["example.com/hold"]}}
CASES = [
    Case("nothing of that name", [], ready("deployment/web"), "deployment/web does not exist"),
    Case(
        "no node has room",
        [_probed(resources={"requests": {"cpu": "999"}})],
        ready("deployment/web"),
        rf"deployment/web has 0 of 2 Pods ready; pod/web-\w+-\w+ is Pending: {_NO_NODE}",
    ),
    Case(
        "a container that crashes",
        [pod("p", containers=[container("busybox", command=["sh", "-c", "sleep 1; exit 3"], readinessProbe=_NEVER)])],
        ready("pod/p"),
        r"pod/p is Running: main has ended with 3 \(Error\)",
    ),
    Case(
        "a container that is not ready",
        [pod("p", containers=[container(readinessProbe=_NEVER)])],
        ready("pod/p"),
        r"pod/p is Running: containers with unready status: \[main\]",
    ),
    Case(
        "a claim without a class",
        [_CLAIM],
        bound("persistentvolumeclaim/data"),
        "persistentvolumeclaim/data is Pending",
    ),
    Case("a finalizer", [_HELD], gone("configmap/held"), "configmap/held is there, held by example.com/hold"),
]


@pytest.mark.parametrize("case", CASES, ids=[case.title for case in CASES])
def test_a_wait_says_why_it_failed(case):
    """In the words of conditions, container states and counts."""
    with Cluster(nodes=2) as cluster:
        for obj in case.objects:
            cluster.create(obj)

        with pytest.raises(TimeoutError, match=case.says):
            cluster.until(case.condition, within=60)

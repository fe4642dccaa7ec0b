"""What the tests of faults share: a cluster with one Deployment of three Pods."""

from __future__ import annotations

import pytest
from fault_world import WEB

from kubesim.cluster import Cluster, ready


@pytest.fixture
def cluster():
    """Three nodes and a Deployment of three Pods that are ready."""
    with Cluster(nodes=3) as made:
        made.create(WEB)
        made.until(ready("deployment/web"))
        yield made

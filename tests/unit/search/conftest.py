"""A small stack for searches, and the bugs that are planted for them."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from kubesim.cluster import ClusterOptions
from kubesim.search import Setting, Users, chains
from kubesim.testing.builders import deployment, service, statefulset


@pytest.fixture(scope="session")
def small_stack(tmp_path_factory) -> Path:
    """Two web Pods behind a Service, and a StatefulSet of one Pod."""
    folder = tmp_path_factory.mktemp("stack")
    path = folder / "web.yaml"
    front = deployment("web", replicas=2, pod_spec={"terminationGracePeriodSeconds": 5})
    back = statefulset("db", "db", pod_spec={"terminationGracePeriodSeconds": 5})
    objects = [service("web", port=80), service("db", port=80, headless=True), front, back]
    path.write_text(yaml.safe_dump_all(objects), encoding="utf-8")
    return path


@pytest.fixture
def setting(small_stack):
    """Runs of that stack on two nodes, of which no stage outlives a test: a planted bug would live on in it."""
    chains._stages.clear()
    yield Setting(
        sources=(str(small_stack),),
        options=ClusterOptions(nodes=2, records=False),
        users=Users(service="web"),
    )
    chains._stages.clear()

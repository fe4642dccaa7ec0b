"""What holds for the tests of this folder."""

from __future__ import annotations

import os

import pytest
import yaml

from kubesim.http.served import ServedCluster


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    """The kubeconfig and the context of a served simulator, or of a real cluster where the surroundings name one."""
    context = os.environ.get("KUBESIM_TEST_CONTEXT", "")
    if context:
        yield os.environ["KUBECONFIG"], context
        return
    with ServedCluster(nodes=1, speed=10, present_images=("python:3.11-slim",)) as served:
        file = tmp_path_factory.mktemp("kube") / "config"
        file.write_text(yaml.safe_dump(served.kubeconfig))
        yield str(file), served.kubeconfig["current-context"]

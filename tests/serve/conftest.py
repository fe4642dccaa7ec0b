"""A cluster behind HTTP for the tests of this folder."""

from __future__ import annotations

import gc
import warnings

import pytest
from http_asking import Asking

from kubesim.http.served import ServedCluster


@pytest.fixture(autouse=True, scope="module")
def sockets_are_collected_here():
    """Clients of others leave connections to the collector: they go here, and not in the midst of another test."""
    yield
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()


@pytest.fixture(scope="module")
def served():
    """A cluster of one node over plain HTTP, its clock with the wall's."""
    with ServedCluster(nodes=1, insecure_http=True, speed=1) as cluster:
        cluster.step(5)
        yield cluster


@pytest.fixture
def ask(served):
    """Send a request."""
    return Asking(served)


@pytest.fixture
def config_map(ask):
    """A ConfigMap `a` in the namespace default, gone after the test."""
    made = ask("POST", "/api/v1/namespaces/default/configmaps", {"metadata": {"name": "a"}, "data": {"k": "v"}})
    yield made.json
    ask("DELETE", "/api/v1/namespaces/default/configmaps/a")

"""A cluster in every pytest: the fixtures `kubesim_cluster`, `kubesim_server` (the same behind HTTP) and
`kubesim_client` (the official client for that), and the marker `kubesim` for its options.

    @pytest.mark.kubesim(nodes=5, seed=1)
    def test_heals(kubesim_cluster):
        kubesim_cluster.apply("specs/stack.yaml")
        kubesim_cluster.until(ready("deployment/vehicle-api"))

The fixture `kubesim_search` looks for a schedule of faults that breaks a promise of one's own manifests.

When such a test fails, its report shows the seed and the last things that happened in the cluster.
Every run of pytest loads this where kubesim is installed: nothing is imported here that a test might not use.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from importlib import import_module
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from kubesim.cluster import Cluster
    from kubesim.http.served import ServedCluster

_RECORDS_SHOWN = 20
# What happens all the time and explains nothing.
_QUIET = ("lease/", "event/", "events/")


def pytest_configure(config: pytest.Config) -> None:
    """Make the marker known."""
    config.addinivalue_line(
        "markers", "kubesim(**options): options of the cluster in the fixture kubesim_cluster, such as nodes=5, seed=1"
    )


@pytest.fixture
def kubesim_cluster(request: pytest.FixtureRequest) -> Iterator[Cluster]:
    """A simulated cluster of three nodes; the marker `kubesim` has its options, the nearest one counting most."""
    from kubesim.cluster import Cluster

    with Cluster(**_options(request)) as cluster:
        yield cluster


@pytest.fixture
def kubesim_server(request: pytest.FixtureRequest) -> Iterator[ServedCluster]:
    """The same behind HTTP, in a thread of the test's process; needs the extra `serve`."""
    from kubesim.http.served import ServedCluster

    with ServedCluster(**_options(request)) as served:
        yield served


@pytest.fixture
def kubesim_client(kubesim_server: ServedCluster) -> Iterator[Any]:
    """The official client, set up for `kubesim_server`: a `kubernetes.client.ApiClient`."""
    from kubernetes import config

    with config.new_client_from_config_dict(kubesim_server.kubeconfig) as client:
        yield client


def _options(request: pytest.FixtureRequest) -> dict[str, Any]:
    options: dict[str, Any] = {}
    for marker in reversed(list(request.node.iter_markers("kubesim"))):
        if marker.args:
            pytest.fail("the marker kubesim takes options by name, such as @pytest.mark.kubesim(nodes=5)")
        options.update(marker.kwargs)
    return options


@pytest.fixture
def kubesim_search() -> Callable[..., None]:
    """`kubesim_search("app.yaml", faults=["node"], examples=500)` fails the test where a schedule breaks a promise.

    Its arguments are those of `kubesim.search.search`.
    """

    def look(*sources: str, **options: Any) -> None:
        # Above this package, and only there for those who ask.
        module = import_module("kubesim.search")
        finding = module.search(*sources, **options)
        if finding is not None:
            pytest.fail(module.explain(finding), pytrace=False)

    return look


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show what happened in the cluster of a failed test."""
    report = yield
    cluster = getattr(item, "funcargs", {}).get("kubesim_cluster")
    if report.failed and report.when == "call" and cluster is not None:
        report.sections.append(("kubesim", "\n".join(_last_words(cluster))))
    return report


def _last_words(cluster: Cluster) -> Iterator[str]:
    options, seconds = cluster.options, cluster.now_ns / 1e9
    yield f"seed {options.seed}, {options.nodes} nodes, after {seconds:.3f} s of virtual time"
    loud = [record for record in cluster.trace.records if not record.subject.startswith(_QUIET)]
    for record in loud[-_RECORDS_SHOWN:]:
        yield f"{record.at_ns / 1e9:10.3f} s  {record.actor} {record.verb} {record.subject} {record.detail}".rstrip()

"""The pytest plugin, in runs of pytest of its own."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import entry_points

import pytest

pytest_plugins = ("pytester",)


@pytest.fixture
def run(pytester):
    """Run a file of tests with the plugin; returns the result."""

    def run(text):
        pytester.makepyfile(text)
        # Installed, the plugin comes by its entry point; from a bare checkout it has to be named.
        is_installed = any(point.name == "kubesim" for point in entry_points(group="pytest11"))
        named = () if is_installed else ("-p", "kubesim.testing.plugin")
        # In a process of its own: afterwards pytester forgets the modules that it has imported here, and a second copy of
        # cryptography's classes is none to the library that has met the first.
        return pytester.runpytest_subprocess(*named, "-p", "no:cacheprovider", "--strict-markers")

    return run


def test_the_fixture_is_a_cluster(run):
    """Three nodes and seed 0 unless the marker says otherwise."""
    result = run("""
        import pytest
        from kubesim.testing.builders import deployment

        def test_default(kubesim_cluster):
            assert (kubesim_cluster.options.nodes, kubesim_cluster.options.seed) == (3, 0)
            kubesim_cluster.create(deployment(replicas=2))
            kubesim_cluster.run(30)
            assert kubesim_cluster.get("deployment/web")["status"]["readyReplicas"] == 2

        @pytest.mark.kubesim(nodes=5, seed=1)
        class TestMarked:
            def test_class(self, kubesim_cluster):
                assert (kubesim_cluster.options.nodes, kubesim_cluster.options.seed) == (5, 1)

            @pytest.mark.kubesim(nodes=1)
            def test_nearest(self, kubesim_cluster):
                assert (kubesim_cluster.options.nodes, kubesim_cluster.options.seed) == (1, 1)
    """)

    result.assert_outcomes(passed=3)


def test_mistakes_and_failures_are_told(run):
    """A failed test's report has the seed and the time to repeat it by, and the last records that explain something."""
    result = run("""
        import pytest
        from kubesim.testing.builders import pod

        @pytest.mark.kubesim(5)
        def test_bare(kubesim_cluster):
            pass

        @pytest.mark.kubesim(machines=5)
        def test_unknown(kubesim_cluster):
            pass

        @pytest.mark.kubesim(seed=42, nodes=1)
        def test_fails(kubesim_cluster):
            kubesim_cluster.create(pod("unlucky"))
            kubesim_cluster.run(10)
            assert False
    """)

    result.assert_outcomes(failed=1, errors=2)
    result.stdout.fnmatch_lines(["*the marker kubesim takes options by name, such as @pytest.mark.kubesim(nodes=5)*"])
    result.stdout.fnmatch_lines(["*a cluster has no option machines; there are nodes, *"])
    result.stdout.fnmatch_lines(
        ["*- kubesim -*", "seed 42, 1 nodes, after 10.* s of virtual time", "*kubelet/node-1 * pod/default/unlucky*"]
    )
    result.stdout.no_fnmatch_line("*lease/kube-node-lease/*")


def test_loading_the_plugin_costs_next_to_nothing():
    """Every pytest run of every user loads it, so the simulator itself must not come along."""
    code = "import sys, pytest; before = set(sys.modules); import kubesim.testing.plugin; print(*(set(sys.modules) - before))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()

    assert sorted(loaded) == ["kubesim", "kubesim.testing", "kubesim.testing.plugin"]


def test_the_server_is_the_cluster_behind_http(run):
    """The fixture's server has the marker's nodes, and the client speaks to it."""
    result = run("""
        import pytest
        kubernetes = pytest.importorskip("kubernetes")

        @pytest.mark.kubesim(nodes=2, speed=60)
        @pytest.mark.filterwarnings("ignore::ResourceWarning")
        def test_it(kubesim_server, kubesim_client):
            kubesim_server.step(5)
            nodes = kubernetes.client.CoreV1Api(kubesim_client).list_node()
            assert [node.metadata.name for node in nodes.items] == ["node-1", "node-2"]
    """)

    result.assert_outcomes(passed=1)

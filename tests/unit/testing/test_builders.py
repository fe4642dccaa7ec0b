"""What the builders make is accepted by the API server and does what it says."""

from __future__ import annotations

import pytest

from kubesim.cluster import Cluster, ready
from kubesim.testing.builders import container, deployment, node, pod, service, statefulset


@pytest.fixture(scope="module")
def cluster():
    """One cluster for all: the objects do not meet."""
    with Cluster(nodes=1, limits=None) as cluster:
        yield cluster


WORKLOADS = [
    ("pod/alone", pod("alone")),
    ("deployment/web", deployment("web", replicas=2)),
    ("deployment/probed", deployment("probed", pod_spec={"containers": [container(port=8080, ready_path="/readyz")]})),
    ("statefulset/db", statefulset("db", "app", volume="1Gi")),
    ("statefulset/plain", statefulset("plain", "app", podManagementPolicy="Parallel")),
]


@pytest.mark.parametrize("reference, manifest", WORKLOADS, ids=[row[0] for row in WORKLOADS])
def test_workloads_come_up(cluster, reference, manifest):
    """With nothing said but their name they run and are ready."""
    cluster.create(manifest)
    cluster.until(ready(reference), within=60)

    assert cluster.find(reference)["metadata"]["labels"] == {"app": reference.partition("/")[2]}


def test_a_service_selects_the_workload_of_its_name(cluster):
    """By the label that the other builders give."""
    cluster.create(deployment("shop"))
    cluster.create(service("shop", port=80, target_port=8080))
    cluster.until(ready("deployment/shop"))
    cluster.run(1)
    (piece,) = [each for each in cluster.list("endpointslices") if each["metadata"]["labels"].get("app") == "shop"]

    assert len(piece["endpoints"]) == 1
    assert piece["ports"][0]["port"] == 8080


def test_a_headless_service_has_no_address(cluster):
    """Its cluster IP is None, in Kubernetes' own spelling."""
    assert cluster.create(service("quiet", headless=True))["spec"]["clusterIP"] == "None"


def test_a_node_can_be_made_by_hand(cluster):
    """It has room and is Ready, as far as anybody can tell."""
    made = cluster.create(node("extra", cpu="2", labels={"zone": "a"}))

    assert made["status"]["allocatable"]["cpu"] == "2"
    assert made["metadata"]["labels"]["zone"] == "a"
    cluster.delete("node/extra")


def test_a_pod_with_a_status_is_for_functions_that_look_at_pods():
    """`ready` says both what the phase and what the condition is."""
    assert pod(ready=False)["status"]["conditions"][0]["status"] == "False"
    assert pod(ready=True)["status"]["phase"] == "Running"
    assert "status" not in pod()


def test_fields_by_their_own_names_go_into_the_spec():
    """What a builder does not know it passes on."""
    assert deployment(minReadySeconds=5)["spec"]["minReadySeconds"] == 5
    assert pod(nodeSelector={"disk": "ssd"})["spec"]["nodeSelector"] == {"disk": "ssd"}
    assert deployment(pod_spec={"nodeName": "x"})["spec"]["template"]["spec"]["nodeName"] == "x"
    assert service(sessionAffinity="ClientIP")["spec"]["sessionAffinity"] == "ClientIP"

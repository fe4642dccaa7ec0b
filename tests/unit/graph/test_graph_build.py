"""The graph is read from what the objects say: selectors, names in environments, volumes, nodes."""

from __future__ import annotations

import base64

import pytest

from kubesim.graph import build_graph
from kubesim.graph.model import USERS


def service(name, namespace="shop", **spec):
    """A Service that selects Pods of its own name."""
    return {"metadata": {"name": name, "namespace": namespace}, "spec": {"selector": {"app": name}, **spec}}


def pod(name, app, namespace="shop", node="node-1", volumes=(), **container):
    """A Pod with one container."""
    return {
        "metadata": {"name": name, "namespace": namespace, "labels": {"app": app}},
        "spec": {"nodeName": node, "containers": [{"name": "c", **container}], "volumes": list(volumes)},
        "status": {"phase": "Running"},
    }


def calls(objects):
    """Who calls whom, by name."""
    graph = build_graph(objects)
    return [
        (graph.vertices[edge.source].name, graph.vertices[edge.target].name)
        for edge in graph.edges
        if edge.why == "calls"
    ]


@pytest.mark.parametrize(
    "container, is_call",
    [
        ({"env": [{"name": "DB_HOST", "value": "db"}]}, True),
        ({"env": [{"name": "URL", "value": "postgres://user:pw@db.shop:5432/x"}]}, True),
        ({"env": [{"name": "URL", "value": "http://db.shop.svc.cluster.local/"}]}, True),
        ({"env": [{"name": "URL", "value": "db-0.db.shop.svc.cluster.local"}]}, True),
        ({"args": ["--database", "db:5432"]}, True),
        ({"command": ["sh", "-c", "run --db=db"]}, True),
        ({"env": [{"name": "DB_HOST", "valueFrom": {"configMapKeyRef": {"name": "settings", "key": "host"}}}]}, True),
        ({"env": [{"name": "DB_HOST", "valueFrom": {"secretKeyRef": {"name": "secret", "key": "host"}}}]}, True),
        ({"envFrom": [{"configMapRef": {"name": "settings"}}]}, True),
        ({"env": [{"name": "DB_USER", "value": "db"}]}, False),
        ({"env": [{"name": "URL", "value": "http://db.other/"}]}, False),
        ({"env": [{"name": "URL", "value": "http://my-db/"}]}, False),
        ({"env": [{"name": "URL", "value": "http://db.example.com/"}]}, False),
        ({}, False),
    ],
)
def test_calls_are_read_from_names(container, is_call):
    """A Service's DNS name as a whole, in a variable, an argument or a setting that is injected."""
    objects = {
        "services": [service("db")],
        "pods": [pod("web-1", "web", **container), pod("db-0", "db")],
        "configmaps": [{"metadata": {"name": "settings", "namespace": "shop"}, "data": {"host": "db"}}],
        "secrets": [
            {"metadata": {"name": "secret", "namespace": "shop"}, "data": {"host": base64.b64encode(b"db").decode()}}
        ],
    }

    assert calls(objects) == ([("web-1", "db")] if is_call else [])


def test_users_enter_where_nobody_inside_calls():
    """Or where the Service's type says so."""
    objects = {
        "services": [service("web"), service("db"), service("cache", type="NodePort")],
        "pods": [
            pod("web-1", "web", env=[{"name": "A", "value": "db"}, {"name": "B", "value": "cache"}]),
            pod("db-0", "db"),
            pod("cache-0", "cache"),
        ],
    }
    graph = build_graph(objects)

    assert [vertex.name for vertex in graph.out(USERS)] == ["web", "cache"]


def test_a_pod_does_not_call_the_service_that_it_is_behind():
    """A database that knows its own name is no circle."""
    objects = {"services": [service("db")], "pods": [pod("db-0", "db", env=[{"name": "ME", "value": "db"}])]}

    assert calls(objects) == []


def test_what_has_ended_is_no_part():
    """Succeeded and failed Pods serve nobody."""
    ended = pod("web-1", "web")
    ended["status"]["phase"] = "Failed"

    assert build_graph({"pods": [ended]}).of_kind("pod") == []


def test_volumes_and_workloads():
    """A Pod needs the volume behind its claim, and belongs to its Deployment, not to the ReplicaSet between."""
    claimed = pod("web-a-1", "web", volumes=[{"name": "v", "persistentVolumeClaim": {"claimName": "data"}}])
    claimed["metadata"]["ownerReferences"] = [{"kind": "ReplicaSet", "name": "web-a", "uid": "1", "controller": True}]
    owner = [{"kind": "Deployment", "name": "web", "uid": "2", "controller": True}]
    graph = build_graph(
        {
            "pods": [claimed],
            "replicasets": [{"metadata": {"name": "web-a", "uid": "1", "ownerReferences": owner}}],
            "persistentvolumeclaims": [
                {"metadata": {"name": "data", "namespace": "shop"}, "spec": {"volumeName": "pv-1"}}
            ],
        }
    )
    (vertex,) = graph.of_kind("pod")

    assert vertex.workload == "deployment/web"
    assert [(each.name, each.claim) for each in graph.out(vertex.id, "mounts")] == [("pv-1", "data")]

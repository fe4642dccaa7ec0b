"""Single points of failure, blast radius and minimum cuts of small graphs whose answers are plain to see."""

from __future__ import annotations

import pytest

from kubesim.graph import Graph, Vertex, find_failures, find_minimum_cut
from kubesim.graph.failure import working_parts
from kubesim.graph.model import USERS


def graph_of(layers, nodes):
    """A chain of Services; `layers` are lists of (Pod, node), every Pod calls the next Service."""
    graph = Graph()
    graph.add(Vertex(USERS, "users", "users"))
    for node in nodes:
        graph.add(Vertex(f"node//{node}", "node", node))
    for number, pods in enumerate(layers):
        graph.add(Vertex(f"service//s{number}", "service", f"s{number}"))
        for name, node in pods:
            graph.add(Vertex(f"pod//{name}", "pod", name, node=node))
            graph.connect(f"service//s{number}", f"pod//{name}", "selects")
            graph.connect(f"pod//{name}", f"node//{node}", "runs on")
    for number, pods in enumerate(layers[:-1]):
        for name, _ in pods:
            graph.connect(f"pod//{name}", f"service//s{number + 1}", "calls")
    graph.connect(USERS, "service//s0", "enters")
    return graph


ONE_DATABASE = [[("a", "n1"), ("b", "n2")], [("db", "n2")]]
TWO_OF_EACH = [[("a", "n1"), ("b", "n2")], [("x", "n1"), ("y", "n2")]]
SAME_NODE = [[("a", "n1"), ("b", "n1")]]


@pytest.mark.parametrize(
    "layers, points",
    [(ONE_DATABASE, ["n2", "db"]), (TWO_OF_EACH, []), (SAME_NODE, ["n1"])],
    ids=["one database", "two of each", "two Pods on one node"],
)
def test_single_points_of_failure(layers, points):
    """What users cannot do without, and nothing else."""
    failures = find_failures(graph_of(layers, ["n1", "n2"]))

    assert sorted(each.part.name for each in failures if each.is_single_point) == sorted(points)


def test_blast_radius():
    """The loss of a node takes its Pods and all that need them, not those beside them."""
    failures = {each.part.name: each for each in find_failures(graph_of(ONE_DATABASE, ["n1", "n2"]))}

    assert [pod.name for pod in failures["n1"].pods] == ["a"]
    assert failures["n1"].services == ()
    assert [pod.name for pod in failures["db"].pods] == ["a", "b"]
    assert [service.name for service in failures["db"].services] == ["s0", "s1"]


@pytest.mark.parametrize(
    "layers, size",
    [(ONE_DATABASE, 1), (TWO_OF_EACH, 2), ([[("a", "n1"), ("b", "n2"), ("c", "n3")]], 3)],
    ids=["one database", "two of each", "three Pods"],
)
def test_minimum_cut(layers, size):
    """So many parts must fail together; losing them really cuts users off."""
    graph = graph_of(layers, ["n1", "n2", "n3"])
    entrance = graph.vertices["service//s0"]

    cut = find_minimum_cut(graph, entrance)

    assert len(cut) == size
    assert entrance.id not in working_parts(graph, [part.id for part in cut])


def test_a_circle_of_services_works():
    """Two Services that call each other are as alive as their Pods."""
    graph = graph_of([[("a", "n1")], [("b", "n1")]], ["n1"])
    graph.connect("pod//b", "service//s0", "calls")

    assert "service//s0" in working_parts(graph, ())
    assert find_minimum_cut(graph, graph.vertices["service//s0"]) == ()


def test_nobody_reaches_a_service_without_pods():
    """There is nothing to cut."""
    graph = graph_of([[]], [])

    assert find_minimum_cut(graph, graph.vertices["service//s0"]) == ()
    assert find_failures(graph) == []

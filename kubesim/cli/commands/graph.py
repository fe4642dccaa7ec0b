"""`kubesim graph`: who reaches whom in a stack that has come up, and what breaks it."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator
from typing import Final

from kubesim.cluster import Cluster, ready
from kubesim.errors import UserError
from kubesim.graph import Graph, build_graph
from kubesim.manifests import load

_KINDS: Final = ("pods", "services", "persistentvolumeclaims", "nodes", "configmaps", "secrets", "replicasets")
_STARTING: Final = ("Deployment", "StatefulSet", "ReplicaSet", "Pod")
_COMES_UP_S: Final = 300


def graph(arguments: argparse.Namespace) -> int:
    """Draw the graph of manifests; returns the exit code.

    Raises:
        UserError: something is wrong with the manifests.
    """
    if arguments.spec.count("-") > 1:
        raise UserError("-: standard input can be read once; name it once")
    manifests = load(*arguments.spec, stdin=sys.stdin)
    with Cluster(nodes=arguments.nodes, seed=arguments.seed, records=False) as cluster:
        objects = cluster.apply_loaded(manifests)
        wanted = [
            ready(f"{obj['kind'].lower()}/{obj['metadata']['name']}", obj["metadata"]["namespace"])
            for obj in objects
            if obj["kind"] in _STARTING
        ]
        if not cluster.wait(lambda each: all(condition.holds(each) for condition in wanted), _COMES_UP_S):
            late = ", ".join(condition.text.partition(" ")[0] for condition in wanted if not condition.holds(cluster))
            sys.stderr.write(f"warning: not ready after {_COMES_UP_S} s of virtual time: {late}\n")
        found = build_graph({kind: cluster.list(kind) for kind in _KINDS})
    for line in _writer(arguments.format)(found):
        sys.stdout.write(line + "\n")
    return 0


def _writer(name: str) -> Callable[[Graph], Iterator[str]]:
    if name == "svg":
        from kubesim.graph.svg import to_svg

        return to_svg
    if name == "text":
        from kubesim.graph.text import to_text

        return to_text
    from kubesim.graph.drawings import to_dot, to_mermaid

    return to_mermaid if name == "mermaid" else to_dot

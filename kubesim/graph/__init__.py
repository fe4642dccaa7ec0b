"""Who reaches whom: from users through Services and Pods to volumes, what breaks it, and drawings of it.

What belongs here reads objects as they are in a cluster that has settled; it changes nothing. networkx is imported
where a minimum cut is asked for, and nowhere else.
"""

from __future__ import annotations

from kubesim.graph.build import build_graph
from kubesim.graph.failure import Failure, find_failures, find_minimum_cut
from kubesim.graph.model import Edge, Graph, Vertex

__all__ = ["Edge", "Failure", "Graph", "Vertex", "build_graph", "find_failures", "find_minimum_cut"]

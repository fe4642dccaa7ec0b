"""The graph in words: the paths as a tree, what users cannot do without, and what is lost with each part."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from kubesim.graph.failure import Failure, find_failures, find_minimum_cut
from kubesim.graph.model import USERS, Graph, Vertex

_DEPTH_MAX: Final = 12
_SHOWN_MAX: Final = 4


def to_text(graph: Graph) -> Iterator[str]:
    """The lines."""
    yield "users"
    yield from _tree(graph, list(graph.out(USERS, "enters")), "", ())
    failures = find_failures(graph)
    yield ""
    yield from _single_points(graph, failures)
    yield ""
    yield "What is lost with each part"
    yield from _table(failures)


def _tree(graph: Graph, services: Sequence[Vertex], indent: str, path: tuple[str, ...]) -> Iterator[str]:
    for number, service in enumerate(services):
        is_last = number == len(services) - 1
        yield f"{indent}{'└─' if is_last else '├─'} Service {service.name}"
        inner = indent + ("   " if is_last else "│  ")
        if service.id in path or len(path) >= _DEPTH_MAX:
            yield f"{inner}└─ (as above)"
            continue
        groups: dict[str, list[Vertex]] = {}
        for pod in graph.out(service.id, "selects"):
            groups.setdefault(pod.workload or pod.id, []).append(pod)
        for index, pods in enumerate(groups.values()):
            last_group = index == len(groups) - 1
            yield f"{inner}{'└─' if last_group else '├─'} {_pods(pods)}"
            deeper = inner + ("   " if last_group else "│  ")
            volumes = [volume for pod in pods for volume in graph.out(pod.id, "mounts")]
            called = list({each.id: each for pod in pods for each in graph.out(pod.id, "calls")}.values())
            for at, volume in enumerate(volumes):
                mark = "└─" if at == len(volumes) - 1 and not called else "├─"
                yield f"{deeper}{mark} volume {volume.name} (claim {volume.claim})"
            yield from _tree(graph, called, deeper, (*path, service.id))
        if not groups:
            yield f"{inner}└─ no Pod"


def _pods(pods: Sequence[Vertex]) -> str:
    shown = ", ".join(f"{pod.name} on {pod.node or 'no node'}" for pod in pods[:_SHOWN_MAX])
    more = f" and {len(pods) - _SHOWN_MAX} more" if len(pods) > _SHOWN_MAX else ""
    return f"Pod {shown}" if len(pods) == 1 else f"{len(pods)} Pods: {shown}{more}"


def describe(vertex: Vertex) -> str:
    """A part in words."""
    if vertex.kind == "volume":
        return f"volume {vertex.claim}"
    return {"pod": "Pod ", "service": "Service "}.get(vertex.kind, "") + vertex.name


def _single_points(graph: Graph, failures: Sequence[Failure]) -> Iterator[str]:
    points = [failure for failure in failures if failure.is_single_point]
    if points:
        yield "Single points of failure: users are cut off when one of these is lost"
        for failure in points:
            names = ", ".join(f"Service {entrance.name}" for entrance in failure.entrances)
            has = "has" if len(failure.entrances) == 1 else "have"
            yield f"  {describe(failure.part)}: {names} {has} no Pod left that works"
    else:
        yield "No single point of failure: any one node, Pod or volume can be lost"
    for entrance in graph.out(USERS, "enters"):
        cut = find_minimum_cut(graph, entrance)
        if cut:
            names = ", ".join(describe(vertex) for vertex in cut)
            what = "one part" if len(cut) == 1 else f"{len(cut)} parts together"
            yield f"The smallest cut between users and the end of Service {entrance.name}: {what}, such as {names}"


def _table(failures: Sequence[Failure]) -> Iterator[str]:
    rows = [("PART", "PODS THAT STOP WORKING", "SERVICES", "USERS")]
    alike: dict[tuple[str, ...], list[Failure]] = {}
    for failure in failures:
        harms = failure.pods or failure.services or failure.entrances
        own = failure.part.id if harms or not failure.part.workload else ""
        alike.setdefault((own, failure.part.workload), []).append(failure)
    for group in alike.values():
        first = group[0]
        part = describe(first.part)
        if len(group) > 1:
            part = f"any one of {len(group)} Pods of {first.part.workload}"
        pods = ", ".join(pod.name for pod in first.pods[:_SHOWN_MAX]) or "-"
        if len(first.pods) > _SHOWN_MAX:
            pods += f" and {len(first.pods) - _SHOWN_MAX} more"
        services = ", ".join(service.name for service in first.services) or "-"
        rows.append((part, pods, services, "cut off" if first.is_single_point else "served"))
    widths = [max(len(row[i]) for row in rows) for i in range(4)]
    for row in rows:
        yield "   ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()

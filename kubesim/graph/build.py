"""From the objects of a cluster to its graph.

That a Pod calls a Service is read from the names in its containers' environment, commands and arguments: `postgres`,
`postgres.vehicles`, `http://web.shop.svc.cluster.local:80`. A program that finds its peers some other way is not seen.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from kubesim.api.objects import Object, controller_of, labels_of
from kubesim.api.selectors import compile_match_labels
from kubesim.graph.model import USERS, Graph, Vertex, identify

_NOT_IN_A_NAME: Final = re.compile(r"[^A-Za-z0-9.-]+")
# Settings whose values are no hosts even where they look like a Service's name.
_NO_HOST: Final = ("USER", "USERNAME", "PASSWORD", "DB", "DATABASE", "SCHEMA", "LEVEL")
_ENTRANCES: Final = ("NodePort", "LoadBalancer")

Objects = Mapping[str, Sequence[Object]]


def build_graph(objects: Objects) -> Graph:
    """The graph of `pods`, `services`, `persistentvolumeclaims`, `nodes`, `configmaps`, `secrets`, `replicasets`."""
    graph = Graph()
    graph.add(Vertex(USERS, "users", "users"))
    for node in objects.get("nodes", ()):
        graph.add(Vertex(identify("node", "", _name(node)), "node", _name(node)))
    services = [service for service in objects.get("services", ()) if service["spec"].get("selector")]
    for service in services:
        graph.add(Vertex(_id("service", service), "service", _name(service), _space(service)))
    for pod in objects.get("pods", ()):
        if (pod.get("status") or {}).get("phase") not in ("Succeeded", "Failed"):
            _add_pod(graph, pod, objects)
    _connect_services(graph, services, objects)
    _connect_callers(graph, services, objects)
    _connect_users(graph, services)
    return graph


def _name(obj: Object) -> str:
    return str(obj["metadata"]["name"])


def _space(obj: Object) -> str:
    return str(obj["metadata"].get("namespace", ""))


def _id(kind: str, obj: Object) -> str:
    return identify(kind, _space(obj), _name(obj))


def _add_pod(graph: Graph, pod: Object, objects: Objects) -> None:
    node = pod["spec"].get("nodeName", "")
    graph.add(Vertex(_id("pod", pod), "pod", _name(pod), _space(pod), _workload(pod, objects), node))
    if node:
        graph.connect(_id("pod", pod), identify("node", "", node), "runs on")
    claims = {
        _name(claim): claim for claim in objects.get("persistentvolumeclaims", ()) if _space(claim) == _space(pod)
    }
    for volume in pod["spec"].get("volumes") or ():
        claim_name = str((volume.get("persistentVolumeClaim") or {}).get("claimName", ""))
        claim = claims.get(claim_name)
        if claim is None:
            continue
        name = claim["spec"].get("volumeName") or claim_name
        vertex = Vertex(identify("volume", "", name), "volume", name, _space(pod), claim=claim_name)
        graph.add(vertex)
        graph.connect(_id("pod", pod), vertex.id, "mounts", claim_name)


def _workload(pod: Object, objects: Objects) -> str:
    """The workload that a Pod belongs to, as `deployment/vehicle-api`."""
    owner = controller_of(pod)
    if owner is None:
        return ""
    if owner["kind"] == "ReplicaSet":
        for replica_set in objects.get("replicasets", ()):
            if replica_set["metadata"].get("uid") == owner["uid"]:
                owner = controller_of(replica_set) or owner
    return f"{owner['kind'].lower()}/{owner['name']}"


def _connect_services(graph: Graph, services: Sequence[Object], objects: Objects) -> None:
    for service in services:
        matches = compile_match_labels(service["spec"]["selector"])
        for pod in objects.get("pods", ()):
            if _space(pod) == _space(service) and _id("pod", pod) in graph.vertices and matches(labels_of(pod)):
                graph.connect(_id("service", service), _id("pod", pod), "selects")


def _connect_callers(graph: Graph, services: Sequence[Object], objects: Objects) -> None:
    for pod in objects.get("pods", ()):
        if _id("pod", pod) not in graph.vertices:
            continue
        for setting, text in _settings(pod, objects):
            for service in services:
                if _names(text, service, _space(pod)) and not _is_behind(graph, service, pod):
                    graph.connect(_id("pod", pod), _id("service", service), "calls", setting)


def _is_behind(graph: Graph, service: Object, pod: Object) -> bool:
    return any(vertex.id == _id("pod", pod) for vertex in graph.out(_id("service", service), "selects"))


def _connect_users(graph: Graph, services: Sequence[Object]) -> None:
    """Users enter by Services that say so, and by those that nobody inside calls."""
    called = {edge.target for edge in graph.edges if edge.why == "calls"}
    for service in services:
        if service["spec"].get("type") in _ENTRANCES or _id("service", service) not in called:
            graph.connect(USERS, _id("service", service), "enters")


def _settings(pod: Object, objects: Objects) -> Iterator[tuple[str, str]]:
    """Every text that a Pod's containers are started with, each with its name."""
    spec = pod["spec"]
    for container in (*(spec.get("initContainers") or ()), *spec["containers"]):
        for text in (*(container.get("command") or ()), *(container.get("args") or ())):
            yield "arguments", text
        for source in container.get("envFrom") or ():
            prefix = source.get("prefix", "")
            for kind, field in (("configmaps", "configMapRef"), ("secrets", "secretRef")):
                found = _data(objects, kind, _space(pod), (source.get(field) or {}).get("name", ""))
                yield from ((prefix + key, text) for key, text in found.items() if not _is_no_host(key))
        for variable in container.get("env") or ():
            if not _is_no_host(variable["name"]):
                yield variable["name"], _value(variable, pod, objects)


def _is_no_host(name: str) -> bool:
    return name.upper().rpartition("_")[2] in _NO_HOST


def _value(variable: Object, pod: Object, objects: Objects) -> str:
    source = variable.get("valueFrom") or {}
    for kind, field in (("configmaps", "configMapKeyRef"), ("secrets", "secretKeyRef")):
        reference = source.get(field)
        if reference:
            return _data(objects, kind, _space(pod), reference.get("name", "")).get(reference.get("key", ""), "")
    return str(variable.get("value", ""))


def _data(objects: Objects, kind: str, namespace: str, name: str) -> dict[str, str]:
    for obj in objects.get(kind, ()):
        if name and _name(obj) == name and _space(obj) == namespace:
            data = obj.get("data") or {}
            return {key: _decoded(text) for key, text in data.items()} if kind == "secrets" else dict(data)
    return {}


def _decoded(text: str) -> str:
    try:
        return base64.b64decode(text).decode()
    except (binascii.Error, UnicodeDecodeError):
        return ""


def _names(text: str, service: Object, namespace: str) -> bool:
    """Whether a text has the Service's DNS name, or a Pod's under it, as a Pod of the namespace would write it."""
    name, space = _name(service), _space(service)
    for token in _NOT_IN_A_NAME.split(text):
        labels = token.strip(".").split(".")
        for start in (0, 1):
            rest = labels[start:]
            if rest[:1] != [name]:
                continue
            # A bare name means the caller's own namespace; one label before it is a Pod's host name.
            if rest[1:2] == [space] and rest[2:] in ([], ["svc"], ["svc", "cluster", "local"]):
                return True
            if len(rest) == 1 and space == namespace:
                return True
    return False

"""Objects with sane defaults, as plain dicts for `Cluster.create`: say what a test is about and nothing else.

    cluster.create(deployment("web", replicas=3))
    cluster.create(service("web", port=80, target_port=8080))

Labels and selectors are `{"app": name}` unless given, so that a Service selects the workload of its name. Other fields
of a spec are given by their own names: `deployment(minReadySeconds=5)`, `pod(nodeSelector={"disk": "ssd"})`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kubesim.api.objects import Object
from kubesim.api.timestamps import to_time

Labels = Mapping[str, str]


def container(image: str = "app", *, name: str = "main", port: int = 0, ready_path: str = "", **fields: Any) -> Object:
    """A container; with a `ready_path` it has an HTTP readiness probe each second on `port`, or on 80."""
    made: Object = {"name": name, "image": image}
    if port:
        made["ports"] = [{"containerPort": port}]
    if ready_path:
        made["readinessProbe"] = {"httpGet": {"path": ready_path, "port": port or 80}, "periodSeconds": 1}
    return {**made, **fields}


def pod(
    name: str = "web",
    image: str = "app",
    *,
    namespace: str = "default",
    labels: Labels | None = None,
    ready: bool | None = None,
    **spec: Any,
) -> Object:
    """A Pod of one container; `containers` replaces it. `ready` adds a status: Running, and Ready or not."""
    made = _object("v1", "Pod", name, namespace, _labels(name, labels))
    made["spec"] = {"containers": [container(image)], **spec}
    if ready is not None:
        condition = {"type": "Ready", "status": str(ready), "lastProbeTime": None, "lastTransitionTime": to_time(0)}
        made["status"] = {"phase": "Running", "conditions": [condition]}
    return made


def deployment(
    name: str = "web",
    image: str = "app",
    *,
    replicas: int = 1,
    namespace: str = "default",
    labels: Labels | None = None,
    pod_spec: Mapping[str, Any] | None = None,
    **spec: Any,
) -> Object:
    """A Deployment of Pods of one container; `pod_spec` holds further fields of the Pods' spec."""
    made = _object("apps/v1", "Deployment", name, namespace, _labels(name, labels))
    made["spec"] = {"replicas": replicas, **_pods(name, image, labels, pod_spec), **spec}
    return made


def statefulset(
    name: str = "db",
    image: str = "postgres:17",
    *,
    replicas: int = 1,
    namespace: str = "default",
    labels: Labels | None = None,
    volume: str = "",
    pod_spec: Mapping[str, Any] | None = None,
    **spec: Any,
) -> Object:
    """A StatefulSet; with a `volume` such as `1Gi` each Pod has a claim `data` of that size, mounted at /data."""
    made = _object("apps/v1", "StatefulSet", name, namespace, _labels(name, labels))
    pods = _pods(name, image, labels, pod_spec)
    made["spec"] = {"replicas": replicas, "serviceName": name, **pods, **spec}
    if volume:
        first, *others = pods["template"]["spec"]["containers"]
        first = {**first, "volumeMounts": [*first.get("volumeMounts", ()), {"name": "data", "mountPath": "/data"}]}
        pods["template"]["spec"]["containers"] = [first, *others]
        resources = {"requests": {"storage": volume}}
        claim = {"metadata": {"name": "data"}, "spec": {"accessModes": ["ReadWriteOnce"], "resources": resources}}
        made["spec"]["volumeClaimTemplates"] = [claim]
    return made


def service(
    name: str = "web",
    *,
    port: int = 80,
    target_port: int | str = 0,
    headless: bool = False,
    namespace: str = "default",
    selector: Labels | None = None,
    **spec: Any,
) -> Object:
    """A Service over the Pods labelled `app: name`; a headless one has no address of its own."""
    made = _object("v1", "Service", name, namespace, _labels(name, None))
    made["spec"] = {"selector": _labels(name, selector), "ports": [{"port": port, "targetPort": target_port or port}]}
    if headless:
        made["spec"]["clusterIP"] = "None"
    made["spec"].update(spec)
    return made


def node(
    name: str = "node-1",
    *,
    cpu: str = "4",
    memory: str = "8Gi",
    pods: int = 110,
    labels: Labels | None = None,
    ready: bool = True,
    **spec: Any,
) -> Object:
    """A Node as its kubelet reports it, all of its capacity allocatable."""
    made = _object("v1", "Node", name, "", {"kubernetes.io/hostname": name, **(labels or {})})
    resources = {"cpu": cpu, "memory": memory, "pods": str(pods)}
    made["spec"] = spec
    at = to_time(0)
    condition = {"type": "Ready", "status": str(ready), "lastHeartbeatTime": at, "lastTransitionTime": at}
    made["status"] = {"capacity": resources, "allocatable": resources, "conditions": [condition]}
    return made


def _labels(name: str, labels: Labels | None) -> dict[str, str]:
    return {"app": name} if labels is None else dict(labels)


def _pods(name: str, image: str, labels: Labels | None, pod_spec: Mapping[str, Any] | None) -> Object:
    selected = _labels(name, labels)
    spec = {"containers": [container(image)], **(pod_spec or {})}
    return {"selector": {"matchLabels": selected}, "template": {"metadata": {"labels": selected}, "spec": spec}}


def _object(api_version: str, kind: str, name: str, namespace: str, labels: dict[str, str]) -> Object:
    metadata: Object = {"name": name, "labels": labels}
    if namespace:
        metadata["namespace"] = namespace
    return {"apiVersion": api_version, "kind": kind, "metadata": metadata}

"""Whether a cluster is as its objects say that it should be, counted anew from Pods, processes and volumes.

Each part gives back what is wrong as (subject, sentence), or nothing. This walks over all objects; it is for the end of
a run, not for every step of it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from kubesim.api.objects import Key, Object, key_of, labels_of
from kubesim.api.selectors import compile_selector
from kubesim.checks.invariant import subject_of
from kubesim.checks.looking import FINISHED, controller_uid, is_active, is_ready
from kubesim.client.workqueue import WorkQueue
from kubesim.cluster import Cluster
from kubesim.node.simulated import SimRuntime

# What comes and goes by itself and is nobody's desired state.
_UNASKED = ("events", "events.events.k8s.io", "leases.coordination.k8s.io")
_ENDPOINTS_CONTROLLER = "endpointslice-controller"


class Divergence(NamedTuple):
    """What is not as it should be."""

    subject: str
    text: str


def find_divergence(cluster: Cluster) -> Divergence | None:
    """The first thing that is not as it should be, None when everything is."""
    for look in (_nodes, _deletions, _workloads, _pods, _owners, _claims, _endpoints, _budgets, _processes):
        for found in look(cluster):
            return found
    return None


def has_given_up_endpoints(cluster: Cluster, service: Key) -> bool:
    """Whether the EndpointSlice controller has failed at the Service so often that it waits for something to change.

    A cache of EndpointSlices that stands still for minutes brings it there.
    Upstream: pkg/controller/endpointslice/endpointslice_controller.go:handleErr @v1.36
    """
    return _has_excuses(cluster) and any(queue.has_given_up(service) for queue in _endpoints_queues(cluster))


def puts_off_endpoints(cluster: Cluster, service: Key) -> bool:
    """Whether the EndpointSlice controller has failed at the Service, and waits out a back-off of up to 1000 s or has
    given up: it fails while its own writes come back late, and while a Pod's Node is gone.

    Upstream: pkg/controller/endpointslice/endpointslice_controller.go:maxSyncBackOff @v1.36
    """
    queues = _endpoints_queues(cluster)
    return _has_excuses(cluster) and any(queue.failures(service) or queue.has_given_up(service) for queue in queues)


def _has_excuses(cluster: Cluster) -> bool:
    """Whether a controller may have failed for another's fault: not where nothing was ever done to the cluster."""
    return bool(cluster.faults.log)


def _endpoints_queues(cluster: Cluster) -> list[WorkQueue]:
    controller = cluster.controller_manager.controllers.get(_ENDPOINTS_CONTROLLER)
    return [] if controller is None else [worker.queue for worker in controller.workers]


def _nodes(cluster: Cluster) -> Iterator[Divergence]:
    for node in cluster.list("nodes"):
        if not is_ready(node):
            yield Divergence(subject_of(node), "is not Ready")
        for condition in (node.get("status") or {}).get("conditions") or ():
            if condition["type"] != "Ready" and condition["status"] == "True":
                yield Divergence(subject_of(node), f"has the condition {condition['type']}")


def _deletions(cluster: Cluster) -> Iterator[Divergence]:
    for resource, table in cluster.store.tables.items():
        if resource not in _UNASKED:
            for obj in table.objects.values():
                if "deletionTimestamp" in obj["metadata"]:
                    held = ", ".join(obj["metadata"].get("finalizers") or ())
                    yield Divergence(subject_of(obj), f"is still being deleted{f', held by {held}' if held else ''}")


def _workloads(cluster: Cluster) -> Iterator[Divergence]:
    pods: dict[str, list[Object]] = {}
    for pod in cluster.list("pods"):
        if is_active(pod):
            pods.setdefault(controller_uid(pod), []).append(pod)
    made: dict[str, list[Object]] = {}
    for replica_set in cluster.list("replicasets"):
        made.setdefault(controller_uid(replica_set), []).append(replica_set)
    for kind in ("replicasets", "statefulsets"):
        for owner in cluster.list(kind):
            yield from _counts(owner, pods.get(owner["metadata"]["uid"], []))
    for deployment in cluster.list("deployments"):
        if deployment["spec"].get("paused"):
            continue
        sets = made.get(deployment["metadata"]["uid"], [])
        owned = [pod for each in sets for pod in pods.get(each["metadata"]["uid"], [])]
        yield from _counts(deployment, owned)
        used = [each for each in sets if each["spec"]["replicas"]]
        if len(used) > 1:
            names = ", ".join(each["metadata"]["name"] for each in used)
            yield Divergence(subject_of(deployment), f"has Pods of several ReplicaSets: {names}")


def _counts(owner: Object, pods: list[Object]) -> Iterator[Divergence]:
    subject, status, wanted = subject_of(owner), owner.get("status") or {}, owner["spec"]["replicas"]
    ready = sum(map(is_ready, pods))
    if (len(pods), ready) != (wanted, wanted):
        yield Divergence(subject, f"wants {wanted} Pods and has {len(pods)}, {ready} of them ready")
    if status.get("observedGeneration", 0) != owner["metadata"]["generation"]:
        yield Divergence(subject, f"is at generation {owner['metadata']['generation']}, its status is not: {status}")
    fields = ["replicas", "readyReplicas", "availableReplicas"]
    if owner["kind"] != "ReplicaSet":
        fields.append("updatedReplicas")
    for field in fields:
        if field != "updatedReplicas" or not _is_held_back(owner):
            count = status.get(field, 0)
            if count != wanted:
                yield Divergence(subject, f"says {field} {count} where {wanted} are")


def _is_held_back(owner: Object) -> bool:
    """Whether a StatefulSet is told not to update all of its Pods by itself."""
    strategy = owner["spec"].get("updateStrategy") or {}
    return strategy.get("type") == "OnDelete" or bool((strategy.get("rollingUpdate") or {}).get("partition"))


def _pods(cluster: Cluster) -> Iterator[Divergence]:
    for pod in cluster.list("pods"):
        if pod["status"].get("phase") not in FINISHED and not is_ready(pod):
            phase = pod["status"].get("phase", "unknown")
            yield Divergence(subject_of(pod), f"is {phase} on node {pod['spec'].get('nodeName', 'none')}, not ready")


def _owners(cluster: Cluster) -> Iterator[Divergence]:
    there = {
        obj["metadata"]["uid"]: None
        for resource, table in cluster.store.tables.items()
        if resource not in _UNASKED
        for obj in table.objects.values()
    }
    for resource, table in cluster.store.tables.items():
        if resource in _UNASKED:
            continue
        for obj in table.objects.values():
            references = obj["metadata"].get("ownerReferences")
            if references and all(each["uid"] not in there for each in references):
                owner = references[0]
                yield Divergence(subject_of(obj), f"outlives its owner {owner['kind']} {owner['name']}")


def _claims(cluster: Cluster) -> Iterator[Divergence]:
    volumes = {volume["metadata"]["name"]: volume for volume in cluster.list("persistentvolumes")}
    for claim in cluster.list("persistentvolumeclaims"):
        status, name = claim.get("status") or {}, claim["spec"].get("volumeName", "")
        if status.get("phase") != "Bound":
            if name:
                yield Divergence(subject_of(claim), f"is {status.get('phase')} although it has volume {name}")
            continue
        volume = volumes.get(name)
        bound = ((volume or {}).get("spec") or {}).get("claimRef") or {}
        if bound.get("uid") != claim["metadata"]["uid"]:
            yield Divergence(subject_of(claim), f"is Bound to volume {name}, which is not bound to it")


def _endpoints(cluster: Cluster) -> Iterator[Divergence]:
    listed: dict[tuple[str, str], dict[str, None]] = {}
    for piece in cluster.list("endpointslices"):
        key = (piece["metadata"]["namespace"], labels_of(piece).get("kubernetes.io/service-name", ""))
        addresses = listed.setdefault(key, {})
        for endpoint in piece.get("endpoints") or ():
            if (endpoint.get("conditions") or {}).get("ready"):
                addresses.update(dict.fromkeys(endpoint["addresses"]))
    for service in cluster.list("services"):
        namespace, name = service["metadata"]["namespace"], service["metadata"]["name"]
        selector = service["spec"].get("selector")
        if not selector or service["spec"].get("publishNotReadyAddresses"):
            continue
        selects = compile_selector({"matchLabels": selector})
        wanted = sorted(
            pod["status"].get("podIP", "")
            for pod in cluster.list("pods", namespace)
            if is_active(pod) and is_ready(pod) and selects(labels_of(pod))
        )
        found = sorted(listed.get((namespace, name), ()))
        if found != wanted and not has_given_up_endpoints(cluster, key_of(service)):
            yield Divergence(subject_of(service), f"lists the endpoints {found}; the ready Pods are {wanted}")


def _budgets(cluster: Cluster) -> Iterator[Divergence]:
    for budget in cluster.list("poddisruptionbudgets"):
        selects = compile_selector(budget["spec"].get("selector"))
        pods = [pod for pod in cluster.list("pods", budget["metadata"]["namespace"]) if selects(labels_of(pod))]
        healthy = sum(is_ready(pod) and is_active(pod) for pod in pods)
        counted = (budget.get("status") or {}).get("currentHealthy", 0)
        if counted != healthy and not (_has_excuses(cluster) and _has_given_up(budget)):
            yield Divergence(subject_of(budget), f"counts {counted} healthy Pods where {healthy} are")


def _has_given_up(budget: Object) -> bool:
    """Whether its controller's last sync failed. It says so in the status, and tries again when that write comes back;
    where it then fails for the same reason it has nothing to write, and waits for something else to change.

    Upstream: pkg/controller/disruption/disruption.go:failSafe @v1.36
    """
    conditions = (budget.get("status") or {}).get("conditions") or ()
    return any(each["type"] == "DisruptionAllowed" and each["reason"] == "SyncFailed" for each in conditions)


def _processes(cluster: Cluster) -> Iterator[Divergence]:
    """What runs on nodes is what the API knows."""
    known = {pod["metadata"]["uid"]: pod for pod in cluster.list("pods")}
    running: dict[str, int] = {}
    for name, node in cluster.data_plane.nodes.items():
        if not isinstance(node.runtime, SimRuntime):
            return
        for uid, sandbox in node.runtime.pods().items():
            count = sum(node.runtime.process_of(uid, each) is not None for each in sandbox.containers)
            pod = known.get(uid)
            if count and (pod is None or pod["spec"].get("nodeName") != name):
                text = f"runs on {name}, where the API knows of no such Pod"
                yield Divergence(f"pod/{sandbox.namespace}/{sandbox.name}", text)
            running[uid] = count
    for uid, pod in known.items():
        if is_ready(pod) and running.get(uid, 0) < len(pod["spec"]["containers"]):
            yield Divergence(subject_of(pod), f"is ready, but {running.get(uid, 0)} of its containers run")

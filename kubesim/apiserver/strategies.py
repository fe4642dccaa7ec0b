"""What the API server does to an object of a kind before it stores it, beyond defaults and validation.

A `Strategy` is a row: which parts a client may not set, when the generation moves, what an update may leave out. Most
kinds need no row of their own; theirs is read off the table of kinds.
Upstream: pkg/registry/<group>/<kind>/strategy.go @v1.36
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from kubesim.api.objects import Object
from kubesim.api.scheme import Kind
from kubesim.apiserver.pods import compute_qos_class


class Strategy(NamedTuple):
    """One kind's row.

    `resets_status`: a create or plain update does not carry status. `generation_parts`: the top-level parts whose
    change moves `metadata.generation`; empty for kinds without one. `initial_status`: what a new object's status is.
    `prepare`: last touch to a new object. `unconditional_update`: an update needs no resourceVersion.
    `create_on_update`: a PUT to a name that does not exist creates it. `orphans_by_default`: a delete that names no
    propagation policy leaves the dependents alone.
    """

    resets_status: bool = True
    generation_parts: tuple[str, ...] = ()
    initial_status: Object | None = None
    prepare: Callable[[Object], Object] | None = None
    unconditional_update: bool = True
    create_on_update: bool = False
    orphans_by_default: bool = False


def _prepare_pod(pod: Object) -> Object:
    status: Object = {"phase": "Pending", "qosClass": compute_qos_class(pod["spec"])}
    if pod["spec"].get("schedulingGates"):
        status["conditions"] = [
            {
                "type": "PodScheduled",
                "status": "False",
                "reason": "SchedulingGated",
                "message": "Scheduling is blocked due to non-empty scheduling gates",
                "lastProbeTime": None,
                "lastTransitionTime": None,
            }
        ]
    return {**pod, "status": status}


def _prepare_volume(volume: Object) -> Object:
    created = volume["metadata"]["creationTimestamp"]
    return {**volume, "status": {"phase": "Pending", "lastPhaseTransitionTime": created}}


def with_phase_time(volume: Object, old: Object, now: str) -> Object:
    """A PersistentVolume's new status with the time of its phase, unless the client has given one.

    Upstream: pkg/registry/core/persistentvolume/strategy.go:persistentvolumeStatusStrategy.PrepareForUpdate @v1.36
    """
    status, before = volume.get("status") or {}, old.get("status") or {}
    given, at = status.get("lastPhaseTransitionTime"), before.get("lastPhaseTransitionTime")
    if status.get("phase") != before.get("phase") and given in (None, at):
        return {**volume, "status": {**status, "lastPhaseTransitionTime": now}}
    if status.get("phase") == before.get("phase") and given is None and at is not None:
        return {**volume, "status": {**status, "lastPhaseTransitionTime": at}}
    return volume


def _prepare_namespace(namespace: Object) -> Object:
    spec = namespace.get("spec") or {}
    finalizers = spec.get("finalizers") or []
    if "kubernetes" not in finalizers:
        finalizers = [*finalizers, "kubernetes"]
    return {**namespace, "spec": {**spec, "finalizers": finalizers}, "status": {"phase": "Active"}}


_SPEC = ("spec",)
_WORKLOAD = Strategy(generation_parts=_SPEC)
_NO_STATUS = Strategy(resets_status=False, generation_parts=())

STRATEGIES: dict[str, Strategy] = {
    "pods": Strategy(generation_parts=_SPEC, prepare=_prepare_pod),
    "namespaces": Strategy(prepare=_prepare_namespace),
    # A kubelet registers its Node with the status filled in.
    "nodes": Strategy(resets_status=False),
    "services": Strategy(initial_status={"loadBalancer": {}}),
    "endpoints": Strategy(resets_status=False, create_on_update=True),
    "endpointslices.discovery.k8s.io": Strategy(
        resets_status=False, generation_parts=("addressType", "endpoints", "ports")
    ),
    "events": Strategy(resets_status=False, create_on_update=True),
    "leases.coordination.k8s.io": Strategy(resets_status=False, create_on_update=True),
    "persistentvolumeclaims": Strategy(initial_status={"phase": "Pending"}),
    "persistentvolumes": Strategy(prepare=_prepare_volume),
    "replicationcontrollers": Strategy(
        generation_parts=_SPEC, initial_status={"replicas": 0}, orphans_by_default=True
    ),
    "deployments.apps": Strategy(generation_parts=("spec", "annotations"), initial_status={}),
    "replicasets.apps": Strategy(generation_parts=_SPEC, initial_status={"replicas": 0}),
    "statefulsets.apps": Strategy(
        generation_parts=_SPEC, initial_status={"replicas": 0, "availableReplicas": 0}
    ),
    "daemonsets.apps": Strategy(
        generation_parts=_SPEC,
        initial_status={
            "currentNumberScheduled": 0,
            "numberMisscheduled": 0,
            "desiredNumberScheduled": 0,
            "numberReady": 0,
        },
    ),
    "jobs.batch": Strategy(generation_parts=_SPEC, initial_status={}, orphans_by_default=True),
    "cronjobs.batch": Strategy(generation_parts=_SPEC, initial_status={}),
    "poddisruptionbudgets.policy": Strategy(
        generation_parts=_SPEC,
        initial_status={"disruptionsAllowed": 0, "currentHealthy": 0, "desiredHealthy": 0, "expectedPods": 0},
        unconditional_update=False,
    ),
    "networkpolicies.networking.k8s.io": Strategy(generation_parts=_SPEC),
    "priorityclasses.scheduling.k8s.io": Strategy(resets_status=False, generation_parts=("value",)),
    "ingresses.networking.k8s.io": Strategy(generation_parts=_SPEC, initial_status={"loadBalancer": {}}),
}


def strategy_for(kind: Kind) -> Strategy:
    """The kind's row; a kind without one resets the status exactly if it has a status subresource."""
    strategy = STRATEGIES.get(kind.resource)
    if strategy is None:
        strategy = Strategy(resets_status="status" in kind.subresources)
        STRATEGIES[kind.resource] = strategy
    return strategy


def _parts_differ(strategy: Strategy, new: Object, old: Object) -> bool:
    for part in strategy.generation_parts:
        if part == "annotations":
            if new["metadata"].get("annotations") != old["metadata"].get("annotations"):
                return True
        elif new.get(part) != old.get(part):
            return True
    return False


def prepare_for_create(strategy: Strategy, obj: Object) -> Object:
    """The object as a client may create it: status set back, generation 1."""
    if strategy.resets_status:
        obj = dict(obj)
        obj.pop("status", None)
        if strategy.initial_status is not None:
            obj["status"] = strategy.initial_status
    if strategy.prepare is not None:
        obj = strategy.prepare(obj)
    return obj


def prepare_for_update(strategy: Strategy, new: Object, old: Object) -> Object:
    """The object as a plain update may leave it: status as it was, generation moved if the spec did.

    Upstream: apiserver/pkg/registry/rest/update.go:BeforeUpdate @v1.36
    """
    metadata = carried_metadata(new["metadata"], old["metadata"])
    if strategy.generation_parts and _parts_differ(strategy, new, old):
        metadata["generation"] = old["metadata"].get("generation", 0) + 1
    new = {**new, "metadata": metadata}
    if strategy.resets_status:
        if "status" in old:
            new["status"] = old["status"]
        else:
            new.pop("status", None)
    return new


def prepare_for_status_update(new: Object, old: Object) -> Object:
    """The object as a write to `status` may leave it: only status, annotations and finalizers are the client's."""
    metadata = {**old["metadata"]}
    for field in ("annotations", "finalizers", "managedFields"):
        value = new["metadata"].get(field)
        if value is None:
            metadata.pop(field, None)
        else:
            metadata[field] = value
    result = {**old, "metadata": metadata}
    if "status" in new:
        result["status"] = new["status"]
    else:
        result.pop("status", None)
    return result


def carried_metadata(new: Object, old: Object) -> Object:
    """The new metadata with what only the server may set, taken from the old."""
    metadata = {**new}
    for field in ("uid", "creationTimestamp"):
        if field not in metadata and field in old:
            metadata[field] = old[field]
    for field in ("generation", "deletionTimestamp", "deletionGracePeriodSeconds", "resourceVersion"):
        if field in old:
            metadata[field] = old[field]
        else:
            metadata.pop(field, None)
    if "namespace" not in metadata and "namespace" in old:
        metadata["namespace"] = old["namespace"]
    metadata.pop("generateName", None)
    if "generateName" in old:
        metadata["generateName"] = old["generateName"]
    for field in ("labels", "annotations", "finalizers", "ownerReferences"):
        # What a patch has emptied reads as absent, as in Go's encoding.
        if field in metadata and not metadata[field]:
            del metadata[field]
    return metadata

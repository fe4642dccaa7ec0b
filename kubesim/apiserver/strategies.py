"""What the API server does to an object of a kind before it stores it, beyond defaults and validation.

A `Strategy` is a row: which parts a client may not set, when the generation moves, what an update may leave out. Most
kinds need no row of their own; theirs is read off the table of kinds.
Upstream: pkg/registry/<group>/<kind>/strategy.go, apiserver/pkg/registry/rest/{create,update}.go @v1.36
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from kubesim.api.memo import IdentitiesMemo
from kubesim.api.objects import Object
from kubesim.api.scheme import Kind
from kubesim.apiserver.pod_admission import readmit
from kubesim.apiserver.pods import compute_qos_class


class Strategy(NamedTuple):
    """One kind's row.

    `resets_status`: a plain update does not carry status; nor does a create, unless `is_created_with_status`.
    `defaults_status`: the kind's defaults reach into the status.
    `generation_parts`: the top-level parts, labels or annotations whose change moves `metadata.generation`; None for
    kinds without a generation. `initial_status`: what a new object's status is.
    `prepare(obj)`: last touch to a new object; `prepare_update(new, old)` to an updated one;
    `prepare_status(new, old, now)` to one with a new status, `now` as in timestamps.
    `kept_by_status`: metadata that a write of the status leaves as it is. `unconditional_update`: an update needs no
    resourceVersion. `create_on_update`: a PUT to a name that does not exist creates it. `orphans_by_default`: a delete
    that names no propagation policy leaves the dependents alone. `answers_deleted`: a delete answers with the object.
    """

    resets_status: bool = True
    is_created_with_status: bool = False
    defaults_status: bool = False
    generation_parts: tuple[str, ...] | None = None
    initial_status: Object | None = None
    prepare: Callable[[Object], Object] | None = None
    prepare_update: Callable[[Object, Object], Object] | None = None
    prepare_status: Callable[[Object, Object, str], Object] | None = None
    kept_by_status: tuple[str, ...] = ()
    unconditional_update: bool = True
    create_on_update: bool = False
    orphans_by_default: bool = False
    answers_deleted: bool = False


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
                "lastTransitionTime": pod["metadata"]["creationTimestamp"],
            }
        ]
    return {**pod, "status": status}


def _prepare_pod_status(pod: Object, old: Object, _now: str) -> Object:
    """What a client leaves out of a Pod's status and the server fills in: the QoS class, generations seen before."""
    status, before = pod["status"], old.get("status") or {}
    if status is before:
        return pod
    filled: Object = {}
    for field in ("qosClass", "observedGeneration"):
        if not status.get(field) and before.get(field):
            filled[field] = before[field]
    conditions = status.get("conditions")
    known = before.get("conditions")
    if conditions and known and conditions is not known:
        kept = _kept_generations(conditions, known)
        if kept is not conditions:
            filled["conditions"] = kept
    return {**pod, "status": {**status, **filled}} if filled else pod


def _with_generations(conditions: list[Object], known: list[Object]) -> list[Object]:
    """The conditions, each with the observedGeneration that its type had where the client gave none.

    Upstream: pkg/registry/core/pod/strategy.go:preserveOldObservedGeneration @v1.36
    """
    result = conditions
    for at, condition in enumerate(conditions):
        if condition.get("observedGeneration"):
            continue
        type_ = condition.get("type")
        before = next((each for each in known if each.get("type") == type_), None)
        generation = before.get("observedGeneration") if before is not None else None
        if generation:
            result = [*result[:at], {**condition, "observedGeneration": generation}, *result[at + 1 :]]
    return result


_kept_generations: IdentitiesMemo[list[Object]] = IdentitiesMemo(_with_generations)


def _prepare_volume(volume: Object) -> Object:
    created = volume["metadata"]["creationTimestamp"]
    return {**volume, "status": {"phase": "Pending", "lastPhaseTransitionTime": created}}


def _prepare_volume_status(volume: Object, old: Object, now: str) -> Object:
    """A PersistentVolume's new status with the time of its phase, unless the client has given one.

    Upstream: pkg/registry/core/persistentvolume/strategy.go:persistentvolumeStatusStrategy.PrepareForUpdate @v1.36
    """
    status, before = volume["status"], old.get("status") or {}
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


def _prepare_namespace_update(new: Object, old: Object) -> Object:
    """A plain update cannot touch the spec's finalizers, which are all that there is in it."""
    return {**new, "spec": old.get("spec") or {}}


_SPEC = ("spec",)
_IN_SPEC = Strategy(generation_parts=_SPEC)
_ANSWERED = Strategy(answers_deleted=True)
_CONDITIONAL = Strategy(unconditional_update=False)
_CONDITIONAL_ANSWERED = Strategy(unconditional_update=False, answers_deleted=True)
_CREATED_BY_PUT = Strategy(create_on_update=True)

STRATEGIES: dict[str, Strategy] = {
    "pods": Strategy(
        generation_parts=_SPEC,
        prepare=_prepare_pod,
        prepare_update=readmit,
        prepare_status=_prepare_pod_status,
        kept_by_status=("ownerReferences",),
        answers_deleted=True,
    ),
    "namespaces": Strategy(
        prepare=_prepare_namespace,
        prepare_update=_prepare_namespace_update,
        defaults_status=True,
        answers_deleted=True,
    ),
    # A kubelet registers its Node with the status filled in.
    "nodes": Strategy(is_created_with_status=True, defaults_status=True),
    "services": Strategy(
        initial_status={"loadBalancer": {}}, defaults_status=True, create_on_update=True, answers_deleted=True
    ),
    "serviceaccounts": _ANSWERED,
    "endpoints": _CREATED_BY_PUT,
    "endpointslices.discovery.k8s.io": Strategy(generation_parts=("addressType", "endpoints", "ports", "labels")),
    "events": _CREATED_BY_PUT,
    "events.events.k8s.io": _CREATED_BY_PUT,
    "leases.coordination.k8s.io": Strategy(create_on_update=True, unconditional_update=False),
    "limitranges": _CREATED_BY_PUT,
    "resourcequotas": Strategy(initial_status={}, defaults_status=True, answers_deleted=True),
    "podtemplates": Strategy(generation_parts=("template",), answers_deleted=True),
    "persistentvolumeclaims": Strategy(initial_status={"phase": "Pending"}, defaults_status=True, answers_deleted=True),
    "persistentvolumes": Strategy(
        prepare=_prepare_volume,
        prepare_status=_prepare_volume_status,
        defaults_status=True,
        answers_deleted=True,
    ),
    "replicationcontrollers": Strategy(generation_parts=_SPEC, initial_status={"replicas": 0}, orphans_by_default=True),
    "deployments.apps": Strategy(
        generation_parts=("spec", "annotations"), initial_status={}, kept_by_status=("labels",)
    ),
    "replicasets.apps": Strategy(generation_parts=_SPEC, initial_status={"replicas": 0}),
    "statefulsets.apps": Strategy(generation_parts=_SPEC, initial_status={"replicas": 0, "availableReplicas": 0}),
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
    "horizontalpodautoscalers.autoscaling": Strategy(initial_status={"desiredReplicas": 0, "currentMetrics": None}),
    "poddisruptionbudgets.policy": Strategy(
        generation_parts=_SPEC,
        initial_status={"disruptionsAllowed": 0, "currentHealthy": 0, "desiredHealthy": 0, "expectedPods": 0},
        unconditional_update=False,
    ),
    "networkpolicies.networking.k8s.io": _IN_SPEC,
    "ingressclasses.networking.k8s.io": _IN_SPEC,
    "ingresses.networking.k8s.io": Strategy(generation_parts=_SPEC, initial_status={"loadBalancer": {}}),
    # It never moves: all that could move it is immutable.
    "priorityclasses.scheduling.k8s.io": Strategy(generation_parts=()),
    "flowschemas.flowcontrol.apiserver.k8s.io": _IN_SPEC,
    "prioritylevelconfigurations.flowcontrol.apiserver.k8s.io": _IN_SPEC,
    "roles.rbac.authorization.k8s.io": _CREATED_BY_PUT,
    "rolebindings.rbac.authorization.k8s.io": _CREATED_BY_PUT,
    "clusterroles.rbac.authorization.k8s.io": _CREATED_BY_PUT,
    "clusterrolebindings.rbac.authorization.k8s.io": _CREATED_BY_PUT,
    "runtimeclasses.node.k8s.io": Strategy(create_on_update=True, unconditional_update=False),
    "storageclasses.storage.k8s.io": _ANSWERED,
    "csidrivers.storage.k8s.io": _CONDITIONAL_ANSWERED,
    "csinodes.storage.k8s.io": _CONDITIONAL_ANSWERED,
    "csistoragecapacities.storage.k8s.io": _CONDITIONAL,
    "volumeattachments.storage.k8s.io": _CONDITIONAL_ANSWERED,
    "volumeattributesclasses.storage.k8s.io": _ANSWERED,
    "deviceclasses.resource.k8s.io": Strategy(generation_parts=_SPEC, answers_deleted=True),
    "resourceslices.resource.k8s.io": Strategy(generation_parts=_SPEC, answers_deleted=True),
    "resourceclaims.resource.k8s.io": _ANSWERED,
    "resourceclaimtemplates.resource.k8s.io": _ANSWERED,
    **{
        f"{plural}.admissionregistration.k8s.io": Strategy(generation_parts=(part,), unconditional_update=False)
        for plural, part in (
            ("mutatingadmissionpolicies", "spec"),
            ("mutatingadmissionpolicybindings", "spec"),
            ("mutatingwebhookconfigurations", "webhooks"),
            ("validatingadmissionpolicies", "spec"),
            ("validatingadmissionpolicybindings", "spec"),
            ("validatingwebhookconfigurations", "webhooks"),
        )
    },
}
_NOT_DEFAULTED = ("metadata", "status", "apiVersion", "kind")
_OF_METADATA = ("annotations", "labels")


def strategy_for(kind: Kind) -> Strategy:
    """The kind's row; one of its own is made for a kind without."""
    strategy = STRATEGIES.get(kind.resource)
    if strategy is None:
        strategy = STRATEGIES[kind.resource] = Strategy()
    return strategy


def _parts_differ(parts: tuple[str, ...], new: Object, old: Object) -> bool:
    for part in parts:
        if part in _OF_METADATA:
            # No annotations and empty annotations are the same.
            if (new["metadata"].get(part) or None) != (old["metadata"].get(part) or None):
                return True
        elif new.get(part) != old.get(part):
            return True
    return False


def prepare_for_create(strategy: Strategy, obj: Object) -> Object:
    """The object as a client may create it: its status set back to what a new object's is."""
    if strategy.initial_status is not None:
        obj = {**obj, "status": strategy.initial_status}
    elif strategy.prepare is None and not strategy.is_created_with_status and "status" in obj:
        obj = {part: value for part, value in obj.items() if part != "status"}
    return obj if strategy.prepare is None else strategy.prepare(obj)


def prepare_for_update(strategy: Strategy, new: Object, old: Object) -> Object:
    """The object as a plain update may leave it: status as it was, generation moved if the spec did."""
    metadata, before = new["metadata"], old["metadata"]
    # Metadata that were read and given back untouched, as a heartbeat's are, have nothing to be carried over.
    new = {**new, "metadata": metadata if metadata is before else carried_metadata(metadata, before)}
    if strategy.resets_status:
        if "status" in old:
            new["status"] = old["status"]
        else:
            new.pop("status", None)
    if strategy.prepare_update is not None:
        new = strategy.prepare_update(new, old)
    parts = strategy.generation_parts
    if parts and _parts_differ(parts, new, old):
        new["metadata"] = {**new["metadata"], "generation": old["metadata"].get("generation", 0) + 1}
    return new


def prepare_for_status_update(strategy: Strategy, new: Object, old: Object, now: str) -> Object:
    """The object as a write to `status` may leave it: the spec as it was, but metadata are the client's."""
    metadata, before = new["metadata"], old["metadata"]
    if metadata is not before:
        metadata = carried_metadata(metadata, before)
        for field in strategy.kept_by_status:
            if field in before:
                metadata[field] = before[field]
            else:
                metadata.pop(field, None)
    status = new.get("status")
    if status is None:
        status = strategy.initial_status or {}
    result = {**old, "metadata": metadata, "status": status}
    return result if strategy.prepare_status is None else strategy.prepare_status(result, old, now)


def carried_metadata(new: Object, old: Object) -> Object:
    """The new metadata with what only the server may set, taken from the old.

    Upstream: apiserver/pkg/registry/rest/update.go:BeforeUpdate @v1.36
    """
    metadata = {**new, "resourceVersion": old["resourceVersion"], "creationTimestamp": old["creationTimestamp"]}
    if not metadata.get("uid"):
        metadata["uid"] = old["uid"]
    if "generation" in old:
        metadata["generation"] = old["generation"]
    else:
        metadata.pop("generation", None)
    if "deletionTimestamp" in old:
        metadata["deletionTimestamp"] = old["deletionTimestamp"]
        if "deletionGracePeriodSeconds" in old and "deletionGracePeriodSeconds" not in new:
            metadata["deletionGracePeriodSeconds"] = old["deletionGracePeriodSeconds"]
    if "namespace" in old and not metadata.get("namespace"):
        metadata["namespace"] = old["namespace"]
    for field in ("labels", "annotations", "finalizers", "ownerReferences"):
        # What a patch has emptied reads as absent, as in Go's encoding.
        if field in metadata and not metadata[field]:
            del metadata[field]
    return metadata


def shares_content(obj: Object, old: Object) -> bool:
    """Whether all but metadata and status are the very subtrees that are stored, which have their defaults."""
    for part, value in old.items():
        if part not in _NOT_DEFAULTED and obj.get(part) is not value:
            return False
    return all(part in old or part in _NOT_DEFAULTED for part in obj)

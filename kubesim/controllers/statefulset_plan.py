"""A StatefulSet's Pods by ordinal: what they are called, which revision they get, what the status says of them.

Pure functions. A Pod that does not exist yet is an object without status, as its template makes it.
Upstream: pkg/controller/statefulset/{stateful_set_utils,stateful_set_control}.go @v1.36
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from kubesim.api.int_or_string import resolve
from kubesim.api.objects import Object, is_deleting, labels_of
from kubesim.controllers.pods import is_available
from kubesim.controllers.replicaset import pod_from_template

POD_NAME_LABEL = "statefulset.kubernetes.io/pod-name"
POD_INDEX_LABEL = "apps.kubernetes.io/pod-index"
REVISION_LABEL = "controller-revision-hash"
_INT32_MAX = 2**31 - 1


class View(NamedTuple):
    """What one sync decides on: the set, its two revisions, and its Pods by their places.

    `replicas` has one Pod per wanted ordinal, existing or still to be created; `condemned` are those beyond, highest
    ordinal first.
    """

    stateful_set: Object
    current_revision: str
    update_revision: str
    replicas: list[Object]
    condemned: list[Object]


# --- ordinals and identity ---


def parent_and_ordinal(pod: Object) -> tuple[str, int]:
    """The set's name and the ordinal that the Pod's name spells; ("", -1) for any other name."""
    parent, dash, digits = pod["metadata"]["name"].rpartition("-")
    if not dash or not digits.isascii() or not digits.isdigit():
        return "", -1
    ordinal = int(digits)
    return parent, ordinal if ordinal <= _INT32_MAX else -1


def ordinal_of(pod: Object) -> int:
    """The number at the end of the Pod's name."""
    return parent_and_ordinal(pod)[1]


def start_ordinal(stateful_set: Object) -> int:
    """The first ordinal, which is 0 unless `spec.ordinals.start` says otherwise."""
    return int((stateful_set["spec"].get("ordinals") or {}).get("start", 0))


def is_wanted(pod: Object, stateful_set: Object) -> bool:
    """Whether the Pod's ordinal is one that the set is to have."""
    return bool(0 <= ordinal_of(pod) - start_ordinal(stateful_set) < stateful_set["spec"]["replicas"])


def claim_name(template: Object, stateful_set: Object, ordinal: int) -> str:
    """The name of a Pod's PersistentVolumeClaim for one of the set's claim templates."""
    return f"{template['metadata']['name']}-{stateful_set['metadata']['name']}-{ordinal}"


def claims_of(stateful_set: Object, pod: Object) -> list[Object]:
    """The claims that a Pod is to have, named for it and labelled as the selector wants."""
    ordinal = ordinal_of(pod)
    selected = stateful_set["spec"]["selector"].get("matchLabels") or {}
    claims = []
    for template in stateful_set["spec"].get("volumeClaimTemplates") or ():
        metadata = {
            **template["metadata"],
            "name": claim_name(template, stateful_set, ordinal),
            "namespace": stateful_set["metadata"]["namespace"],
        }
        labels = {**(metadata.get("labels") or {}), **selected}
        if labels:
            metadata["labels"] = labels
        claims.append({**template, "metadata": metadata})
    return claims


def with_storage(stateful_set: Object, pod: Object) -> Object:
    """The Pod with its claims as its first volumes, in place of volumes of the same names."""
    claims = {
        template["metadata"]["name"]: claim_name(template, stateful_set, ordinal_of(pod))
        for template in stateful_set["spec"].get("volumeClaimTemplates") or ()
    }
    if not claims:
        return pod
    volumes = [{"name": name, "persistentVolumeClaim": {"claimName": claim}} for name, claim in claims.items()]
    volumes += [volume for volume in pod["spec"].get("volumes") or () if volume["name"] not in claims]
    return {**pod, "spec": {**pod["spec"], "volumes": volumes}}


def storage_matches(stateful_set: Object, pod: Object) -> bool:
    """Whether every claim template has its volume in the Pod."""
    volumes = {volume["name"]: volume for volume in pod["spec"].get("volumes") or ()}
    for template in stateful_set["spec"].get("volumeClaimTemplates") or ():
        volume = volumes.get(template["metadata"]["name"], {})
        claim = (volume.get("persistentVolumeClaim") or {}).get("claimName")
        if claim != claim_name(template, stateful_set, ordinal_of(pod)):
            return False
    return True


def identity_matches(pod: Object) -> bool:
    """Whether the Pod carries the label with its own name."""
    return bool(labels_of(pod).get(POD_NAME_LABEL) == pod["metadata"]["name"])


def with_identity(pod: Object) -> Object:
    """The Pod with the labels that tell its name and ordinal."""
    metadata = pod["metadata"]
    own = {POD_NAME_LABEL: metadata["name"], POD_INDEX_LABEL: str(ordinal_of(pod))}
    return {**pod, "metadata": {**metadata, "labels": {**labels_of(pod), **own}}}


def new_pod(stateful_set: Object, template: Object, revision: str, ordinal: int) -> Object:
    """The Pod for an ordinal, of the given revision's template."""
    pod = pod_from_template({**stateful_set, "spec": {**stateful_set["spec"], "template": template}})
    name = f"{stateful_set['metadata']['name']}-{ordinal}"
    pod["metadata"]["name"] = name
    pod = with_identity(pod)
    pod["metadata"]["labels"][REVISION_LABEL] = revision
    pod["spec"] = {**pod["spec"], "hostname": name}
    if stateful_set["spec"].get("serviceName"):
        pod["spec"]["subdomain"] = stateful_set["spec"]["serviceName"]
    return with_storage(stateful_set, pod)


def gets_current_revision(stateful_set: Object, ordinal: int) -> bool:
    """Whether a Pod made now for this ordinal is still one of the current revision.

    Upstream: stateful_set_utils.go:newVersionedStatefulSetPod
    """
    strategy = stateful_set["spec"]["updateStrategy"]
    index = ordinal - start_ordinal(stateful_set)
    rolling = strategy.get("rollingUpdate")
    if rolling is not None:
        return bool(index < rolling.get("partition", 0))
    current = (stateful_set.get("status") or {}).get("currentReplicas", 0)
    return bool(strategy.get("type") == "RollingUpdate" and index < current)


# --- what a Pod is ---


def phase_of(pod: Object) -> str:
    """The Pod's phase, empty for one that does not exist yet."""
    return str((pod.get("status") or {}).get("phase", ""))


def is_created(pod: Object) -> bool:
    """Whether the API server has taken the Pod: it has a phase then."""
    return phase_of(pod) != ""


def is_healthy(pod: Object, min_ready_s: int, now_ns: int) -> bool:
    """Running, and ready for `minReadySeconds`."""
    return phase_of(pod) == "Running" and is_available(pod, min_ready_s, now_ns)


def is_unavailable(pod: Object, min_ready_s: int, now_ns: int) -> bool:
    """Whether the Pod is not there, on its way out, or not ready for long enough."""
    return not is_created(pod) or is_deleting(pod) or not is_available(pod, min_ready_s, now_ns)


def revision_of(pod: Object) -> str:
    """The revision that the Pod was made from, as its label says."""
    return labels_of(pod).get(REVISION_LABEL, "")


def first_unavailable(view: View, now_ns: int) -> Object | None:
    """The first Pod that is not available: lowest wanted ordinal, else lowest condemned."""
    min_ready_s = view.stateful_set["spec"].get("minReadySeconds", 0)
    for pod in (*view.replicas, *reversed(view.condemned)):
        if is_unavailable(pod, min_ready_s, now_ns):
            return pod
    return None


# --- the roll out ---


def plan_rolling_update(view: View, max_unavailable: int | None, now_ns: int) -> list[Object]:
    """The Pods to delete now so that they come back in the update revision, highest ordinal first.

    A `max_unavailable` of None is what the feature gate MaxUnavailableStatefulSet, off by default, leaves: one Pod at
    a time, and none while a higher one that is done is not available.
    Upstream: stateful_set_control.go:updateStatefulSet, updateStatefulSetAfterInvariantEstablished
    """
    spec = view.stateful_set["spec"]
    min_ready_s = spec.get("minReadySeconds", 0)
    partition = (spec["updateStrategy"].get("rollingUpdate") or {}).get("partition", 0)
    targets = list(reversed(view.replicas[partition:]))
    if max_unavailable is None:
        for pod in targets:
            if revision_of(pod) != view.update_revision and not is_deleting(pod):
                return [pod]
            if is_unavailable(pod, min_ready_s, now_ns):
                return []
        return []
    room = max_unavailable - sum(is_unavailable(pod, min_ready_s, now_ns) for pod in view.replicas)
    outdated = [pod for pod in targets if revision_of(pod) != view.update_revision and not is_deleting(pod)]
    return outdated[: max(0, room)]


def max_unavailable_of(stateful_set: Object) -> int:
    """`rollingUpdate.maxUnavailable` as a number of Pods, at least 1."""
    rolling = stateful_set["spec"]["updateStrategy"].get("rollingUpdate") or {}
    return max(1, resolve(rolling.get("maxUnavailable", 1), stateful_set["spec"]["replicas"], round_up=False))


# --- status ---


def compute_status(view: View, pods: Iterable[Object], collision_count: int, now_ns: int) -> Object:
    """The counts over the Pods. `replicas` and `availableReplicas` are there even as 0, the others are not."""
    min_ready_s = view.stateful_set["spec"].get("minReadySeconds", 0)
    replicas = ready = available = current = updated = 0
    for pod in pods:
        if not is_created(pod):
            continue
        replicas += 1
        if phase_of(pod) == "Running" and is_available(pod, 0, now_ns):
            ready += 1
            available += is_available(pod, min_ready_s, now_ns)
        if not is_deleting(pod):
            revision = revision_of(pod)
            current += revision == view.current_revision
            updated += revision == view.update_revision
    return _status(view, (replicas, ready, current, updated, available), collision_count)


def _status(view: View, counts: tuple[int, int, int, int, int], collision_count: int) -> Object:
    replicas, ready, current, updated, available = counts
    status: Object = {"observedGeneration": view.stateful_set["metadata"]["generation"], "replicas": replicas}
    for field, count in (("readyReplicas", ready), ("currentReplicas", current), ("updatedReplicas", updated)):
        if count:
            status[field] = count
    status["currentRevision"] = view.current_revision
    status["updateRevision"] = view.update_revision
    status["collisionCount"] = collision_count
    status["availableReplicas"] = available
    return status


def with_fewer_current(status: Object, count: int) -> Object:
    """The status after deletions for an update, which are counted at once, even where that makes less than none."""
    current = status.get("currentReplicas", 0) - count
    status = {**status, "currentReplicas": current}
    if not current:
        del status["currentReplicas"]
    return status


def completed(stateful_set: Object, status: Object) -> Object:
    """The status with the update revision as the current one, once all Pods have it and are ready.

    Upstream: stateful_set_utils.go:completeRollingUpdate
    """
    wanted = stateful_set["spec"]["replicas"]
    is_rolling = stateful_set["spec"]["updateStrategy"].get("type") == "RollingUpdate"
    done = all(status.get(field, 0) == wanted for field in ("updatedReplicas", "readyReplicas", "replicas"))
    if not is_rolling or not done:
        return status
    status = {**status, "currentRevision": status["updateRevision"]}
    if wanted:
        status["currentReplicas"] = wanted
    else:
        status.pop("currentReplicas", None)
    return status


def is_stale(old: Object, new: Object) -> bool:
    """Whether the new status says something that the old did not. The collision count alone is not written."""
    return bool(new["observedGeneration"] > old.get("observedGeneration", 0)) or any(
        new.get(field) != old.get(field)
        for field in (
            "replicas",
            "readyReplicas",
            "currentReplicas",
            "updatedReplicas",
            "availableReplicas",
            "currentRevision",
            "updateRevision",
        )
    )


def place(
    stateful_set: Object, pods: Sequence[Object], revisions: tuple[str, str], templates: tuple[Object, Object]
) -> View:
    """Put the Pods in their places and fill the gaps with new ones. Pairs are (current, update)."""
    wanted: dict[int, Object] = {}
    condemned: list[Object] = []
    for pod in pods:
        ordinal = ordinal_of(pod)
        if is_wanted(pod, stateful_set):
            wanted[ordinal] = pod
        elif ordinal >= 0:
            condemned.append(pod)
    condemned.sort(key=ordinal_of, reverse=True)
    start = start_ordinal(stateful_set)
    replicas: list[Object] = []
    for ordinal in range(start, start + stateful_set["spec"]["replicas"]):
        found = wanted.get(ordinal)
        if found is None:
            which = 0 if gets_current_revision(stateful_set, ordinal) else 1
            found = new_pod(stateful_set, templates[which], revisions[which], ordinal)
        replicas.append(found)
    return View(stateful_set, *revisions, replicas, condemned)
